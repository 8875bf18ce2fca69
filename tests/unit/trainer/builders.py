"""Configurations as the operator would write them."""

import json
from pathlib import Path
from typing import Any

from finetune_contract.config import TrainConfig


def config_json(directory: Path, **changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "schemaVersion": 1,
        "job": {"namespace": "team", "name": "quickstart", "uid": "uid-1", "attempt": 1},
        "runId": "run-1",
        "runDir": str(directory / "runs" / "run-1"),
        "algorithm": "SFT",
        "backend": "InstructLabTraining",
        "model": {"uri": "file://models/base", "path": str(directory / "base")},
        "dataset": {"uri": "file://data/train.jsonl", "path": str(directory / "train.jsonl")},
        "training": {
            "effectiveBatchSize": 8,
            "maxTokensPerGpu": 1024,
            "maxSeqLen": 256,
            "numEpochs": 2,
            "learningRate": 1e-3,
            "warmupSteps": 2,
            "seed": 7,
        },
        "distribution": {"numNodes": 1, "numProcPerNode": 1, "accelerator": "CPU"},
    }
    for key, value in changes.items():
        document[key] = {**document[key], **value} if isinstance(document.get(key), dict) else value
    return document


def write_config(directory: Path, **changes: Any) -> Path:
    path = directory / "config.json"
    path.write_text(json.dumps(config_json(directory, **changes)))
    return path


def make_config(directory: Path, **changes: Any) -> TrainConfig:
    return TrainConfig.model_validate(config_json(directory, **changes))


OSFT = {"algorithm": "OSFT", "backend": "MiniTrainer", "osft": {"unfreezeRankRatio": 0.5}}
