"""What a real API server accepts and refuses, in the words that a user of kubectl reads."""

import copy
import json
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from support.kube import Cluster, Json

ABSENT = object()
"""In a change: the key is left out."""


class Kubectl:
    """kubectl in the tests' namespace; every answer comes back, refused or not."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    def __call__(self, *arguments: str, manifest: Json | str | None = None) -> subprocess.CompletedProcess[str]:
        text = manifest if isinstance(manifest, str | None) else json.dumps(manifest)
        return self._cluster.kubectl(*arguments, input=text, check=False, namespace=self._namespace)

    def done(self, *arguments: str, manifest: Json | str | None = None) -> str:
        """Its output.

        Raises:
            AssertionError: it failed.

        """
        answer = self(*arguments, manifest=manifest)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def refusal(self, *arguments: str, manifest: Json | str | None = None) -> str:
        """Its error, in one line.

        Raises:
            AssertionError: it succeeded.

        """
        answer = self(*arguments, manifest=manifest)
        assert answer.returncode != 0, f"accepted: {answer.stdout}"
        return " ".join(answer.stderr.split())


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Iterator[Kubectl]:
    """In a namespace of this module's own."""
    namespace = f"api-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", namespace)
    yield Kubectl(cluster, namespace)
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def changed(base: Json, change: Json) -> Json:
    """`base` with `change` merged in."""
    out = copy.copy(base)
    for key, value in change.items():
        if value is ABSENT:
            out.pop(key, None)
        elif isinstance(value, dict):
            out[key] = changed(out.get(key, {}), value)
        else:
            out[key] = value
    return out


def job(name: str = "probe", **spec: Any) -> Json:
    """The smallest FineTuneJob, with `spec` merged in."""
    minimal = {"algorithm": "SFT", "dataset": {"train": {"source": "pvc://data/train.jsonl"}}}
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": name},
        "spec": changed(minimal, spec),
    }


def training(**values: Any) -> Json:
    return job(training=values)


def osft(**values: Any) -> Json:
    return job(algorithm="OSFT", osft=values)


def model(**values: Any) -> Json:
    return job(model=values)


def resources(**values: Any) -> Json:
    return job(resources=values)


def storage(**values: Any) -> Json:
    return job(storage=values)


def dataset(source: str) -> Json:
    return job(dataset={"train": {"source": source}})


ACCEPTED = {
    "the smallest job": job(),
    "a name of 40 characters": job("a" * 40),
    "a name with digits and dashes": job("a1-b2"),
    "OSFT with its options": osft(unfreezeRankRatio="0.25", targetPatterns=["q_proj"]),
    "OSFT without options": job(algorithm="OSFT"),
    "an absent member as null": job(osft=None),
    "learning rate 2e-5": training(learningRate="2e-5"),
    "learning rate 1": training(learningRate="1"),
    "learning rate 0.00002": training(learningRate="0.00002"),
    "every hyperparameter": training(
        effectiveBatchSize=128,
        maxTokensPerGPU=10000,
        maxSeqLen=8192,
        numEpochs=1,
        learningRate="5E-6",
        warmupSteps=0,
        seed=0,
    ),
    "a hub model with revision and token": model(
        source="hf://a/b.c-1", revision="refs/pr/1", secretRef={"name": "hub"}
    ),
    "a model in a claim": model(source="pvc://models/base/qwen"),
    "a claim that is a model": model(source="pvc://qwen"),
    "a model in the image": model(source="file:///models/tiny"),
    "data in the image": dataset("file:///data/train.jsonl"),
    "CPU only, quantities quoted": resources(gpusPerNode=0, cpu="1500m", memory="3Gi"),
    "unquoted quantities": resources(cpu=4, memory=8_000_000_000),
    "another accelerator": resources(gpuResourceName="amd.com/gpu", gpusPerNode=8),
    "a slice of an accelerator": resources(gpuResourceName="nvidia.com/mig-1g.5gb"),
    "several nodes with ReadWriteMany": job(resources={"numNodes": 2}, storage={"accessMode": "ReadWriteMany"}),
    "several nodes with the user's claim": job(resources={"numNodes": 2}, storage={"claimName": "mine"}),
    "a claim to make": storage(size="50Gi", storageClassName="fast", retain=True),
    "another runtime": job(runtimeRef={"name": "torch-b200"}),
    "less patience": job(retry={"pendingTimeoutSeconds": 10}),
}

SOURCE = ("spec.model.source", "`spec.model.source` must be hf://<owner>/<name>, pvc://<claim>/<path> or file:///")
DATA = (
    "spec.dataset.train.source",
    "`spec.dataset.train.source` must be pvc://<claim>/<path of a .jsonl file> or file://",
)
RATE = (
    "spec.training.learningRate",
    "must be a decimal number in quotes, greater than 0 and at most 1",
    'example "2e-5"',
)
NAME = (
    "metadata.name: Forbidden: `metadata.name` must be at most 40 characters of lower-case letters, digits and `-`",
)

REFUSED = {
    "an unknown algorithm": (job(algorithm="PPO"), ("spec.algorithm", 'Unsupported value: "PPO"', '"SFT", "OSFT"')),
    "no algorithm": (job(algorithm=ABSENT), ("spec.algorithm: Required value",)),
    "no data": (job(dataset=ABSENT), ("spec.dataset: Required value",)),
    "no spec": ({**job(), "spec": None}, ("spec: Required value",)),
    "an unknown field": (training(numEpoch=3), ('unknown field "spec.training.numEpoch"',)),
    "an unknown member of spec": (job(trainer={}), ('unknown field "spec.trainer"',)),
    "a name of 41 characters": (job("a" * 41), NAME),
    "a name that starts with a digit": (job("1abc"), NAME),
    "a name with a dot": (job("a.b"), NAME),
    "OSFT's options with SFT": (
        job(osft={"unfreezeRankRatio": "0.5"}),
        ("spec.osft: Forbidden: `spec.osft` only goes with algorithm OSFT: remove it, or set `spec.algorithm: OSFT`",),
    ),
    "OSFT's empty options with SFT": (job(osft={}), ("spec.osft: Forbidden", "remove it")),
    "a learning rate of text": (training(learningRate="fast"), RATE),
    "a learning rate of nan": (training(learningRate="nan"), RATE),
    "a learning rate of Infinity": (training(learningRate="Infinity"), RATE),
    "a learning rate of 1e400": (training(learningRate="1e400"), RATE),
    "a learning rate of zero": (training(learningRate="0.0"), RATE),
    "a learning rate that underflows to zero": (training(learningRate="0." + "0" * 26 + "e-99"), RATE),
    "a negative learning rate": (training(learningRate="-1e-5"), RATE),
    "a learning rate above 1": (training(learningRate="2"), RATE),
    "a learning rate with a line break": (training(learningRate="1e-5\n"), RATE),
    "an unquoted learning rate": (
        training(learningRate=2e-5),
        ("spec.training.learningRate", "must be of type string"),
    ),
    "negative epochs": (
        training(numEpochs=-1),
        ("spec.training.numEpochs", "`spec.training.numEpochs` must be at least 1: how often each sample is seen"),
    ),
    "zero epochs": (training(numEpochs=0), ("`spec.training.numEpochs` must be at least 1",)),
    "half an epoch": (training(numEpochs=0.5), ("spec.training.numEpochs", "must be of type integer")),
    "more epochs than an int32": (training(numEpochs=2**31), ("`spec.training.numEpochs` must be at most 2147483647",)),
    "a batch of none": (training(effectiveBatchSize=0), ("`spec.training.effectiveBatchSize` must be at least 1",)),
    "no tokens": (training(maxTokensPerGPU=0), ("`spec.training.maxTokensPerGPU` must be at least 1: halve it when",)),
    "no sequence": (training(maxSeqLen=0), ("`spec.training.maxSeqLen` must be at least 1",)),
    "negative warm-up": (training(warmupSteps=-1), ("`spec.training.warmupSteps` must be at least 0",)),
    "a negative seed": (training(seed=-1), ("`spec.training.seed` must be at least 0",)),
    "a rank ratio above 1": (
        osft(unfreezeRankRatio="1.5"),
        ("`spec.osft.unfreezeRankRatio` must be a decimal number in quotes, greater than 0 and at most 1", '"0.25"'),
    ),
    "too many patterns": (osft(targetPatterns=["a"] * 65), ("spec.osft.targetPatterns", "must have at most 64 items")),
    "an empty pattern": (osft(targetPatterns=[""]), ("spec.osft.targetPatterns[0]", "at least 1")),
    "a model by http": (model(source="http://example.com/model"), SOURCE),
    "a model without scheme": (model(source="Qwen/Qwen2.5-1.5B-Instruct"), SOURCE),
    "a model outside its claim": (model(source="pvc://models/../other"), (*SOURCE, "without `..`")),
    "a model outside the hub": (model(source="hf://../x"), SOURCE),
    "a hub model without owner": (model(source="hf://gpt2"), SOURCE),
    "a relative file": (model(source="file://models/tiny"), SOURCE),
    "a model with a query": (model(source="pvc://models/a?b"), SOURCE),
    "a model of 513 characters": (model(source="pvc://m/" + "a" * 505), ("spec.model.source", "512")),
    "a revision that climbs": (model(revision="a/../b"), ("`spec.model.revision` must be a branch, tag or commit",)),
    "a revision that is an option": (
        model(revision="--help"),
        ("`spec.model.revision` must be a branch, tag or commit",),
    ),
    "a revision of a claim": (
        model(source="pvc://m/x", revision="main"),
        ("spec.model.revision: Forbidden: `spec.model.revision` only goes with an hf:// source: remove it",),
    ),
    "a token for a claim": (
        model(source="pvc://m/x", secretRef={"name": "hub"}),
        ("spec.model.secretRef: Forbidden: `spec.model.secretRef` only goes with an hf:// source: remove it",),
    ),
    "a Secret of another namespace": (
        model(secretRef={"name": "other/hub"}),
        ("spec.model.secretRef.name", "must be the name of a Secret in the same namespace"),
    ),
    "data from the hub": (dataset("hf://a/b"), DATA),
    "data that is a whole claim": (dataset("pvc://data"), DATA),
    "data outside its claim": (dataset("pvc://data/../../etc/passwd"), (*DATA, "without `..`")),
    "no nodes": (resources(numNodes=0), ("`spec.resources.numNodes` must be at least 1: pods that train together",)),
    "nodes as text": (resources(numNodes="2"), ("spec.resources.numNodes", "must be of type integer")),
    "negative GPUs": (
        resources(gpusPerNode=-1),
        ("`spec.resources.gpusPerNode` must be at least 0: 0 trains on the CPU",),
    ),
    "an accelerator without domain": (
        resources(gpuResourceName="gpu"),
        ("`spec.resources.gpuResourceName` must be an extended resource, for example nvidia.com/gpu",),
    ),
    "CPU in words": (
        resources(cpu="4 cores"),
        ("spec.resources.cpu", '`spec.resources.cpu` must be a positive Kubernetes quantity, for example "4"'),
    ),
    "no CPU": (resources(cpu=0), ("`spec.resources.cpu` must be a positive Kubernetes quantity",)),
    "memory in GB": (resources(memory="8GB"), ("`spec.resources.memory` must be a positive", 'for example "64Gi"')),
    "negative memory": (resources(memory="-8Gi"), ("`spec.resources.memory` must be a positive",)),
    "several nodes with ReadWriteOnce": (
        resources(numNodes=2),
        (
            "spec.resources.numNodes: Forbidden: `spec.resources.numNodes` above 1 needs a workspace that several "
            "nodes can mount: set `spec.storage.accessMode: ReadWriteMany`",
        ),
    ),
    "a size for the user's claim": (
        storage(claimName="mine", size="1Gi"),
        ("spec.storage.claimName: Forbidden", "names an existing claim: remove `size` and `storageClassName`"),
    ),
    "an unknown access mode": (storage(accessMode="ReadWriteOncePod"), ("spec.storage.accessMode", '"ReadWriteMany"')),
    "a claim that can't exist": (storage(claimName="My_Claim"), ("must be the name of a PersistentVolumeClaim",)),
    "no patience": (
        job(retry={"pendingTimeoutSeconds": 9}),
        ("`spec.retry.pendingTimeoutSeconds` must be at least 10",),
    ),
    "a runtime that can't exist": (
        job(runtimeRef={"name": "../x"}),
        ("`spec.runtimeRef.name` must be the name of a ClusterTrainingRuntime of the cluster",),
    ),
}


@pytest.mark.parametrize("manifest", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(kubectl: Kubectl, manifest: Json) -> None:
    kubectl.done("create", "--dry-run=server", "--validate=strict", "-f", "-", manifest=manifest)


@pytest.mark.parametrize(("manifest", "texts"), REFUSED.values(), ids=REFUSED)
def test_refused_with_field_and_remedy(kubectl: Kubectl, manifest: Json, texts: tuple[str, ...]) -> None:
    error = kubectl.refusal("create", "--dry-run=server", "--validate=strict", "-f", "-", manifest=manifest)
    assert [text for text in texts if text not in error] == [], error
    assert "compilation failed" not in error
    assert "evaluation" not in error


def test_plain_apply_refuses_unknown_fields(kubectl: Kubectl) -> None:
    """Strict validation is kubectl's default: nobody has to ask for it."""
    error = kubectl.refusal("apply", "-f", "-", manifest=job("strict", algoritm="SFT"))
    assert 'unknown field "spec.algoritm"' in error


def test_unquoted_learning_rate_as_people_write_it(kubectl: Kubectl) -> None:
    text = yaml.safe_dump(training(learningRate="RATE")).replace("RATE", "2e-5")
    assert "learningRate: 2e-5" in text
    error = kubectl.refusal("apply", "-f", "-", manifest=text)
    assert "spec.training.learningRate in body must be of type string" in error


def test_defaults_are_filled_in(kubectl: Kubectl) -> None:
    spec = json.loads(kubectl.done("create", "-o", "json", "-f", "-", manifest=job("defaults")))["spec"]
    assert spec == {
        "algorithm": "SFT",
        "dataset": {"train": {"source": "pvc://data/train.jsonl"}},
        "model": {"source": "hf://Qwen/Qwen2.5-1.5B-Instruct"},
        "training": {},
        "resources": {"numNodes": 1, "gpusPerNode": 1, "gpuResourceName": "nvidia.com/gpu"},
        "storage": {"accessMode": "ReadWriteOnce", "retain": False},
        "retry": {"pendingTimeoutSeconds": 3600},
    }


CHANGES = {
    "algorithm": {"algorithm": "SFT", "osft": None},
    "model": {"model": {"source": "pvc://other/model"}},
    "dataset": {"dataset": {"train": {"source": "pvc://data/other.jsonl"}}},
    "training": {"training": {"numEpochs": 2}},
    "osft": {"osft": {"unfreezeRankRatio": "0.5"}},
    "resources": {"resources": {"memory": "8Gi"}},
    "storage": {"storage": {"retain": True}},
    "runtimeRef": {"runtimeRef": {"name": "other"}},
}


@pytest.fixture(scope="module")
def running(kubectl: Kubectl) -> str:
    kubectl.done(
        "create", "-f", "-", manifest=changed(osft(unfreezeRankRatio="0.25"), {"metadata": {"name": "running"}})
    )
    return "ftj/running"


@pytest.mark.parametrize("field", CHANGES)
def test_what_defines_the_run_is_immutable(kubectl: Kubectl, running: str, field: str) -> None:
    error = kubectl.refusal("patch", running, "--type=merge", "-p", json.dumps({"spec": CHANGES[field]}))
    assert (
        f"spec.{field}: Forbidden: `spec.{field}` defines the run and can't change: create another FineTuneJob" in error
    )


def test_an_optional_member_can_not_be_taken_away(kubectl: Kubectl, running: str) -> None:
    error = kubectl.refusal("patch", running, "--type=merge", "-p", '{"spec": {"osft": null}}')
    assert "`spec.osft` defines the run and can't change" in error


def test_retry_and_metadata_may_change(kubectl: Kubectl, running: str) -> None:
    kubectl.done("patch", running, "--type=merge", "-p", '{"spec": {"retry": {"pendingTimeoutSeconds": 60}}}')
    kubectl.done("label", running, "team=research")


TIME = "2026-01-01T00:00:00Z"
STATUS = {
    "observedGeneration": 1,
    "conditions": [
        {"type": "Prepared", "status": "True", "reason": "Prepared", "lastTransitionTime": TIME},
        {"type": "Succeeded", "status": "Unknown", "reason": "Training", "lastTransitionTime": TIME},
    ],
    "progress": {
        "step": 42,
        "totalSteps": 100,
        "percentage": 42,
        "summary": "42%",
        "loss": "0.0",
        "remaining": "1m20s",
    },
    "metrics": {"loss": "0.0"},
    "attempts": [{"number": 1, "trainJob": "columns-a1"}, {"number": 2, "trainJob": "columns-a2"}],
}


def test_columns(kubectl: Kubectl) -> None:
    def row(*options: str) -> dict[str, str]:
        head, line = kubectl.done("get", "ftj", "columns", *options).splitlines()
        return dict(zip(head.split(), line.split(), strict=True))

    kubectl.done("create", "-f", "-", manifest=job("columns"))
    patch = json.dumps({"status": STATUS})
    kubectl.done("patch", "ftj/columns", "--subresource=status", "--type=merge", "-p", patch)
    narrow = {"NAME": "columns", "STATE": "Training", "PROGRESS": "42%", "LOSS": "0.0", "ETA": "1m20s"}
    shown = row()
    assert shown.pop("AGE")
    assert shown == narrow
    wide = row("-o", "wide")
    assert wide.pop("AGE")
    assert wide == narrow | {"ALGORITHM": "SFT", "NODES": "1", "ATTEMPT": "2", "TRAINJOB": "columns-a2"}


def test_status_is_written_through_its_subresource_only(kubectl: Kubectl) -> None:
    manifest = {**job("forged"), "status": STATUS}
    assert "status" not in json.loads(kubectl.done("create", "-o", "json", "-f", "-", manifest=manifest))


def test_wait_reads_the_summary_condition(kubectl: Kubectl) -> None:
    kubectl.done("create", "-f", "-", manifest=job("waited"))
    condition = {"type": "Succeeded", "status": "True", "reason": "Completed", "lastTransitionTime": TIME}
    patch = json.dumps({"status": {"conditions": [condition]}})
    kubectl.done("patch", "ftj/waited", "--subresource=status", "--type=merge", "-p", patch)
    kubectl.done("wait", "--for=condition=Succeeded", "--timeout=5s", "ftj/waited")


def test_short_name_and_category(kubectl: Kubectl) -> None:
    listed = kubectl.done("api-resources", "--api-group=finetune.dev", "--categories=training", "--no-headers")
    assert listed.split()[:2] == ["finetunejobs", "ftj"]


@pytest.mark.parametrize(
    "field", ["spec", "spec.training.learningRate", "spec.resources", "status.progress", "status.attempts"]
)
def test_explain_describes_every_field(kubectl: Kubectl, field: str) -> None:
    assert "<no description>" not in kubectl.done("explain", f"finetunejob.{field}", "--recursive=false")
