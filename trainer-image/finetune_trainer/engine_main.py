"""The engine's side: the one process that imports torch. Tokenizes, trains through training-hub, and proves the model.

Started by the launcher (process.py) with a task file; tells it by lines of JSON on a pipe what it does and how it ends.
"""

import json
import os
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finetune_contract.config import TrainConfig
from finetune_contract.reasons import Reason
from finetune_trainer import engines, planning, samples
from finetune_trainer.config import Node
from finetune_trainer.errors import StageError
from finetune_trainer.metrics import read
from finetune_trainer.sources import read_rows


@dataclass(frozen=True)
class TaskFile:
    """What the launcher hands over, beside the configuration."""

    config: str
    model: str
    run: str
    """The run's directory."""
    rank: int
    master_addr: str
    master_port: int

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> "TaskFile":
        """What write() wrote."""
        return cls(**json.loads(path.read_text()))


class Events:
    """The pipe to the launcher."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._pipe = os.fdopen(descriptor, "w", encoding="utf-8")

    def send(self, **event: Any) -> None:
        """One line."""
        self._pipe.write(json.dumps(event) + "\n")
        self._pipe.flush()


def main(task_path: Path, descriptor: int) -> int:
    """Run the task; the exit code is the reason's, and the same as in the last event."""
    events = Events(descriptor)
    try:
        events.send(outcome={"reason": Reason.COMPLETED, **_run(TaskFile.read(task_path), events)})
        return 0
    except StageError as error:
        events.send(outcome={"reason": error.reason, "message": error.message})
        return error.exit_code
    except OSError as error:
        traceback.print_exc()
        raise SystemExit(f"{type(error).__name__}: {error}") from None


def _run(file: TaskFile, events: Events) -> dict[str, Any]:
    config = TrainConfig.model_validate_json(Path(file.config).read_text())
    task = _prepare(config, file, events)
    _train(task, events)
    used = engines.read_back(config.algorithm, _worker_arguments(task), config.training) if file.rank == 0 else None
    if used is None:
        return {}
    if used != config.training:
        raise StageError(Reason.ENGINE_FAILED, f"the engine used other values than asked: {used.to_json()}")
    run = Path(file.run)
    planned = planning.planned_steps(task.samples, config.training.effective_batch_size, config.training.num_epochs)
    done = read(run / "metrics.jsonl").steps_done
    if done != planned:
        raise StageError(
            Reason.STEPS_INCOMPLETE, f"the engine ended after {done} of {planned} steps without an error; see its log"
        )
    events.send(phase="verifying")
    from finetune_trainer import model

    trained = model.find_saved(Path(task.output), task.samples * config.training.num_epochs)
    artifact = model.finish(trained, Path(task.model), run / "model", workspace=run.parents[1])
    return {"model": artifact.model_dump(mode="json"), "training": used.model_dump(mode="json")}


def _prepare(config: TrainConfig, file: TaskFile, events: Events) -> engines.EngineTask:
    """Tokenize the data and find what the engine has to be told about the model."""
    from transformers import AutoTokenizer

    events.send(phase="tokenizing")
    output = Path(file.run) / "engine"
    data = output / f"data-{file.rank}"
    data.mkdir(parents=True, exist_ok=True)
    try:
        tokenizer = AutoTokenizer.from_pretrained(file.model)
    except (OSError, ValueError, KeyError) as error:
        raise StageError(Reason.MODEL_INVALID, f"the tokenizer in {file.model} can't be loaded: {error}") from None
    rows = read_rows(config.dataset)
    dataset = samples.write(rows, tokenizer, config.training.max_seq_len, config.dataset.path, data / "data.jsonl")
    batch, epochs = config.training.effective_batch_size, config.training.num_epochs
    events.send(
        phase="loading model",
        total=planning.planned_steps(dataset.samples, batch, epochs),
        epoch_steps=planning.steps_per_epoch(dataset.samples, batch),
        dataset=asdict(dataset),
    )
    patterns: tuple[str, ...] = ()
    if config.osft is not None:
        from finetune_trainer import model

        patterns = model.osft_targets(Path(file.model), config.osft.target_patterns)
    return engines.EngineTask(
        config=config,
        node=Node(file.rank, file.master_addr, file.master_port),
        model=file.model,
        output=str(output),
        data=str(data),
        samples=dataset.samples,
        target_patterns=patterns,
    )


def _train(task: engines.EngineTask, events: Events) -> None:
    """Raises:
    StageError: `EngineFailed`; the launcher looks for the real reason in the output.
    """
    import training_hub

    from finetune_trainer.callback import StepMetrics

    function = training_hub.sft if task.config.algorithm == "SFT" else training_hub.osft
    try:
        function(**engines.arguments(task), callbacks=[StepMetrics()])
    except RuntimeError as error:
        raise StageError(Reason.ENGINE_FAILED, str(error)) from None


def _worker_arguments(task: engines.EngineTask) -> dict[str, Any]:
    """The arguments that the engine's worker wrote down when it started: what it really used."""
    output = Path(task.output)
    if task.config.algorithm == "OSFT":
        arguments: dict[str, Any] = json.loads((output / "training_params.json").read_text())
        return arguments
    for line in (output / "training_params_and_metrics_global0.jsonl").read_text().splitlines():
        record: dict[str, Any] = json.loads(line)
        if "num_warmup_steps" in record:
            return record
    raise StageError(Reason.ENGINE_FAILED, "the engine has not written down its arguments")
