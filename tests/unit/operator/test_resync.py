"""A list corrects only what is older than itself."""

from typing import Any

from finetune_operator.observe.resync import resync
from finetune_operator.observe.stores import Key, Stores
from support.made import UID, made_pod, made_train_job

KEY = Key("team", "j")


class FakeLister:
    """Empty lists, taken at resource version 10."""

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """One page."""
        return {"items": [], "metadata": {"resourceVersion": "10"}}


def stores(version: int) -> Stores:
    kept = Stores()
    meta = {"namespace": "team", "name": "j", "uid": UID, "resourceVersion": str(version)}
    kept.put_job({"metadata": meta, "spec": {}})
    kept.put_train_job(made_train_job(version=version))
    kept.put_pod(made_pod(version=version))
    return kept


async def test_what_a_watch_has_lost_goes() -> None:
    kept = stores(9)
    await resync(FakeLister(), kept, (), trainer_served=True)
    assert KEY not in kept.jobs
    assert not kept.train_jobs.get(UID)
    assert not kept.pods.get(UID)


async def test_what_came_after_the_list_was_taken_stays() -> None:
    kept = stores(11)
    await resync(FakeLister(), kept, (), trainer_served=True)
    assert KEY in kept.jobs
    assert kept.train_jobs[UID]
    assert kept.pods[UID]


async def test_other_namespaces_than_the_listed_ones_are_left_alone() -> None:
    kept = stores(9)
    await resync(FakeLister(), kept, ("elsewhere",), trainer_served=True)
    assert KEY in kept.jobs
    assert kept.pods[UID]
