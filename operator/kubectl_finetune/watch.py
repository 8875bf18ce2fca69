"""Follows one job until it ends."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live

from kubectl_finetune import render
from kubectl_finetune.reader import NotFound, Reader, Refused, Unreachable
from kubectl_finetune.view import Event, JobView, duration, events_of, view_of

SUCCEEDED, FAILED, UNUSABLE = 0, 1, 2
"""Exit codes: of the job's outcome, and for a job that can't be watched."""

EVENTS_EVERY_SECONDS = 3.0
LINE_EVERY_SECONDS = 5.0


class CannotWatch(Exception):
    """The job can't be followed (any more)."""


@dataclass
class Follower:
    """Looks at a job again and again; a hiccup of the API leaves the last view standing."""

    reader: Reader
    name: str
    patience: float
    """Seconds without an answer after which to give up."""
    clock: Callable[[], float] = time.monotonic
    view: JobView | None = None
    events: tuple[Event, ...] = ()
    trouble: str = ""
    _answered: float | None = None
    _events_at: float = field(default=float("-inf"))

    def look(self) -> None:
        """One round.

        Raises:
            CannotWatch: there is no such job, no permission, or no answer for too long.
        """
        now = self.clock()
        if self._answered is None:
            self._answered = now
        try:
            self.view = view_of(self.reader.job(self.name))
            if now - self._events_at >= EVENTS_EVERY_SECONDS or self.view.succeeded is not None:
                self._events_at = now
                self._look_at_events(self.view.uid)
            self.trouble, self._answered = "", now
        except NotFound as error:
            raise CannotWatch(f"{self.name} was deleted" if self.view else str(error)) from error
        except Refused as error:
            raise CannotWatch(str(error)) from error
        except Unreachable as error:
            silent = now - self._answered
            if silent > self.patience:
                raise CannotWatch(f"{error} (for {duration(silent)})") from error
            self.trouble = f"{error}; trying again"

    def _look_at_events(self, uid: str) -> None:
        try:
            self.events = events_of(self.reader.events(uid))
        except Refused:
            self.events = ()  # reading events is a permission of its own


def watch_live(follower: Follower, console: Console, interval: float) -> JobView:
    """Redraw in place until the job ends; the last picture stays.

    Raises:
        CannotWatch
    """
    with Live(console=console, auto_refresh=False, transient=False, vertical_overflow="crop") as screen:
        while True:
            follower.look()
            if follower.view is not None:
                picture = render.live(
                    follower.view, follower.events, datetime.now(UTC), console.width, follower.trouble
                )
                screen.update(picture, refresh=True)
                if follower.view.succeeded is not None:
                    return follower.view
            time.sleep(interval)


def watch_lines(
    follower: Follower,
    say: Callable[[str], None],
    interval: float,
    sleep: Callable[[float], None] = time.sleep,
) -> JobView:
    """One line per change of state, per event, and every few seconds while steps are done.

    Raises:
        CannotWatch
    """
    told: set[tuple[str, str]] = set()
    last_state, last_line, last_said = "", "", float("-inf")
    while True:
        follower.look()
        if follower.trouble:
            say(follower.trouble)
        for event in follower.events:
            if (event.reason, event.message) not in told:
                told.add((event.reason, event.message))
                say(render.event_line(event))
        view = follower.view
        if view is not None:
            line, now = render.line(view), follower.clock()
            due = now - last_said >= LINE_EVERY_SECONDS or view.succeeded is not None
            if line != last_line and (view.state != last_state or due):
                last_state, last_line, last_said = view.state, line, now
                say(line)
            if view.succeeded is not None:
                return view
        sleep(interval)
