import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from finetune_contract.reasons import Reason
from finetune_contract.result import StageResult
from finetune_trainer import chart
from finetune_trainer.metrics import History, StepRecord
from unit.trainer.builders import OSFT, make_config

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def history(losses: list[float]) -> History:
    made = History()
    for step, loss in enumerate(losses, start=1):
        made.add(StepRecord(step, 0, loss, 1e-4 / step, None, None, float(step)))
    return made


def result(steps: int, reason: Reason = Reason.COMPLETED) -> StageResult:
    return StageResult(
        attempt=1,
        run_id="run-1",
        outcome="Succeeded" if reason is Reason.COMPLETED else "Failed",
        reason=reason,
        message="<script>alert(1)</script>",
        exit_code=0,
        steps_done=steps,
        steps_planned=steps,
        started=NOW,
        finished=NOW + timedelta(seconds=125),
    )


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param([], id="no step"),
        pytest.param([2.0], id="one step"),
        pytest.param([1.0] * 5, id="a constant"),
        pytest.param([0.0] * 3, id="all zero"),
        pytest.param([3.0, 2.0, math.nan], id="NaN at the end"),
        pytest.param([math.nan], id="nothing finite"),
        pytest.param([1e-14], id="one tiny loss"),
        pytest.param([1e-13, 2e-13], id="tiny losses"),
        pytest.param([5e-14, 0.0], id="tiny, then zero"),
        pytest.param([5e-324, 0.0], id="the tiniest"),
        pytest.param([1e308, -1e308], id="a difference that is no number"),
        pytest.param([1.0, math.nextafter(1, 2)], id="one bit apart"),
        pytest.param([5 * math.exp(-i / 900) for i in range(5000)], id="thousands of steps"),
    ],
)
def test_every_curve_can_be_drawn(tmp_path: Path, losses: list[float]) -> None:
    page = chart.render(make_config(tmp_path, **OSFT), result(len(losses)), history(losses))
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(svg)  # noqa: S314  # our own page
    drawn = "".join(re.findall(r' d="([^"]*)"', page))
    assert "nan" not in drawn
    assert len(page) < 150_000


def test_the_page_needs_nothing_else_and_escapes_everything(tmp_path: Path) -> None:
    config = make_config(tmp_path, model={"uri": '"><img src=x>'}, job={"name": "a<b"})
    page = chart.render(config, result(3, Reason.ENGINE_FAILED), history([3.0, 2.0, 1.0]))
    assert not re.search(
        r"<script|<img|<link|src=|@import|url\(|https?://", page.replace("&lt;", "").replace("src=x&gt;", "")
    )
    assert "a&lt;b" in page
    assert "&lt;script&gt;" in page
    assert "prefers-color-scheme: dark" in page


def test_every_value_as_used_is_in_the_table(tmp_path: Path) -> None:
    page = chart.render(make_config(tmp_path, **OSFT), result(1), history([1.0]))
    for name in (
        "effectiveBatchSize",
        "maxTokensPerGPU",
        "maxSeqLen",
        "numEpochs",
        "learningRate",
        "warmupSteps",
        "seed",
    ):
        assert f"training.{name}" in page
    assert "osft.unfreezeRankRatio" in page


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.2427, 6.3), (1e-9, 3e-5), (-2, 5), (7, 7), (0, 0), (0, 12345), (1e-13, 2e-13)]
)
def test_ticks_are_round_and_cover_the_values(low: float, high: float) -> None:
    ticks = chart.nice_ticks(low, high, 6)
    assert ticks[0] <= low <= high <= ticks[-1]
    assert 2 <= len(set(ticks)) == len(ticks) <= 9


def test_the_moving_average_lies_on_a_straight_line() -> None:
    line = [float(i) for i in range(200)]
    assert max(abs(a - b) for a, b in zip(chart.smoothed(line)[60:140], line[60:140], strict=True)) < 0.05


@pytest.mark.parametrize(("seconds", "text"), [(48.2, "48 s"), (185, "3 min 5 s"), (7440, "2 h 4 min")])
def test_a_duration_is_short(seconds: float, text: str) -> None:
    assert chart.duration(seconds) == text


@pytest.mark.parametrize(("number", "text"), [(500, "500"), (139_840, "140 k"), (1_540_000_000, "1.54 B")])
def test_a_count_is_short(number: int, text: str) -> None:
    assert chart.count(number) == text
