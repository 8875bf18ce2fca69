"""The one orchestration: look, create what is missing, look again, decide, write the status once, then tell.

Level-based and idempotent: safe at any time, any number of times, after a crash between any two lines.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from finetune_operator.api.audience import post_url
from finetune_operator.api.observation import Missing, Observation, Obstacle, TrainJobView
from finetune_operator.api.status import FineTuneJobStatus, Resolved
from finetune_operator.cluster import routes
from finetune_operator.cluster.children import NameTaken, create
from finetune_operator.cluster.client import Api
from finetune_operator.cluster.errors import ApiError, Conflict, NotFound, Refused
from finetune_operator.cluster.recorder import record
from finetune_operator.observe.stores import Key, Stores
from finetune_operator.observe.views import pod_view, train_job_view
from finetune_operator.plan import names, run
from finetune_operator.plan.claim import workspace_claim, workspace_name
from finetune_operator.plan.configmap import ca_config_map, config_map
from finetune_operator.plan.job import FineTuneJob, parse
from finetune_operator.plan.resolve import resolve
from finetune_operator.plan.trainjob import source_claims, train_job
from finetune_operator.policy.outcome import known_result
from finetune_operator.settings import Settings
from finetune_operator.status.events import transitions
from finetune_operator.status.project import project
from finetune_operator.status.state import is_terminal

logger = logging.getLogger(__name__)

FIRST_ATTEMPT = 1


@dataclass
class Reconciler:
    """What a reconcile works with.

    Attributes:
        now: the clock.
        ca_pem: the endpoint's authority at this moment.
        written: called after a status is known to stand in the API server.
    """

    api: Api
    stores: Stores
    settings: Settings
    now: Callable[[], datetime]
    ca_pem: Callable[[], str]
    written: Callable[[str, FineTuneJobStatus], None]

    def __post_init__(self) -> None:
        self._progress_written: dict[str, float] = {}
        self._ca_published: dict[str, str] = {}

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
        if is_terminal(job.status):
            self.written(job.uid, job.status)
            await self._release(job)
            return None
        resolved = job.status.resolved or resolve(job.spec)
        seen = await self._observe(job)
        if seen.train_job is None and not seen.train_job_gone:
            seen = await self._create(job, resolved)
        elif self._ca_published.get(job.uid) != self.ca_pem():
            await self._publish_ca(job)
        after = project(job, seen, resolved, run.run_id(job, resolved), self.now())
        return await self._write(job, after)

    async def _observe(self, job: FineTuneJob) -> Observation:
        attempt = job.status.attempts[-1].number if job.status.attempts else FIRST_ATTEMPT
        view = next((v for v in self.stores.train_jobs[job.uid].values() if v.attempt == attempt), None)
        gone = False
        if view is None and job.status.attempts:
            view = await self._train_job(job, attempt)
            gone = view is None
        progress, result = self.stores.progress.get(job.uid), self.stores.results.get(job.uid)
        seen = Observation(
            train_job=view,
            train_job_gone=gone,
            pods=tuple(p for p in self.stores.pods[job.uid].values() if p.attempt == attempt),
            progress=progress if progress and progress.attempt == attempt else None,
            result=result if result and result.attempt == attempt else None,
        )
        if view and view.finished and known_result(seen) is None:
            await self._list_pods(job)  # the TrainJob's end may be known before its pods' ends
            pods = tuple(p for p in self.stores.pods[job.uid].values() if p.attempt == attempt)
            seen = Observation(train_job=view, pods=pods, progress=seen.progress)
        return seen

    async def _train_job(self, job: FineTuneJob, attempt: int) -> TrainJobView | None:
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

    async def _create(self, job: FineTuneJob, resolved: Resolved) -> Observation:
        """Claim, ConfigMaps, TrainJob: what is there already stays as it is."""
        try:
            obstacles = await self._look_up(job)
            if obstacles:
                return Observation(obstacles=obstacles)
            if claim := workspace_claim(job):
                await create(self.api, routes.core(job.namespace, "persistentvolumeclaims"), claim)
            url = post_url(self.settings.endpoint_url, job.namespace, job.name, job.uid)
            config = run.train_config(job, resolved, FIRST_ATTEMPT, url)
            await create(self.api, routes.core(job.namespace, "configmaps"), config_map(job, config))
            await self._publish_ca(job)
            manifest = train_job(job, FIRST_ATTEMPT, self._runtime(job))
            stored, made = await create(self.api, routes.trainjobs(job.namespace), manifest)
        except NameTaken as taken:
            return _blocked(Missing.NAME, f"{taken}. Delete or rename it, or give this job another name")
        except NotFound as error:
            text = f"The API server knows no TrainJob ({error.message}). Install Kubeflow Trainer 2.2 or later"
            return _blocked(Missing.TRAINER, text)
        except Refused as error:
            return _blocked(Missing.REFUSED, f"The API server refused an object of this job: {error.message}")
        if made:
            logger.info("%s/%s: created TrainJob %s", job.namespace, job.name, manifest["metadata"]["name"])
        view = train_job_view(stored)
        if view:
            self.stores.put_train_job(view)
        return Observation(train_job=view)

    def _runtime(self, job: FineTuneJob) -> str:
        return job.spec.runtime_ref.name if job.spec.runtime_ref else self.settings.runtime

    async def _look_up(self, job: FineTuneJob) -> tuple[Obstacle, ...]:
        """What must be there before a TrainJob makes sense."""
        runtime = self._runtime(job)
        if runtime not in self.settings.allowed_runtimes:
            allowed = ", ".join(sorted(self.settings.allowed_runtimes))
            text = f"`spec.runtimeRef.name` {runtime} is not allowed here: use one of {allowed}"
            return (Obstacle(Missing.RUNTIME_NOT_ALLOWED, text),)
        found = []
        if not await self._exists(routes.cluster_training_runtime(runtime)):
            found.append(
                Obstacle(
                    Missing.RUNTIME,
                    f"ClusterTrainingRuntime {runtime} does not exist: install it with the operator's chart, or "
                    f"name another "
                    "in `spec.runtimeRef.name`",
                )
            )
        wanted = dict.fromkeys(source_claims(job))
        if job.spec.storage.claim_name:
            wanted[workspace_name(job)] = None
        for claim in wanted:
            if not await self._exists(routes.core(job.namespace, "persistentvolumeclaims", claim)):
                text = f"PersistentVolumeClaim {claim} does not exist in namespace {job.namespace}"
                found.append(Obstacle(Missing.CLAIM, f"{text}: create it; the job goes on by itself"))
        return tuple(found)

    async def _exists(self, path: str) -> bool:
        try:
            await self.api.get(path)
        except NotFound:
            return False
        return True

    async def _publish_ca(self, job: FineTuneJob) -> None:
        manifest = ca_config_map(job, self.ca_pem())
        collection = routes.core(job.namespace, "configmaps")
        stored, _ = await create(self.api, collection, manifest)
        if stored.get("data") != manifest["data"]:
            await self.api.merge_patch(f"{collection}/{manifest['metadata']['name']}", {"data": manifest["data"]})
        self._ca_published[job.uid] = self.ca_pem()

    async def _write(self, job: FineTuneJob, after: FineTuneJobStatus) -> float | None:
        before = job.status
        if after == before:
            return self.settings.pending_seconds if not _is_training(after) else None
        if _only_progress(before, after) and (wait := self._budget(job.uid)) > 0:
            return wait
        body = {
            "apiVersion": "finetune.dev/v1alpha1",
            "kind": "FineTuneJob",
            "metadata": {
                "name": job.name,
                "namespace": job.namespace,
                "uid": job.uid,
                "resourceVersion": job.resource_version,
            },
            "spec": self.stores.jobs[Key(job.namespace, job.name)]["spec"],
            "status": after.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        try:
            stored = await self.api.replace(routes.finetunejobs(job.namespace, job.name, "status"), body)
        except Conflict:
            return await self._refresh(job)
        except NotFound:
            return None
        self.stores.put_job(stored)
        self._progress_written[job.uid] = asyncio.get_running_loop().time()
        self.written(job.uid, after)
        await record(self.api, job, transitions(before, after), self.now())
        if is_terminal(after):
            await self._release(job)
            return None
        return self.settings.pending_seconds

    async def _refresh(self, job: FineTuneJob) -> float | None:
        """Somebody else has written: decide again on what stands there now."""
        try:
            self.stores.put_job(await self.api.get(routes.finetunejobs(job.namespace, job.name)))
        except NotFound:
            self.stores.drop_job(Key(job.namespace, job.name), job.uid)
            return None
        return 0.0

    def _budget(self, uid: str) -> float:
        """Seconds until this job's progress may be written again."""
        interval = max(self.settings.progress_seconds, len(self.stores.progress) / self.settings.writes_per_second)
        since = asyncio.get_running_loop().time() - self._progress_written.get(uid, float("-inf"))
        return max(0.0, interval - since)

    async def _release(self, job: FineTuneJob) -> None:
        """A terminal job holds no resources: a TrainJob that still waits or runs is deleted."""
        for view in list(self.stores.train_jobs[job.uid].values()):
            if not view.finished and not view.deleting:
                try:
                    await self.api.delete(routes.trainjobs(view.namespace, view.name), view.uid)
                except (NotFound, Conflict):
                    continue  # gone, or another object has its name by now
                except ApiError as error:
                    logger.warning("TrainJob %s/%s of a finished job not deleted: %s", view.namespace, view.name, error)
        self._progress_written.pop(job.uid, None)
        self._ca_published.pop(job.uid, None)


def _blocked(reason: Missing, message: str) -> Observation:
    return Observation(obstacles=(Obstacle(reason, message[:1024]),))


def _is_training(status: FineTuneJobStatus) -> bool:
    return any(c.type == "Succeeded" and c.reason == "Training" for c in status.conditions)


def _only_progress(before: FineTuneJobStatus, after: FineTuneJobStatus) -> bool:
    """Nothing but numbers moved: no reason of a condition, no attempt, no output."""

    def rest(status: FineTuneJobStatus) -> object:
        reasons = tuple((c.type, c.status, c.reason) for c in status.conditions)
        return reasons, status.attempts, status.output, status.observed_generation, status.run_id

    return rest(before) == rest(after)
