import json
from pathlib import Path

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
