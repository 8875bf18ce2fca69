import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from finetune_contract.config import DataSource, ModelSource
from finetune_contract.reasons import Reason
from finetune_trainer.errors import StageError
from finetune_trainer.sources import model_directory, read_rows

GOOD = '{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "one"}]}'


def rows_of(directory: Path, text: str | bytes) -> DataSource:
    path = directory / "train.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return DataSource(uri="pvc://data/train.jsonl", path=str(path))


def test_rows_keep_their_line_numbers(tmp_path: Path) -> None:
    assert [row.number for row in read_rows(rows_of(tmp_path, f"{GOOD}\n\n{GOOD}\n"))] == [1, 3]


def test_a_missing_file_is_told_with_its_path(tmp_path: Path) -> None:
    path = str(tmp_path / "absent.jsonl")
    with pytest.raises(StageError) as error:
        read_rows(DataSource(uri="pvc://data/absent.jsonl", path=path))
    assert error.value.reason is Reason.DATASET_NOT_FOUND
    assert path in error.value.message


@pytest.mark.parametrize(
    ("row", "why"),
    [
        pytest.param("{", "not JSON", id="broken JSON"),
        pytest.param("[]", "must have `messages`", id="no object"),
        pytest.param('{"prompt": "x"}', "must have `messages`", id="another format"),
        pytest.param('{"messages": []}', "must have `messages`", id="an empty chat"),
        pytest.param('{"messages": ["hi"]}', r"messages\[0\]", id="a message that is no object"),
        pytest.param('{"messages": [{"role": "bot", "content": "x"}]}', "role must be one of", id="an unknown role"),
        pytest.param(
            '{"messages": [{"role": "user", "content": 1}]}', "content must be text", id="content that is no text"
        ),
        pytest.param('{"messages": [{"role": "user", "content": "x"}]}', "an assistant message", id="nothing to learn"),
    ],
)
def test_a_wrong_row_is_told_with_its_number(tmp_path: Path, row: str, why: str) -> None:
    with pytest.raises(StageError, match=why) as error:
        read_rows(rows_of(tmp_path, f"{GOOD}\n{row}\n{GOOD}"))
    assert error.value.reason is Reason.DATASET_INVALID
    assert "row 2" in error.value.message


def test_many_wrong_rows_are_counted(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"row 1: .* 30 rows are invalid; the others: 2, 3, .*…") as error:
        read_rows(rows_of(tmp_path, "x\n" * 30))
    assert len(error.value.message) < 400


@pytest.mark.parametrize("text", [pytest.param("", id="empty"), pytest.param(b"\xff\xfe\x00", id="not UTF-8")])
def test_a_file_without_rows_is_invalid(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(StageError) as error:
        read_rows(rows_of(tmp_path, text))
    assert error.value.reason is Reason.DATASET_INVALID


def test_a_model_directory_is_checked(tmp_path: Path) -> None:
    base = tmp_path / "base"
    source = ModelSource(uri="pvc://models/base", path=str(base))
    with pytest.raises(StageError, match="no model directory") as error:
        model_directory(source, tmp_path)
    assert error.value.reason is Reason.MODEL_NOT_FOUND
    base.mkdir()
    with pytest.raises(StageError, match=r"no config\.json"):
        model_directory(source, tmp_path)
    (base / "config.json").write_text(json.dumps({}))
    with pytest.raises(StageError, match="no weights"):
        model_directory(source, tmp_path)
    (base / "model.safetensors").write_bytes(b"")
    assert model_directory(source, tmp_path) == base


def test_a_source_that_nobody_has_mounted_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(StageError) as error:
        model_directory(ModelSource(uri="s3://bucket/model"), tmp_path)
    assert error.value.reason is Reason.UNSUPPORTED


class HubError(OSError):
    """As HfHubHTTPError."""

    def __init__(self, status: int) -> None:
        super().__init__("refused")
        self.response, self.server_message = type("Response", (), {"status_code": status}), None


@pytest.mark.parametrize(
    ("error", "reason", "told"),
    [
        pytest.param(HubError(401), Reason.HUB_AUTH_FAILED, "401", id="a refusal"),
        pytest.param(
            FileNotFoundError("no file on the Hub"), Reason.MODEL_NOT_FOUND, "no file on the Hub", id="no file"
        ),
        pytest.param(ConnectionError("offline mode"), Reason.MODEL_NOT_FOUND, "offline mode", id="offline"),
        pytest.param(OSError("no commit hash"), Reason.MODEL_NOT_FOUND, "no commit hash", id="a proxy's answer"),
        pytest.param(ConnectionResetError(104, "reset by peer"), Reason.MODEL_NOT_FOUND, "reset", id="the network"),
    ],
)
def test_the_hubs_errors_are_not_the_disks(
    tmp_path: Path, fake_hub: list[Exception], error: Exception, reason: Reason, told: str
) -> None:
    fake_hub.append(error)
    with pytest.raises(StageError, match="hf://team/model") as caught:
        model_directory(ModelSource(uri="hf://team/model"), tmp_path)
    assert caught.value.reason is reason
    assert told in caught.value.message


def test_the_disks_errors_stay_the_disks(tmp_path: Path, fake_hub: list[Exception]) -> None:
    fake_hub.append(OSError(28, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        model_directory(ModelSource(uri="hf://team/model"), tmp_path)


@pytest.fixture
def fake_hub(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """A Hub whose client raises the error that the list holds."""
    errors: list[Exception] = []

    class HfApi:
        def __init__(self, token: str | None) -> None: ...

        def list_repo_files(self, repository: str, revision: str | None) -> list[str]:
            raise errors[0]

    hub, names = ModuleType("huggingface_hub"), ModuleType("huggingface_hub.errors")
    vars(hub).update(HfApi=HfApi, snapshot_download=None, errors=names)
    vars(names).update(HfHubHTTPError=HubError, HFValidationError=type("HFValidationError", (ValueError,), {}))
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", names)
    return errors
