"""Runs the engines without a GPU.

instructlab-training and mini-trainer call `torch.cuda` and name the device "cuda" without asking (instructlab/training/
main_ds.py `torch.cuda.set_device`, mini_trainer/utils.py `init_process_group("nccl", device_id=cuda:0)`). `install()`
waits for torch to be imported and then maps those calls to the CPU and gloo. It is active only in processes that have
SITE on their PYTHONPATH, which the launcher sees to when `distribution.accelerator` is CPU; nothing is forked or
edited.
"""

import collections
import importlib.abc
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

SITE = Path(__file__).parent / "cpu_site"
"""Directory with the sitecustomize module that calls install()."""


def environment(processes: int, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables of the engine and its workers; threads share the CPUs this container may really use."""
    return {
        # accelerate would find no distribution, leave several ranks unsynchronised and report a multiple of the loss
        "ACCELERATE_USE_CPU": "true",
        # the packers are jitted for thousands of samples; compiling them costs 7 to 11 seconds at each start
        "NUMBA_DISABLE_JIT": "1",
        # waiting threads sleep: spinning ones take the CPUs of those they wait for (ten times slower on busy CPUs)
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_NUM_THREADS": environ.get("OMP_NUM_THREADS") or str(max(1, available_cpus() // processes)),
    }


def available_cpus(root: Path = Path("/sys/fs/cgroup")) -> int:
    """CPUs of this container: its cgroup quota or its affinity, whichever is smaller; torch only knows the latter."""
    cpus = len(os.sched_getaffinity(0))
    for quota_file, period_file in (("cpu.max", None), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            words = (root / quota_file).read_text().split()
            if period_file:
                words.append((root / period_file).read_text().strip())
            quota, period = int(words[0]), int(words[1])  # `max` is no number: no quota
        except (OSError, ValueError, IndexError):
            continue
        if quota > 0:
            cpus = min(cpus, max(1, -(-quota // period)))
    return cpus


def install() -> None:
    """Patch torch as soon as it is imported."""
    sys.meta_path.insert(0, _AfterImport())


class _AfterImport(importlib.abc.MetaPathFinder):
    """Lets the usual finders find a module and patches it once it has run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        patch = _PATCHES.get(fullname)
        if patch is None:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            sys.meta_path.insert(0, self)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _patch_torch(torch: Any) -> None:
    real = torch.device

    class _Meta(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, real)

    class Device(metaclass=_Meta):
        """torch.device is final, so a stand-in: any GPU is the CPU, everything else is unchanged."""

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            gpu = args and (isinstance(args[0], int) or (isinstance(args[0], str) and args[0].split(":")[0] == "cuda"))
            return real("cpu") if gpu else real(*args, **kwargs)

    def nothing(*_args: Any, **_kwargs: Any) -> None:
        return None

    torch.device = Device
    torch.cuda.set_device = nothing
    torch.cuda.current_device = lambda: "cpu"
    torch.cuda.reset_peak_memory_stats = nothing
    torch.cuda.memory_stats = lambda *_a, **_k: collections.defaultdict(int)
    torch.cuda.memory_allocated = lambda *_a, **_k: 0
    torch.cuda.max_memory_allocated = lambda *_a, **_k: 0
    torch.Tensor.cuda = lambda self, *_a, **_k: self


def _patch_distributed(distributed: Any) -> None:
    original = getattr(distributed, "init_process_group", None)
    if original is None:
        return

    def init_process_group(backend: str | None = None, *args: Any, device_id: Any = None, **kwargs: Any) -> Any:
        return original("gloo", *args, **kwargs)

    distributed.init_process_group = init_process_group


def _patch_device_mesh(device_mesh: Any) -> None:
    original = device_mesh.init_device_mesh

    def init_device_mesh(device_type: str, *args: Any, **kwargs: Any) -> Any:
        return original("cpu" if device_type == "cuda" else device_type, *args, **kwargs)

    device_mesh.init_device_mesh = init_device_mesh


def _patch_accelerate(accelerator: Any) -> None:
    """instructlab-training asks for bfloat16, which CPUs compute at half the speed of float32."""
    original = accelerator.Accelerator.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **{**kwargs, "mixed_precision": "no"})

    accelerator.Accelerator.__init__ = init


def _patch_sft_model(model: Any) -> None:
    """Recomputing activations saves a GPU's memory for a third more work; here `max_tokens_per_gpu` is knob enough."""
    model.Model._enable_gradient_checkpointing_if_supported = lambda self: None


def _patch_osft_model(setup: Any) -> None:
    """The same as for accelerate: mini-trainer shards with bfloat16 parameters."""
    original = setup.MixedPrecisionPolicy
    setup.MixedPrecisionPolicy = lambda **kwargs: original(**{**kwargs, "param_dtype": None})


_PATCHES: dict[str, Callable[[Any], None]] = {
    "torch": _patch_torch,
    "torch.distributed": _patch_distributed,
    "torch.distributed.device_mesh": _patch_device_mesh,
    "accelerate.accelerator": _patch_accelerate,
    "instructlab.training.model": _patch_sft_model,
    "mini_trainer.setup_model_for_training": _patch_osft_model,
}
