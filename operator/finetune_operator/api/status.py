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
    """`Succeeded` sums the job up: Unknown while it is active, and its reason says what it is doing."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    observed_generation: Int | None = None
    """Generation of the spec it speaks of."""
    last_transition_time: Time
    """When `status` last changed."""
    reason: Annotated[str, Field(max_length=64)]
    """Why, in one word."""
    message: Text = ""
    """Why, in a sentence, with the remedy where there is one."""


class ResolvedOsft(ApiModel):
    """OSFT values as used."""

    unfreeze_rank_ratio: Decimal
    """Share of each matrix's rank that may change."""
    target_patterns: Annotated[
        tuple[Annotated[str, Field(max_length=128)], ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Parts of parameter names that are decomposed; empty: every projection of attention and MLP."""


class Resolved(ApiModel):
    """Every hyperparameter as used, so that nobody has to guess."""

    backend: Literal["InstructLabTraining", "MiniTrainer"]
    """The training engine."""
    effective_batch_size: Int
    """Samples per optimizer step, over all processes."""
    max_tokens_per_gpu: Annotated[Int, Field(alias="maxTokensPerGPU")]
    """Tokens per process in one micro-batch."""
    max_seq_len: Int
    """Tokens of the longest sample that may be trained on."""
    num_epochs: Int
    """Passes over the data."""
    learning_rate: Decimal
    """Peak learning rate."""
    warmup_steps: Int
    """Optimizer steps of linear warm-up."""
    seed: Int
    """Seed of the order of samples and of dropout."""
    num_proc_per_node: Int
    """Training processes per node."""
    osft: ResolvedOsft | None = None
    """OSFT values, with that algorithm."""


class Progress(ApiModel):
    """How far the training is."""

    step: Int = 0
    """Optimizer steps done."""
    total_steps: Int = 0
    """Optimizer steps planned."""
    epoch: Decimal | None = None
    """Passes over the data done."""
    percentage: Int = 0
    """Share of the steps that is done, 0 to 100."""
    estimated_remaining_seconds: Int | None = None
    """Seconds of training left at the current pace."""
    summary: Annotated[str | None, Field(max_length=16)] = None
    """`percentage` for people: `42%`."""
    loss: Annotated[str | None, Field(max_length=16)] = None
    """`metrics.loss` for people: `0.8134`."""
    remaining: Annotated[str | None, Field(max_length=16)] = None
    """`estimatedRemainingSeconds` for people: `1m20s`."""
    tokens_per_second: Decimal | None = None
    """Tokens trained on per second, over all processes."""
    phase: Annotated[str | None, Field(max_length=64)] = None
    """What the stage is doing now: `loading model`, `training`, `verifying`."""
    last_updated_time: Time | None = None
    """When the stage last reported."""


class Metrics(ApiModel):
    """Latest values, exactly as the engine logged them."""

    loss: Decimal | None = None
    """Training loss of the latest step."""
    learning_rate: Decimal | None = None
    """Learning rate of the latest step."""
    grad_norm: Decimal | None = None
    """Norm of the gradients of the latest step."""


class HistoryPoint(ApiModel):
    """Loss of one optimizer step."""

    step: Int
    """Optimizer step."""
    loss: Decimal
    """Its training loss."""


class Attempt(ApiModel):
    """One TrainJob."""

    number: Int
    """1 for the first."""
    train_job: Word
    """Name of its TrainJob."""
    reason: Annotated[str | None, Field(max_length=64)] = None
    """How it ended, in one word."""
    message: Text | None = None
    """How it ended, in a sentence."""
    exit_code: Int | None = None
    """Exit code of the training process."""
    steps_done: Int | None = None
    """Optimizer steps it did."""
    steps_planned: Int | None = None
    """Optimizer steps it was to do."""
    started: Time | None = None
    """When its TrainJob was made."""
    finished: Time | None = None
    """When it ended."""


class OutputModel(ApiModel):
    """The trained model."""

    uri: Annotated[str, Field(max_length=512)]
    """Where it is."""
    digest: Annotated[str, Field(max_length=80)]
    """Digest of its files."""
    kind: Literal["Full", "Adapter", "Merged"]
    """Full: all weights. Adapter: LoRA weights that need the base model. Merged: base model and adapter in one."""
    bytes: Int | None = None
    """Size of its files."""
    parameters: Int | None = None
    """Number of weights."""


class Output(ApiModel):
    """What the job made."""

    model: OutputModel | None = None
    """The trained model."""
    report: Annotated[str | None, Field(max_length=512)] = None
    """The page with the loss curve."""


class FineTuneJobStatus(ApiModel):
    """What the operator has seen and decided."""

    observed_generation: Int | None = None
    """Generation of the spec that this status speaks of."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=16, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
        ),
    ] = ()
    """What holds now. `kubectl wait --for=condition=Succeeded` waits for the end."""
    stage: Annotated[str | None, Field(max_length=32)] = None
    """The stage the job is in."""
    start_time: Time | None = None
    """When the operator took the job up."""
    completion_time: Time | None = None
    """When it ended, either way."""
    run_id: Annotated[str | None, Field(max_length=80)] = None
    """Digest of what defines the run; names its directory in the workspace."""
    resolved: Resolved | None = None
    """Every hyperparameter as used."""
    progress: Progress | None = None
    """How far the training is."""
    metrics: Metrics | None = None
    """Latest values of the training."""
    loss_history: Annotated[
        tuple[HistoryPoint, ...], Field(max_length=100, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """The loss curve: at most 100 points, the first and the last step among them."""
    attempts: Annotated[
        tuple[Attempt, ...],
        Field(
            max_length=32, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["number"]}
        ),
    ] = ()
    """TrainJobs made for this job, oldest first."""
    output: Output | None = None
    """What the job made."""
