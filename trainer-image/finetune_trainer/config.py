"""Reads `config.json` before anything heavy is imported."""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from finetune_contract.base import RunId
from finetune_contract.config import ATTEMPTS, ReportTarget, TrainConfig
from finetune_contract.reasons import Reason
from finetune_trainer.errors import StageError

BACKEND_OF_ALGORITHM = {"SFT": "InstructLabTraining", "OSFT": "MiniTrainer"}


def load(path: Path) -> TrainConfig:
    """The configuration, valid and consistent.

    Raises:
        StageError: `ConfigInvalid`, with every wrong field named.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(
            Reason.CONFIG_INVALID, f"can't read {path}: {error}; mount the stage's ConfigMap there"
        ) from None
    try:
        config = TrainConfig.model_validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(f"`{'.'.join(str(p) for p in e['loc']) or '(document)'}`: {e['msg']}" for e in error.errors())
        raise StageError(
            Reason.CONFIG_INVALID, f"{path} does not fit this trainer: {wrong}. Operator and trainer image must match."
        ) from None
    _check(config)
    return config


def _check(config: TrainConfig) -> None:
    """What one field alone can't tell."""
    if BACKEND_OF_ALGORITHM[config.algorithm] != config.backend:
        raise StageError(
            Reason.UNSUPPORTED,
            f"`backend` {config.backend} can't run `algorithm` {config.algorithm}: "
            f"it must be {BACKEND_OF_ALGORITHM[config.algorithm]}",
        )
    if (config.algorithm == "OSFT") != (config.osft is not None):
        raise StageError(Reason.CONFIG_INVALID, "`osft` must be set with `algorithm` OSFT, and only with it")
    values = config.training
    if values.max_tokens_per_gpu < values.max_seq_len:
        raise StageError(
            Reason.CONFIG_INVALID,
            f"`training.maxTokensPerGPU` ({values.max_tokens_per_gpu}) must be at least `training.maxSeqLen` "
            f"({values.max_seq_len}), or a long sample would not fit into any micro-batch",
        )
    if config.report is not None and not _encrypted(config.report):
        raise StageError(Reason.CONFIG_INVALID, "`report.url` must begin with https://: the post carries a token")


@dataclass(frozen=True)
class Remains:
    """What can still be read of a wrong configuration, in bounds: enough to tell the failure."""

    attempt: int = 1
    run_id: str = "unknown"
    report: ReportTarget | None = None


def recover(path: Path) -> Remains:
    """As much as there is; never raises."""
    try:
        raw = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return Remains()
    if not isinstance(raw, dict):
        return Remains()
    job = raw.get("job")
    attempt = _valid(int, job.get("attempt") if isinstance(job, dict) else None) or 1
    report = _valid(ReportTarget, raw.get("report"))
    return Remains(
        attempt=min(max(attempt, 1), ATTEMPTS),
        run_id=_valid(RunId, raw.get("runId")) or Remains.run_id,
        report=report if report is not None and _encrypted(report) else None,
    )


def _valid(kind: Any, value: Any) -> Any:
    """The value as what it must be, None if it is not."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return None


def _encrypted(report: ReportTarget) -> bool:
    return report.url.startswith("https://")


@dataclass(frozen=True)
class Node:
    """This pod's place in the run, from the environment that Trainer's torch policy sets."""

    rank: int
    master_addr: str
    master_port: int

    @classmethod
    def of(cls, config: TrainConfig, environ: Mapping[str, str] = os.environ) -> "Node":
        """A single node meets itself on the loopback interface, whatever its name resolves to.

        Raises:
            StageError: `ConfigInvalid`, the environment contradicts the configuration.
        """
        nodes = config.distribution.num_nodes
        for name, want in (("PET_NNODES", nodes), ("PET_NPROC_PER_NODE", config.distribution.num_proc_per_node)):
            given = environ.get(name)
            if given is not None and given != str(want):
                raise StageError(
                    Reason.CONFIG_INVALID, f"{name} is {given} but `distribution` says {want}: both must be of one plan"
                )
        if nodes == 1:
            return cls(0, "127.0.0.1", _free_port())
        rank, address = environ.get("PET_NODE_RANK", ""), environ.get("PET_MASTER_ADDR", "")
        port = environ.get("PET_MASTER_PORT", "29500")
        if not address or not rank.isdecimal() or int(rank) >= nodes:
            raise StageError(
                Reason.CONFIG_INVALID,
                f"`distribution.numNodes` is {nodes}: PET_MASTER_ADDR and PET_NODE_RANK (0 to {nodes - 1}) must be set,"
                f" not {address!r} and {rank!r}",
            )
        if not port.isdecimal():
            raise StageError(Reason.CONFIG_INVALID, f"PET_MASTER_PORT must be a number, not {port!r}")
        return cls(int(rank), address, int(port))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
