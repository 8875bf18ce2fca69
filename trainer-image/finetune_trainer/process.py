"""The engine's process: started, listened to, asked to stop, and ended with everything it started.

It is a process of its own so that the launcher stays light and answers whatever happens to torch: a signal is handled
at once, and an out-of-memory kill is seen and told.
"""

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from finetune_trainer.log import fields

logger = logging.getLogger(__name__)

TAIL_LINES = 400
"""Lines of the engine's output kept to find out why it failed."""


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
        self._threads = (
            threading.Thread(target=self._read_output, name="engine-output", daemon=True),
            threading.Thread(target=self._read_events, args=(read_end,), name="engine-events", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def _read_output(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  # a pipe was asked for
        for raw in self._process.stdout:
            sys.stdout.buffer.write(raw)
            sys.stdout.buffer.flush()
            self.tail.append(raw.decode(errors="replace").rstrip("\n"))

    def _read_events(self, descriptor: int) -> None:
        with os.fdopen(descriptor, encoding="utf-8") as pipe:
            for line in pipe:
                self.events.put(json.loads(line))

    def next_event(self, wait: float) -> dict[str, Any] | None:
        """The next event, None if there is none within `wait` seconds."""
        try:
            return self.events.get(timeout=wait) if wait else self.events.get_nowait()
        except queue.Empty:
            return None

    def poll(self) -> int | None:
        """Exit code, None while running."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Forward the cluster's SIGTERM: the engine checkpoints and ends by itself."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Kill the engine and all below it, by descent: torchrun starts its workers in sessions of their own."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [
                *psutil.Process(self._process.pid).children(recursive=True),
                psutil.Process(self._process.pid),
            ]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self._process.wait()

    def collect(self, timeout: float = 10) -> None:
        """Wait until output and events are read to their ends."""
        for thread in self._threads:
            thread.join(timeout)
            if thread.is_alive():
                logger.warning("a descendant of the engine keeps its output open", extra=fields(thread=thread.name))


class Stopper:
    """SIGTERM and SIGINT, as a flag. The handler itself does nothing else, so it is safe at any moment."""

    def __init__(self) -> None:
        self.requested = threading.Event()

    def install(self) -> None:
        """Process 1 of a container has no default handlers: without this a signal would be ignored."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.requested.set())
