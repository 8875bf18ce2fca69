"""Stable exit codes of a stage and the reasons they stand for.

The numbers are part of the contract: they are never reused or renumbered. 0 means "this process has done its part" and
proves nothing by itself: success is read from the StageResult alone (an engine may exit 0 after SIGTERM).
"""

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """Exit codes of `python -m finetune_trainer`, outside the ranges of shells (126+) and of Python itself (1, 2)."""

    OK = 0
    ENGINE_FAILED = 10
    CONFIG_INVALID = 11
    DATASET_NOT_FOUND = 12
    DATASET_INVALID = 13
    MODEL_NOT_FOUND = 14
    MODEL_INVALID = 15
    OUT_OF_MEMORY = 16
    LOSS_NOT_FINITE = 17
    DISK_FULL = 18
    HUB_AUTH_FAILED = 19
    UNSUPPORTED = 20
    MODEL_NOT_SAVED = 21
    STEPS_INCOMPLETE = 22
    INTERRUPTED = 23


class Reason(StrEnum):
    """Why a stage ended, in the words of `status.conditions[].reason`."""

    COMPLETED = "Completed"
    ENGINE_FAILED = "EngineFailed"
    CONFIG_INVALID = "ConfigInvalid"
    DATASET_NOT_FOUND = "DatasetNotFound"
    DATASET_INVALID = "DataInvalid"
    MODEL_NOT_FOUND = "ModelNotFound"
    MODEL_INVALID = "ModelInvalid"
    OUT_OF_MEMORY = "OutOfMemory"
    LOSS_NOT_FINITE = "LossNotFinite"
    DISK_FULL = "DiskFull"
    HUB_AUTH_FAILED = "HubAuthFailed"
    UNSUPPORTED = "Unsupported"
    MODEL_NOT_SAVED = "ModelNotSaved"
    STEPS_INCOMPLETE = "StepsIncomplete"
    INTERRUPTED = "Interrupted"


REASON_OF_EXIT_CODE: dict[ExitCode, Reason] = {
    ExitCode.OK: Reason.COMPLETED,
    **{code: Reason[code.name] for code in ExitCode if code is not ExitCode.OK},
}
