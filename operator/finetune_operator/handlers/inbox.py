"""Posts of running stages: into the stores, and a wake-up."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from finetune_contract.progress import ProgressReport
from finetune_contract.result import StageResult
from finetune_operator.api.status import FineTuneJobStatus
from finetune_operator.endpoint.sink import Sender
from finetune_operator.observe.stores import Key, Stores
from finetune_operator.plan import names
from finetune_operator.queue import KeyedQueue
from finetune_operator.status.state import has_result, is_terminal

logger = logging.getLogger(__name__)


class Inbox:
    """The endpoint's sink."""

    def __init__(self, stores: Stores, queue: KeyedQueue[Key], now: Callable[[], datetime]) -> None:
        self._stores = stores
        self._queue = queue
        self._now = now
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def progress(self, sender: Sender, report: ProgressReport) -> None:
        """Take note, unless it comes from another attempt than it says."""
        if not _is_own(sender, report.attempt) or self._is_over(sender):
            return
        if self._stores.put_progress(sender.job_uid, _not_from_the_future(report, self._now())):
            self._queue.add(Key(sender.namespace, sender.job_name))

    async def result(self, sender: Sender, result: StageResult) -> bool:
        """Take note, and answer when what is kept stands in the object's status: only then may the pod go."""
        if not _is_own(sender, result.attempt) or self._is_over(sender):
            return True
        uid, key = sender.job_uid, Key(sender.namespace, sender.job_name)
        if uid not in self._stores.keys:
            return False  # the watch has not told of the job yet
        self._stores.put_result(uid, result)
        while not self._stands(sender):
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[uid].add(future)
            self._queue.add(key)
            try:
                await future
            finally:
                self._waiting[uid].discard(future)
                if not self._waiting[uid]:
                    del self._waiting[uid]
        return True

    def written(self, uid: str, status: FineTuneJobStatus) -> None:
        """A status stands in the API server: whoever waits looks again."""
        for future in self._waiting.get(uid, ()):
            if not future.done():
                future.set_result(None)

    def _status(self, sender: Sender) -> FineTuneJobStatus | None:
        """None: the job is gone or going, nobody is left to tell."""
        body = self._stores.jobs.get(Key(sender.namespace, sender.job_name))
        if body is None or body["metadata"]["uid"] != sender.job_uid or body["metadata"].get("deletionTimestamp"):
            return None
        return FineTuneJobStatus.model_validate(body.get("status") or {})

    def _is_over(self, sender: Sender) -> bool:
        status = self._status(sender)
        return status is not None and is_terminal(status)

    def _stands(self, sender: Sender) -> bool:
        status, kept = self._status(sender), self._stores.results.get(sender.job_uid)
        return status is None or kept is None or is_terminal(status) or has_result(status, kept)


def _not_from_the_future(report: ProgressReport, now: datetime) -> ProgressReport:
    """A clock that is ahead must not make all later reports look old."""
    if report.trainer_status.last_updated_time <= now:
        return report
    told = report.trainer_status.model_copy(update={"last_updated_time": now})
    return report.model_copy(update={"trainer_status": told})


def _is_own(sender: Sender, attempt: int) -> bool:
    if sender.trainjob_name == names.train_job(sender.job_name, attempt):
        return True
    logger.warning(
        "pod %s posts for attempt %d, but belongs to %s: ignored", sender.pod_name, attempt, sender.trainjob_name
    )
    return False
