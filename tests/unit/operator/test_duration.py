"""Times for people."""

import pytest

from finetune_operator.status.duration import human


@pytest.mark.parametrize(
    ("seconds", "want"),
    [(0, "0s"), (45, "45s"), (60, "1m"), (80, "1m20s"), (3600, "1h"), (3725, "1h2m"), (90_061, "1d1h"), (-5, "0s")],
)
def test_human(seconds: int, want: str) -> None:
    assert human(seconds) == want
