"""Events that tell a job's story in `kubectl describe`: one per transition. Pure."""

from dataclasses import dataclass
from typing import Literal

from finetune_operator.api.status import Condition, FineTuneJobStatus
from finetune_operator.status.conditions import STALLED, SUCCEEDED, find
from finetune_operator.status.state import PENDING


@dataclass(frozen=True)
class Event:
    """One Event to post."""

    kind: Literal["Normal", "Warning"]
    reason: str
    message: str


def transitions(before: FineTuneJobStatus, after: FineTuneJobStatus) -> tuple[Event, ...]:
    """What has happened between two statuses, in order of time."""
    return tuple(
        event
        for event in (
            _train_job(before, after),
            _resumed(before, after),
            _state(before, after),
            _quarter(before, after),
        )
        if event
    )


def _train_job(before: FineTuneJobStatus, after: FineTuneJobStatus) -> Event | None:
    if len(after.attempts) <= len(before.attempts):
        return None
    new = after.attempts[-1]
    return Event("Normal", "TrainJobCreated", f"Attempt {new.number}: TrainJob {new.train_job}")


def _resumed(before: FineTuneJobStatus, after: FineTuneJobStatus) -> Event | None:
    old, new = find(before.conditions, STALLED), find(after.conditions, STALLED)
    if old is None or old.status != "True" or new is None or new.status == "True":
        return None
    return Event("Normal", "GoesOn", f"{old.reason} is over")


def _state(before: FineTuneJobStatus, after: FineTuneJobStatus) -> Event | None:
    old, new = find(before.conditions, SUCCEEDED), find(after.conditions, SUCCEEDED)
    if new is None or (old and (old.status, old.reason) == (new.status, new.reason)):
        return None
    if new.reason == PENDING and new.status == "Unknown":
        return None  # the TrainJob's creation, or the end of an obstacle, tells it better
    stalled = find(after.conditions, STALLED)
    kind: Literal["Normal", "Warning"] = "Warning" if stalled and stalled.status == "True" else "Normal"
    return Event(kind, new.reason, _sentence(new, after))


def _sentence(summary: Condition, after: FineTuneJobStatus) -> str:
    if summary.status == "True" and after.output and after.output.model:
        return f"{summary.message}{_loss(after, 'last loss')}. Model: {after.output.model.uri}"
    return summary.message


def _quarter(before: FineTuneJobStatus, after: FineTuneJobStatus) -> Event | None:
    """Quarters of the way, so that a story read a day later shows its pace."""
    now, then = after.progress, before.progress
    if now is None or now.total_steps == 0:
        return None
    quarter = now.percentage // 25
    if quarter in (0, 4) or quarter <= (then.percentage // 25 if then else 0):
        return None
    return Event(
        "Normal", "Progress", f"{now.percentage} % (step {now.step} of {now.total_steps}){_loss(after, 'loss')}"
    )


def _loss(status: FineTuneJobStatus, label: str) -> str:
    return f", {label} {status.progress.loss}" if status.progress and status.progress.loss else ""
