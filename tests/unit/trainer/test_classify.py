import pytest

from finetune_contract.reasons import Reason
from finetune_trainer.classify import classify


@pytest.mark.parametrize(
    ("line", "want"),
    [
        pytest.param(
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", Reason.OUT_OF_MEMORY, id="CUDA"
        ),
        pytest.param(
            "RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory", Reason.OUT_OF_MEMORY, id="CPU"
        ),
        pytest.param(
            "  error_file: <N/A>   traceback : Signal 9 (SIGKILL) received by PID 7", Reason.OUT_OF_MEMORY, id="killed"
        ),
        pytest.param("exit code -9", Reason.OUT_OF_MEMORY, id="the launcher's child was killed"),
        pytest.param(
            "RuntimeError: DataLoader worker (pid 1) is killed by signal: Bus error.", Reason.OUT_OF_MEMORY, id="shm"
        ),
        pytest.param("OSError: [Errno 28] No space left on device", Reason.DISK_FULL, id="disk"),
        pytest.param("safetensors_rust.SafetensorError: HeaderTooLarge", Reason.MODEL_INVALID, id="model"),
        pytest.param("ValueError: something else", Reason.ENGINE_FAILED, id="unknown"),
    ],
)
def test_the_reason_is_found_in_the_output(line: str, want: Reason) -> None:
    reason, message = classify(["epoch 0", line, "RuntimeError: Training failed. Please check the logs"])
    assert reason is want
    assert line.strip()[:60] in message


def test_the_cause_is_told_and_not_the_wrapper() -> None:
    tail = [
        "[rank0]: KeyError: 'rope_theta'",
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: ",
        "RuntimeError: Suffered a failure during distributed training.",
    ]
    assert classify(tail) == (Reason.ENGINE_FAILED, "the engine failed: KeyError: 'rope_theta'")


def test_silence_is_told_too() -> None:
    assert classify([]) == (Reason.ENGINE_FAILED, "the engine failed: it printed nothing")


def test_a_name_in_the_middle_of_a_line_is_talk() -> None:
    tail = ["WARNING: on MemoryError the cache is emptied", "[rank0]: KeyError: 'rope_theta'"]
    assert classify(tail) == (Reason.ENGINE_FAILED, "the engine failed: KeyError: 'rope_theta'")


@pytest.mark.parametrize(
    "line", ["MemoryError", "[rank1]: numpy._core._exceptions._ArrayMemoryError: Unable to allocate"]
)
def test_a_name_at_the_start_counts(line: str) -> None:
    assert classify([line])[0] is Reason.OUT_OF_MEMORY
