"""The TrainJob of one attempt, for Kubeflow Trainer 2.2 and later (`runtimePatches`)."""

from typing import Any

from kubeflow_trainer_api.models import TrainerV1alpha1TrainJob

from finetune_contract import paths
from finetune_operator.api.audience import audience
from finetune_operator.api.status import Resolved
from finetune_operator.plan import names, sources
from finetune_operator.plan.claim import workspace_name
from finetune_operator.plan.job import FineTuneJob

CONTAINER = "node"
"""Replicated job and container that Trainer looks for."""
TOKEN_SECONDS = 3600
HUB_TOKEN_KEY = "token"  # noqa: S105  # the key's name


def train_job(job: FineTuneJob, resolved: Resolved, attempt: int, runtime: str) -> dict[str, Any]:
    """The TrainJob to create; `suspend` and `managedBy` stay unset, because queue managers own them."""
    resources = job.spec.resources
    trainer: dict[str, Any] = {
        "numNodes": resources.num_nodes,
        # never left to Trainer: it would count CPUs where a resource's name does not contain "gpu"
        "numProcPerNode": resolved.num_proc_per_node,
    }
    if per_node := _resources(job):
        trainer["resourcesPerNode"] = per_node
    if job.spec.model.secret_ref:
        reference = {"name": job.spec.model.secret_ref.name, "key": HUB_TOKEN_KEY}
        trainer["env"] = [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": reference}}]
    manifest = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {
            "name": names.train_job(job.name, attempt),
            "namespace": job.namespace,
            "labels": _labels(job, attempt),
            "ownerReferences": [job.owner_reference],
        },
        "spec": {
            "runtimeRef": {"name": runtime, "kind": "ClusterTrainingRuntime", "apiGroup": "trainer.kubeflow.org"},
            "trainer": trainer,
            "runtimePatches": [_patch(job, attempt)],
        },
    }
    typed = TrainerV1alpha1TrainJob.from_dict(manifest)
    if typed is None:
        raise TypeError("a TrainJob manifest can't be empty")
    body: dict[str, Any] = typed.to_dict()
    return body


def _labels(job: FineTuneJob, attempt: int) -> dict[str, str]:
    return {**names.labels(job.name, job.uid), names.ATTEMPT_LABEL: str(attempt), names.STAGE_LABEL: "train"}


def _resources(job: FineTuneJob) -> dict[str, dict[str, str]]:
    """Requests equal limits: a training that is throttled or evicted half-way helps nobody."""
    wanted = job.spec.resources
    amounts = {
        name: value
        for name, value in (
            ("cpu", wanted.cpu),
            ("memory", wanted.memory),
            (wanted.gpu_resource_name, str(wanted.gpus_per_node) if wanted.gpus_per_node else None),
        )
        if value
    }
    return {"requests": amounts, "limits": amounts} if amounts else {}


def _patch(job: FineTuneJob, attempt: int) -> dict[str, Any]:
    volumes, mounts = _volumes(job, attempt)
    pod = {
        "metadata": {"labels": _labels(job, attempt)},
        "spec": {"volumes": volumes, "containers": [{"name": CONTAINER, "volumeMounts": mounts}]},
    }
    replicated = {"name": CONTAINER, "template": {"spec": {"template": pod}}}
    return {
        "manager": names.RUNTIME_PATCH_MANAGER,
        "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [replicated]}}},
    }


def _volumes(job: FineTuneJob, attempt: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    token = {
        "audience": audience(job.namespace, job.name, job.uid),
        "expirationSeconds": TOKEN_SECONDS,
        "path": paths.TOKEN_FILE.name,
    }
    entries: list[tuple[str, dict[str, Any], str, bool]] = [
        ("workspace", {"persistentVolumeClaim": {"claimName": workspace_name(job)}}, str(paths.WORKSPACE), False),
        (
            "finetune-config",
            {"configMap": {"name": names.train_config(job.name, attempt)}},
            str(paths.CONFIG_DIR),
            True,
        ),
        ("finetune-ca", {"configMap": {"name": names.endpoint_ca(job.name)}}, str(paths.CA_DIR), True),
        ("finetune-token", {"projected": {"sources": [{"serviceAccountToken": token}]}}, str(paths.TOKEN_DIR), True),
    ]
    for number, claim in enumerate(source_claims(job)):
        volume = {"persistentVolumeClaim": {"claimName": claim}}
        entries.append((f"source-{number}", volume, str(paths.SOURCES / claim), True))
    volumes = [{"name": name, **source} for name, source, _, _ in entries]
    mounts = [
        {"name": name, "mountPath": path} | ({"readOnly": True} if read_only else {})
        for name, _, path, read_only in entries
    ]
    return volumes, mounts


def source_claims(job: FineTuneJob) -> tuple[str, ...]:
    """Claims that spec's sources name, in order, each once."""
    named = (sources.parse(uri).claim for uri in (job.spec.model.source, job.spec.dataset.train.source))
    return tuple(dict.fromkeys(claim for claim in named if claim))
