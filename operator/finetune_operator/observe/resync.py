"""Full lists: the first one before any decision, later ones to find what a watch has lost (kopf never tells of an
object
that vanished between two lists).
"""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from finetune_operator.observe.stores import Key, Stores
from finetune_operator.observe.views import pod_view, train_job_view
from finetune_operator.plan.names import JOB_UID_LABEL

PAGE = "500"


class Lister(Protocol):
    """Reads lists."""

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """One page."""


async def resync(api: Lister, stores: Stores, namespaces: tuple[str, ...]) -> None:
    """Bring the stores to what the API server has.

    Args:
        api: to read lists from.
        stores: to correct.
        namespaces: to look at; empty means all.
    """
    jobs = [item async for item in _all(api, "/apis/finetune.dev/v1alpha1", "finetunejobs", namespaces)]
    train_jobs = [
        item async for item in _all(api, "/apis/trainer.kubeflow.org/v1alpha1", "trainjobs", namespaces, JOB_UID_LABEL)
    ]
    pods = [item async for item in _all(api, "/api/v1", "pods", namespaces, JOB_UID_LABEL)]
    _correct(stores, jobs, train_jobs, pods)


def _correct(
    stores: Stores, jobs: list[dict[str, Any]], train_jobs: list[dict[str, Any]], pods: list[dict[str, Any]]
) -> None:
    there = {item["metadata"]["uid"] for item in (*jobs, *train_jobs, *pods)}
    for uid, key in list(stores.keys.items()):
        if uid not in there:
            stores.drop_job(Key(*key), uid)
    for job in jobs:
        stores.put_job(job)
    for known_job in [view for views in stores.train_jobs.values() for view in views.values()]:
        if known_job.uid not in there:
            stores.drop_train_job(known_job)
    for view in filter(None, map(train_job_view, train_jobs)):
        stores.put_train_job(view)
    for known_pod in [view for views in stores.pods.values() for view in views.values()]:
        if known_pod.uid not in there:
            stores.drop_pod(known_pod)
    for pod in filter(None, map(pod_view, pods)):
        stores.put_pod(pod)


async def _all(
    api: Lister, prefix: str, plural: str, namespaces: tuple[str, ...], selector: str = ""
) -> AsyncIterator[dict[str, Any]]:
    for path in [f"{prefix}/namespaces/{n}/{plural}" for n in namespaces] or [f"{prefix}/{plural}"]:
        query = {"limit": PAGE} | ({"labelSelector": selector} if selector else {})
        while True:
            page = await api.get(path, **query)
            for item in page.get("items", ()):
                yield item
            token = page.get("metadata", {}).get("continue")
            if not token:
                break
            query["continue"] = token
