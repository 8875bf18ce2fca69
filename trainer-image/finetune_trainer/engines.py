"""How the contract's values become arguments of the engines: one table per engine, nothing left to an engine's default.

Both engines ignore an argument they don't know (instructlab's TrainingArgs is a pydantic model with `extra="ignore"`,
and training-hub drops what is no field of mini-trainer's), so tests/contract/trainer checks every name here against the
installed engines.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from finetune_contract.config import OsftValues, TrainConfig, TrainingValues
from finetune_trainer.config import Node


@dataclass(frozen=True)
class EngineTask:
    """One run of an engine on one node: the plan, with every path resolved."""

    config: TrainConfig
    node: Node
    model: str
    """Directory of the base model."""
    output: str
    """Directory of the engine's own files, shared by the nodes."""
    data: str
    """Directory of the tokenized data, this node's own."""
    samples: int
    """Rows of the dataset."""
    target_patterns: tuple[str, ...] = ()
    """OSFT: what to decompose, found from the model."""

    @property
    def data_file(self) -> str:
        """The tokenized data; the name is fixed by instructlab-training."""
        return f"{self.data}/data.jsonl"


Table = Mapping[str, Callable[[EngineTask], Any]]

_SHARED: Table = {
    "model_path": lambda t: t.model,
    "ckpt_output_dir": lambda t: t.output,
    "data_output_dir": lambda t: t.data,
    "effective_batch_size": lambda t: t.config.training.effective_batch_size,
    "max_tokens_per_gpu": lambda t: t.config.training.max_tokens_per_gpu,
    "max_seq_len": lambda t: t.config.training.max_seq_len,
    "num_epochs": lambda t: t.config.training.num_epochs,
    "learning_rate": lambda t: t.config.training.learning_rate,
    "warmup_steps": lambda t: t.config.training.warmup_steps,
    "beta1": lambda t: 0.9,
    "beta2": lambda t: 0.95,
    "eps": lambda t: 1e-8,
    "weight_decay": lambda t: 0.0,
    "checkpoint_at_epoch": lambda t: False,
    # a checkpoint at SIGTERM would only cost time: every start of a run begins anew
    "enable_jit_checkpoint": lambda t: False,
    "nnodes": lambda t: t.config.distribution.num_nodes,
    "nproc_per_node": lambda t: t.config.distribution.num_proc_per_node,
    "node_rank": lambda t: t.node.rank,
    "rdzv_id": lambda t: t.config.run_id,
    "master_addr": lambda t: t.node.master_addr,
    "master_port": lambda t: t.node.master_port,
}

SFT: Table = {
    **_SHARED,
    "data_path": lambda t: t.data_file,
    "process_data": lambda t: False,
    # `seed` would be ignored without a word
    "random_seed": lambda t: t.config.training.seed,
    # Saved once, by the step that completes the last epoch. With checkpoint_at_epoch every epoch writes a whole model,
    # and without either the engine ends with no model at all (it never passes --save_last)
    "save_samples": lambda t: t.samples * t.config.training.num_epochs,
    "accelerate_full_state_at_epoch": lambda t: False,
    # flash-attn has no wheels and is not in the image; the engine asks for it unless told so, on every GPU
    "disable_flash_attn": lambda t: True,
}
"""Keyword arguments of training_hub.sft() (instructlab-training)."""

OSFT: Table = {
    **_SHARED,
    "data_path": lambda t: t.data_file,
    "use_processed_dataset": lambda t: True,
    "seed": lambda t: t.config.training.seed,
    "lr_scheduler": lambda t: "cosine",
    "save_final_checkpoint": lambda t: True,
    "unfreeze_rank_ratio": lambda t: _osft(t).unfreeze_rank_ratio,
    # always explicit: the engine's default is chosen by a substring of the model's path
    "target_patterns": lambda t: list(t.target_patterns),
}
"""Keyword arguments of training_hub.osft() (mini-trainer)."""

TABLES: Mapping[str, Table] = {"SFT": SFT, "OSFT": OSFT}


def _osft(task: EngineTask) -> OsftValues:
    if task.config.osft is None:
        raise ValueError("OSFT without `osft` values")
    return task.config.osft


def arguments(task: EngineTask) -> dict[str, Any]:
    """Keyword arguments for the engine's function in training_hub."""
    return {name: value(task) for name, value in TABLES[task.config.algorithm].items()}


READ_BACK: Mapping[str, Mapping[str, str]] = {
    "SFT": {
        "effective_batch_size": "effective_batch_size",
        "max_tokens_per_gpu": "max_batch_len",
        "num_epochs": "num_epochs",
        "learning_rate": "learning_rate",
        "warmup_steps": "num_warmup_steps",
        "seed": "seed",
    },
    "OSFT": {
        "effective_batch_size": "batch_size",
        "max_tokens_per_gpu": "max_tokens_per_gpu",
        "num_epochs": "max_epochs",
        "learning_rate": "learning_rate",
        "warmup_steps": "num_warmup_steps",
        "seed": "seed",
    },
}
"""Field of TrainingValues → name in the arguments that the engine's worker wrote down when it started."""


def read_back(algorithm: str, used: Mapping[str, Any], asked: TrainingValues) -> TrainingValues:
    """The values as the worker used them. `max_seq_len` stays as asked: no engine decides it, samples.py does."""
    found = {field: used[name] for field, name in READ_BACK[algorithm].items()}
    return TrainingValues.model_validate({**asked.model_dump(), **found})
