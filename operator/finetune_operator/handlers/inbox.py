"""Posts of running stages: into the stores, and a wake-up."""

import asyncio
import logging
from collections import defaultdict

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

    def __init__(self, stores: Stores, queue: KeyedQueue[Key]) -> None:
        self._stores = stores
        self._queue = queue
        self._waiting: defaultdict[str, set[asyncio.Future[FineTuneJobStatus]]] = defaultdict(set)

    def progress(self, sender: Sender, report: ProgressReport) -> None:
        """Take note, unless it comes from another attempt than it says."""
        if not _is_own(sender, report.attempt):
            return
        if self._stores.put_progress(sender.job_uid, report):
            self._queue.add(Key(sender.namespace, sender.job_name))

    async def result(self, sender: Sender, result: StageResult) -> bool:
        """Take note, and answer when the result stands in the object's status: only then may the pod go."""
        if not _is_own(sender, result.attempt):
            return True
        self._stores.put_result(sender.job_uid, result)
        key = Key(sender.namespace, sender.job_name)
        while not self._stands(key, sender.job_uid, result.attempt):
            future: asyncio.Future[FineTuneJobStatus] = asyncio.get_running_loop().create_future()
            self._waiting[sender.job_uid].add(future)
            self._queue.add(key)
            try:
                await future
            finally:
                self._waiting[sender.job_uid].discard(future)
        return True

    def written(self, uid: str, status: FineTuneJobStatus) -> None:
        """A status stands in the API server: whoever waits looks again."""
        for future in self._waiting.get(uid, ()):
            if not future.done():
                future.set_result(status)
        if is_terminal(status):
            self._waiting.pop(uid, None)

    def _stands(self, key: Key, uid: str, attempt: int) -> bool:
        body = self._stores.jobs.get(key)
        if body is None or body["metadata"]["uid"] != uid:
            return True  # the job is gone: nobody is left to tell
        status = FineTuneJobStatus.model_validate(body.get("status") or {})
        return is_terminal(status) or has_result(status, attempt)


def _is_own(sender: Sender, attempt: int) -> bool:
    if sender.trainjob_name == names.train_job(sender.job_name, attempt):
        return True
    logger.warning(
        "pod %s posts for attempt %d, but belongs to %s: ignored", sender.pod_name, attempt, sender.trainjob_name
    )
    return False
