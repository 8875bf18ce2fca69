"""Where a job stands: one state out of what was seen."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from finetune_contract.result import StageResult
from finetune_operator.api.observation import Observation, Obstacle
from finetune_operator.api.status import FineTuneJobStatus
from finetune_operator.plan.job import FineTuneJob
from finetune_operator.policy.obstacles import obstacle
from finetune_operator.policy.outcome import failure, known_result
from finetune_operator.status.conditions import STALLED, SUCCEEDED, find
from finetune_operator.status.duration import parse

COMPLETED, PENDING, TRAINING = "Completed", "Pending", "Training"
LAST_WORDS_SECONDS = 90.0
"""Longest wait for pods that end after their TrainJob: the chart's grace period and a little more."""


@dataclass(frozen=True)
class State:
    """`succeeded` and `reason` become the summary condition; `reason` is the STATE column."""

    succeeded: Literal["True", "False", "Unknown"]
    reason: str
    message: str
    stalled: bool = False
    exit_code: int | None = None


def is_terminal(status: FineTuneJobStatus) -> bool:
    """A terminal job never trains again, whatever is deleted under it."""
    summary = find(status.conditions, SUCCEEDED)
    return summary is not None and summary.status != "Unknown"


def has_result(status: FineTuneJobStatus, result: StageResult) -> bool:
    """This result stands in the status."""
    wanted = (result.attempt, str(result.reason), result.steps_done)
    return any((a.number, a.reason, a.steps_done) == wanted for a in status.attempts)


def state_of(job: FineTuneJob, seen: Observation, now: datetime) -> State:
    """Judge in order: ended, held up, suspended, running, waiting."""
    result = known_result(seen)
    if seen.ended_at and not _may_still_report(seen, result, now):
        return _ended(job, seen, result)
    if blocked := obstacle(seen):
        return _held_up(job, blocked, now)
    if seen.train_job and seen.train_job.suspended:
        return State("Unknown", PENDING, f"TrainJob {seen.train_job.name} is suspended")
    if any(pod.started for pod in seen.pods):
        return State("Unknown", TRAINING, _doing(seen))
    return State("Unknown", PENDING, _waiting_for(seen))


def _may_still_report(seen: Observation, result: StageResult | None, now: datetime) -> bool:
    """A pod in its grace time may be posting the result at this moment: a failure is not called before it has ended."""
    if result is not None or seen.ended_at is None or not any(pod.running for pod in seen.pods):
        return False
    return (now - seen.ended_at).total_seconds() < LAST_WORDS_SECONDS


def _ended(job: FineTuneJob, seen: Observation, result: StageResult | None) -> State:
    if (result and result.complete) or _recorded_success(job.status):
        steps = result.steps_done if result else (job.status.progress.step if job.status.progress else 0)
        return State("True", COMPLETED, f"All {steps} steps done; the model loads", exit_code=0)
    verdict = failure(seen)
    return State("False", verdict.reason, verdict.message[:1024], stalled=True, exit_code=verdict.exit_code)


def _recorded_success(status: FineTuneJobStatus) -> bool:
    """A complete result that an earlier life of the operator has written down."""
    last = status.attempts[-1] if status.attempts else None
    return bool(last and last.reason == COMPLETED and status.output and status.output.model)


def _held_up(job: FineTuneJob, blocked: Obstacle, now: datetime) -> State:
    before = find(job.status.conditions, STALLED)
    since = parse(before.last_transition_time) if before and before.status == "True" else now
    limit = job.spec.retry.pending_timeout_seconds
    if (now - since).total_seconds() >= limit:
        text = f"{blocked.message}. Gave up after {limit} s (`spec.retry.pendingTimeoutSeconds`)"
        return State("False", str(blocked.reason), text[:1024], stalled=True)
    return State("Unknown", str(blocked.reason), blocked.message[:1024], stalled=True)


def _doing(seen: Observation) -> str:
    report = seen.progress
    if not any(pod.running for pod in seen.pods):
        return "The training pods have ended; Kubeflow Trainer has not said so yet"
    if report is None:
        return "The trainer is starting"
    if not report.total_steps or not report.step:
        return f"The trainer is {report.phase or 'starting'}"
    return f"Step {report.step} of {report.total_steps}"


def _waiting_for(seen: Observation) -> str:
    if seen.train_job is None:
        return "The TrainJob is being made"
    unschedulable = next((pod.unschedulable for pod in seen.pods if pod.unschedulable), "")
    if unschedulable:
        return f"No node fits: {unschedulable}"[:1024]
    return "The training pods are starting" if seen.pods else "Waiting for the training pods"
