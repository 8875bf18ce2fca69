"""Everything a decision rests on, as values. Pure: filled by `observe`, read by `policy` and `status`."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from finetune_contract.progress import ProgressReport
from finetune_contract.result import StageResult


@dataclass(frozen=True)
class TrainJobView:
    """What is kept of a TrainJob."""

    name: str
    uid: str
    namespace: str
    job_uid: str
    """Of the FineTuneJob that controls it."""
    attempt: int
    version: int = 0
    """resourceVersion; comparable within one resource."""
    deleting: bool = False
    complete: bool = False
    failed_reason: str | None = None
    failed_message: str = ""
    finished_at: datetime | None = None
    suspended: bool = False

    @property
    def finished(self) -> bool:
        """Trainer has said its last word."""
        return self.finished_at is not None


@dataclass(frozen=True)
class PodView:
    """What is kept of a training pod."""

    name: str
    uid: str
    namespace: str
    job_uid: str
    """As its label says: anybody in the namespace can write it, nobody outside is believed."""
    attempt: int
    version: int = 0
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    unschedulable: str = ""
    """The scheduler's words while no node fits."""
    waiting_reason: str = ""
    waiting_message: str = ""
    image: str = ""
    exit_code: int | None = None
    terminated_reason: str = ""
    termination_message: str = ""
    deleting: bool = False

    @property
    def started(self) -> bool:
        """Its container runs or has run, and it has not been taken away."""
        return not self.deleting and (self.phase != "Pending" or self.exit_code is not None)

    @property
    def running(self) -> bool:
        """Its container runs."""
        return self.phase == "Running" and self.exit_code is None


class Missing(StrEnum):
    """What the job needs and does not have yet; also the reason of `Stalled`."""

    CLAIM = "ClaimNotFound"
    RUNTIME = "RuntimeNotFound"
    RUNTIME_NOT_ALLOWED = "RuntimeNotAllowed"
    TRAINER = "TrainerNotInstalled"
    NAME = "NameConflict"
    REFUSED = "TrainJobRefused"
    SECRET = "SecretNotFound"  # noqa: S105  # a reason
    CONFIG = "ContainerConfigInvalid"
    IMAGE = "ImagePullFailed"


@dataclass(frozen=True)
class Obstacle:
    """One thing in the way, with its remedy."""

    reason: Missing
    message: str


@dataclass(frozen=True)
class Observation:
    """All that is known of one FineTuneJob's world."""

    train_job: TrainJobView | None = None
    """The current attempt's TrainJob."""
    pods: tuple[PodView, ...] = ()
    """The current attempt's pods."""
    progress: ProgressReport | None = None
    result: StageResult | None = None
    """As posted."""
    gone_since: datetime | None = None
    """The TrainJob was made before, and the API server says since then that it is no more."""
    run_id: str = ""
    """The job's run: a result of another one says nothing. Empty: not known."""
    obstacles: tuple[Obstacle, ...] = ()
    """Met while looking things up and creating children."""

    @property
    def ended_at(self) -> datetime | None:
        """When the attempt's TrainJob came to its end; None while it has not."""
        if self.train_job and self.train_job.finished:
            return self.train_job.finished_at
        return self.gone_since
