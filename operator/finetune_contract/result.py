"""The result of a stage: posted at its end, written to the run's directory, and shortened into the termination
message.
"""

from typing import Annotated, Literal

from pydantic import Field

from finetune_contract.base import ContractModel, Count, Moment, RunId
from finetune_contract.config import OsftValues, TrainingValues
from finetune_contract.progress import LossPoint, Metric
from finetune_contract.reasons import Reason

SCHEMA_VERSION: Literal[1] = 1
RESULT_LIMIT = 32 * 1024
"""Most bytes of a posted result."""
TERMINATION_LIMIT = 4096
"""Most bytes of a termination message: the kubelet cuts there."""


class ModelArtifact(ContractModel):
    """The final model, proven to load."""

    path: Annotated[str, Field(max_length=400)]
    """Inside the workspace claim, relative to its root."""
    digest: Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]
    """`sha256:` over names and contents of the model's files."""
    kind: Literal["Full", "Adapter", "Merged"] = "Full"
    parameters: Count
    bytes: Count


class StageResult(ContractModel):
    """How a stage ended. Replay-safe: the same result may be posted any number of times."""

    schema_version: Literal[1] = SCHEMA_VERSION
    stage: Literal["Train"] = "Train"
    attempt: Annotated[int, Field(ge=1, le=1000)]
    run_id: RunId
    rank: Count = 0
    outcome: Literal["Succeeded", "Failed", "Interrupted"]
    """Interrupted: stopped by a signal; never a success, never the job's fault."""
    reason: Reason
    message: Annotated[str, Field(max_length=1024)] = ""
    """What happened and what to do about it, one or two sentences."""
    exit_code: Annotated[int, Field(ge=-255, le=255)]
    steps_done: Count = 0
    steps_planned: Count = 0
    started: Moment
    finished: Moment
    metrics: Annotated[tuple[Metric, ...], Field(max_length=64)] = ()
    loss_history: Annotated[tuple[LossPoint, ...], Field(max_length=100)] = ()
    model: ModelArtifact | None = None
    training: TrainingValues | None = None
    """The values used, as read back from the engine's own arguments."""
    osft: OsftValues | None = None
    engine: Annotated[dict[str, str], Field(max_length=16, default_factory=dict)]
    """Versions: {"training-hub": "0.11.2", "torch": …}."""

    @property
    def complete(self) -> bool:
        """Every planned step was done and the model was proven to load. Nothing else is a success."""
        return (
            self.outcome == "Succeeded"
            and self.steps_planned > 0
            and self.steps_done == self.steps_planned
            and self.model is not None
        )


def termination_message(result: StageResult) -> str:
    """The result as at most TERMINATION_LIMIT bytes of JSON: what is long goes first (history, then metrics, then
    text).
    """
    for cut in (
        result,
        result.model_copy(update={"loss_history": result.loss_history[-1:]}),
        result.model_copy(update={"loss_history": (), "metrics": (), "engine": {}}),
    ):
        text = cut.to_json()
        if len(text.encode()) <= TERMINATION_LIMIT:
            return text
    bare: dict[str, object] = {"loss_history": (), "metrics": (), "engine": {}, "training": None, "osft": None}
    return result.model_copy(update={**bare, "message": result.message[:256]}).to_json()
