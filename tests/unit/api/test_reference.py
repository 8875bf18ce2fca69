from pathlib import Path

from finetune_operator import reference
from finetune_operator.plan.resolve import DEFAULTS

ROOT = Path(__file__).parents[3]


def test_committed_page_is_current() -> None:
    assert reference.main(["--check", "--root", str(ROOT)]) == 0, "run `make generate`"


def test_check_fails_without_the_page(tmp_path: Path) -> None:
    assert reference.main(["--check", "--root", str(tmp_path)]) == 1
    assert reference.main(["--write", "--root", str(tmp_path)]) == 0
    assert reference.main(["--check", "--root", str(tmp_path)]) == 0


def test_page_has_fields_defaults_and_rules() -> None:
    page = reference.render()
    assert "| `resources.numNodes` | integer | `1` | Pods that train together. |" in page
    assert "| `dataset.train.source`* | string |" in page
    assert f"| `training.maxTokensPerGPU` | `{DEFAULTS['SFT'].max_tokens_per_gpu}` |" in page
    assert "* `spec.osft` only goes with algorithm OSFT: remove it" in page
    assert "hf://&lt;owner>" in page
