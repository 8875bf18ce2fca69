"""The status of a job: its last status, moved on by what was seen."""

from datetime import datetime

from finetune_contract import paths
from finetune_contract.progress import HISTORY_LIMIT, LossPoint, Metric, ProgressReport
from finetune_contract.result import StageResult
from finetune_operator.api.observation import Observation
from finetune_operator.api.status import (
    Attempt,
    Condition,
    FineTuneJobStatus,
    HistoryPoint,
    Metrics,
    Output,
    OutputModel,
    Progress,
    Resolved,
)
from finetune_operator.plan.claim import workspace_name
from finetune_operator.plan.job import FineTuneJob
from finetune_operator.policy.outcome import known_result
from finetune_operator.status.conditions import RECONCILING, STALLED, SUCCEEDED, TRAINED, replace
from finetune_operator.status.duration import human, timestamp
from finetune_operator.status.state import State, has_result, is_terminal, state_of

STAGE = "Train"
COLUMN = 8
"""Characters of a loss in `kubectl get`."""


def project(job: FineTuneJob, seen: Observation, resolved: Resolved, run_id: str, now: datetime) -> FineTuneJobStatus:
    """The status to write.

    Args:
        job: with the status as last written.
        seen: what is known now.
        resolved: hyperparameters; the first ones written stay.
        run_id: of the run; the first one written stays.
        now: current time.
    """
    before = job.status
    if is_terminal(before):
        conditions = tuple(c.model_copy(update={"observed_generation": job.generation}) for c in before.conditions)
        return before.model_copy(update={"observed_generation": job.generation, "conditions": conditions})
    state, result = state_of(job, seen, now), known_result(seen)
    after = before.model_copy(
        update={
            "observed_generation": job.generation,
            "stage": STAGE,
            "start_time": before.start_time or timestamp(now),
            "completion_time": timestamp(now) if state.succeeded != "Unknown" else None,
            "run_id": before.run_id or run_id,
            "resolved": before.resolved or resolved,
            "conditions": _conditions(job, state, now),
            "attempts": _attempts(before.attempts, seen, state, result, now),
        }
    )
    told = result is not None and has_result(before, result)
    if seen.progress and not (told and result and seen.progress.trainer_status.last_updated_time <= result.finished):
        after = _with_progress(after, seen.progress)  # a result is the last word, until the same TrainJob starts again
    if result and not told:
        after = _with_result(after, job, result)
    if state.succeeded != "Unknown" and after.progress:
        finished = {"estimated_remaining_seconds": None, "remaining": None, "phase": None}
        after = after.model_copy(update={"progress": after.progress.model_copy(update=finished)})
    return after


def _conditions(job: FineTuneJob, state: State, now: datetime) -> tuple[Condition, ...]:
    def make(kind: str, status: str, reason: str, message: str) -> Condition:
        return Condition.model_validate(
            {
                "type": kind,
                "status": status,
                "observedGeneration": job.generation,
                "lastTransitionTime": timestamp(now),
                "reason": reason,
                "message": message,
            }
        )

    active = state.succeeded == "Unknown"
    conditions = job.status.conditions
    for condition in (
        make(SUCCEEDED, state.succeeded, state.reason, state.message),
        make(TRAINED, state.succeeded, state.reason, state.message),
        make(RECONCILING, "True" if active else "False", state.reason, ""),
        make(STALLED, "True" if state.stalled else "False", state.reason, state.message if state.stalled else ""),
    ):
        conditions = replace(conditions, condition)
    return conditions


def _attempts(
    before: tuple[Attempt, ...], seen: Observation, state: State, result: StageResult | None, now: datetime
) -> tuple[Attempt, ...]:
    if seen.train_job is None and not before:
        return before
    last = before[-1] if before else None
    if seen.train_job and (last is None or last.train_job != seen.train_job.name):
        last = Attempt(number=seen.train_job.attempt, train_job=seen.train_job.name, started=timestamp(now))
        before = (*before, last)
    if last is None:
        return before
    update: dict[str, object] = {}
    if result:
        update |= {
            "reason": str(result.reason),
            "message": result.message or None,
            "exit_code": result.exit_code,
            "steps_done": result.steps_done,
            "steps_planned": result.steps_planned,
        }
    if state.succeeded != "Unknown":
        update["finished"] = timestamp(now)
        if result is None and last.reason is None:
            update |= {"reason": state.reason, "message": state.message, "exit_code": state.exit_code}
    return (*before[:-1], last.model_copy(update=update))


def _metrics(before: Metrics | None, named: tuple[Metric, ...], history: tuple[HistoryPoint, ...]) -> Metrics:
    """What is told now over what was told before. The loss is the curve's last point: the engine's own number."""
    known = before or Metrics()
    values = {metric.name: metric.value for metric in named}
    return Metrics(
        loss=history[-1].loss if history else known.loss,
        learning_rate=values.get("learning_rate", known.learning_rate),
        grad_norm=values.get("grad_norm", known.grad_norm),
    )


def _history(before: tuple[HistoryPoint, ...], told: tuple[LossPoint, ...]) -> tuple[HistoryPoint, ...]:
    """The curve that is told, or the one before it with its last point: a termination message has room for no more."""
    points = tuple(HistoryPoint(step=point.step, loss=point.loss) for point in told)
    if len(points) != 1 or not before:
        return points or before
    earlier = tuple(point for point in before if point.step < points[0].step)
    return (*earlier[: HISTORY_LIMIT - 1], *points)


def _with_progress(status: FineTuneJobStatus, report: ProgressReport) -> FineTuneJobStatus:
    shown = report.trainer_status
    values = {metric.name: metric.value for metric in shown.metrics}
    left = shown.estimated_remaining_seconds
    history = _history(status.loss_history, report.loss_history)
    progress = Progress(
        step=report.step,
        total_steps=report.total_steps,
        epoch=values.get("epoch"),
        percentage=_percentage(report.step, report.total_steps),
        summary=f"{_percentage(report.step, report.total_steps)}%",
        loss=_short(history[-1].loss) if history else None,
        estimated_remaining_seconds=left,
        remaining=None if left is None else human(left),
        tokens_per_second=values.get("tokens_per_second"),
        phase=report.phase or None,
        last_updated_time=timestamp(shown.last_updated_time),
    )
    metrics = _metrics(status.metrics, shown.metrics, history)
    return status.model_copy(update={"progress": progress, "metrics": metrics, "loss_history": history})


def _with_result(status: FineTuneJobStatus, job: FineTuneJob, result: StageResult) -> FineTuneJobStatus:
    before = status.progress or Progress()
    step, total = max(result.steps_done, before.step), result.steps_planned or before.total_steps
    history = _history(status.loss_history, result.loss_history)
    progress = before.model_copy(
        update={
            "step": step,
            "total_steps": total,
            "percentage": _percentage(step, total),
            "summary": f"{_percentage(step, total)}%",
            "loss": _short(history[-1].loss) if history else None,
        }
    )
    update: dict[str, object] = {
        "progress": progress,
        "loss_history": history,
        "metrics": _metrics(status.metrics, result.metrics, history),
    }
    if result.complete and result.model and status.run_id:
        run = f"pvc://{workspace_name(job)}/{paths.run_dir(status.run_id).relative_to(paths.WORKSPACE)}"
        model = OutputModel(
            uri=f"{run}/{paths.MODEL}",
            digest=result.model.digest,
            kind=result.model.kind,
            bytes=result.model.bytes,
            parameters=result.model.parameters,
        )
        update["output"] = Output(model=model, report=f"{run}/{paths.LOSS_CHART}")
    return status.model_copy(update=update)


def _percentage(step: int, total: int) -> int:
    """Rounded down, so that 100 means: all steps done."""
    return min(100, step * 100 // total) if total else 0


def _short(loss: str) -> str:
    """A loss for a column: as told where that is short, else four digits of it."""
    try:
        return loss if len(loss) <= COLUMN else f"{float(loss):.4g}"
    except ValueError:
        return loss[:COLUMN]
