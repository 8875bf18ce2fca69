"""Full lists: the first one before any decision, later ones to find what a watch has lost (kopf never tells of an
object that vanished between two lists). A list corrects only what is older than itself.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from finetune_operator.api.observation import PodView, TrainJobView
from finetune_operator.observe.stores import Key, Stores, version
from finetune_operator.observe.views import pod_view, train_job_view
from finetune_operator.plan.names import JOB_UID_LABEL

PAGE = "500"

T = TypeVar("T")


class Lister(Protocol):
    """Reads lists."""

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """One page."""


async def resync(api: Lister, stores: Stores, namespaces: tuple[str, ...], trainer_served: bool) -> None:
    """Bring the stores to what the API server has.

    Args:
        api: to read lists from.
        stores: to correct.
        namespaces: to look at; empty means all.
        trainer_served: whether the API server knows TrainJobs.
    """
    scopes = [f"/namespaces/{name}" for name in namespaces] or [""]
    for scope in scopes:
        jobs, at = await _list(api, f"/apis/finetune.dev/v1alpha1{scope}/finetunejobs", lambda body: body)
        _correct_jobs(stores, jobs, at, scope)
        if trainer_served:
            path = f"/apis/trainer.kubeflow.org/v1alpha1{scope}/trainjobs"
            train_jobs, at = await _list(api, path, train_job_view, JOB_UID_LABEL)
            _drop_missing(stores.train_jobs.values(), train_jobs, at, scope, stores.drop_train_job)
            for train_job in train_jobs:
                stores.put_train_job(train_job)
        pods, at = await _list(api, f"/api/v1{scope}/pods", pod_view, JOB_UID_LABEL)
        _drop_missing(stores.pods.values(), pods, at, scope, stores.drop_pod)
        for pod in pods:
            stores.put_pod(pod)
    for uid in set(stores.train_jobs) | set(stores.pods):
        if uid not in stores.keys:
            stores.forget(uid)


def _correct_jobs(stores: Stores, jobs: list[dict[str, Any]], at: int, scope: str) -> None:
    there = {job["metadata"]["uid"] for job in jobs}
    for key, known in list(stores.jobs.items()):
        uid = known["metadata"]["uid"]
        if uid not in there and version(known) <= at and scope in ("", f"/namespaces/{key.namespace}"):
            stores.drop_job(Key(*key), uid)
    for job in jobs:
        stores.put_job(job)


V = TypeVar("V", TrainJobView, PodView)


def _drop_missing(
    known: Iterable[dict[str, V]], listed: list[V], at: int, scope: str, drop: Callable[[V], object]
) -> None:
    there = {view.uid for view in listed}
    for view in [view for views in known for view in views.values()]:
        if view.uid not in there and view.version <= at and scope in ("", f"/namespaces/{view.namespace}"):
            drop(view)


async def _list(
    api: Lister, path: str, view: Callable[[dict[str, Any]], T | None], selector: str = ""
) -> tuple[list[T], int]:
    """Trimmed page by page, so that a big cluster's objects are never all in memory; and the list's resource
    version.
    """
    found: list[T] = []
    query = {"limit": PAGE} | ({"labelSelector": selector} if selector else {})
    while True:
        page = await api.get(path, **query)
        found += [trimmed for item in page.get("items", ()) if (trimmed := view(item)) is not None]
        token = page["metadata"].get("continue")
        if not token:
            return found, int(page["metadata"]["resourceVersion"])
        query["continue"] = token
