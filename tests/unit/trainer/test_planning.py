import pytest

from finetune_contract.progress import REMAINING_LIMIT
from finetune_trainer.planning import Pace, percentage, planned_steps


@pytest.mark.parametrize(
    ("samples", "batch", "epochs", "want"),
    [(64, 8, 3, 24), (60, 8, 1, 8), (1, 128, 2, 2), (128, 128, 1, 1), (129, 128, 1, 2)],
)
def test_the_last_smaller_batch_is_a_step(samples: int, batch: int, epochs: int, want: int) -> None:
    assert planned_steps(samples, batch, epochs) == want


def test_a_hundred_percent_means_proven() -> None:
    assert percentage(0, 0, finished=False) == 0
    assert percentage(50, 200, finished=False) == 25
    assert percentage(200, 200, finished=False) == 99
    assert percentage(200, 200, finished=True) == 100


def test_the_time_left_follows_the_recent_pace() -> None:
    pace = Pace(window=4)
    pace.add(1, 0.0)
    assert pace.seconds_left(10) is None
    pace.add(2, 100.0)  # a slow start
    for step in range(3, 8):
        pace.add(step, 100.0 + (step - 2) * 2)
    assert pace.seconds_left(10) == 6
    assert pace.seconds_left(7) == 0


def test_an_estimate_has_a_limit() -> None:
    pace = Pace()
    pace.add(1, 0.0)
    pace.add(2, 1e300)
    assert pace.seconds_left(10**9) == REMAINING_LIMIT
    pace.add(3, float("inf"))
    assert pace.seconds_left(10) == REMAINING_LIMIT
