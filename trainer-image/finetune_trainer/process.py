"""The engine's process: started, listened to, asked to stop, and ended with everything it started.

It is a process of its own so that the launcher stays light and answers whatever happens to torch: a signal is handled
at once, and an out-of-memory kill is seen and told.
"""

import contextlib
import json
import logging
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent import futures
from pathlib import Path
from typing import Any, TypeVar

from finetune_contract.reasons import Reason
from finetune_trainer.descendants import Descendants
from finetune_trainer.errors import StageError
from finetune_trainer.log import fields

logger = logging.getLogger(__name__)

T = TypeVar("T")

TAIL_LINES = 400
"""Lines of the engine's output kept to find out why it failed."""
LOOK_SECONDS = 1.0
"""How often the engine's processes are looked for."""


class EngineProcess:
    """`python -m finetune_trainer engine`; its events arrive on a pipe, its output passes through."""

    def __init__(self, task_file: Path, environment: Mapping[str, str]) -> None:
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        read_end, write_end = os.pipe()
        command = [
            sys.executable,
            "-m",
            "finetune_trainer",
            "engine",
            "--task",
            str(task_file),
            "--events",
            str(write_end),
        ]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            pass_fds=(write_end,),
            start_new_session=True,  # a terminal's Ctrl-C goes to the launcher alone, which then asks nicely
        )
        os.close(write_end)
        self._family, self._looked = Descendants(self._process.pid), 0.0
        self._threads = (
            threading.Thread(target=self._read_output, name="engine-output", daemon=True),
            threading.Thread(target=self._read_events, args=(read_end,), name="engine-events", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def _read_output(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  # a pipe was asked for
        shown = True
        for raw in self._process.stdout:  # to its end, whatever happens: a full pipe would block the training for ever
            self.tail.append(raw.decode(errors="replace").rstrip("\n"))
            if shown:
                try:
                    sys.stdout.buffer.write(raw)
                    sys.stdout.buffer.flush()
                except (OSError, ValueError) as error:  # nobody reads; or it is closed
                    shown = False
                    logger.warning("the engine's output can't be shown any more", extra=fields(error=str(error)))

    def _read_events(self, descriptor: int) -> None:
        with os.fdopen(descriptor, encoding="utf-8", errors="replace") as pipe:
            for line in pipe:
                try:
                    event = json.loads(line)
                except ValueError:  # cut short by a kill, or written by a stranger
                    logger.warning("the engine has sent what is no event", extra=fields(line=line[:200]))
                else:
                    self.events.put(event)

    def next_event(self, wait: float) -> dict[str, Any] | None:
        """The next event, None if there is none within `wait` seconds."""
        try:
            return self.events.get(timeout=wait) if wait else self.events.get_nowait()
        except queue.Empty:
            return None

    def poll(self) -> int | None:
        """Exit code, None while running."""
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            self._family.look()
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Forward the cluster's SIGTERM."""
        self._family.look()  # the engine's end may be sudden, and leave its workers behind
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Kill the engine and all that it has started, whether it still runs or not."""
        self._family.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in a dead file system, it can't even be killed
            self._process.wait(5)

    def collect(self, timeout: float = 10) -> None:
        """Wait until output and events are read to their ends, `timeout` seconds at most."""
        end = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
            if thread.is_alive():
                logger.warning("a descendant of the engine keeps its output open", extra=fields(thread=thread.name))


class Stopper:
    """SIGTERM and SIGINT, as a flag and a clock. The handler does nothing else, so it is safe at any moment."""

    def __init__(self, grace: float) -> None:
        """`grace`: seconds from the signal until the cluster kills."""
        self.grace = grace
        self._since = math.inf

    def install(self) -> None:
        """Process 1 of a container has no default handlers: without this a signal would be ignored."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())

    def stop(self) -> None:
        """What the signal does; the first one counts."""
        self._since = min(self._since, time.monotonic())

    @property
    def requested(self) -> bool:
        """A signal has arrived."""
        return self._since < math.inf

    def left(self) -> float:
        """Seconds until the cluster kills; infinite while nobody has asked to stop."""
        return self._since + self.grace - time.monotonic()

    def unless_stopped(self, work: Callable[[], T]) -> T:
        """The result of `work`, which runs in a thread and is left behind there by a signal: nothing can cut a download
        short from outside, and waiting for it would use up the time in which the end must be told.

        Raises:
            StageError: `Interrupted`.
        """
        future: futures.Future[T] = futures.Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # handed over, whatever it is
                future.set_exception(error)

        threading.Thread(target=run, name="preparation", daemon=True).start()
        while not futures.wait([future], timeout=0.2).done:
            if self.requested:
                raise StageError(Reason.INTERRUPTED, "stopped by a signal")
        return future.result()
