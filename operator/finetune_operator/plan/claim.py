"""The workspace claim."""

from typing import Any

from finetune_operator.plan import names
from finetune_operator.plan.job import FineTuneJob

DEFAULT_SIZE = "20Gi"


def workspace_claim(job: FineTuneJob) -> dict[str, Any] | None:
    """The claim to make, or None where spec names an existing one."""
    storage = job.spec.storage
    if storage.claim_name:
        return None
    spec: dict[str, Any] = {
        "accessModes": [storage.access_mode],
        "resources": {"requests": {"storage": storage.size or DEFAULT_SIZE}},
    }
    if storage.storage_class_name:
        spec["storageClassName"] = storage.storage_class_name
    metadata: dict[str, Any] = {
        "name": names.workspace(job.name),
        "namespace": job.namespace,
        "labels": names.labels(job.name, job.uid),
    }
    if not storage.retain:
        metadata["ownerReferences"] = [job.owner_reference]
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def workspace_name(job: FineTuneJob) -> str:
    """The claim that holds the run's directory."""
    return job.spec.storage.claim_name or names.workspace(job.name)
