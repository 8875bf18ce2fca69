"""What the engine's end means: from its own words, from the losses seen, else from the tail of its output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune_contract.config import TrainingValues
from finetune_contract.reasons import Reason
from finetune_contract.result import ModelArtifact
from finetune_trainer.classify import classify
from finetune_trainer.metrics import History, as_text


@dataclass(frozen=True)
class Outcome:
    """How the work ended, before it is told."""

    reason: Reason
    message: str = ""
    model: ModelArtifact | None = None
    training: TrainingValues | None = None


def judge(code: int | None, told: Mapping[str, Any] | None, tail: Sequence[str], history: History) -> Outcome:
    """Of an engine that ended with `code` (negative: by a signal) and `told` its own outcome, or died without."""
    broken = history.not_finite
    if broken is not None:
        return Outcome(
            Reason.LOSS_NOT_FINITE,
            f"the loss is {as_text(broken.loss)} at step {broken.step}; lower `training.learningRate`, raise "
            "`training.warmupSteps` or look for broken samples",
        )
    if told is not None and told["reason"] != Reason.ENGINE_FAILED:
        return Outcome(
            Reason(told["reason"]),
            told.get("message", ""),
            ModelArtifact.model_validate(told["model"]) if "model" in told else None,
            TrainingValues.model_validate(told["training"]) if "training" in told else None,
        )
    if code is not None and code < 0:
        tail = [*tail, f"exit code {code}"]
    return Outcome(*classify(tail))
