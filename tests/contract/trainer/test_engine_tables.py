"""Every name in the tables is one that the installed engine knows and uses: both drop others without a word."""

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import instructlab.training
import mini_trainer
import pytest
import training_hub
from instructlab.training import config as instructlab_config

from finetune_trainer import engines

TORCHRUN = {"nproc_per_node", "nnodes", "node_rank", "rdzv_id", "master_addr", "master_port"}

SFT_RENAMED = {
    # training_hub/algorithms/sft.py execute_training
    "max_tokens_per_gpu": "max_batch_len",
    "beta1": "adamw_betas",
    "beta2": "adamw_betas",
    "eps": "adamw_eps",
    "weight_decay": "adamw_weight_decay",
    "enable_jit_checkpoint": "on_demand_checkpointing",
}
OSFT_RENAMED = {
    # training_hub/algorithms/osft.py execute_training
    "warmup_steps": "num_warmup_steps",
    "target_patterns": "osft_target_patterns",
    "unfreeze_rank_ratio": "osft_unfreeze_rank_ratio",
    "model_path": "model_name_or_path",
    "num_epochs": "max_epochs",
    "effective_batch_size": "batch_size",
    "ckpt_output_dir": "output_dir",
    "enable_jit_checkpoint": "on_demand_checkpointing",
}
OSFT_OF_TRAINING_HUB = {"max_seq_len", "use_processed_dataset", "data_output_dir"}
"""Read by training-hub's own data processing, which is off."""


@pytest.mark.parametrize("name", sorted(engines.SFT))
def test_sft_knows_the_argument(name: str) -> None:
    if name in TORCHRUN:
        assert name in instructlab.training.TorchrunArgs.model_fields
    else:
        assert SFT_RENAMED.get(name, name) in instructlab.training.TrainingArgs.model_fields


@pytest.mark.parametrize("name", sorted(engines.OSFT))
def test_osft_knows_the_argument(name: str) -> None:
    if name in TORCHRUN:
        assert name in {f.name for f in dataclasses.fields(mini_trainer.TorchrunArgs)}
    elif name not in OSFT_OF_TRAINING_HUB:
        assert OSFT_RENAMED.get(name, name) in {f.name for f in dataclasses.fields(mini_trainer.TrainingArgs)}
    assert name in inspect.signature(training_hub.osft).parameters


def test_what_osft_accepts_and_never_uses_has_the_engines_own_value() -> None:
    """mini_trainer/api_train.py passes none of these on; what the table says must then be what the worker does."""
    source = Path(inspect.getfile(mini_trainer)).with_name("train.py").read_text()
    for name in ("beta1", "beta2", "eps", "weight_decay"):
        value = engines.OSFT[name](None)  # type: ignore[arg-type]
        field: Any = next(f for f in dataclasses.fields(mini_trainer.TrainingArgs) if f.name == name)
        assert value == field.default
        assert f"{name}: Annotated[float" in source


def test_the_tables_leave_no_training_value_to_the_engine() -> None:
    for table, renamed in ((engines.SFT, SFT_RENAMED), (engines.OSFT, OSFT_RENAMED)):
        told = {renamed.get(name, name) for name in table}
        assert {"learning_rate", "max_seq_len", "data_path"} <= told | set(table)
        assert told & {"seed", "random_seed"}
        assert told & {"num_warmup_steps", "warmup_steps"}


def test_the_engine_still_ignores_unknown_arguments() -> None:
    """The day this fails, the checks above can go."""
    assert instructlab_config.TrainingArgs.model_config.get("extra", "ignore") == "ignore"
