"""Made-up jobs and observations for pure functions."""

from datetime import UTC, datetime, timedelta
from typing import Any

from finetune_contract.progress import LossPoint, Metric, ProgressReport, TrainerStatus
from finetune_contract.result import ModelArtifact, StageResult
from finetune_operator.api.observation import PodView, TrainJobView
from finetune_operator.api.status import FineTuneJobStatus
from finetune_operator.plan.job import FineTuneJob, parse
from support.manifests import job as manifest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RUN = "j-0123456789ab"
UID = "6f1c8a52-0000-4000-8000-000000000001"


def made_job(status: FineTuneJobStatus | None = None, name: str = "j", **spec: Any) -> FineTuneJob:
    """A parsed FineTuneJob."""
    body = manifest(name, **spec)
    body["metadata"] |= {
        "namespace": "team",
        "uid": UID,
        "generation": 1,
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-02T03:00:00Z",
    }
    if status:
        body["status"] = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return parse(body)


def made_train_job(**changes: Any) -> TrainJobView:
    """A running TrainJob of attempt 1."""
    values: dict[str, Any] = {"name": "j-a1", "uid": "t", "namespace": "team", "job_uid": UID, "attempt": 1}
    if "complete" in changes or "failed_reason" in changes:
        values["finished_at"] = NOW
    return TrainJobView(**(values | changes))


def made_pod(**changes: Any) -> PodView:
    """A running pod of attempt 1."""
    values = {
        "name": "j-a1-node-0-0-abcde",
        "uid": "p",
        "namespace": "team",
        "job_uid": UID,
        "attempt": 1,
        "phase": "Running",
        "version": 1,
    }
    return PodView(**(values | changes))


def made_progress(
    step: int = 5, total: int = 10, losses: tuple[str, ...] = ("2.0", "1.0"), age: int = 0
) -> ProgressReport:
    """A report of attempt 1."""
    return ProgressReport(
        attempt=1,
        step=step,
        total_steps=total,
        phase="training",
        trainer_status=TrainerStatus(
            estimated_remaining_seconds=80,
            metrics=(Metric(name="learning_rate", value="0.001"), Metric(name="tokens_per_second", value="99.5")),
            last_updated_time=NOW - timedelta(seconds=age),
        ),
        loss_history=tuple(LossPoint(step=i + 1, loss=loss) for i, loss in enumerate(losses)),
    )


def made_result(**changes: Any) -> StageResult:
    """A complete result of attempt 1."""
    values: dict[str, Any] = {
        "attempt": 1,
        "run_id": RUN,
        "outcome": "Succeeded",
        "reason": "Completed",
        "exit_code": 0,
        "steps_done": 10,
        "steps_planned": 10,
        "started": NOW,
        "finished": NOW,
        "loss_history": (LossPoint(step=1, loss="2.0"), LossPoint(step=10, loss="0.5")),
        "model": ModelArtifact(path=f"runs/{RUN}/model", digest="sha256:" + "0" * 64, parameters=1, bytes=4),
    }
    return StageResult.model_validate(values | changes)


def made_failure(**changes: Any) -> StageResult:
    """A failed result."""
    values = {
        "outcome": "Failed",
        "reason": "DataInvalid",
        "exit_code": 13,
        "message": "row 3: no messages",
        "model": None,
    }
    return made_result(**(values | {"steps_done": 0, "steps_planned": 0} | changes))
