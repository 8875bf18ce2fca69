"""Views as Rich renderables and as plain lines. Pure: no clock, no terminal."""

from collections.abc import Sequence
from datetime import datetime

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kubectl_finetune.chart import chart
from kubectl_finetune.view import Event, JobView, duration, short_number

MAX_WIDTH = 100
CHART_HEIGHT = 4
SHOWN_EVENTS = 5


def live(view: JobView, events: Sequence[Event], now: datetime, width: int, trouble: str = "") -> RenderableType:
    """The whole live view.

    Args:
        view: the job.
        events: its events, oldest first.
        now: for ages.
        width: columns of the terminal.
        trouble: why the view is not fresh; empty when it is.
    """
    inner = max(20, min(width, MAX_WIDTH) - 4)
    parts: list[RenderableType] = [_headline(view)]
    if view.message and view.message != _step_text(view):
        parts.append(Text(view.message, style="red" if view.stalled or view.succeeded is False else "dim"))
    if view.total_steps:
        parts += [Text(), _progress(view, inner)]
    if view.history:
        parts += [Text(), *_loss(view, inner)]
    if facts := _facts(view):
        parts += [Text(), Text(facts, style="dim", overflow="ellipsis", no_wrap=True)]
    if events:
        parts += [Text(), *_events(events[-SHOWN_EVENTS:], now)]
    if trouble:
        parts += [Text(), Text(trouble, style="yellow")]
    return Panel(
        Group(*parts),
        title=Text.assemble(
            (" FineTuneJob ", "dim"), (f"{view.namespace}/{view.name}", "bold"), f" {_clock(view, now)} "
        ),
        title_align="left",
        box=box.ROUNDED,
        border_style=_style(view),
        width=min(width, MAX_WIDTH),
        padding=(0, 1),
    )


def line(view: JobView) -> str:
    """The job in one stable line, for logs."""
    words = [f"{view.state:<11}"]
    if view.total_steps:
        words.append(f"{view.percentage:>3}% step {view.step}/{view.total_steps}")
    if view.loss:
        words.append(f"loss {short_number(view.loss)}")
    if view.remaining_seconds is not None and view.succeeded is None:
        words.append(f"eta {duration(view.remaining_seconds)}")
    if view.tokens_per_second:
        words.append(f"{view.tokens_per_second:.0f} tokens/s")
    if view.message and view.message != _step_text(view):
        words.append(f"- {view.message}")
    return "  ".join(words)


def event_line(event: Event) -> str:
    """An event in one line, for logs."""
    return f"event {event.reason}: {event.message}"


def outcome(view: JobView) -> str:
    """The last word about a job that has ended."""
    took = f" after {duration(view.seconds)}" if view.seconds is not None else ""
    if view.succeeded:
        model = f". Model: {view.model}" if view.model else ""
        return f"{view.namespace}/{view.name} succeeded{took}{model}"
    return f"{view.namespace}/{view.name} failed{took}: {view.state}: {view.message}"


def _style(view: JobView) -> str:
    if view.succeeded is not None:
        return "green" if view.succeeded else "red"
    return "yellow" if view.stalled else "cyan"


def _sign(view: JobView) -> str:
    if view.succeeded is not None:
        return "✔" if view.succeeded else "✘"
    return "▲" if view.stalled else "●"


def _step_text(view: JobView) -> str:
    return f"Step {view.step} of {view.total_steps}"


def _headline(view: JobView) -> Text:
    text = Text.assemble((f"{_sign(view)} {view.state}", f"bold {_style(view)}"), no_wrap=True, overflow="ellipsis")
    if view.algorithm:
        text.append(f"  {view.algorithm}")
    if view.total_steps:
        text.append(f"  step {view.step} of {view.total_steps}")
        if view.epoch:
            text.append(f", epoch {short_number(view.epoch)}")
    if view.phase not in ("", "training") and view.phase not in view.message and view.succeeded is None:
        text.append(f"  {view.phase}", style="italic")
    return text


def _progress(view: JobView, width: int) -> RenderableType:
    left = view.remaining_seconds
    eta = f"{duration(left)} left" if left is not None and view.succeeded is None else ""
    grid = Table.grid(padding=(0, 1))
    label = f"{view.percentage:>3}%" + (f"  {eta}" if eta else "")
    bar = ProgressBar(
        total=100,
        completed=view.percentage,
        width=max(10, width - max(len(label), 16) - 1),
        complete_style=_style(view),
        finished_style=_style(view),
    )
    grid.add_row(bar, Text(label))
    return grid


def _loss(view: JobView, width: int) -> list[RenderableType]:
    drawn = chart([point.loss for point in view.history], width, CHART_HEIGHT)
    first, last = view.history[0], view.history[-1]
    title = Text.assemble(
        "loss ",
        (short_number(view.loss or str(last.loss)), "bold"),
        (f"   {short_number(str(first.loss))} at step {first.step}" if len(view.history) > 1 else "", "dim"),
        ("   log scale" if drawn.logarithmic else "", "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )
    return [title, *(Text(row, style="magenta", no_wrap=True, overflow="crop") for row in drawn.rows)]


def _facts(view: JobView) -> str:
    facts = []
    if view.tokens_per_second and view.succeeded is None:
        facts.append(f"{view.tokens_per_second:,.0f} tokens/s")
    if view.learning_rate and view.succeeded is None:
        facts.append(f"learning rate {short_number(view.learning_rate)}")
    if view.train_job:
        facts.append(f"TrainJob {view.train_job}")
    if view.attempt > 1:
        facts.append(f"attempt {view.attempt}")
    if view.model:
        facts.append(view.model)
    return "   ".join(facts)


def _events(events: Sequence[Event], now: datetime) -> list[RenderableType]:
    """One line each; only the message gives way where there is not enough room."""
    ages = [duration((now - event.time).total_seconds()) if event.time else "" for event in events]
    age_width, reason_width = max(map(len, ages)), max(len(event.reason) for event in events)
    return [
        Text.assemble(
            (f"{age:>{age_width}}  ", "dim"),
            (f"{event.reason:<{reason_width}}  ", "yellow" if event.kind == "Warning" else ""),
            " ".join(event.message.split()),
            no_wrap=True,
            overflow="ellipsis",
        )
        for age, event in zip(ages, events, strict=True)
    ]


def _clock(view: JobView, now: datetime) -> str:
    if view.seconds is not None:
        return duration(view.seconds)
    return duration((now - view.started).total_seconds()) if view.started else ""
