import ast
from pathlib import Path

import finetune_trainer
from finetune_trainer import cpu, engines
from finetune_trainer.config import Node
from finetune_trainer.engines import EngineTask
from unit.trainer.builders import OSFT, make_config

HEAVY = {"torch", "transformers", "training_hub", "datasets", "numpy", "safetensors", "huggingface_hub"}


def task(tmp_path: Path, **changes: object) -> EngineTask:
    return EngineTask(
        config=make_config(tmp_path, **changes),
        node=Node(0, "127.0.0.1", 29500),
        model="/models/opt",
        output="/run/engine",
        data="/run/engine/data-0",
        samples=64,
        target_patterns=("self_attn.q_proj.weight",),
    )


def test_one_model_is_saved_at_the_last_step(tmp_path: Path) -> None:
    arguments = engines.arguments(task(tmp_path))
    assert (arguments["save_samples"], arguments["checkpoint_at_epoch"]) == (128, False)
    assert arguments["random_seed"] == 7
    assert arguments["enable_jit_checkpoint"] is False
    assert arguments["data_path"] == "/run/engine/data-0/data.jsonl"


def test_what_to_decompose_is_always_told(tmp_path: Path) -> None:
    arguments = engines.arguments(task(tmp_path, **OSFT))
    assert arguments["target_patterns"] == ["self_attn.q_proj.weight"]
    assert (arguments["seed"], arguments["unfreeze_rank_ratio"]) == (7, 0.5)


def test_the_launcher_imports_nothing_heavy() -> None:
    package = Path(finetune_trainer.__file__).parent
    for name in (
        "__main__",
        "train",
        "process",
        "descendants",
        "progress",
        "report",
        "engine_main",
        "config",
        "sources",
        "samples",
        "chart",
        "cpu",
    ):
        for node in ast.parse((package / f"{name}.py").read_text()).body:  # top level only
            imported = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            imported += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not HEAVY & {i.split(".")[0] for i in imported}, name


class TestCpus:
    def test_a_quota_is_rounded_up(self, tmp_path: Path) -> None:
        (tmp_path / "cpu.max").write_text("50000 100000\n")
        assert cpu.available_cpus(tmp_path) == 1

    def test_no_quota_leaves_all(self, tmp_path: Path) -> None:
        (tmp_path / "cpu.max").write_text("max 100000\n")
        assert cpu.available_cpus(tmp_path) == cpu.available_cpus(tmp_path / "none")

    def test_the_older_hierarchy_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "cpu").mkdir()
        (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000")
        (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
        assert cpu.available_cpus(tmp_path) == 1

    def test_processes_share_the_threads(self) -> None:
        assert cpu.environment(10_000, {})["OMP_NUM_THREADS"] == "1"
        assert cpu.environment(1, {"OMP_NUM_THREADS": "3"})["OMP_NUM_THREADS"] == "3"
