"""What goes wrong on a real cluster: killed processes, and things that are not there yet."""

import subprocess
import time
from typing import Any

import pytest

from support.kube import Cluster, Json, condition, eventually

from .conftest import NAMESPACE, claim

TRAINING: Json = {
    "numEpochs": 3,
    "effectiveBatchSize": 16,
    "learningRate": "1e-3",
    "maxSeqLen": 64,
    "maxTokensPerGPU": 4096,
}
LATER = "e2e-later"


@pytest.fixture
def name(cluster: Cluster, request: pytest.FixtureRequest) -> Any:
    """A job's name; the job is removed afterwards."""
    made = "e2e-" + request.node.name.removeprefix("test_").replace("_", "-")[:30].strip("-")
    cluster.kubectl("delete", "ftj", made, "--ignore-not-found", "--wait")
    yield made
    cluster.kubectl("delete", "ftj", made, "--ignore-not-found", "--wait=false")


def job(name: str, data: str, **changes: Any) -> Json:
    spec: Json = {
        "algorithm": "SFT",
        "model": {"source": f"pvc://{data}/base-model"},
        "dataset": {"train": {"source": f"pvc://{data}/train.jsonl"}},
        "training": TRAINING,
        "resources": {"gpusPerNode": 0},
        "storage": {"size": "1Gi"},
    }
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": name},
        "spec": spec | changes,
    }


def summary(cluster: Cluster, name: str) -> Json:
    return condition(cluster.get("ftj", name, NAMESPACE), "Succeeded")


def reaches(cluster: Cluster, name: str, status: str, reason: str, seconds: float) -> Json:
    def there() -> Json | None:
        found = summary(cluster, name)
        assert (found.get("status"), found.get("reason")) == (status, reason), found
        return found

    found: Json = eventually(there, seconds, f"{name} is {status} {reason}")
    return found


def training_step(cluster: Cluster, name: str) -> int:
    body = cluster.get("ftj", name, NAMESPACE) or {}
    step: int = body.get("status", {}).get("progress", {}).get("step", 0)
    return step


def kill_in_node(pattern: str) -> None:
    """SIGKILL to a process of a container, from its node: no goodbye, no grace."""
    environment = _docker()
    node = f"{environment['CLUSTER']}-control-plane"
    subprocess.run(["docker", "exec", node, "pkill", "-KILL", "-f", pattern], check=True, env=environment)


def _docker() -> dict[str, str]:
    from support.kube import tool_environment

    return tool_environment()


def test_operator_killed_while_training(cluster: Cluster, small_data: str, name: str) -> None:
    assert cluster.apply(job(name, small_data)).returncode == 0
    eventually(lambda: training_step(cluster, name) >= 3, 120, "training")
    starts = _starts(cluster)
    kill_in_node("^python -m finetune_operator")
    eventually(lambda: _starts(cluster) > starts and _answers(cluster), 60, "the operator is back")
    before, at = training_step(cluster, name), time.monotonic()

    def goes_on() -> bool:
        return training_step(cluster, name) > before or summary(cluster, name).get("status") == "True"

    eventually(goes_on, 10, "the status converges within 10 s of the restart")
    assert time.monotonic() - at <= 10
    reaches(cluster, name, "True", "Completed", 120)
    assert len(cluster.list("trainjobs", NAMESPACE, f"finetune.dev/job={name}")) == 1


def _operators(cluster: Cluster) -> list[Json]:
    return cluster.list("pods", "finetune-system", "app.kubernetes.io/name=finetune-operator")


def _starts(cluster: Cluster) -> int:
    """How often the operator's container has been started anew."""
    return sum(s["restartCount"] for pod in _operators(cluster) for s in pod["status"].get("containerStatuses", ()))


def _answers(cluster: Cluster) -> bool:
    ready = [c for pod in _operators(cluster) for c in pod["status"].get("conditions", ()) if c["type"] == "Ready"]
    return bool(ready) and all(c["status"] == "True" for c in ready)


def test_trainer_killed(cluster: Cluster, small_data: str, name: str) -> None:
    assert cluster.apply(job(name, small_data)).returncode == 0
    eventually(lambda: training_step(cluster, name) >= 3, 120, "training")
    kill_in_node("finetune_trainer")
    found = eventually(lambda: _ended(cluster, name), 90, "the job has ended")
    assert found["status"] == "False", found
    body = cluster.get("ftj", name, NAMESPACE)
    assert body
    assert "output" not in body["status"]


def test_trainer_pod_deleted(cluster: Cluster, small_data: str, name: str) -> None:
    assert cluster.apply(job(name, small_data)).returncode == 0
    eventually(lambda: training_step(cluster, name) >= 3, 120, "training")
    pod = cluster.list("pods", NAMESPACE, f"finetune.dev/job={name}")[0]["metadata"]["name"]
    cluster.kubectl("delete", "pod", pod, "--wait=false")
    found = eventually(lambda: _ended(cluster, name), 120, "the job has ended")
    assert (found["status"], found["reason"]) == ("False", "Interrupted"), found


def _ended(cluster: Cluster, name: str) -> Json | None:
    found = summary(cluster, name)
    return found if found.get("status") in ("True", "False") else None


def test_two_nodes_train_together(cluster: Cluster, small_data: str, name: str) -> None:
    """Over a ReadWriteMany workspace, with the same losses as one node."""
    alone = f"{name}-1"
    cluster.kubectl("delete", "ftj", alone, "--ignore-not-found", "--wait")
    training = TRAINING | {"numEpochs": 1}
    two = {
        "resources": {"gpusPerNode": 0, "numNodes": 2},
        "storage": {"size": "1Gi", "storageClassName": "shared", "accessMode": "ReadWriteMany"},
    }
    assert cluster.apply(job(name, small_data, training=training, **two)).returncode == 0
    reaches(cluster, name, "True", "Completed", 240)
    assert len(cluster.list("pods", NAMESPACE, f"finetune.dev/job={name}")) == 2
    assert cluster.apply(job(alone, small_data, training=training)).returncode == 0
    reaches(cluster, alone, "True", "Completed", 180)
    curves = [(cluster.get("ftj", n, NAMESPACE) or {})["status"]["lossHistory"] for n in (name, alone)]
    assert [point["step"] for point in curves[0]] == [point["step"] for point in curves[1]]
    for ours, theirs in zip(*curves, strict=True):
        assert float(ours["loss"]) == pytest.approx(float(theirs["loss"]), rel=0.02)
    cluster.kubectl("delete", "ftj", alone, "--wait=false")


def test_missing_claim_then_missing_file(cluster: Cluster, name: str) -> None:
    data = "e2e-empty"
    cluster.kubectl("delete", "pvc", data, "--ignore-not-found", "--wait")
    assert cluster.apply(job(name, data)).returncode == 0
    found = reaches(cluster, name, "Unknown", "ClaimNotFound", 10)
    assert data in found["message"]
    assert cluster.apply(claim(data)).returncode == 0
    path = f"/mnt/finetune/{data}/train.jsonl"
    found = reaches(cluster, name, "False", "DatasetNotFound", 90)
    assert path in found["message"]
    cluster.kubectl("delete", "pvc", data, "--wait=false")


def test_missing_secret(cluster: Cluster, small_data: str, name: str) -> None:
    secret = "e2e-hub"
    cluster.kubectl("delete", "secret", secret, "--ignore-not-found")
    model = {"source": "hf://nobody/nothing", "secretRef": {"name": secret}}
    assert cluster.apply(job(name, small_data, model=model)).returncode == 0
    eventually(lambda: cluster.list("pods", NAMESPACE, f"finetune.dev/job={name}"), 15, "a pod")
    found = reaches(cluster, name, "Unknown", "SecretNotFound", 10)
    assert secret in found["message"]
    value = "e2e-value-that-nobody-sees"
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret}, "stringData": {"token": value}}
    assert cluster.apply(made).returncode == 0
    eventually(lambda: summary(cluster, name).get("reason") != "SecretNotFound", 60, "it goes on")
    seen = cluster.kubectl("get", "ftj,trainjobs,jobsets,jobs,pods,configmaps,events", "-o", "yaml").stdout
    assert value not in seen
    cluster.kubectl("delete", "secret", secret)


def test_missing_runtime_then_missing_image(
    cluster: Cluster, small_data: str, name: str, images: dict[str, str]
) -> None:
    """The operator's chart allows a runtime that is not there; then the runtime names an image that is not there."""
    cluster.kubectl("delete", "clustertrainingruntime", LATER, "--ignore-not-found", "--wait=false")
    helm = [
        "helm",
        "upgrade",
        "finetune-operator",
        "charts/finetune-operator",
        "-n",
        "finetune-system",
        "--reuse-values",
    ]
    allow = ["--set", f"trainer.runtime.allowed={{{LATER}}}", "--wait", "--timeout=120s"]
    environment = {**cluster.environment, "KUBECONFIG": str(cluster.kubeconfig)}
    subprocess.run([*helm, *allow], check=True, capture_output=True, env=environment)

    assert cluster.apply(job(name, small_data, runtimeRef={"name": LATER})).returncode == 0
    found = reaches(cluster, name, "Unknown", "RuntimeNotFound", 10)
    assert LATER in found["message"]

    image = images["TRAINER_IMAGE"].rpartition(":")[0] + f":{name}-{int(time.time())}"
    runtime = cluster.get("clustertrainingruntime", "finetune-torch", NAMESPACE)
    assert runtime
    runtime["metadata"] = {"name": LATER, "labels": {"trainer.kubeflow.org/framework": "torch"}}
    node = runtime["spec"]["template"]["spec"]["replicatedJobs"][0]
    node["template"]["spec"]["template"]["spec"]["containers"][0]["image"] = image
    assert cluster.apply(runtime).returncode == 0
    eventually(lambda: cluster.list("pods", NAMESPACE, f"finetune.dev/job={name}"), 30, "a pod")
    found = reaches(cluster, name, "Unknown", "ImagePullFailed", 10)
    assert image in found["message"]

    for command in (["docker", "tag", images["TRAINER_IMAGE"], image], ["docker", "push", "-q", image]):
        subprocess.run(command, check=True, capture_output=True, env=_docker())
    eventually(lambda: training_step(cluster, name) >= 1, 180, "it goes on by itself")
    cluster.kubectl("delete", "ftj", name, "--wait")
    cluster.kubectl("delete", "clustertrainingruntime", LATER, "--wait=false")
    subprocess.run(["docker", "rmi", image], check=True, capture_output=True, env=_docker())
