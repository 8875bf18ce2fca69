"""`metrics.jsonl`: one JSON object per optimizer step, written in the worker, read here while it grows."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune_contract.progress import LossPoint, Metric, downsample

METRICS_ENV = "FINETUNE_METRICS_FILE"
"""Tells the callback in the worker where to write."""


def as_text(value: float) -> str:
    """A number as text that survives JSON and loses nothing: Python's repr, with JSON's usual `NaN` and `Infinity`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


@dataclass(frozen=True)
class StepRecord:
    """What the engine logged for one optimizer step."""

    step: int
    epoch: int
    loss: float
    learning_rate: float | None
    grad_norm: float | None
    tokens_per_second: float | None
    time: float
    """Seconds since the epoch."""

    @classmethod
    def parse(cls, line: str) -> "StepRecord":
        """Raises:
        ValueError: not a record; the writer died in the middle of a line.
        """
        raw: dict[str, Any] = json.loads(line)
        try:
            return cls(
                step=int(raw["step"]),
                epoch=int(raw["epoch"]),
                loss=float(raw["loss"]),
                **{k: _optional(raw.get(k)) for k in ("learning_rate", "grad_norm", "tokens_per_second")},
                time=float(raw["time"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a step record: {line!r}") from error


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)


class Tail:
    """Reads complete lines of a growing file. A line without its newline is left for later; a missing file has none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0

    def lines(self) -> Iterator[str]:
        """Lines completed since the last call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return
        end = data.rfind(b"\n") + 1
        self.offset += end
        yield from data[:end].decode(errors="replace").splitlines()


@dataclass
class History:
    """Every step of the run so far, in order."""

    records: list[StepRecord] = field(default_factory=list)
    not_finite: StepRecord | None = None
    """The first step whose loss is NaN or infinite. A later loss may look well again; the weights are not."""

    def add(self, record: StepRecord) -> None:
        """A step that is not newer than the last one is a repetition and is left out."""
        if not self.records or record.step > self.records[-1].step:
            self.records.append(record)
            if self.not_finite is None and not math.isfinite(record.loss):
                self.not_finite = record

    @property
    def last(self) -> StepRecord | None:
        """The newest step."""
        return self.records[-1] if self.records else None

    @property
    def steps_done(self) -> int:
        """Number of optimizer steps taken."""
        return self.records[-1].step if self.records else 0

    def points(self) -> tuple[LossPoint, ...]:
        """The loss curve, downsampled for the status."""
        return downsample([LossPoint(step=r.step, loss=as_text(r.loss)) for r in self.records])

    def metrics(self, steps_per_epoch: int) -> tuple[Metric, ...]:
        """The newest values by their known names; `epoch` is fractional."""
        last = self.last
        if last is None:
            return ()
        values: dict[str, float | None] = {
            "loss": last.loss,
            "learning_rate": last.learning_rate,
            "grad_norm": last.grad_norm,
            "tokens_per_second": None if last.tokens_per_second is None else round(last.tokens_per_second, 1),
            "epoch": round(last.step / steps_per_epoch, 2) if steps_per_epoch else float(last.epoch),
        }
        return tuple(Metric(name=name, value=as_text(value)) for name, value in values.items() if value is not None)


def read(path: Path) -> History:
    """The whole history; unreadable lines are left out."""
    history = History()
    for line in Tail(path).lines():
        try:
            history.add(StepRecord.parse(line))
        except ValueError:
            continue
    return history
