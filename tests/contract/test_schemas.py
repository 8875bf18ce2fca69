"""The contract's schemas, as committed. A change that old images or old operators would stumble over needs a new
version.

To accept a change: raise SCHEMA_VERSION where it is not a mere addition, then `python tests/contract/test_schemas.py`.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from finetune_contract.base import ContractModel
from finetune_contract.config import TrainConfig
from finetune_contract.progress import ProgressReport
from finetune_contract.result import StageResult

GOLDEN = Path(__file__).parent / "golden"
MODELS: dict[str, type[ContractModel]] = {
    "train-config": TrainConfig,
    "progress-report": ProgressReport,
    "stage-result": StageResult,
}


def schema(model: type[ContractModel]) -> dict[str, Any]:
    """JSON schema by alias."""
    return model.model_json_schema(by_alias=True)


@pytest.mark.parametrize("name", MODELS)
def test_schema_is_as_committed(name: str) -> None:
    assert schema(MODELS[name]) == json.loads((GOLDEN / f"{name}.json").read_text())


if __name__ == "__main__":
    for name, model in MODELS.items():
        (GOLDEN / f"{name}.json").write_text(json.dumps(schema(model), indent=1, sort_keys=True) + "\n")
