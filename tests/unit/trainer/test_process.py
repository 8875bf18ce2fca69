import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune_contract.reasons import Reason
from finetune_trainer import process
from finetune_trainer.descendants import PROC, Descendants
from finetune_trainer.errors import StageError
from finetune_trainer.process import EngineProcess, Stopper

needs_proc = pytest.mark.skipif(not (PROC / "self" / "stat").exists(), reason="reads /proc")


def engine(code: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> EngineProcess:
    """An engine that runs `code`, with the descriptor of its events as `events`."""
    start = f"import os, subprocess, sys, time; events = int(sys.argv[-1])\n{code}"
    real = subprocess.Popen

    def popen(command: list[str], **options: object) -> "subprocess.Popen[bytes]":
        return real([sys.executable, "-c", start, *command[3:]], **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(process.subprocess, "Popen", popen)
    started = EngineProcess(tmp_path / "task.json", os.environ)
    started.poll()
    return started


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "too late"
        time.sleep(0.02)


def alive(number: int) -> bool:
    try:
        return (PROC / str(number) / "stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


WORKER = (
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
    """os.write(events, b'{"child": %d}\\n' % child.pid)\n"""
)


@needs_proc
def test_workers_end_even_if_the_engine_has_ended_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    running = engine(WORKER + "time.sleep(60)", monkeypatch, tmp_path)
    monkeypatch.setattr(process, "LOOK_SECONDS", 600)  # before the signal, and never again
    event = running.next_event(20)
    assert event is not None
    running.ask_to_stop()
    until(lambda: running.poll() is not None)
    assert alive(event["child"])
    running.end()
    until(lambda: not alive(event["child"]))
    running.collect(5)


@needs_proc
def test_workers_of_a_running_engine_end_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    running = engine(WORKER + "time.sleep(60)", monkeypatch, tmp_path)
    event = running.next_event(20)
    assert event is not None
    running.end()
    assert running.poll() == -signal.SIGKILL
    until(lambda: not alive(event["child"]))


@needs_proc
def test_a_number_that_is_used_again_is_another_process() -> None:
    mine = Descendants(os.getpid())
    (number, started) = next(p for p in mine.look() if p[0] == os.getpid())
    mine._known = {(number, started + 1)}
    assert mine.look() == set()


def test_the_output_is_read_on_when_nobody_wants_to_see_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Closed:
        def write(self, _: bytes) -> None:
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(process.sys, "stdout", type("Stdout", (), {"buffer": Closed()})())
    running = engine("for i in range(20_000): print(i, 'x' * 20)", monkeypatch, tmp_path)
    until(lambda: running.poll() is not None)
    running.collect(5)
    assert running.tail[-1].startswith("19999 ")
    running.end()


def test_what_is_no_event_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = ["{", "\\xff", json.dumps({"phase": "tokenizing"})]
    running = engine(f"os.write(events, b'{chr(92)}n'.join({[x.encode() for x in lines]!r}))", monkeypatch, tmp_path)
    assert running.next_event(20) == {"phase": "tokenizing"}
    until(lambda: running.poll() is not None)
    running.end()


class TestStopper:
    def test_the_first_signal_starts_the_clock(self) -> None:
        stopper = Stopper(60)
        assert not stopper.requested
        assert stopper.left() == float("inf")
        stopper.stop()
        first = stopper.left()
        stopper.stop()
        assert stopper.requested
        assert 59 < stopper.left() <= first <= 60

    def test_work_gives_what_it_gives(self) -> None:
        assert Stopper(60).unless_stopped(lambda: 7) == 7

        def fail() -> None:
            raise TimeoutError("of its own")

        with pytest.raises(TimeoutError, match="of its own"):
            Stopper(60).unless_stopped(fail)

    def test_work_is_left_behind_by_a_signal(self) -> None:
        stopper, never = Stopper(60), threading.Event()
        threading.Timer(0.1, stopper.stop).start()
        begin = time.monotonic()
        with pytest.raises(StageError) as error:
            stopper.unless_stopped(lambda: never.wait(30))
        assert error.value.reason is Reason.INTERRUPTED
        assert time.monotonic() - begin < 5
        never.set()
