"""What operator and images agree on."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from finetune_contract.config import OsftValues
from finetune_contract.progress import LossPoint, Metric, downsample
from finetune_contract.reasons import REASON_OF_EXIT_CODE, ExitCode, Reason
from finetune_contract.result import TERMINATION_LIMIT, StageResult, termination_message
from support.made import made_result


@pytest.mark.parametrize("count", [0, 1, 2, 99, 100, 101, 1000, 12_345])
def test_downsampling_keeps_first_and_last(count: int) -> None:
    points = [LossPoint(step=i + 1, loss=str(i)) for i in range(count)]
    kept = downsample(points)
    assert len(kept) == min(count, 100)
    assert list(kept) == sorted(kept, key=lambda p: p.step)
    assert len({p.step for p in kept}) == len(kept)
    if count:
        assert (kept[0], kept[-1]) == (points[0], points[-1])


def test_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="surprise"):
        StageResult.model_validate_json(json.dumps(json.loads(made_result().to_json()) | {"surprise": 1}))


def test_every_exit_code_has_a_reason() -> None:
    assert set(REASON_OF_EXIT_CODE) == set(ExitCode)
    assert set(REASON_OF_EXIT_CODE.values()) == set(Reason)


def test_termination_message_fits_whatever_the_result_holds() -> None:
    text = "ü" * 1024
    big = made_result(
        message=text,
        loss_history=tuple(LossPoint(step=i, loss="0.123456789012345") for i in range(100)),
        metrics=tuple(Metric(name=f"metric-{i}", value="1" * 32) for i in range(64)),
        engine={f"package-{i}": "1.2.3" for i in range(16)},
        finished=datetime(2026, 1, 1, tzinfo=UTC),
    )
    patterns = tuple(f"{i:0128d}" for i in range(64))
    big = big.model_copy(update={"osft": OsftValues(unfreeze_rank_ratio=0.5, target_patterns=patterns)})
    message = termination_message(big)
    assert len(message.encode()) <= TERMINATION_LIMIT
    assert StageResult.model_validate_json(message).complete


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("runId", "/etc"),
        ("runId", "../up"),
        ("stepsDone", 10**30),
        ("stepsDone", -1),
        ("finished", "0001-01-01T00:00:00+14:00"),
        ("finished", "2026-01-01T00:00:00"),
        ("exitCode", 10**9),
        ("message", "x" * 1025),
    ],
)
def test_absurd_values_are_refused_before_they_reach_a_status(field: str, value: object) -> None:
    body = json.loads(made_result().to_json()) | {field: value}
    with pytest.raises(ValidationError, match=field):
        StageResult.model_validate_json(json.dumps(body))
