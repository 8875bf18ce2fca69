"""A FineTuneJob from `kubectl apply` to its end, on a real control plane."""

import json
from typing import Any

import pytest

from support.fake_trainer import FakeTrainer
from support.kube import Cluster, Json, condition, eventually
from support.manifests import job

KILLS = ("before the TrainJob", "after the TrainJob", "while training", "while the result is posted")


def apply(cluster: Cluster, namespace: str, name: str = "j", **spec: Any) -> None:
    done = cluster.apply(job(name, **spec), namespace)
    assert done.returncode == 0, done.stderr


def state(cluster: Cluster, namespace: str, name: str = "j") -> tuple[str, str]:
    found = condition(cluster.get("ftj", name, namespace), "Succeeded")
    return found.get("status", ""), found.get("reason", "")


def reaches(cluster: Cluster, namespace: str, want: tuple[str, str], name: str = "j", seconds: float = 20) -> Json:
    def there() -> Json | None:
        body = cluster.get("ftj", name, namespace)
        got = condition(body, "Succeeded")
        assert (got.get("status"), got.get("reason")) == want, got
        return body

    body: Json = eventually(there, seconds, f"{name} is {want}")
    return body


def reasons(cluster: Cluster, namespace: str, name: str = "j") -> list[str]:
    events = cluster.list("events", namespace)
    own = [e for e in events if e["involvedObject"]["kind"] == "FineTuneJob" and e["involvedObject"]["name"] == name]
    return [e["reason"] for e in sorted(own, key=lambda e: e["metadata"]["creationTimestamp"])]


def test_job_trains_and_succeeds(cluster: Cluster, namespace: str, operator: Any) -> None:
    apply(cluster, namespace)
    trainer = FakeTrainer.of(cluster, namespace, "j")
    reaches(cluster, namespace, ("Unknown", "Training"))

    assert trainer.progress(3, 10, ["2.5", "2.0", "1.5"], left=70) == 200
    eventually(lambda: "30%" in cluster.kubectl("get", "ftj", "j", namespace=namespace).stdout, 10, "progress column")
    row = cluster.kubectl("get", "ftj", "j", namespace=namespace).stdout.splitlines()[1].split()
    assert row[:5] == ["j", "Training", "30%", "1.5", "1m10s"]

    assert trainer.result() == 200
    body = cluster.get("ftj", "j", namespace)
    assert body
    assert body["status"]["attempts"][0]["reason"] == "Completed", "200 means: the result stands in the status"
    trainer.ends("succeed")
    body = reaches(cluster, namespace, ("True", "Completed"))
    status = body["status"]
    del status["progress"]["lastUpdatedTime"]
    assert status["progress"] == {
        "step": 10, "totalSteps": 10, "percentage": 100, "summary": "100%", "loss": "0.25", "tokensPerSecond": "1234.5"
    }  # fmt: skip
    assert status["lossHistory"] == [{"step": 1, "loss": "2.5"}, {"step": 10, "loss": "0.25"}]
    assert status["metrics"]["loss"] == "0.25"
    assert status["output"]["model"]["uri"] == f"pvc://j-workspace/runs/{status['runId']}/model"
    assert condition(body, "Stalled")["status"] == "False"
    assert condition(body, "Reconciling")["status"] == "False"
    assert status["observedGeneration"] == body["metadata"]["generation"]
    cluster.kubectl("wait", "--for=condition=Succeeded", "ftj/j", "--timeout=1s", namespace=namespace)
    told = reasons(cluster, namespace)
    assert {"TrainJobCreated", "Training", "Progress", "Completed"} <= set(told)
    assert len(told) == len(set(told)), told


def test_resolved_values_are_the_algorithm_s_defaults(cluster: Cluster, namespace: str, operator: Any) -> None:
    apply(cluster, namespace, algorithm="OSFT", training={"learningRate": "3e-4"})
    body = reaches(cluster, namespace, ("Unknown", "Training"))
    resolved = body["status"]["resolved"]
    assert resolved["learningRate"] == "3e-4"
    assert resolved["maxTokensPerGPU"] == 64000
    assert resolved["osft"]["unfreezeRankRatio"] == "0.25"
    config = FakeTrainer.of(cluster, namespace, "j").config
    assert config["training"]["learningRate"] == 3e-4
    assert config["backend"] == "MiniTrainer"
    assert config["distribution"]["accelerator"] == "CPU"


def test_reapplying_changes_nothing(cluster: Cluster, namespace: str, operator: Any) -> None:
    apply(cluster, namespace)
    trainer = FakeTrainer.of(cluster, namespace, "j")
    assert trainer.result() == 200
    trainer.ends("succeed")
    before = reaches(cluster, namespace, ("True", "Completed"))
    apply(cluster, namespace)
    cluster.kubectl("delete", "trainjob", "j-a1", namespace=namespace)
    cluster.kubectl("annotate", "ftj", "j", "touched=yes", namespace=namespace)
    eventually(lambda: not cluster.list("trainjobs", namespace), 10, "TrainJob deleted")
    assert not cluster.list("trainjobs", namespace), "a finished job never trains again"
    after = cluster.get("ftj", "j", namespace)
    assert after
    assert after["status"] == before["status"]


@pytest.mark.parametrize("moment", KILLS)
def test_operator_killed_at_any_moment_leaves_one_train_job(
    cluster: Cluster, namespace: str, stopped_operator: Any, moment: str
) -> None:
    operator = stopped_operator
    if moment == KILLS[0]:
        operator.start(wait=False)
        apply(cluster, namespace)
        operator.kill()
    else:
        operator.start()
        apply(cluster, namespace)
        eventually(lambda: cluster.list("trainjobs", namespace), 15, "a TrainJob")
        if moment == KILLS[1]:
            operator.kill()
        trainer = FakeTrainer.of(cluster, namespace, "j")
        if moment == KILLS[2]:
            assert trainer.progress(5, 10, ["1.0"] * 5) == 200
            operator.kill()
        if moment == KILLS[3]:
            assert trainer.result() == 200
            operator.kill()
            trainer.ends("succeed")
    operator.start()
    trainer = FakeTrainer.of(cluster, namespace, "j") if moment != KILLS[3] else trainer
    if moment != KILLS[3]:
        assert trainer.result() == 200
        trainer.ends("succeed")
    reaches(cluster, namespace, ("True", "Completed"), seconds=10)
    made = cluster.list("trainjobs", namespace)
    assert [item["metadata"]["name"] for item in made] == ["j-a1"]
    events = cluster.list("events", namespace)
    created = [e for e in events if e["reason"] == "SuccessfulCreate" and e["involvedObject"]["kind"] == "Job"]
    assert len(created) == 1, "one pod was ever made"


def test_result_posted_while_the_operator_is_away_is_read_from_the_pod(
    cluster: Cluster, namespace: str, operator: Any
) -> None:
    apply(cluster, namespace)
    trainer = FakeTrainer.of(cluster, namespace, "j")
    operator.kill()
    trainer.ends("succeed", message=trainer.made_result(loss_history=()).to_json())
    operator.start()
    reaches(cluster, namespace, ("True", "Completed"))


@pytest.mark.parametrize(
    ("outcome", "code", "want"),
    [
        pytest.param("succeed", 0, "ResultMissing", id="exit code 0 without a result is no success"),
        pytest.param("oom", 137, "OutOfMemory", id="killed by the kernel for its memory"),
        pytest.param("fail", 137, "TrainerKilled", id="killed"),
        pytest.param("fail", 12, "DatasetNotFound", id="the exit code tells"),
        pytest.param("fail", 1, "TrainerFailed", id="an unknown exit code"),
    ],
)
def test_end_without_result(
    cluster: Cluster, namespace: str, operator: Any, outcome: str, code: int, want: str
) -> None:
    apply(cluster, namespace)
    trainer = FakeTrainer.of(cluster, namespace, "j")
    trainer.ends(outcome, code)
    body = reaches(cluster, namespace, ("False", want), seconds=40)
    assert condition(body, "Stalled")["status"] == "True"
    assert body["status"]["attempts"][0]["reason"] == want


def test_failed_result_is_told_with_its_words(cluster: Cluster, namespace: str, operator: Any) -> None:
    apply(cluster, namespace)
    trainer = FakeTrainer.of(cluster, namespace, "j")
    words = "/mnt/finetune/data/train.jsonl does not exist"
    told = trainer.result(
        outcome="Failed",
        reason="DatasetNotFound",
        exit_code=12,
        message=words,
        model=None,
        steps_done=0,
        steps_planned=0,
    )
    assert told == 200
    trainer.ends("fail", 12)
    body = reaches(cluster, namespace, ("False", "DatasetNotFound"), seconds=40)
    assert condition(body, "Succeeded")["message"] == words


def test_failing_sibling_is_the_reason_although_rank_0_is_taken_away(
    cluster: Cluster, namespace: str, operator: Any
) -> None:
    shared = {"size": "1Gi", "storageClassName": "shared", "accessMode": "ReadWriteMany"}
    apply(cluster, namespace, resources={"gpusPerNode": 0, "numNodes": 2}, storage=shared)
    first, second = (FakeTrainer.of(cluster, namespace, "j", node) for node in (0, 1))
    assert first.progress(5, 10, ["2.0", "1.0"]) == 200
    told = second.result(
        rank=1,
        outcome="Failed",
        reason="OutOfMemory",
        exit_code=16,
        message="node 1: out of memory",
        model=None,
        steps_done=0,
    )
    assert told == 200
    second.ends("fail", 16)
    body = reaches(cluster, namespace, ("False", "OutOfMemory"), seconds=60)
    assert condition(body, "Succeeded")["message"] == "node 1: out of memory"
    gone = first.pod["metadata"]["name"]
    assert cluster.get("pod", gone, namespace) is None, "rank 0's pod went with its log"
    assert body["status"]["progress"]["step"] == 5, "what it had posted stays"


def test_success_with_steps_missing_is_no_success(cluster: Cluster, namespace: str, operator: Any) -> None:
    apply(cluster, namespace)
    trainer = FakeTrainer.of(cluster, namespace, "j")
    assert trainer.result(steps_done=9) == 200
    trainer.ends("succeed")
    reaches(cluster, namespace, ("False", "ResultIncomplete"))


def test_deleted_pod_is_no_success(cluster: Cluster, namespace: str, operator: Any) -> None:
    apply(cluster, namespace)
    trainer = FakeTrainer.of(cluster, namespace, "j")
    assert trainer.progress(5, 10, ["1.0"] * 5) == 200
    cluster.kubectl("delete", "pod", trainer.pod["metadata"]["name"], namespace=namespace)

    def failed() -> bool:
        return state(cluster, namespace)[0] == "False"

    eventually(failed, 40, "the job has failed")


def test_deleted_train_job_is_no_success(cluster: Cluster, namespace: str, operator: Any) -> None:
    apply(cluster, namespace)
    FakeTrainer.of(cluster, namespace, "j")
    reaches(cluster, namespace, ("Unknown", "Training"))
    cluster.kubectl("delete", "trainjob", "j-a1", namespace=namespace)
    reaches(cluster, namespace, ("False", "TrainJobDeleted"))


def test_missing_claim_stalls_and_goes_on(cluster: Cluster, namespace: str, operator: Any) -> None:
    apply(cluster, namespace, dataset={"train": {"source": "pvc://comes-later/train.jsonl"}})
    body = reaches(cluster, namespace, ("Unknown", "ClaimNotFound"), seconds=10)
    stalled = condition(body, "Stalled")
    assert stalled["status"] == "True"
    assert "comes-later" in stalled["message"]
    assert "create it" in stalled["message"]
    assert not cluster.list("trainjobs", namespace)
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "comes-later"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    assert cluster.apply(claim, namespace).returncode == 0
    body = reaches(cluster, namespace, ("Unknown", "Training"), seconds=20)
    assert condition(body, "Stalled")["status"] == "False"
    assert "GoesOn" in reasons(cluster, namespace)


def test_missing_runtime_stalls_and_goes_on(cluster: Cluster, namespace: str, operator: Any) -> None:
    apply(cluster, namespace, runtimeRef={"name": "comes-later"})
    body = reaches(cluster, namespace, ("Unknown", "RuntimeNotFound"), seconds=10)
    assert "comes-later" in condition(body, "Stalled")["message"]
    runtime = json.loads(cluster.kubectl("get", "clustertrainingruntime", "finetune-torch", "-o", "json").stdout)
    runtime["metadata"] = {"name": "comes-later"}
    try:
        assert cluster.apply(runtime).returncode == 0
        reaches(cluster, namespace, ("Unknown", "Training"), seconds=20)
    finally:
        cluster.kubectl("delete", "ftj", "j", namespace=namespace)
        eventually(lambda: not cluster.list("trainjobs", namespace), 20, "TrainJob gone")
        cluster.kubectl("delete", "clustertrainingruntime", "comes-later", "--wait=false")


def test_runtime_outside_the_allow_list_is_refused(cluster: Cluster, namespace: str, operator: Any) -> None:
    apply(cluster, namespace, runtimeRef={"name": "somebody-else-s"})
    body = reaches(cluster, namespace, ("Unknown", "RuntimeNotAllowed"), seconds=10)
    assert "finetune-torch" in condition(body, "Stalled")["message"]


def test_patience_ends(cluster: Cluster, namespace: str, operator: Any) -> None:
    apply(cluster, namespace, storage={"claimName": "never"}, retry={"pendingTimeoutSeconds": 10})
    body = reaches(cluster, namespace, ("False", "ClaimNotFound"), seconds=30)
    assert "spec.retry.pendingTimeoutSeconds" in condition(body, "Succeeded")["message"]


def test_foreign_train_job_of_the_same_name_is_not_adopted(cluster: Cluster, namespace: str, operator: Any) -> None:
    foreign = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "j-a1"},
        "spec": {"runtimeRef": {"name": "finetune-torch"}, "suspend": True},
    }
    assert cluster.apply(foreign, namespace).returncode == 0
    apply(cluster, namespace)
    body = reaches(cluster, namespace, ("Unknown", "NameConflict"), seconds=10)
    assert "j-a1" in condition(body, "Stalled")["message"]
    kept = cluster.get("trainjob", "j-a1", namespace)
    assert kept
    assert "ownerReferences" not in kept["metadata"]
    cluster.kubectl("delete", "trainjob", "j-a1", namespace=namespace)
    reaches(cluster, namespace, ("Unknown", "Training"), seconds=20)


@pytest.mark.parametrize("trouble", ["image-error", "config-error"])
def test_pod_that_can_t_start_stalls_and_goes_on(cluster: Cluster, namespace: str, operator: Any, trouble: str) -> None:
    want = {"image-error": "ImagePullFailed", "config-error": "SecretNotFound"}[trouble]
    # the runtime's pods have no node until the cordon is lifted, so that the annotation comes first
    nodes = [
        node["metadata"]["name"] for node in json.loads(cluster.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    ]
    cluster.kubectl("cordon", *nodes)
    try:
        apply(cluster, namespace)
        pods = eventually(lambda: cluster.list("pods", namespace, "finetune.dev/job=j"), 20, "a pod")
        name = pods[0]["metadata"]["name"]
        body = eventually(
            lambda: "No node fits" in condition(cluster.get("ftj", "j", namespace), "Succeeded").get("message", ""), 15
        )
        cluster.kubectl("annotate", "pod", name, f"test.finetune.dev/outcome={trouble}", namespace=namespace)
    finally:
        cluster.kubectl("uncordon", *nodes)
    body = reaches(cluster, namespace, ("Unknown", want), seconds=15)
    assert condition(body, "Stalled")["status"] == "True"
    cluster.kubectl("annotate", "--overwrite", "pod", name, "test.finetune.dev/outcome=hold", namespace=namespace)
    reaches(cluster, namespace, ("Unknown", "Training"), seconds=20)


def test_deletion_leaves_nothing_also_without_the_operator(cluster: Cluster, namespace: str, operator: Any) -> None:
    apply(cluster, namespace)
    FakeTrainer.of(cluster, namespace, "j")
    operator.kill()
    cluster.kubectl("delete", "ftj", "j", "--timeout=10s", namespace=namespace)
    for kind in ("trainjobs", "configmaps", "persistentvolumeclaims", "pods"):

        def own(kind: str = kind) -> list[str]:
            return [o["metadata"]["name"] for o in cluster.list(kind, namespace, "finetune.dev/job=j")]

        eventually(lambda own=own: not own(), 20, f"no {kind} left")


def test_no_secret_value_leaves_its_secret(cluster: Cluster, namespace: str, operator: Any) -> None:
    value = "hunter2-is-not-to-be-seen"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub"}, "stringData": {"token": value}}
    assert cluster.apply(secret, namespace).returncode == 0
    apply(cluster, namespace, model={"source": "hf://owner/model", "secretRef": {"name": "hub"}})
    trainer = FakeTrainer.of(cluster, namespace, "j")
    assert trainer.result() == 200
    trainer.ends("succeed")
    reaches(cluster, namespace, ("True", "Completed"))
    env = trainer.pod["spec"]["containers"][0]["env"]
    assert {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}} in env
    for kind in ("ftj", "trainjobs", "jobsets", "jobs", "pods", "configmaps", "events"):
        assert value not in cluster.kubectl("get", kind, "-o", "yaml", namespace=namespace).stdout, kind
    assert value not in operator.log.read_text()
    denied = cluster.kubectl(
        "auth", "can-i", "get", "secrets", "--as=system:serviceaccount:finetune-system:finetune-operator",
        check=False, namespace=namespace,
    )  # fmt: skip
    assert denied.stdout.strip() == "no"


def test_operator_s_end_is_orderly(cluster: Cluster, namespace: str, operator: Any) -> None:
    assert operator.stop() == 0


def test_operator_needs_no_rights_it_has_not(cluster: Cluster, namespace: str, operator: Any) -> None:
    apply(cluster, namespace)
    trainer = FakeTrainer.of(cluster, namespace, "j")
    assert trainer.progress(1, 10, ["1.0"]) == 200
    assert trainer.result() == 200
    trainer.ends("succeed")
    reaches(cluster, namespace, ("True", "Completed"))
    lines = operator.log.read_text().lower().splitlines()
    # a namespace that is being deleted takes nothing any more: that is no missing right
    assert [line for line in lines if "forbidden" in line and "being terminated" not in line] == []
