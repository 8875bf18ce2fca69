"""`config.json`: everything a stage needs to know, resolved. Secrets never pass here: they arrive as environment
variables.
"""

from typing import Annotated, Literal

from pydantic import Field

from finetune_contract.base import ContractModel, RunId

SCHEMA_VERSION: Literal[1] = 1
ATTEMPTS = 1000
"""Highest number of an attempt, here and in what is reported."""

Algorithm = Literal["SFT", "OSFT"]
Backend = Literal["InstructLabTraining", "MiniTrainer"]


class JobRef(ContractModel):
    """The FineTuneJob this stage belongs to."""

    namespace: str
    name: str
    uid: str
    attempt: Annotated[int, Field(ge=1, le=ATTEMPTS)]


class ModelSource(ContractModel):
    """The base model. `uri` is what the user wrote; `path` is set when the operator has mounted it (`pvc://`, `file://`),
    and unset when the trainer has to fetch it (`hf://`).
    """

    uri: str
    path: str | None = None
    revision: str | None = None


class DataSource(ContractModel):
    """One JSON Lines file of chat samples: `{"messages": [{"role": …, "content": …}, …]}` per line."""

    uri: str
    path: str


class TrainingValues(ContractModel):
    """Hyperparameters as used: nothing is left to an engine's own default."""

    effective_batch_size: Annotated[int, Field(ge=1)]
    """Samples per optimizer step, over all processes."""
    max_tokens_per_gpu: Annotated[int, Field(ge=1)]
    """Tokens per process and micro-batch: the memory knob."""
    max_seq_len: Annotated[int, Field(ge=1)]
    """Tokens; a longer sample is an error that names its row."""
    num_epochs: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]
    warmup_steps: Annotated[int, Field(ge=0)]
    seed: Annotated[int, Field(ge=0)]


class OsftValues(ContractModel):
    """Orthogonal subspace fine-tuning: how much of each matrix may change, and which matrices."""

    unfreeze_rank_ratio: Annotated[float, Field(gt=0, le=1)]
    target_patterns: tuple[str, ...] = ()
    """Parameter-name patterns; empty: every linear projection of attention and MLP (decided by the trainer from the
    model,
    never from its path as the engine would)."""


class Distribution(ContractModel):
    """Shape of the run; each node's own rank comes from Trainer's `PET_*` environment."""

    num_nodes: Annotated[int, Field(ge=1)]
    num_proc_per_node: Annotated[int, Field(ge=1)]
    accelerator: Literal["CPU", "GPU"]


class ReportTarget(ContractModel):
    """Where progress and result are posted: `<url>/progress` and `<url>/result`."""

    url: str
    interval_seconds: Annotated[float, Field(gt=0)] = 2.0
    """Shortest time between two progress posts."""


class TrainConfig(ContractModel):
    """Configuration of the Train stage."""

    schema_version: Literal[1] = SCHEMA_VERSION
    job: JobRef
    run_id: RunId
    run_dir: str
    algorithm: Algorithm
    backend: Backend
    model: ModelSource
    dataset: DataSource
    training: TrainingValues
    osft: OsftValues | None = None
    distribution: Distribution
    report: ReportTarget | None = None
    """None: report nowhere (a run outside a cluster)."""
