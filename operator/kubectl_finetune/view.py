"""What a FineTuneJob's JSON says, for people. Pure, and forgiving: what is missing or odd is left out."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """Loss of one optimizer step; NaN where training diverged."""

    step: int
    loss: float


@dataclass(frozen=True)
class Event:
    """One line of the job's story."""

    time: datetime | None
    kind: str
    reason: str
    message: str


@dataclass(frozen=True)
class JobView:
    """One look at a job."""

    namespace: str
    name: str
    uid: str
    algorithm: str
    state: str
    """Reason of the `Succeeded` condition: `Pending`, `Training`, `Completed`, …"""
    succeeded: bool | None
    """None while the job is active."""
    stalled: bool
    message: str
    stage: str
    started: datetime | None
    finished: datetime | None
    step: int
    total_steps: int
    percentage: int
    epoch: str
    phase: str
    remaining_seconds: int | None
    tokens_per_second: float | None
    loss: str
    """As the engine logged it, `NaN` included; empty before the first step."""
    learning_rate: str
    history: tuple[Point, ...]
    train_job: str
    attempt: int
    model: str
    """`pvc://…` of the trained model; empty until there is one."""
    report: str

    @property
    def seconds(self) -> float | None:
        """How long the job took; None while it runs."""
        return (self.finished - self.started).total_seconds() if self.started and self.finished else None


def view_of(body: Json) -> JobView:
    """The view of a FineTuneJob as the API server returned it."""
    metadata, spec, status = _map(body, "metadata"), _map(body, "spec"), _map(body, "status")
    summary, stalled = _condition(status, "Succeeded"), _condition(status, "Stalled")
    progress, metrics, output = _map(status, "progress"), _map(status, "metrics"), _map(status, "output")
    attempts = [a for a in _list(status, "attempts") if isinstance(a, Mapping)]
    attempt: Json = attempts[-1] if attempts else {}
    return JobView(
        namespace=_text(metadata, "namespace"),
        name=_text(metadata, "name"),
        uid=_text(metadata, "uid"),
        algorithm=_text(spec, "algorithm"),
        state=_text(summary, "reason") or "Waiting",
        succeeded={"True": True, "False": False}.get(_text(summary, "status")),
        stalled=_text(stalled, "status") == "True",
        message=_text(summary, "message") or ("" if summary else "The operator has not seen this job yet"),
        stage=_text(status, "stage"),
        started=_time(status, "startTime") or _time(metadata, "creationTimestamp"),
        finished=_time(status, "completionTime"),
        step=_int(progress, "step") or 0,
        total_steps=_int(progress, "totalSteps") or 0,
        percentage=min(100, max(0, _int(progress, "percentage") or 0)),
        epoch=_text(progress, "epoch"),
        phase=_text(progress, "phase"),
        remaining_seconds=_int(progress, "estimatedRemainingSeconds"),
        tokens_per_second=_number(progress, "tokensPerSecond"),
        loss=_text(metrics, "loss"),
        learning_rate=_text(metrics, "learningRate"),
        history=tuple(_points(_list(status, "lossHistory"))),
        train_job=_text(attempt, "trainJob"),
        attempt=_int(attempt, "number") or 0,
        model=_text(_map(output, "model"), "uri"),
        report=_text(output, "report"),
    )


def events_of(items: Iterable[Json]) -> tuple[Event, ...]:
    """Events of one job in order of time, oldest first."""
    events = [
        Event(
            time=_time(item, "lastTimestamp") or _time(item, "eventTime") or _time(item, "firstTimestamp"),
            kind=_text(item, "type"),
            reason=_text(item, "reason"),
            message=_text(item, "message") or _text(item, "note"),
        )
        for item in items
    ]
    return tuple(sorted(events, key=lambda event: event.time.timestamp() if event.time else 0.0))


def duration(seconds: float) -> str:
    """As kubectl writes it: `45s`, `3m20s`, `1h5m`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60}s" if whole % 60 else f"{whole // 60}m"
    return f"{whole // 3600}h{whole % 3600 // 60}m" if whole % 3600 >= 60 else f"{whole // 3600}h"


def short_number(text: str) -> str:
    """Four significant digits of a decimal; what is no number stays as it is."""
    try:
        value = float(text)
    except ValueError:
        return text
    return f"{value:.4g}" if math.isfinite(value) else text


def _points(items: Iterable[Any]) -> Iterable[Point]:
    for item in items:
        if isinstance(item, Mapping):
            step, loss = _int(item, "step"), _number(item, "loss")
            if step is not None and loss is not None:
                yield Point(step, loss)


def _condition(status: Json, kind: str) -> Json:
    return next((c for c in _list(status, "conditions") if isinstance(c, Mapping) and c.get("type") == kind), {})


def _map(body: Json, key: str) -> Json:
    value = body.get(key)
    return value if isinstance(value, Mapping) else {}


def _list(body: Json, key: str) -> list[Any]:
    value = body.get(key)
    return value if isinstance(value, list) else []


def _text(body: Json, key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


def _int(body: Json, key: str) -> int | None:
    value = body.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(body: Json, key: str) -> float | None:
    try:
        return float(body[key])
    except (KeyError, TypeError, ValueError):
        return None


def _time(body: Json, key: str) -> datetime | None:
    try:
        return datetime.fromisoformat(_text(body, key).replace("Z", "+00:00"))
    except ValueError:
        return None
