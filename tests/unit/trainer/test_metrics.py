import json
import math
from pathlib import Path

import pytest

from finetune_trainer.metrics import History, StepRecord, Tail, as_text, read


def line(step: int, loss: object = 1.5) -> str:
    return json.dumps(
        {
            "step": step,
            "epoch": 0,
            "loss": loss,
            "learning_rate": 1e-5,
            "grad_norm": None,
            "tokens_per_second": 10.04,
            "time": 1,
        }
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (6.224972724914551, "6.224972724914551"),
    ],
)
def test_a_number_survives_as_text(value: float, text: str) -> None:
    assert as_text(value) == text
    assert float(text) == value or math.isnan(value)


def test_the_tail_reads_only_complete_lines(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail = Tail(path)
    assert list(tail.lines()) == []
    path.write_text("a\nb")
    assert list(tail.lines()) == ["a"]
    with path.open("a") as file:
        file.write("c\n\n")
    assert list(tail.lines()) == ["bc", ""]
    assert list(tail.lines()) == []


def test_a_crashed_writer_costs_one_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(f"{line(1)}\n{line(2)[:20]}\n{line(3, 'NaN')}\n{line(4)[:10]}")
    history = read(path)
    assert [r.step for r in history.records] == [1, 3]
    assert math.isnan(history.records[-1].loss)


def test_the_newest_values_have_their_known_names() -> None:
    history = History()
    history.add(StepRecord.parse(line(1, 0.0)))
    history.add(StepRecord.parse(line(3, 0.0)))
    assert {m.name: m.value for m in history.metrics(steps_per_epoch=8)} == {
        "loss": "0.0",
        "learning_rate": "1e-05",
        "tokens_per_second": "10.0",
        "epoch": "0.38",
    }


def test_a_repeated_step_counts_once() -> None:
    history = History()
    for step in (1, 2, 2, 1):
        history.add(StepRecord.parse(line(step)))
    assert [r.step for r in history.records] == [1, 2]


def test_the_history_is_bounded_and_ends_with_the_last_step() -> None:
    history = History()
    for step in range(1, 1001):
        history.add(StepRecord.parse(line(step, step / 7)))
    points = history.points()
    assert len(points) == 100
    assert (points[0].step, points[-1].step) == (1, 1000)
    assert points[-1].loss == repr(1000 / 7)


def test_the_first_loss_that_is_not_finite_is_remembered() -> None:
    history = History()
    for step, loss in enumerate((2.0, "Infinity", "NaN", 1.9), start=1):
        history.add(StepRecord.parse(line(step, loss)))
    assert history.not_finite is not None
    assert (history.not_finite.step, history.not_finite.loss) == (2, math.inf)
