"""Why an engine failed, read from the tail of its output: the engines themselves only say "training failed"."""

import re
from collections.abc import Sequence

from finetune_contract.reasons import Reason

_START = r"^\s*(?:\[\w+\]:\s*)?"
"""Where Python writes an exception's name; torch puts the rank before it. Elsewhere a name is mere talk."""

_PATTERNS: tuple[tuple[Reason, str, str], ...] = (
    (
        Reason.DISK_FULL,
        r"No space left on device|ENOSPC|Disk quota exceeded|os error 28",
        "the volume is full; make `storage.size` larger or delete old runs",
    ),
    (
        Reason.OUT_OF_MEMORY,
        r"CUDA out of memory|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED|NCCL .*out of memory"
        r"|can't allocate memory|Cannot allocate memory"
        rf"|{_START}[\w.]*MemoryError(?::|\s*$)"
        r"|Signal 9 \(SIGKILL\)|exitcode\s*: -9\b|killed by signal: Killed|exit code -9\b",
        "out of memory; lower `training.maxTokensPerGPU` or ask for more memory in `resources`",
    ),
    (
        Reason.OUT_OF_MEMORY,
        r"out of shared memory|killed by signal: Bus error|Bus error \(core dumped\)",
        "shared memory is full; make `resources.sharedMemory` larger",
    ),
    (
        Reason.MODEL_INVALID,
        r"does not appear to have a file named config\.json|Unrecognized model|Unrecognized configuration class"
        r"|Tokenizer does not have a chat template|HeaderTooLarge|invalid JSON in header"
        r"|does not recognize this architecture"
        rf"|{_START}[\w.]*SafetensorError(?::|\s*$)",
        "the base model can't be loaded; it must be a complete Hugging Face model with a chat template",
    ),
)

_ERROR_LINE = re.compile(rf"{_START}((?:[A-Za-z_][\w.]*)?(?:Error|Exception|Exit|Interrupt)\b.*)$")


def classify(tail: Sequence[str]) -> tuple[Reason, str]:
    """Reason, and a message with the line that explains it; `EngineFailed` with the last error if none is known."""
    for reason, pattern, remedy in _PATTERNS:
        for line in tail:
            if re.search(pattern, line):
                return reason, f"{remedy} ({line.strip()[:300]})"
    errors = [match.group(1) for line in tail if (match := _ERROR_LINE.match(line))]
    told = [
        e
        for e in errors
        if "ChildFailedError" not in e and "Training failed" not in e and "Suffered a failure" not in e
    ]
    said = (told or errors or [line for line in tail if line.strip()] or ["it printed nothing"])[-1].strip()
    return Reason.ENGINE_FAILED, f"the engine failed: {said[:600]}"
