"""Progress as posted by a running stage.

`trainerStatus` is the shape of Kubeflow Trainer's KEP-2779, so the same value can be posted to Trainer's own status
server:
https://github.com/kubeflow/trainer/tree/master/docs/proposals/2779-trainjob-progress
"""

from typing import Annotated

from pydantic import Field

from finetune_contract.base import ContractModel, Count, Moment

HISTORY_LIMIT = 100
"""Most points in a loss history."""
REMAINING_LIMIT = 10 * 365 * 86_400
"""Seconds; an estimate beyond ten years says nothing."""


class Metric(ContractModel):
    """One metric; the value is text, so that `0.0` and `NaN` survive JSON."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    value: Annotated[str, Field(max_length=32)]


class TrainerStatus(ContractModel):
    """Trainer's own shape."""

    progress_percentage: Annotated[int, Field(ge=0, le=100)] | None = None
    estimated_remaining_seconds: Annotated[int, Field(ge=0, le=REMAINING_LIMIT)] | None = None
    metrics: Annotated[tuple[Metric, ...], Field(max_length=256)] = ()
    """Known names: loss, learning_rate, grad_norm, tokens_per_second, epoch."""
    last_updated_time: Moment


class LossPoint(ContractModel):
    """Loss of one optimizer step, as text (`NaN` included), exactly as the engine logged it."""

    step: Count
    loss: Annotated[str, Field(max_length=32)]


class ProgressReport(ContractModel):
    """A whole picture, not a difference: a lost, repeated or reordered post does no harm."""

    attempt: Annotated[int, Field(ge=1, le=1000)]
    step: Count
    total_steps: Count
    """0: not known yet."""
    phase: Annotated[str, Field(max_length=64)] = ""
    """What the stage is doing now, for humans: `loading model`, `training`, `verifying`."""
    trainer_status: TrainerStatus
    loss_history: Annotated[tuple[LossPoint, ...], Field(max_length=HISTORY_LIMIT)] = ()
    """The whole curve so far, downsampled; first and last point are kept."""


def downsample(points: list[LossPoint], limit: int = HISTORY_LIMIT) -> tuple[LossPoint, ...]:
    """At most `limit` of the points, evenly spread, first and last kept.

    Raises:
        ValueError: `limit` is below 2, so first and last can't both be kept.
    """
    if limit < 2:
        raise ValueError(f"limit must be at least 2, not {limit}")
    if len(points) <= limit:
        return tuple(points)
    last = len(points) - 1
    return tuple(points[round(i * last / (limit - 1))] for i in range(limit))
