"""The status the operator writes. Decimals are text, as in spec: `0.0` and `NaN` survive."""

from typing import Annotated, Literal

from pydantic import Field

from finetune_operator.api.fields import ApiModel

Int = Annotated[int, Field(json_schema_extra={"format": "int64"})]
Text = Annotated[str, Field(max_length=1024)]
Word = Annotated[str, Field(max_length=253)]
Decimal = Annotated[str, Field(max_length=32)]
Time = Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]


class Condition(ApiModel):
    """`metav1.Condition`."""

    type: Annotated[str, Field(max_length=64)]
    status: Literal["True", "False", "Unknown"]
    observed_generation: Int | None = None
    last_transition_time: Time
    reason: Annotated[str, Field(max_length=64)]
    message: Text = ""


class ResolvedOsft(ApiModel):
    """OSFT values as used."""

    unfreeze_rank_ratio: Decimal
    target_patterns: Annotated[
        tuple[Annotated[str, Field(max_length=128)], ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()


class Resolved(ApiModel):
    """Every hyperparameter as used, so that nobody has to guess."""

    backend: Literal["InstructLabTraining", "MiniTrainer"]
    effective_batch_size: Int
    max_tokens_per_gpu: Annotated[Int, Field(alias="maxTokensPerGPU")]
    max_seq_len: Int
    num_epochs: Int
    learning_rate: Decimal
    warmup_steps: Int
    seed: Int
    num_proc_per_node: Int
    osft: ResolvedOsft | None = None


class Progress(ApiModel):
    """How far the training is."""

    step: Int = 0
    total_steps: Int = 0
    epoch: Decimal | None = None
    percentage: Int = 0
    estimated_remaining_seconds: Int | None = None
    summary: Annotated[str | None, Field(max_length=16)] = None
    """`percentage` for people: `42%`."""
    remaining: Annotated[str | None, Field(max_length=16)] = None
    """`estimatedRemainingSeconds` for people: `1m20s`."""
    tokens_per_second: Decimal | None = None
    phase: Annotated[str | None, Field(max_length=64)] = None
    """What the stage is doing now: `loading model`, `training`, `verifying`."""
    last_updated_time: Time | None = None


class Metrics(ApiModel):
    """Latest values, exactly as the engine logged them."""

    loss: Decimal | None = None
    learning_rate: Decimal | None = None
    grad_norm: Decimal | None = None


class HistoryPoint(ApiModel):
    """Loss of one optimizer step."""

    step: Int
    loss: Decimal


class Attempt(ApiModel):
    """One TrainJob."""

    number: Int
    train_job: Word
    reason: Annotated[str | None, Field(max_length=64)] = None
    message: Text | None = None
    exit_code: Int | None = None
    steps_done: Int | None = None
    steps_planned: Int | None = None
    started: Time | None = None
    finished: Time | None = None


class OutputModel(ApiModel):
    """The trained model."""

    uri: Annotated[str, Field(max_length=512)]
    digest: Annotated[str, Field(max_length=80)]
    kind: Literal["Full", "Adapter", "Merged"]
    bytes: Int | None = None
    parameters: Int | None = None


class Output(ApiModel):
    """What the job made."""

    model: OutputModel | None = None
    report: Annotated[str | None, Field(max_length=512)] = None
    """The page with the loss curve."""


class FineTuneJobStatus(ApiModel):
    """What the operator has seen and decided."""

    observed_generation: Int | None = None
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=16, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
        ),
    ] = ()
    stage: Annotated[str | None, Field(max_length=32)] = None
    start_time: Time | None = None
    completion_time: Time | None = None
    run_id: Annotated[str | None, Field(max_length=80)] = None
    resolved: Resolved | None = None
    progress: Progress | None = None
    metrics: Metrics | None = None
    loss_history: Annotated[
        tuple[HistoryPoint, ...], Field(max_length=100, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    attempts: Annotated[
        tuple[Attempt, ...],
        Field(
            max_length=32, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["number"]}
        ),
    ] = ()
    output: Output | None = None
