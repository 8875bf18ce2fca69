"""Defaults by algorithm, and every hyperparameter as it will be used."""

from dataclasses import dataclass
from typing import Literal

from finetune_contract.config import OsftValues, TrainingValues
from finetune_operator.api.status import Resolved, ResolvedOsft
from finetune_operator.api.v1alpha1 import FineTuneJobSpec

Backend = Literal["InstructLabTraining", "MiniTrainer"]


@dataclass(frozen=True)
class Defaults:
    """What an algorithm uses where spec is silent."""

    backend: Backend
    effective_batch_size: int
    max_tokens_per_gpu: int
    max_seq_len: int
    num_epochs: int
    learning_rate: str
    warmup_steps: int
    seed: int


DEFAULTS: dict[str, Defaults] = {
    # Red Hat's SFT component
    "SFT": Defaults("InstructLabTraining", 128, 10_000, 8192, 1, "5e-6", 0, 42),
    # Red Hat's fine-tuning component; it names no sequence length, so the SFT component's holds
    "OSFT": Defaults("MiniTrainer", 128, 64_000, 8192, 1, "5e-6", 0, 42),
}
OSFT_UNFREEZE_RANK_RATIO = "0.25"


def resolve(spec: FineTuneJobSpec) -> Resolved:
    """Spec over the algorithm's defaults."""
    default, given = DEFAULTS[spec.algorithm], spec.training
    osft = None
    if spec.algorithm == "OSFT":
        wanted = spec.osft
        osft = ResolvedOsft(
            unfreeze_rank_ratio=(wanted and wanted.unfreeze_rank_ratio) or OSFT_UNFREEZE_RANK_RATIO,
            target_patterns=wanted.target_patterns if wanted else (),
        )

    def pick(field: str) -> int:
        value = getattr(given, field)
        return int(getattr(default, field) if value is None else value)

    return Resolved(
        backend=default.backend,
        effective_batch_size=pick("effective_batch_size"),
        max_tokens_per_gpu=pick("max_tokens_per_gpu"),
        max_seq_len=pick("max_seq_len"),
        num_epochs=pick("num_epochs"),
        learning_rate=given.learning_rate or default.learning_rate,
        warmup_steps=pick("warmup_steps"),
        seed=pick("seed"),
        num_proc_per_node=max(spec.resources.gpus_per_node, 1),
        osft=osft,
    )


def training_values(resolved: Resolved) -> TrainingValues:
    """The same for the trainer."""
    return TrainingValues(
        effective_batch_size=resolved.effective_batch_size,
        max_tokens_per_gpu=resolved.max_tokens_per_gpu,
        max_seq_len=resolved.max_seq_len,
        num_epochs=resolved.num_epochs,
        learning_rate=float(resolved.learning_rate),
        warmup_steps=resolved.warmup_steps,
        seed=resolved.seed,
    )


def osft_values(resolved: Resolved) -> OsftValues | None:
    """The same for the trainer; None for other algorithms."""
    if resolved.osft is None:
        return None
    return OsftValues(
        unfreeze_rank_ratio=float(resolved.osft.unfreeze_rank_ratio), target_patterns=resolved.osft.target_patterns
    )
