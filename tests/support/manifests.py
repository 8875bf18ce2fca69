"""FineTuneJobs for tests."""

import copy
from typing import Any

Json = dict[str, Any]


def job(name: str = "j", **spec: Any) -> Json:
    """A valid FineTuneJob on the CPU; `spec` replaces or adds fields, None removes one."""
    base: Json = {
        "algorithm": "SFT",
        "model": {"source": "file:///models/tiny"},
        "dataset": {"train": {"source": "file:///data/train.jsonl"}},
        "resources": {"gpusPerNode": 0},
        "storage": {"size": "1Gi"},
    }
    merged = copy.deepcopy(base) | spec
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": name},
        "spec": {key: value for key, value in merged.items() if value is not None},
    }
