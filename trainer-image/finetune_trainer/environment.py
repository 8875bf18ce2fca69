"""The environment of the engine and its workers, and what they are made of."""

import contextlib
import math
import os
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from finetune_contract import paths
from finetune_contract.config import TrainConfig
from finetune_trainer import __version__, cpu
from finetune_trainer.metrics import METRICS_ENV

GRACE_ENV = "FINETUNE_GRACE_SECONDS"
"""Seconds from SIGTERM until the kubelet kills: the pod's `terminationGracePeriodSeconds`."""
GRACE_SECONDS = 60.0
"""Unless told otherwise."""
ENGINE_PACKAGES = {"SFT": "instructlab-training", "OSFT": "rhai-innovation-mini-trainer"}


def of_engine(settings: TrainConfig, rank: int, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables of the engine's process. Tokens stay with the launcher: the engine reads local files only."""
    directory = Path(settings.run_dir)
    search = [str(Path(file).resolve().parents[1]) for file in (cpu.__file__, paths.__file__)]
    environment = {
        **{k: v for k, v in inherited.items() if k not in ("HF_TOKEN", "PYTHONPATH") and not k.startswith("PET_")},
        # torchrun stands beside this Python, which may not be on PATH
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_DATASETS_CACHE": str(directory / "engine" / f"data-{rank}" / "cache"),
        "TOKENIZERS_PARALLELISM": "false",
        # flash-attn is not in the image; mini-trainer takes torch's own attention only for what it calls tests
        "TESTING": "true",
        METRICS_ENV: str(directory / paths.METRICS),
    }
    if settings.distribution.num_nodes == 1:
        environment["GLOO_SOCKET_IFNAME"] = "lo"  # gloo would ask for the address of the host's name
    if settings.distribution.accelerator == "CPU":
        environment |= cpu.environment(settings.distribution.num_proc_per_node, inherited)
        search.insert(0, str(cpu.SITE))
    search += filter(None, inherited.get("PYTHONPATH", "").split(os.pathsep))
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(search))
    return environment


def grace_seconds(environ: Mapping[str, str] = os.environ) -> float:
    """How long the pod may take to end; what is no such number counts as not told."""
    try:
        told = float(environ.get(GRACE_ENV, ""))
    except ValueError:
        return GRACE_SECONDS
    return told if 0 < told < math.inf else GRACE_SECONDS


def versions(algorithm: str) -> dict[str, str]:
    """What a run was made with."""
    found = {"finetune-trainer": __version__}
    for name in ("training-hub", ENGINE_PACKAGES[algorithm], "torch", "transformers"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
