"""What the endpoint hands its posts to."""

from dataclasses import dataclass
from typing import Protocol

from finetune_contract.progress import ProgressReport
from finetune_contract.result import StageResult


@dataclass(frozen=True)
class Sender:
    """Who posted, as proven by its token: a pod of one TrainJob of one FineTuneJob."""

    namespace: str
    job_name: str
    job_uid: str
    trainjob_name: str
    trainjob_uid: str
    pod_name: str
    pod_uid: str


class Sink(Protocol):
    """Implemented by the operator's stores."""

    def progress(self, sender: Sender, report: ProgressReport) -> None:
        """Take note of progress; returns at once."""

    async def result(self, sender: Sender, result: StageResult) -> bool:
        """Take note of a result, and wait until it stands in the object's status. False: not yet, post again."""
