import math

import pytest

from kubectl_finetune.view import duration, events_of, short_number, view_of
from unit.kubectl_finetune.samples import COMPLETED, EVENTS, FAILED, TRAINING, job


def test_active_job():
    view = view_of(TRAINING)
    assert (view.state, view.succeeded, view.stalled) == ("Training", None, False)
    assert (view.step, view.total_steps, view.percentage, view.remaining_seconds) == (120, 300, 40, 80)
    assert view.loss == "0.12345678"
    assert view.history[0].step == 1
    assert view.train_job == "quickstart-a1"
    assert view.seconds is None


def test_outcomes():
    assert view_of(COMPLETED).succeeded is True
    assert view_of(COMPLETED).seconds == 95
    assert view_of(COMPLETED).model == "pvc://quickstart-workspace/runs/abc/model"
    assert view_of(FAILED).succeeded is False


def test_job_without_status_is_waiting():
    body = job()
    del body["status"]
    view = view_of(body)
    assert (view.state, view.succeeded) == ("Waiting", None)
    assert "operator" in view.message


@pytest.mark.parametrize(
    "status",
    [
        {"progress": None, "metrics": [], "conditions": "?", "lossHistory": [None, {"step": "1"}, 3], "attempts": [7]},
        {"conditions": [None, {"type": "Succeeded"}], "startTime": "yesterday", "progress": {"percentage": 400}},
    ],
)
def test_odd_fields_are_left_out(status):
    view = view_of(job(**status))
    assert view.history == ()
    assert 0 <= view.percentage <= 100


def test_not_a_number_survives():
    view = view_of(job(metrics={"loss": "NaN"}, lossHistory=[{"step": 1, "loss": "NaN"}]))
    assert view.loss == "NaN"
    assert math.isnan(view.history[0].loss)


def test_events_are_in_order_of_time():
    assert [event.reason for event in events_of(EVENTS)] == ["TrainJobCreated", "Training"]
    assert events_of([{}])[0].time is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (60, "1m"), (80, "1m20s"), (3600, "1h"), (3900, "1h5m"), (-3, "0s")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_short_number():
    assert short_number("0.123456789") == "0.1235"
    assert short_number("2.1e-05") == "2.1e-05"
    assert short_number("NaN") == "NaN"
    assert short_number("0.0") == "0"
