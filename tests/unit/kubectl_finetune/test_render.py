import io
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len
from rich.console import Console

from kubectl_finetune import render
from kubectl_finetune.view import events_of, view_of
from unit.kubectl_finetune.samples import COMPLETED, EVENTS, FAILED, TRAINING, condition, job

NOW = datetime(2026, 11, 20, 10, 0, 42, tzinfo=UTC)


def screen(body, width=100, trouble=""):
    console = Console(record=True, width=width, force_terminal=True, file=io.StringIO())
    console.print(render.live(view_of(body), events_of(EVENTS), NOW, width, trouble))
    return console.export_text()


def test_training():
    text = screen(TRAINING)
    for expected in (
        "FineTuneJob default/quickstart 42s",
        "● Training  SFT  step 120 of 300, epoch 2.4",
        "40%  1m20s left",
        "loss 0.1235   6.5 at step 1   log scale",
        "█",
        "2,140 tokens/s   learning rate 0.0021   TrainJob quickstart-a1",
        "32s  Training         The trainer is starting",
    ):
        assert expected in text
    assert "Step 120 of 300" not in text  # said already, in the headline


def test_completed():
    text = screen(COMPLETED)
    assert "✔ Completed" in text
    assert "100%" in text
    assert "default/quickstart 1m35s" in text
    assert "pvc://quickstart-workspace/runs/abc/model" in text
    assert "left" not in text


def test_failed_and_stalled():
    assert "✘ DataInvalid" in screen(FAILED)
    assert "row 7: no assistant message" in screen(FAILED)
    stalled = job(
        conditions=[
            condition("Succeeded", "Unknown", "ClaimMissing", "claim x"),
            condition("Stalled", "True", "ClaimMissing"),
        ]
    )
    assert "▲ ClaimMissing" in screen(stalled)


def test_trouble_is_shown_below_the_last_view():
    assert "does not answer" in screen(TRAINING, trouble="the API server does not answer; trying again")


@pytest.mark.parametrize("width", [30, 60, 80, 100, 200])
@pytest.mark.parametrize("body", [TRAINING, COMPLETED, FAILED, job()])
def test_fits_every_width(body, width):
    lines = screen(body, width).splitlines()
    assert max(cell_len(line.rstrip()) for line in lines) == min(width, render.MAX_WIDTH)


def test_lines():
    assert render.line(view_of(TRAINING)) == ("Training      40% step 120/300  loss 0.1235  eta 1m20s  2140 tokens/s")
    assert render.line(view_of(FAILED)) == "DataInvalid  - row 7: no assistant message"
    assert render.event_line(events_of(EVENTS)[0]) == "event TrainJobCreated: Attempt 1"


def test_outcome():
    assert render.outcome(view_of(COMPLETED)) == (
        "default/quickstart succeeded after 1m35s. Model: pvc://quickstart-workspace/runs/abc/model"
    )
    assert render.outcome(view_of(FAILED)) == (
        "default/quickstart failed after 30s: DataInvalid: row 7: no assistant message"
    )


def test_long_messages_give_way_to_age_and_reason():
    long = [
        {"type": "Warning", "reason": "ClaimMissing", "message": "word " * 60, "lastTimestamp": "2026-11-20T10:00:10Z"}
    ]
    console = Console(record=True, width=60, force_terminal=True, file=io.StringIO())
    console.print(render.live(view_of(TRAINING), events_of(long), NOW, 60))
    assert "32s  ClaimMissing  word word" in console.export_text()
