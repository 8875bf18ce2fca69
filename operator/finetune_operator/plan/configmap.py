"""ConfigMaps of a job."""

from typing import Any

from finetune_contract import paths
from finetune_contract.config import TrainConfig
from finetune_operator.plan import names
from finetune_operator.plan.job import FineTuneJob


def config_map(job: FineTuneJob, config: TrainConfig) -> dict[str, Any]:
    """config.json of one attempt; immutable, so what a pod has read is what stands here."""
    attempt = config.job.attempt
    return {
        **_config_map(job, names.train_config(job.name, attempt), {names.ATTEMPT_LABEL: str(attempt)}),
        "immutable": True,
        "data": {paths.CONFIG_FILE.name: config.to_json()},
    }


def ca_config_map(job: FineTuneJob, ca_pem: str) -> dict[str, Any]:
    """The endpoint's authority; mutable and apart, because it is renewed while jobs run."""
    return {**_config_map(job, names.endpoint_ca(job.name), {}), "data": {paths.CA_FILE.name: ca_pem}}


def _config_map(job: FineTuneJob, name: str, labels: dict[str, str]) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": job.namespace,
        "labels": {**names.labels(job.name, job.uid), **labels},
        "ownerReferences": [job.owner_reference],
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
