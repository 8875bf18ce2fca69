"""FineTuneJob, `finetune.dev/v1alpha1`: the spec a user writes and the status the operator writes.

The committed definition in `crds/` is generated from these models; field docstrings become its descriptions.
"""

from typing import Annotated, Literal

from pydantic import Field

from finetune_operator.api.fields import (
    ApiModel,
    AsText,
    Json,
    SecretName,
    at_least,
    decimal,
    name_of,
    quantity,
    rule,
    rules,
)

GROUP = "finetune.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "FineTuneJob"
PLURAL = "finetunejobs"

DEFAULT_MODEL = "hf://Qwen/Qwen2.5-1.5B-Instruct"

_MODEL_SOURCE = r"^(hf://[A-Za-z0-9][-A-Za-z0-9._]*/[A-Za-z0-9][-A-Za-z0-9._]*|pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[-A-Za-z0-9._/]+)?|file:///[-A-Za-z0-9._/]+)$"
_DATA_SOURCE = r"^(pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-A-Za-z0-9._/]+|file:///[-A-Za-z0-9._/]+)$"


class SecretRef(ApiModel):
    """A Secret in the same namespace."""

    name: SecretName
    """Name of the Secret."""


class Model(ApiModel):
    """The base model."""

    source: Annotated[
        str,
        Field(
            max_length=512,
            json_schema_extra=rules(
                rule(
                    f"self.matches('{_MODEL_SOURCE}') && !self.contains('..')",
                    "`spec.model.source` must be hf://<owner>/<name>, pvc://<claim>/<path> or "
                    "file:///<path in the image>, without `..`",
                )
            ),
        ),
    ] = DEFAULT_MODEL
    """Where the base model is: `hf://owner/name`, `pvc://claim/path` or `file:///path` (in the trainer image)."""
    revision: Annotated[
        str | None,
        Field(
            max_length=128,
            json_schema_extra=rules(
                rule(
                    "self.matches('^[A-Za-z0-9][-A-Za-z0-9._/]*$') && !self.contains('..')",
                    "`spec.model.revision` must be a branch, tag or commit without `..`, for example a 40-digit hash",
                )
            ),
        ),
    ] = None
    """Branch, tag or commit of an `hf://` model. Pin a commit for runs that can be repeated."""
    secret_ref: SecretRef | None = None
    """Secret whose key `token` is the hub's access token (`hf://` only)."""


class DataSplit(ApiModel):
    """One file of samples."""

    source: Annotated[
        str,
        Field(
            max_length=512,
            json_schema_extra=rules(
                rule(
                    f"self.matches('{_DATA_SOURCE}') && !self.contains('..')",
                    "`spec.dataset.train.source` must be pvc://<claim>/<path of a .jsonl file> or "
                    "file:///<path in the image>, without `..`",
                )
            ),
        ),
    ]
    """JSON Lines with one `{"messages": [{"role", "content"}, …]}` per line: `pvc://claim/path` or `file:///path`."""


class Dataset(ApiModel):
    """What to learn from."""

    train: DataSplit
    """Training samples."""


class Training(ApiModel):
    """Hyperparameters. What is left out takes the algorithm's default, and `status.resolved` shows it."""

    effective_batch_size: Annotated[
        int | None, at_least("spec.training.effectiveBatchSize", 1, "samples per optimizer step over all processes")
    ] = None
    """Samples per optimizer step, over all processes."""
    max_tokens_per_gpu: Annotated[
        int | None,
        Field(alias="maxTokensPerGPU"),
        at_least(
            "spec.training.maxTokensPerGPU", 1, "halve it when memory runs out; the effective batch stays the same"
        ),
    ] = None
    """Tokens per process in one micro-batch: the memory knob."""
    max_seq_len: Annotated[
        int | None, at_least("spec.training.maxSeqLen", 1, "tokens of the longest sample that may be trained on")
    ] = None
    """Tokens of the longest sample."""
    num_epochs: Annotated[int | None, at_least("spec.training.numEpochs", 1, "how often each sample is seen")] = None
    """Passes over the data."""
    learning_rate: Annotated[
        str | None, decimal("spec.training.learningRate", 'write it quoted, for example "2e-5"', high="1")
    ] = None
    """Peak learning rate, quoted: `"2e-5"`."""
    warmup_steps: Annotated[
        int | None, at_least("spec.training.warmupSteps", 0, "optimizer steps until the peak learning rate")
    ] = None
    """Optimizer steps of linear warm-up."""
    seed: Annotated[int | None, at_least("spec.training.seed", 0, "the same seed gives the same order of samples")] = (
        None
    )
    """Seed of the order of samples and of dropout."""


class Osft(ApiModel):
    """Orthogonal subspace fine-tuning."""

    unfreeze_rank_ratio: Annotated[
        str | None,
        decimal(
            "spec.osft.unfreezeRankRatio", 'the share of each matrix that may change, for example "0.25"', high="1"
        ),
    ] = None
    """Share of each matrix's rank that may change, quoted: `"0.25"`. Smaller keeps more of what the model knows."""
    target_patterns: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=128)], ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Parts of parameter names to decompose; empty: every projection of attention and MLP."""


class Resources(ApiModel):
    """What each node of the training gets."""

    num_nodes: Annotated[int, at_least("spec.resources.numNodes", 1, "pods that train together")] = 1
    """Pods that train together."""
    gpus_per_node: Annotated[int, at_least("spec.resources.gpusPerNode", 0, "0 trains on the CPU")] = 1
    """Accelerators per pod; 0 trains on the CPU."""
    gpu_resource_name: Annotated[
        str,
        Field(
            max_length=128,
            json_schema_extra=rules(
                rule(
                    "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$')",
                    "`spec.resources.gpuResourceName` must be an extended resource, for example nvidia.com/gpu",
                )
            ),
        ),
    ] = "nvidia.com/gpu"
    """Extended resource that counts the accelerators."""
    cpu: Annotated[str | None, AsText, quantity("spec.resources.cpu", "4")] = None
    """CPU per pod: request and limit."""
    memory: Annotated[str | None, AsText, quantity("spec.resources.memory", "64Gi")] = None
    """Memory per pod: request and limit."""


class Storage(ApiModel):
    """The workspace: checkpoints, the final model, metrics and the loss chart."""

    claim_name: Annotated[str | None, name_of("spec.storage.claimName", "PersistentVolumeClaim")] = None
    """An existing claim. Left out: a claim `<name>-workspace` is made."""
    size: Annotated[str | None, AsText, quantity("spec.storage.size", "50Gi")] = None
    """Size of the claim to make; 20Gi where left out."""
    storage_class_name: Annotated[
        str | None, name_of("spec.storage.storageClassName", "StorageClass", "of the cluster")
    ] = None
    """Class of the claim to make; the cluster's default where left out."""
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany"] = "ReadWriteOnce"
    """Several nodes need ReadWriteMany."""
    retain: bool = False
    """Keep the made claim when the FineTuneJob is deleted."""


class Retry(ApiModel):
    """Patience."""

    pending_timeout_seconds: Annotated[
        int, at_least("spec.retry.pendingTimeoutSeconds", 10, "seconds to wait for something missing before failing")
    ] = 3600
    """How long a missing secret, claim, runtime or image may stay missing before the job fails."""


class RuntimeRef(ApiModel):
    """A ClusterTrainingRuntime that the operator's settings allow."""

    name: Annotated[str, name_of("spec.runtimeRef.name", "ClusterTrainingRuntime", "of the cluster")]
    """Name of the ClusterTrainingRuntime."""


class FineTuneJobSpec(ApiModel):
    """What to train, on what, with what."""

    algorithm: Literal["SFT", "OSFT"]
    """SFT: supervised fine-tuning of all weights. OSFT: the same within a subspace, so that earlier skills stay."""
    model: Model = Model()
    """The base model."""
    dataset: Dataset
    """What to learn from."""
    training: Training = Training()
    """Hyperparameters."""
    osft: Osft | None = None
    """Only with algorithm OSFT."""
    resources: Resources = Resources()
    """Per-node resources and number of nodes."""
    storage: Storage = Storage()
    """The workspace."""
    retry: Retry = Retry()
    """Patience with what is missing."""
    runtime_ref: RuntimeRef | None = None
    """Another runtime than the chart's own."""


RUN_DEFINING = ("algorithm", "model", "dataset", "training", "osft", "resources", "storage", "runtimeRef")
"""What a run is made of can't change under it. `retry` may."""


def _immutable(field: str) -> Json:
    """`field` of spec keeps its value, or its absence."""
    return rule(
        f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})",
        f"`spec.{field}` defines the run and can't change: create another FineTuneJob",
        at=f".{field}",
    )


SPEC_RULES = (
    rule(
        "self.algorithm == 'OSFT' || !has(self.osft)",
        "`spec.osft` only goes with algorithm OSFT: remove it, or set `spec.algorithm: OSFT`",
        at=".osft",
    ),
    rule(
        "!has(self.model.revision) || self.model.source.startsWith('hf://')",
        "`spec.model.revision` only goes with an hf:// source: remove it",
        at=".model.revision",
    ),
    rule(
        "!has(self.model.secretRef) || self.model.source.startsWith('hf://')",
        "`spec.model.secretRef` only goes with an hf:// source: remove it",
        at=".model.secretRef",
    ),
    rule(
        "!has(self.storage.claimName) || (!has(self.storage.size) && !has(self.storage.storageClassName))",
        "`spec.storage.claimName` names an existing claim: remove `size` and `storageClassName`",
        at=".storage.claimName",
    ),
    rule(
        "self.resources.numNodes == 1 || has(self.storage.claimName) || self.storage.accessMode == 'ReadWriteMany'",
        "`spec.resources.numNodes` above 1 needs a workspace that several nodes can mount: "
        "set `spec.storage.accessMode: ReadWriteMany`",
        at=".resources.numNodes",
    ),
    *map(_immutable, RUN_DEFINING),
)
"""Rules across fields, and immutability of what defines the run."""

NAME_RULE = rule(
    "self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    "`metadata.name` must be at most 40 characters of lower-case letters, digits and `-`, "
    "start with a letter and not end with `-`: pods and services are named after it",
    at=".metadata.name",
)
