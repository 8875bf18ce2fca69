"""The one orchestration: look, create what is missing, look again, decide, write the status once, then tell.

Level-based and idempotent: safe at any time, any number of times, after a crash between any two lines.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import ValidationError

from finetune_operator.api.observation import Observation, TrainJobView
from finetune_operator.api.status import FineTuneJobStatus, Resolved
from finetune_operator.cluster import routes
from finetune_operator.cluster.children import NameTaken
from finetune_operator.cluster.client import Api
from finetune_operator.cluster.errors import ApiError, Conflict, NotFound
from finetune_operator.cluster.launch import Launcher
from finetune_operator.cluster.recorder import record
from finetune_operator.observe.stores import Key, Stores
from finetune_operator.observe.views import pod_view, train_job_view
from finetune_operator.plan import names, run
from finetune_operator.plan.job import FineTuneJob, parse
from finetune_operator.plan.resolve import resolve
from finetune_operator.policy.outcome import known_result
from finetune_operator.settings import Settings
from finetune_operator.status.conditions import STALLED, find
from finetune_operator.status.duration import parse as parse_time
from finetune_operator.status.events import transitions
from finetune_operator.status.project import project
from finetune_operator.status.state import is_terminal

logger = logging.getLogger(__name__)

FIRST_ATTEMPT = 1
LAST_WORDS_LOOK_SECONDS = 2.0


@dataclass
class Reconciler:
    """What a reconcile works with.

    Attributes:
        launcher: creates children.
        now: the clock.
        written: called after a status is known to stand in the API server.
    """

    api: Api
    stores: Stores
    settings: Settings
    launcher: Launcher
    now: Callable[[], datetime]
    written: Callable[[str, FineTuneJobStatus], None]

    def __post_init__(self) -> None:
        self._progress_written: dict[str, float] = {}
        self._gone_since: dict[str, datetime] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Bring one FineTuneJob on; returns seconds until the next look, None when only a wake-up matters."""
        body = self.stores.jobs.get(key)
        if body is None or body["metadata"].get("deletionTimestamp"):
            return None  # owner references remove what it has
        try:
            job = parse(body)
        except ValidationError as error:
            logger.error("%s/%s can't be read by this version of the operator: %s", *key, error)
            return None
        resolved = job.status.resolved or resolve(job.spec)
        if is_terminal(job.status):
            seen = Observation()
        else:
            seen = await self._observe(job)
            if seen.train_job is None and seen.gone_since is None:
                seen = await self._launch(job, resolved)
            elif seen.ended_at is None:
                await self._publish_ca(job)
        after = project(job, seen, resolved, run.run_id(job, resolved), self.now())
        if is_terminal(after):
            await self._write(job, after)
            await self._release(job)
            return None
        return await self._write(job, after) or self._next_look(after, seen)

    def forget(self, uid: str) -> None:
        """The job has ended or is gone."""
        self._progress_written.pop(uid, None)
        self._gone_since.pop(uid, None)
        self.launcher.forget(uid)

    async def _observe(self, job: FineTuneJob) -> Observation:
        attempt = job.status.attempts[-1].number if job.status.attempts else FIRST_ATTEMPT
        view = next((v for v in self.stores.train_jobs[job.uid].values() if v.attempt == attempt), None)
        if view is None and job.status.attempts:
            view = await self._read_train_job(job, attempt)
        gone = self._gone_since.setdefault(job.uid, self.now()) if view is None and job.status.attempts else None
        seen = self._with_posts(job, Observation(view, gone_since=gone), attempt)
        if seen.ended_at and known_result(seen) is None:
            await self._list_pods(job)  # the TrainJob's end may be known before its pods' ends
            seen = self._with_posts(job, seen, attempt)
        return seen

    def _with_posts(self, job: FineTuneJob, seen: Observation, attempt: int) -> Observation:
        progress, result = self.stores.progress.get(job.uid), self.stores.results.get(job.uid)
        pods = self.stores.pods[job.uid].values()
        return replace(
            seen,
            run_id=job.status.run_id or "",
            pods=tuple(p for p in pods if p.attempt == attempt and p.namespace == job.namespace),
            progress=progress if progress and progress.attempt == attempt else None,
            result=result if result and result.attempt == attempt else None,
        )

    async def _read_train_job(self, job: FineTuneJob, attempt: int) -> TrainJobView | None:
        try:
            found = await self.api.get(routes.trainjobs(job.namespace, names.train_job(job.name, attempt)))
        except NotFound:
            return None
        view = train_job_view(found)
        if view is None or view.job_uid != job.uid or view.deleting:
            return None
        self.stores.put_train_job(view)
        return view

    async def _list_pods(self, job: FineTuneJob) -> None:
        found = await self.api.get(routes.core(job.namespace, "pods"), labelSelector=f"{names.JOB_UID_LABEL}={job.uid}")
        for item in found.get("items", ()):
            if view := pod_view(item):
                self.stores.put_pod(view)

    async def _launch(self, job: FineTuneJob, resolved: Resolved) -> Observation:
        made = await self.launcher.launch(job, resolved, FIRST_ATTEMPT)
        if isinstance(made, tuple):
            return Observation(obstacles=made)
        view = train_job_view(made)
        if view:
            self.stores.put_train_job(view)
        return Observation(view)

    async def _publish_ca(self, job: FineTuneJob) -> None:
        """A renewed authority reaches running pods; what goes wrong here must not hold up the status."""
        try:
            await self.launcher.publish_ca(job)
        except (ApiError, NameTaken) as error:
            logger.warning("%s/%s: the endpoint's authority is not published: %s", job.namespace, job.name, error)

    async def _write(self, job: FineTuneJob, after: FineTuneJobStatus) -> float | None:
        """Write the status if it differs; returns seconds to wait where it could not be written now."""
        before = job.status
        if after == before:
            self.written(job.uid, before)
            return None
        if _only_progress(before, after) and (wait := self._budget(job.uid)) > 0:
            return wait
        try:
            stored = await self.api.replace(routes.finetunejobs(job.namespace, job.name, "status"), _body(job, after))
        except Conflict:
            return await self._refresh(job)
        except NotFound:
            return None
        self.stores.update_job(stored)
        self._progress_written[job.uid] = asyncio.get_running_loop().time()
        self.written(job.uid, after)
        await record(self.api, job, transitions(before, after), self.now())
        return None

    async def _refresh(self, job: FineTuneJob) -> float | None:
        """Somebody else has written: decide again on what stands there now."""
        try:
            self.stores.update_job(await self.api.get(routes.finetunejobs(job.namespace, job.name)))
        except NotFound:
            self.stores.drop_job(Key(job.namespace, job.name), job.uid)
            return None
        return 0.01

    def _budget(self, uid: str) -> float:
        """Seconds until this job's progress may be written again."""
        interval = max(self.settings.progress_seconds, len(self.stores.progress) / self.settings.writes_per_second)
        since = asyncio.get_running_loop().time() - self._progress_written.get(uid, float("-inf"))
        return max(0.0, interval - since)

    def _next_look(self, status: FineTuneJobStatus, seen: Observation) -> float | None:
        """No watch tells of a missing claim or runtime, nor of patience that ends: look again, less and less often."""
        stalled = find(status.conditions, STALLED)
        if stalled and stalled.status == "True":
            waited = (self.now() - parse_time(stalled.last_transition_time)).total_seconds()
            return min(max(self.settings.pending_seconds, waited / 10), self.settings.longest_pending_seconds)
        return LAST_WORDS_LOOK_SECONDS if seen.ended_at else None

    async def _release(self, job: FineTuneJob) -> None:
        """A terminal job holds no resources: a TrainJob that still waits or runs is deleted."""
        for view in list(self.stores.train_jobs[job.uid].values()):
            if not view.finished and not view.deleting:
                try:
                    await self.api.delete(routes.trainjobs(view.namespace, view.name), view.uid)
                except (NotFound, Conflict):
                    continue  # gone, or another object has its name by now
        self.forget(job.uid)
        self.stores.forget_posts(job.uid)


def _body(job: FineTuneJob, status: FineTuneJobStatus) -> dict[str, object]:
    """For the status subresource: the API server takes the status from it, over this resourceVersion only."""
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {
            "name": job.name,
            "namespace": job.namespace,
            "uid": job.uid,
            "resourceVersion": job.resource_version,
        },
        "spec": job.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


def _only_progress(before: FineTuneJobStatus, after: FineTuneJobStatus) -> bool:
    """Nothing but numbers moved: no reason of a condition, no attempt, no output."""

    def rest(status: FineTuneJobStatus) -> object:
        reasons = tuple((c.type, c.status, c.reason) for c in status.conditions)
        return reasons, status.attempts, status.output, status.observed_generation, status.run_id

    return rest(before) == rest(after)
