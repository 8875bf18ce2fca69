"""How many optimizer steps a run takes: the engines' own arithmetic, and what is left of it."""

import math
from collections import deque
from dataclasses import dataclass, field

from finetune_contract.progress import REMAINING_LIMIT


def steps_per_epoch(samples: int, effective_batch_size: int) -> int:
    """Both engines batch by samples over all processes and keep the last, smaller batch (drop_last=False)."""
    return math.ceil(samples / effective_batch_size)


def planned_steps(samples: int, effective_batch_size: int, epochs: int) -> int:
    """Optimizer steps of the whole run."""
    return steps_per_epoch(samples, effective_batch_size) * epochs


def percentage(step: int, total: int, *, finished: bool) -> int:
    """0 to 100; 100 only when the model is proven, because the last step is not the end of the work."""
    if finished:
        return 100
    return min(99, step * 100 // total) if total else 0


@dataclass
class Pace:
    """Seconds per step over the most recent steps: the first ones are slow, and the pace may change."""

    window: int = 20
    marks: deque[tuple[int, float]] = field(default_factory=deque)

    def add(self, step: int, time: float) -> None:
        """A step ended at `time` (seconds of any clock)."""
        self.marks.append((step, time))
        while len(self.marks) > self.window + 1:
            self.marks.popleft()

    def seconds_left(self, total: int) -> int | None:
        """Estimate for the remaining steps, REMAINING_LIMIT at most; None before there are two marks."""
        if len(self.marks) < 2:
            return None
        (first, begin), (last, end) = self.marks[0], self.marks[-1]
        if last <= first:
            return None
        return math.ceil(min(max(0.0, (end - begin) / (last - first) * (total - last)), REMAINING_LIMIT))
