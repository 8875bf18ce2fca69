"""The endpoint against a real API server.

Pods are made by real TrainJobs, tokens by TokenRequest, and the endpoint runs in the test with the rights of the
chart's service account.
"""

import asyncio
import base64
import json
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from kubernetes.aio import config

from finetune_contract.progress import ProgressReport
from finetune_contract.result import StageResult
from finetune_operator import endpoint
from finetune_operator.api.audience import audience, post_url
from finetune_operator.cluster.client import Api
from finetune_operator.endpoint import Endpoint, Sender, Settings
from support.kube import Cluster, eventually
from support.manifests import job as finetunejob

SYSTEM = "finetune-system"
SECRET = "finetune-operator-endpoint"
HOLD = "test.finetune.dev/termination"

Json = dict[str, Any]

PROGRESS = {
    "attempt": 1,
    "step": 1,
    "totalSteps": 2,
    "trainerStatus": {"lastUpdatedTime": "2026-05-01T12:00:00Z"},
}
RESULT = {
    "attempt": 1,
    "runId": "r",
    "outcome": "Failed",
    "reason": "EngineFailed",
    "exitCode": 10,
    "started": "2026-05-01T12:00:00Z",
    "finished": "2026-05-01T12:00:01Z",
}


@dataclass
class KeepingSink:
    """Keeps what arrives."""

    senders: list[Sender] = field(default_factory=list)

    def progress(self, sender: Sender, report: ProgressReport) -> None:
        self.senders.append(sender)

    async def result(self, sender: Sender, result: StageResult) -> bool:
        self.senders.append(sender)
        return True


@dataclass(frozen=True)
class Running:
    """A FineTuneJob with the TrainJob that the operator would make, and the pod that came of it."""

    cluster: Cluster
    namespace: str
    name: str
    uid: str
    trainjob_uid: str
    pod: Json

    @property
    def audience(self) -> str:
        return audience(self.namespace, self.name, self.uid)

    @property
    def sender(self) -> Sender:
        metadata = self.pod["metadata"]
        trainjob = f"{self.name}-a1"
        return Sender(
            self.namespace, self.name, self.uid, trainjob, self.trainjob_uid, metadata["name"], metadata["uid"]
        )

    def token(self, wanted: str | None = None, pod: Json | None = None) -> str:
        """Of the job's pod, or of another, for the job's audience, or for another."""
        return token(self.cluster, (pod or self.pod)["metadata"], wanted or self.audience)


def token(cluster: Cluster, pod: Json, wanted: str) -> str:
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={pod['name']}", f"--bound-object-uid={pod['uid']}")
    audiences = ("--audience", wanted) if wanted else ()
    return cluster.kubectl("create", "token", "default", *audiences, *bound, namespace=pod["namespace"]).stdout.strip()


def make(cluster: Cluster, namespace: str, name: str) -> Running:
    applied = cluster.apply(finetunejob(name), namespace)
    assert applied.returncode == 0, applied.stderr
    job = cluster.get("finetunejob", name, namespace)
    assert job
    owner = {"apiVersion": job["apiVersion"], "kind": "FineTuneJob", "name": name, "uid": job["metadata"]["uid"]}
    trainjob = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": f"{name}-a1", "ownerReferences": [{**owner, "controller": True}]},
        "spec": {"runtimeRef": {"name": "finetune-torch"}, "trainer": {"numNodes": 1}},
    }
    applied = cluster.apply(trainjob, namespace)
    assert applied.returncode == 0, applied.stderr

    def pod() -> Json | None:
        found = cluster.list("pods", namespace, f"jobset.sigs.k8s.io/jobset-name={name}-a1")
        return found[0] if found and found[0]["status"]["phase"] == "Running" else None

    running = eventually(pod, 30, f"{name}'s pod runs")
    made = cluster.get("trainjob", f"{name}-a1", namespace)
    assert made
    return Running(cluster, namespace, name, job["metadata"]["uid"], made["metadata"]["uid"], running)


@pytest.fixture(scope="module")
def team(cluster: Cluster) -> Iterator[str]:
    yield from _namespace(cluster)


@pytest.fixture(scope="module")
def strangers(cluster: Cluster) -> Iterator[str]:
    yield from _namespace(cluster)


def _namespace(cluster: Cluster) -> Iterator[str]:
    name = f"endpoint-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def ours(cluster: Cluster, team: str) -> Running:
    return make(cluster, team, "ours")


@pytest.fixture(scope="module")
def theirs(cluster: Cluster, team: str) -> Running:
    return make(cluster, team, "theirs")


@pytest.fixture
async def operator_api(operator_kubeconfig: Path) -> AsyncIterator[Api]:
    """With the rights of the operator, and no more."""
    api = Api(await config.new_client_from_config(config_file=str(operator_kubeconfig)))
    yield api
    await api.close()


@dataclass
class Stage:
    """What a pod can do: post with a token."""

    handle: Endpoint
    sink: KeepingSink
    session: aiohttp.ClientSession
    elapsed: float = 0.0

    async def post(self, job: Running, bearer: str, what: str = "progress") -> int:
        url = post_url(f"https://localhost:{self.handle.port}", job.namespace, job.name, job.uid)
        body = PROGRESS if what == "progress" else RESULT
        headers = {"Authorization": f"Bearer {bearer}"}
        async with self.session.post(f"{url}/{what}", json=body, headers=headers) as response:
            await response.read()
            return response.status


@pytest.fixture
async def stage(operator_api: Api) -> AsyncIterator[Stage]:
    sink = KeepingSink()
    settings = Settings(SYSTEM, "finetune-operator", SECRET, host="127.0.0.1", port=0)
    handle = await endpoint.start(operator_api, sink, settings, clock=lambda: time.monotonic() + stage.elapsed)
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=handle.ca_pem))
    async with aiohttp.ClientSession(connector=connector) as session:
        stage = Stage(handle, sink, session)
        yield stage
    await handle.stop()


async def test_the_jobs_own_pod_is_accepted(stage: Stage, ours: Running) -> None:
    bearer = ours.token()
    assert await stage.post(ours, bearer, "progress") == 200
    assert await stage.post(ours, bearer, "result") == 200
    assert stage.sink.senders == [ours.sender, ours.sender]


async def test_another_jobs_pod_is_refused_whatever_audience_it_asks_for(
    stage: Stage, ours: Running, theirs: Running
) -> None:
    assert await stage.post(ours, theirs.token()) == 401
    assert await stage.post(ours, theirs.token(ours.audience)) == 403
    assert await stage.post(theirs, theirs.token()) == 200
    assert stage.sink.senders == [theirs.sender]


async def test_another_namespaces_pod_is_refused(stage: Stage, cluster: Cluster, ours: Running, strangers: str) -> None:
    stranger = make(cluster, strangers, "ours")
    assert await stage.post(ours, stranger.token()) == 401
    assert await stage.post(ours, stranger.token(ours.audience)) == 403
    assert not stage.sink.senders


@pytest.mark.parametrize("wanted", ["", "finetune.dev", "https://kubernetes.default.svc"])
async def test_a_token_for_another_audience_is_refused(
    stage: Stage, cluster: Cluster, ours: Running, wanted: str
) -> None:
    assert await stage.post(ours, token(cluster, ours.pod["metadata"], wanted)) == 401


async def test_the_audience_of_a_job_before_it_was_re_created_is_refused(stage: Stage, ours: Running) -> None:
    before = ours.token(audience(ours.namespace, ours.name, str(uuid.uuid4())))
    assert await stage.post(ours, before) == 401


async def test_a_token_that_is_not_bound_to_a_pod_is_refused(stage: Stage, cluster: Cluster, ours: Running) -> None:
    made = cluster.kubectl("create", "token", "default", "--audience", ours.audience, namespace=ours.namespace)
    assert await stage.post(ours, made.stdout.strip()) == 403


async def test_an_expired_token_is_refused(stage: Stage, cluster: Cluster, ours: Running) -> None:
    real = ours.token()
    now = int(time.time())
    assert await stage.post(ours, signed_again(cluster, real, iat=now - 60, nbf=now - 60, exp=now + 600)) == 200
    assert await stage.post(ours, signed_again(cluster, real, iat=now - 4000, nbf=now - 4000, exp=now - 400)) == 401


async def test_a_token_with_a_foreign_signature_is_refused(stage: Stage, ours: Running) -> None:
    head, body, signature = ours.token().split(".")
    assert await stage.post(ours, f"{head}.{body}.{signature[::-1]}") == 401


async def test_a_pod_that_merely_carries_the_labels_is_refused(stage: Stage, cluster: Cluster, ours: Running) -> None:
    # all but those by which the Job controller itself would adopt it
    labels = {k: v for k, v in ours.pod["metadata"]["labels"].items() if not k.endswith(("controller-uid", "job-name"))}
    labels |= {"finetune.dev/job": ours.name, "finetune.dev/job-uid": ours.uid}
    assert await stage.post(ours, ours.token(pod=plain_pod(cluster, ours, "labelled", labels=labels))) == 403


async def test_a_pod_that_names_the_finetunejob_its_owner_is_refused(
    stage: Stage, cluster: Cluster, ours: Running
) -> None:
    owner = {"apiVersion": "finetune.dev/v1alpha1", "kind": "FineTuneJob", "name": ours.name, "uid": ours.uid}
    pod = plain_pod(cluster, ours, "claimant", ownerReferences=[{**owner, "controller": True}])
    assert await stage.post(ours, ours.token(pod=pod)) == 403


async def test_an_owners_name_that_climbs_out_of_its_path_is_refused(
    stage: Stage, cluster: Cluster, ours: Running, theirs: Running
) -> None:
    reference = theirs.pod["metadata"]["ownerReferences"][0]
    climbing = {**reference, "name": f"../jobs/{reference['name']}", "blockOwnerDeletion": False}
    pod = plain_pod(cluster, theirs, "climber", ownerReferences=[climbing])
    assert await stage.post(theirs, theirs.token(pod=pod)) == 403


async def test_a_deleted_pods_token_is_refused(stage: Stage, cluster: Cluster, team: str) -> None:
    job = make(cluster, team, "ends")
    bearer = job.token()
    assert await stage.post(job, bearer) == 200
    cluster.kubectl("delete", "trainjob", "ends-a1", namespace=team)
    name, pod_uid = job.pod["metadata"]["name"], job.pod["metadata"]["uid"]
    eventually(lambda: cluster.get("pod", name, team) is None, 20, "the pod is gone")
    stage.handle.forget(pod_uid)
    # 403 because the API server itself believes a token for some seconds more: then it is the pod that is missed
    assert await stage.post(job, bearer) in (401, 403)


async def test_a_pod_that_outlives_its_trainjob_can_still_post(stage: Stage, cluster: Cluster, team: str) -> None:
    job = make(cluster, team, "stops")
    name = job.pod["metadata"]["name"]
    cluster.kubectl("annotate", "pod", name, f"{HOLD}=60s", namespace=team)
    bearer = job.token()
    assert await stage.post(job, bearer) == 200
    cluster.kubectl("delete", "trainjob", "stops-a1", namespace=team)
    eventually(lambda: cluster.get("trainjob", "stops-a1", team) is None, 20, "the TrainJob is gone")
    eventually(lambda: "deletionTimestamp" in (cluster.get("pod", name, team) or {})["metadata"], 20, "the pod ends")
    stage.elapsed += 61  # the token is reviewed again
    assert await stage.post(job, bearer, "result") == 200


async def test_replicas_race_for_the_empty_secret_with_no_more_than_the_charts_rights(
    cluster: Cluster, operator_api: Api
) -> None:
    empty = json.dumps([{"op": "replace", "path": "/data", "value": {}}])
    cluster.kubectl("patch", "secret", SECRET, "--type=json", "-p", empty, namespace=SYSTEM, check=False)
    settings = Settings(SYSTEM, "finetune-operator", SECRET, host="127.0.0.1", port=0)
    handles = await asyncio.gather(*(endpoint.start(operator_api, KeepingSink(), settings) for _ in range(4)))
    secret = cluster.get("secret", SECRET, SYSTEM)
    assert secret
    stored = base64.b64decode(secret["data"]["ca.crt"]).decode()
    assert [handle.ca_pem for handle in handles] == [stored] * 4
    for handle in handles:
        context = ssl.create_default_context(cadata=stored)
        names = {"server_hostname": f"finetune-operator.{SYSTEM}.svc"}
        _, writer = await asyncio.open_connection("127.0.0.1", handle.port, ssl=context, **names)
        writer.close()
        await handle.stop()


def plain_pod(cluster: Cluster, job: Running, name: str, **metadata: Any) -> Json:
    """A pod that a user of the namespace makes."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": {"containers": [{"name": "c", "image": "none"}]},
    }
    applied = cluster.apply(manifest, job.namespace)
    assert applied.returncode == 0, applied.stderr
    pod = cluster.get("pod", name, job.namespace)
    assert pod
    return pod


def signed_again(cluster: Cluster, real: str, **claims: int) -> str:
    """The same token with other times, signed with the control plane's own key: no API server issues expired ones."""
    head, body, _ = real.split(".")
    content = {**json.loads(base64.urlsafe_b64decode(body + "==")), **claims}
    body = base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
    key = load_pem_private_key(signing_key(cluster).read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    signature = key.sign(f"{head}.{body}".encode(), padding.PKCS1v15(), SHA256())
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def signing_key(cluster: Cluster) -> Path:
    (key,) = cluster.kubeconfig.parent.glob("kwok/clusters/*/pki/admin.key")
    return key
