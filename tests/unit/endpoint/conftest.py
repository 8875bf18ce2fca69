"""A double of the API server that holds objects by path, and the objects of one job."""

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from finetune_operator.api.audience import audience
from finetune_operator.cluster import routes
from finetune_operator.cluster.errors import Conflict, NotFound
from finetune_operator.endpoint.authenticate import POD_NAME, POD_UID, Target

Json = dict[str, Any]

TARGET = Target("team", "job", "f-uid")
TOKEN = "header.payload.signature"


@dataclass
class FakeApi:
    """Objects by path; TokenReviews answered from `reviews` by token. `failure` is raised by every call while set."""

    objects: dict[str, Json] = field(default_factory=dict)
    reviews: dict[str, Json] = field(default_factory=dict)
    failure: Exception | None = None
    calls: list[str] = field(default_factory=list)

    def add(self, path: str, body: Json) -> None:
        body = copy.deepcopy(body)
        body["metadata"]["resourceVersion"] = "1"
        self.objects[path] = body

    async def get(self, path: str, **_: str) -> Json:
        await self._called(f"GET {path}")
        if path not in self.objects:
            raise NotFound(404, "NotFound", path)
        return copy.deepcopy(self.objects[path])

    async def merge_patch(self, path: str, body: Json) -> Json:
        await self._called(f"PATCH {path}")
        stored = self.objects[path]
        if body["metadata"]["resourceVersion"] != stored["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", path)
        stored.setdefault("data", {}).update(body["data"])
        stored["metadata"]["resourceVersion"] = str(int(stored["metadata"]["resourceVersion"]) + 1)
        return copy.deepcopy(stored)

    async def create(self, path: str, body: Json) -> Json:
        await self._called(f"POST {path}")
        assert path == routes.TOKEN_REVIEWS
        assert body["kind"] == "TokenReview"
        status = self.reviews.get(body["spec"]["token"], {"authenticated": False})
        wanted = set(body["spec"]["audiences"])
        if (has := status.get("audiences")) and not wanted & set(has):
            status = {"authenticated": False, "error": "token audiences do not match"}
        return {**body, "status": copy.deepcopy(status)}

    async def _called(self, what: str) -> None:
        self.calls.append(what)
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure


@dataclass
class Clock:
    """Seconds that pass only when told to."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that happens in this loop."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


def owned(
    kind: str, name: str, uid: str, api_version: str, owner: tuple[str, str, str], namespace: str = "team"
) -> Json:
    owner_kind, owner_name, owner_uid = owner
    reference = {
        "apiVersion": api_version,
        "kind": owner_kind,
        "name": owner_name,
        "uid": owner_uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    metadata = {"namespace": namespace, "name": name, "uid": uid, "ownerReferences": [reference]}
    return {"kind": kind, "metadata": metadata}


def review(pod: str, uid: str, wanted: str, username: str = "system:serviceaccount:team:default") -> Json:
    extra = {POD_NAME: [pod], POD_UID: [uid], "authentication.kubernetes.io/node-name": ["node"]}
    return {"authenticated": True, "audiences": [wanted], "user": {"username": username, "extra": extra}}


POD = routes.core("team", "pods", "pod")
JOB = routes.jobs("team", "job-a1-node-0")
JOBSET = routes.jobsets("team", "job-a1")
TRAINJOB = routes.trainjobs("team", "job-a1")


@pytest.fixture
def fake_api() -> FakeApi:
    """Pod, Job, JobSet and TrainJob of TARGET, and the pod's TOKEN."""
    api = FakeApi()
    api.add(POD, owned("Pod", "pod", "p-uid", "batch/v1", ("Job", "job-a1-node-0", "j-uid")))
    api.add(JOB, owned("Job", "job-a1-node-0", "j-uid", "jobset.x-k8s.io/v1alpha2", ("JobSet", "job-a1", "s-uid")))
    trainer = "trainer.kubeflow.org/v1alpha1"
    api.add(JOBSET, owned("JobSet", "job-a1", "s-uid", trainer, ("TrainJob", "job-a1", "t-uid")))
    owner = ("FineTuneJob", TARGET.name, TARGET.uid)
    api.add(TRAINJOB, owned("TrainJob", "job-a1", "t-uid", "finetune.dev/v1alpha1", owner))
    api.reviews[TOKEN] = review("pod", "p-uid", audience(TARGET.namespace, TARGET.name, TARGET.uid))
    return api


@pytest.fixture
def clock() -> Clock:
    return Clock()
