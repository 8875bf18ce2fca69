"""A curve out of block characters. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

BLOCKS = " ▁▂▃▄▅▆▇█"
NOT_A_NUMBER = "×"
LOG_FROM = 20.0
"""Largest over smallest value from which on a logarithmic scale shows more."""


@dataclass(frozen=True)
class Chart:
    """Rows from top to bottom, all equally wide."""

    rows: tuple[str, ...]
    logarithmic: bool


def chart(values: Sequence[float], width: int, height: int = 1) -> Chart:
    """Draw the values, oldest on the left; the curve grows to the right until `width` columns are full.

    More values than columns are thinned out, first and last kept. A value that is no finite number is a cross in the
    bottom row.
    """
    if not values or width < 1:
        return Chart(("",) * height, logarithmic=False)
    shown = _thin(values, width)
    finite = [value for value in shown if math.isfinite(value)]
    logarithmic = bool(finite) and min(finite) > 0 and max(finite) / min(finite) >= LOG_FROM
    scaled = [math.log(value) if logarithmic and math.isfinite(value) else value for value in shown]
    levels = _levels(scaled, height * (len(BLOCKS) - 1))
    rows = tuple("".join(_cell(level, row) for level in levels) for row in reversed(range(height)))
    return Chart(rows, logarithmic)


def _thin(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    if width == 1:
        return [values[-1]]
    last = len(values) - 1
    return [values[round(i * last / (width - 1))] for i in range(width)]


def _levels(values: Sequence[float], top: int) -> list[int | None]:
    """Heights in eighths of a row, from 1 (smallest) to `top` (largest); None for what is no finite number."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return [None] * len(values)
    low, span = min(finite), max(finite) - min(finite)
    return [
        (1 + round((value - low) / span * (top - 1)) if span else 1) if math.isfinite(value) else None
        for value in values
    ]


def _cell(level: int | None, row: int) -> str:
    if level is None:
        return NOT_A_NUMBER if row == 0 else " "
    return BLOCKS[min(max(level - row * (len(BLOCKS) - 1), 0), len(BLOCKS) - 1)]
