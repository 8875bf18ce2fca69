"""Creates what an attempt needs: claim, ConfigMaps, TrainJob. What is there already stays as it is."""

import logging
from collections.abc import Callable
from typing import Any

from finetune_operator.api.audience import post_url
from finetune_operator.api.observation import Missing, Obstacle
from finetune_operator.api.status import Resolved
from finetune_operator.cluster import routes
from finetune_operator.cluster.children import NameTaken, create
from finetune_operator.cluster.client import Api
from finetune_operator.cluster.errors import NotFound, Refused
from finetune_operator.plan import run
from finetune_operator.plan.claim import workspace_claim, workspace_name
from finetune_operator.plan.configmap import ca_config_map, config_map
from finetune_operator.plan.job import FineTuneJob
from finetune_operator.plan.trainjob import source_claims, train_job

logger = logging.getLogger(__name__)

Obstacles = tuple[Obstacle, ...]


class Launcher:
    """Creates children under the allow-list of runtimes.

    Args:
        api: to create with.
        runtime: ClusterTrainingRuntime of jobs that name none.
        allowed_runtimes: those that jobs may name.
        endpoint_url: where stages post.
        ca_pem: the endpoint's authority at this moment.
    """

    def __init__(
        self, api: Api, runtime: str, allowed_runtimes: frozenset[str], endpoint_url: str, ca_pem: Callable[[], str]
    ) -> None:
        self._api = api
        self._runtime = runtime
        self._allowed_runtimes = allowed_runtimes
        self._endpoint_url = endpoint_url
        self._ca_pem = ca_pem
        self._made: dict[str, set[str]] = {}
        self._published: dict[str, str] = {}

    async def launch(self, job: FineTuneJob, resolved: Resolved, attempt: int) -> dict[str, Any] | Obstacles:
        """The attempt's TrainJob as stored, or what is in the way of it.

        Raises:
            ApiError: the API server is not to be reached, or has failed: try again.
        """
        try:
            if obstacles := await self._look_up(job):
                return obstacles
            url = post_url(self._endpoint_url, job.namespace, job.name, job.uid)
            config = run.train_config(job, resolved, attempt, url)
            if claim := workspace_claim(job):
                await self._once(job, "persistentvolumeclaims", claim)
            await self._once(job, "configmaps", config_map(job, config))
            await self.publish_ca(job)
            manifest = train_job(job, resolved, attempt, self._runtime_of(job))
            stored, made = await create(self._api, routes.trainjobs(job.namespace), manifest)
        except NameTaken as taken:
            text = f"{taken}. Delete or rename it, or give this job another name"
            return (Obstacle(Missing.NAME, text[:1024]),)
        except Refused as error:
            text = f"The API server refused an object of this job: {error.message}"
            return (Obstacle(Missing.REFUSED, text[:1024]),)
        if made:
            logger.info("%s/%s: created TrainJob %s", job.namespace, job.name, manifest["metadata"]["name"])
        return stored

    async def publish_ca(self, job: FineTuneJob) -> None:
        """The endpoint's authority for the job's pods, anew only when it has been renewed."""
        pem = self._ca_pem()
        if self._published.get(job.uid) == pem:
            return
        manifest, collection = ca_config_map(job, pem), routes.core(job.namespace, "configmaps")
        stored, _ = await create(self._api, collection, manifest)
        if stored.get("data") != manifest["data"]:
            await self._api.merge_patch(f"{collection}/{manifest['metadata']['name']}", {"data": manifest["data"]})
        self._published[job.uid] = pem

    def forget(self, uid: str) -> None:
        """The job has ended."""
        self._made.pop(uid, None)
        self._published.pop(uid, None)

    async def _once(self, job: FineTuneJob, plural: str, manifest: dict[str, Any]) -> None:
        """Create a child; a job that waits for its TrainJob does not ask for it again in every round."""
        name = f"{plural}/{manifest['metadata']['name']}"
        if name not in self._made.setdefault(job.uid, set()):
            await create(self._api, routes.core(job.namespace, plural), manifest)
            self._made[job.uid].add(name)

    def _runtime_of(self, job: FineTuneJob) -> str:
        return job.spec.runtime_ref.name if job.spec.runtime_ref else self._runtime

    async def _look_up(self, job: FineTuneJob) -> Obstacles:
        """What must be there before a TrainJob makes sense."""
        runtime = self._runtime_of(job)
        if runtime not in self._allowed_runtimes:
            allowed = ", ".join(sorted(self._allowed_runtimes))
            text = f"`spec.runtimeRef.name` {runtime} is not allowed here: use one of {allowed}"
            return (Obstacle(Missing.RUNTIME_NOT_ALLOWED, text),)
        if not await self._exists(routes.cluster_training_runtime(runtime)):
            return (await self._no_runtime(runtime),)
        wanted = dict.fromkeys(source_claims(job))
        if job.spec.storage.claim_name:
            wanted[workspace_name(job)] = None
        missing = [c for c in wanted if not await self._exists(routes.core(job.namespace, "persistentvolumeclaims", c))]
        return tuple(
            Obstacle(
                Missing.CLAIM,
                f"PersistentVolumeClaim {claim} does not exist in namespace {job.namespace}: create it; the job goes "
                "on by itself",
            )
            for claim in missing
        )

    async def _no_runtime(self, runtime: str) -> Obstacle:
        if not await trainer_is_served(self._api):
            text = "This cluster has no Kubeflow Trainer: install version 2.2 or later; the job goes on by itself"
            return Obstacle(Missing.TRAINER, text)
        return Obstacle(
            Missing.RUNTIME,
            f"ClusterTrainingRuntime {runtime} does not exist: install it with the operator's chart, or name another "
            "in `spec.runtimeRef.name`",
        )

    async def _exists(self, path: str) -> bool:
        try:
            await self._api.get(path)
        except NotFound:
            return False
        return True


async def trainer_is_served(api: Api) -> bool:
    """Whether the API server knows TrainJobs."""
    try:
        found = await api.get(routes.TRAINJOBS)
    except NotFound:
        return False
    return any(resource.get("name") == "trainjobs" for resource in found.get("resources", ()))
