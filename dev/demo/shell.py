"""Commands, and what the demo says."""

import json
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

ROOT = Path(__file__).resolve().parents[2]
MAX_WIDTH = 110

console = Console(highlight=False, soft_wrap=True)


class Failed(Exception):
    """The demo can't go on; the message says why and what to do."""


def say(text: str = "") -> None:
    """One line for people, with Rich's markup."""
    console.print(text)


def run(*command: str, stdin: str | None = None, timeout: float | None = None) -> str:
    """The command's standard output; its standard error passes through to the terminal.

    Raises:
        Failed: it did not exit with 0.
    """
    return _finished(command, stdin, timeout, stderr=None)


def quiet(*command: str, stdin: str | None = None, timeout: float | None = None) -> str:
    """The command's standard output; its standard error is only shown when it fails.

    Raises:
        Failed: it did not exit with 0.
    """
    return _finished(command, stdin, timeout, stderr=subprocess.PIPE)


def _finished(command: Sequence[str], stdin: str | None, timeout: float | None, stderr: int | None) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise Failed(f"{command[0]} is not there: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f"`{shlex.join(command)}` took longer than {timeout:.0f} s") from error
    if done.returncode:
        said = escape((done.stderr or "").strip())
        raise Failed(f"`{escape(shlex.join(command))}` exited with {done.returncode}" + (f":\n{said}" if said else ""))
    return done.stdout


def kubectl(*arguments: str, stdin: str | None = None, timeout: float | None = None) -> str:
    """kubectl's standard output.

    Raises:
        Failed: it did not exit with 0.
    """
    return quiet("kubectl", *arguments, stdin=stdin, timeout=timeout)


def get(*arguments: str) -> dict[str, Any]:
    """An object, or a list of objects; empty where there is none of that name.

    Raises:
        Failed: kubectl did not exit with 0.
    """
    text = kubectl("get", *arguments, "--ignore-not-found", "-o", "json")
    body = json.loads(text) if text.strip() else {}
    return body if isinstance(body, dict) else {}


class Steps:
    """Says which step runs, and at the end how long each one took."""

    def __init__(self) -> None:
        self._taken: list[tuple[str, float]] = []

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A step; its time counts only when it succeeds."""
        say(f"\n[bold cyan]▸ {title}[/]")
        begin = time.monotonic()
        yield
        self._taken.append((title, time.monotonic() - begin))

    @property
    def total(self) -> float:
        """Seconds of all steps."""
        return sum(seconds for _, seconds in self._taken)

    def summary(self) -> str:
        """Steps with their seconds, one per line."""
        rows = [*self._taken, ("in total", self.total)]
        return "\n".join(f"  {seconds:6.1f} s  {title}" for title, seconds in rows)
