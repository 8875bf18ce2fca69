"""Follows `metrics.jsonl` in a thread and posts what it says; the training never waits for it."""

import contextlib
import logging
import math
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from finetune_contract.progress import ProgressReport, TrainerStatus
from finetune_trainer.metrics import History, StepRecord, Tail
from finetune_trainer.planning import Pace, percentage
from finetune_trainer.report import KubeflowTrainer, Operator

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.25
HEARTBEAT_SECONDS = 10.0
"""Longest silence: a run that makes no step still says that it lives."""


class Progress:
    """What the run does now. `set` and the properties may be used from any thread."""

    def __init__(
        self,
        attempt: int,
        metrics_file: Path | None,
        operator: Operator | None,
        kubeflow: KubeflowTrainer | None,
        interval: float,
    ) -> None:
        """`metrics_file`: None on a node that neither writes it nor reports it."""
        self.history = History()
        self._attempt, self._tail = attempt, Tail(metrics_file) if metrics_file else None
        self._operator, self._kubeflow, self._interval = operator, kubeflow, interval
        self._pace = Pace()
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._phase, self._total, self._epoch_steps, self._finished = "starting", 0, 0, False
        self._changed, self._last_post = True, -math.inf
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def start(self) -> None:
        """Begin to follow and post."""
        self._thread.start()

    def set(self, phase: str | None = None, total: int | None = None, epoch_steps: int | None = None) -> None:
        """What the stage is doing; posted soon."""
        with self._lock:
            self._phase = phase if phase is not None else self._phase
            self._total = total if total is not None else self._total
            self._epoch_steps = epoch_steps if epoch_steps is not None else self._epoch_steps
            self._changed = True

    @property
    def total(self) -> int:
        """Planned steps, 0 while not known."""
        return self._total

    @property
    def epoch_steps(self) -> int:
        """Steps of one epoch, 0 while not known."""
        return self._epoch_steps

    def finish(self, phase: str, *, finished: bool, hurry: bool = False) -> None:
        """Stop following, read what is left and post the last picture; never raises. `finished`: the run is complete,
        100 %. `hurry`: don't post, the time is needed for the result, which says the same.
        """
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5 if hurry else 15)
        self.catch_up()
        with self._lock:
            self._phase, self._finished, self._changed = phase, finished, True
        if not hurry:
            with self._guard():
                self._post(force=True)

    def catch_up(self) -> None:
        """Take in the steps written since the last time; never raises."""
        with self._guard():
            self._read()

    @staticmethod
    @contextlib.contextmanager
    def _guard() -> Iterator[None]:
        try:
            yield
        except Exception:  # whatever is wrong with reporting, the training goes on and its end is told
            logger.exception("progress can't be reported")

    def _read(self) -> None:
        for line in self._tail.lines() if self._tail else ():
            try:
                record = StepRecord.parse(line)
            except ValueError:
                logger.warning("unreadable line in metrics.jsonl")
                continue
            with self._lock:
                self.history.add(record)
                self._pace.add(record.step, record.time)
                self._phase, self._changed = "training", True

    def _run(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            with self._guard():
                self._read()
                self._post()

    def _post(self, *, force: bool = False) -> None:
        now = time.monotonic()
        since = now - self._last_post
        if not force and (since < self._interval or (not self._changed and since < HEARTBEAT_SECONDS)):
            return
        self._last_post = now
        with self._lock:
            self._changed = False
            report = self._report()
        if self._operator is not None:
            self._operator.progress(report)
        if self._kubeflow is not None:
            self._kubeflow.progress(report.trainer_status, now=now, force=force)

    def _report(self) -> ProgressReport:
        step = self.history.steps_done
        left = 0 if self._finished else self._pace.seconds_left(self._total) if self._total else None
        return ProgressReport(
            attempt=self._attempt,
            step=step,
            total_steps=self._total,
            phase=self._phase,
            trainer_status=TrainerStatus(
                progress_percentage=percentage(step, self._total, finished=self._finished),
                estimated_remaining_seconds=left,
                metrics=self.history.metrics(self._epoch_steps),
                last_updated_time=datetime.now(UTC).replace(microsecond=0),
            ),
            loss_history=self.history.points(),
        )
