"""Checks dataset and base model before anything heavy is imported, and fetches models from the Hugging Face Hub."""

import json
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_contract.config import DataSource, ModelSource
from finetune_contract.reasons import Reason
from finetune_trainer.errors import StageError

ROLES = ("system", "user", "assistant", "tool", "developer")
NAMED_ROWS = 10
"""Most invalid rows that a message lists by number."""
OF_THE_NETWORK = (ConnectionError, TimeoutError, socket.gaierror, ssl.SSLError)
"""OSErrors with a number that no disk is to blame for."""


@dataclass(frozen=True)
class Row:
    """One sample. `number` is the line in the file, from 1."""

    number: int
    messages: list[dict[str, Any]]


def read_rows(source: DataSource) -> list[Row]:
    """Every row, checked. Blank lines are no rows.

    Raises:
        StageError: `DatasetNotFound` with the path, `DataInvalid` with the first wrong row's number and why.
    """
    path = Path(source.path)
    if not path.is_file():
        raise StageError(
            Reason.DATASET_NOT_FOUND,
            f"no dataset file at {source.path} (`dataset.train.source` {source.uri}); check the path inside the claim",
        )
    rows, wrong = [], []
    for number, line in _lines(path):
        try:
            rows.append(Row(number, _messages(line)))
        except ValueError as error:
            wrong.append((number, str(error)))
    if wrong:
        refuse_rows(source.path, wrong)
    if not rows:
        raise StageError(Reason.DATASET_INVALID, f"{source.path} has no rows; it must hold one JSON object per line")
    return rows


def refuse_rows(path: str, wrong: list[tuple[int, str]]) -> None:
    """Raises:
    StageError: `DataInvalid`, with the first reason and the numbers of the others.
    """
    number, why = wrong[0]
    others = ""
    if len(wrong) > 1:
        numbers = ", ".join(str(n) for n, _ in wrong[1 : NAMED_ROWS + 1])
        others = f" {len(wrong)} rows are invalid; the others: {numbers}{'…' if len(wrong) > NAMED_ROWS + 1 else ''}."
    raise StageError(Reason.DATASET_INVALID, f"{path} row {number}: {why}.{others}")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except UnicodeDecodeError as error:
        raise StageError(Reason.DATASET_INVALID, f"{path} is not UTF-8 text (byte {error.start}); convert it") from None
    except OSError as error:
        raise StageError(Reason.DATASET_NOT_FOUND, f"can't read {path}: {error.strerror or error}") from None


def _messages(line: str) -> list[dict[str, Any]]:
    """Raises:
    ValueError: what is wrong with the row.
    """
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg} at column {error.colno}); each line must be one JSON object") from None
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not messages:
        raise ValueError("must have `messages`, a list of {role, content} objects")
    for index, message in enumerate(messages):
        where = f"`messages[{index}]`"
        if not isinstance(message, dict):
            raise ValueError(f"{where} must be an object with role and content")
        if message.get("role") not in ROLES:
            raise ValueError(f"{where}.role must be one of {', '.join(ROLES)}, not {message.get('role')!r}")
        if not isinstance(message.get("content"), str):
            raise ValueError(f"{where}.content must be text")
    if not any(m["role"] == "assistant" and m["content"].strip() for m in messages):
        raise ValueError("must have an assistant message with text: only those are learned from")
    return messages


def model_directory(source: ModelSource, workspace: Path) -> Path:
    """Directory of the base model: the mounted one, or the Hub's snapshot in the workspace's cache.

    Raises:
        StageError: `ModelNotFound`, `ModelInvalid` or `HubAuthFailed`.
    """
    if source.path is None:
        if not source.uri.startswith("hf://"):
            raise StageError(
                Reason.UNSUPPORTED,
                f"`model.source` {source.uri}: this trainer fetches hf:// only; others must be mounted",
            )
        directory = _fetch(source, workspace / "cache" / "hf")
    else:
        directory = Path(source.path)
    if not directory.is_dir():
        raise StageError(
            Reason.MODEL_NOT_FOUND, f"no model directory at {directory} (`model.source` {source.uri}); check the path"
        )
    if not (directory / "config.json").is_file():
        raise StageError(
            Reason.MODEL_INVALID, f"{directory} has no config.json: it must be a Hugging Face model directory"
        )
    if not any(directory.glob("*.safetensors")) and not any(directory.glob("*.bin")):
        raise StageError(Reason.MODEL_INVALID, f"{directory} has no weights (*.safetensors)")
    return directory


def _fetch(source: ModelSource, cache: Path) -> Path:
    """Snapshot of a Hub model; only missing files are fetched, so a restart costs one request."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    repository, _, revision = source.uri.removeprefix("hf://").partition("@")
    token = os.environ.get("HF_TOKEN") or None
    try:
        files = HfApi(token=token).list_repo_files(repository, revision=source.revision or revision or None)
        skipped = ["original/*", "*.gguf", "*.onnx", "*.msgpack", "*.h5", "*.pth"]
        if any(name.endswith(".safetensors") for name in files):
            skipped.append("*.bin")
        return Path(
            snapshot_download(
                repository,
                revision=source.revision or revision or None,
                cache_dir=cache,
                token=token,
                ignore_patterns=skipped,
            )
        )
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        if status in (401, 403):
            raise StageError(
                Reason.HUB_AUTH_FAILED,
                f"the Hub refuses {source.uri} ({status}): it is private, gated or missing; accept its licence and set "
                "`model.secretRef` to a Secret with a token that may read it",
            ) from None
        raise StageError(
            Reason.MODEL_NOT_FOUND, f"the Hub has no {source.uri}: {error.server_message or error}"
        ) from None
    except HFValidationError as error:
        raise StageError(Reason.MODEL_NOT_FOUND, f"`model.source` {source.uri} is no Hub address: {error}") from None
    except Exception as error:  # the client's transport has exception types of its own, which change with its library
        # many of the client's own errors are OSErrors too, without a number
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, OF_THE_NETWORK):
            raise  # of the workspace: a full disk has a reason of its own
        raise StageError(Reason.MODEL_NOT_FOUND, f"can't fetch {source.uri} from the Hub: {error}") from None
