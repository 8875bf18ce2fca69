"""A process and all that it started, found by descent: torchrun starts its workers in sessions of their own."""

import contextlib
import os
import signal
from pathlib import Path

PROC = Path("/proc")

Process = tuple[int, int]
"""Number and start time, in ticks since boot: a number alone may be used again."""


def _table() -> dict[Process, int]:
    """Every process that can be seen, with its parent's number."""
    table = {}
    for directory in PROC.iterdir():
        if directory.name.isdecimal():
            with contextlib.suppress(OSError):  # ended meanwhile
                # proc(5): the name stands in parentheses and may hold anything; state, parent and so on follow
                rest = (directory / "stat").read_text(errors="replace").rpartition(")")[2].split()
                table[int(directory.name), int(rest[19])] = int(rest[1])
    return table


class Descendants:
    """Remembers whom it has seen: once a parent is gone, its children can't be traced to it any more."""

    def __init__(self, root: int) -> None:
        self._known: set[Process] = {process for process in _table() if process[0] == root}

    def look(self) -> set[Process]:
        """Those that are there now, the root among them."""
        table = _table()
        self._known &= table.keys()
        numbers = {number for number, _ in self._known}
        while found := {p for p, parent in table.items() if parent in numbers} - self._known:
            self._known |= found
            numbers |= {number for number, _ in found}
        return set(self._known)

    def kill(self) -> None:
        """Kill them all, and whom they start meanwhile."""
        killed: set[Process] = set()
        while found := self.look() - killed:
            for number, _ in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            killed |= found
