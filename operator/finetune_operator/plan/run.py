"""Identity of a run, and the Train stage's configuration."""

import hashlib
import json

from finetune_contract import paths
from finetune_contract.config import (
    SCHEMA_VERSION,
    DataSource,
    Distribution,
    JobRef,
    ModelSource,
    ReportTarget,
    TrainConfig,
)
from finetune_operator.api.status import Resolved
from finetune_operator.plan import sources
from finetune_operator.plan.job import FineTuneJob
from finetune_operator.plan.resolve import osft_values, training_values

SEMANTICS_VERSION = 1
"""Raised when the same values come to mean another training."""


def run_id(job: FineTuneJob, resolved: Resolved) -> str:
    """Digest of what defines the run, after the job's name.

    The job's uid is part of it as long as nothing has read the data: two jobs with the same words may train on
    different
    bytes, so a run belongs to one object.
    """
    identity = {
        "semanticsVersion": SEMANTICS_VERSION,
        "schemaVersion": SCHEMA_VERSION,
        "uid": job.uid,
        "algorithm": job.spec.algorithm,
        "model": [job.spec.model.source, job.spec.model.revision],
        "data": job.spec.dataset.train.source,
        "resolved": resolved.model_dump(mode="json", exclude={"num_proc_per_node"}),
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return f"{job.name}-{digest[:12]}"


def train_config(job: FineTuneJob, resolved: Resolved, attempt: int, report_url: str) -> TrainConfig:
    """`config.json` of one attempt."""
    spec, run = job.spec, run_id(job, resolved)
    model, data = sources.parse(spec.model.source), sources.parse(spec.dataset.train.source)
    if data.path is None:
        raise ValueError(f"`spec.dataset.train.source` {data.uri} has no path in the pod")
    return TrainConfig(
        job=JobRef(namespace=job.namespace, name=job.name, uid=job.uid, attempt=attempt),
        run_id=run,
        run_dir=str(paths.run_dir(run)),
        algorithm=spec.algorithm,
        backend=resolved.backend,
        model=ModelSource(uri=model.uri, path=model.path, revision=spec.model.revision),
        dataset=DataSource(uri=data.uri, path=data.path),
        training=training_values(resolved),
        osft=osft_values(resolved),
        distribution=Distribution(
            num_nodes=spec.resources.num_nodes,
            num_proc_per_node=resolved.num_proc_per_node,
            accelerator="GPU" if spec.resources.gpus_per_node else "CPU",
        ),
        report=ReportTarget(url=report_url),
    )
