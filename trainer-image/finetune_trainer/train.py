"""The launcher of the Train stage: checks, starts the engine, follows it, and tells how it ended. Imports no torch."""

import errno
import logging
import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finetune_contract import paths
from finetune_contract.config import TrainConfig
from finetune_contract.progress import Metric
from finetune_contract.reasons import ExitCode, Reason
from finetune_contract.result import StageResult, termination_message
from finetune_trainer import chart, config, environment, outcome, sources
from finetune_trainer.engine_main import TaskFile
from finetune_trainer.errors import EXIT_CODE_OF_REASON, MESSAGE_LIMIT, StageError
from finetune_trainer.log import fields
from finetune_trainer.metrics import as_text
from finetune_trainer.outcome import Outcome
from finetune_trainer.process import EngineProcess, Stopper
from finetune_trainer.progress import Progress
from finetune_trainer.report import Credentials, KubeflowTrainer, Operator

logger = logging.getLogger(__name__)

TELL_SECONDS = 20.0
"""Of the time between SIGTERM and the kill, what the engine can't have: in it the result is written and posted."""
ENGINE_SECONDS = 5.0
"""What the engine has in any case."""


@dataclass(frozen=True)
class Surroundings:
    """What the cluster mounts into the pod."""

    credentials: Credentials = field(default_factory=Credentials)
    termination_log: Path = Path(paths.TERMINATION_LOG)


def main(config_path: Path, surroundings: Surroundings) -> int:
    """Run the stage. Returns its exit code; success is told by the StageResult alone."""
    started, stopper = datetime.now(UTC), Stopper(environment.grace_seconds())
    stopper.install()
    try:
        settings = config.load(config_path)
        node = config.Node.of(settings)
    except StageError as error:
        return _fail_early(error, config.recover(config_path), started, stopper, surroundings)
    logger.info(
        "stage begins",
        extra=fields(
            job=f"{settings.job.namespace}/{settings.job.name}", attempt=settings.job.attempt, run=settings.run_id
        ),
    )
    return Stage(settings, node, surroundings, stopper, started).run(config_path)


def _fail_early(
    error: StageError, remains: config.Remains, started: datetime, stopper: Stopper, surroundings: Surroundings
) -> int:
    """A configuration that can't be used: told with what is left of it, and posted if it still says where to."""
    result = StageResult(
        attempt=remains.attempt,
        run_id=remains.run_id,
        outcome="Failed",
        reason=error.reason,
        message=error.message,
        exit_code=error.exit_code,
        started=started,
        finished=datetime.now(UTC),
    )
    operator = Operator(remains.report.url, surroundings.credentials) if remains.report else None
    return _tell(result, operator, stopper, surroundings)


def _tell(result: StageResult, operator: Operator | None, stopper: Stopper, surroundings: Surroundings) -> int:
    """Log, leave the termination message and post; the exit code follows."""
    level = logging.INFO if result.outcome == "Succeeded" else logging.ERROR
    logger.log(
        level, result.message, extra=fields(outcome=result.outcome, reason=result.reason, steps=result.steps_done)
    )
    try:
        surroundings.termination_log.write_text(termination_message(result))
    except OSError as error:
        logger.info("no termination message: this is no pod", extra=fields(error=str(error)))
    except Exception:  # the post says the same and more
        logger.exception("the termination message can't be made")
    if operator is not None:
        operator.result(result, left=stopper.left)
    return result.exit_code


class Stage:
    """One start of the stage on one node."""

    def __init__(
        self, settings: TrainConfig, node: config.Node, surroundings: Surroundings, stopper: Stopper, started: datetime
    ) -> None:
        self.settings, self.node, self.surroundings = settings, node, surroundings
        self.stopper, self.started = stopper, started
        self.directory = Path(settings.run_dir)
        self.leads = node.rank == 0
        report = settings.report
        self.operator = Operator(report.url, surroundings.credentials) if report else None
        self.progress = Progress(
            attempt=settings.job.attempt,
            # only the first node's: others may still see what an earlier start has written
            metrics_file=self.directory / paths.METRICS if self.leads else None,
            operator=self.operator if self.leads else None,
            kubeflow=KubeflowTrainer.from_environment() if self.leads else None,
            interval=report.interval_seconds if report else 1.0,
        )

    def run(self, config_path: Path) -> int:
        """Do the work and tell how it ended."""
        if (earlier := self._complete_result()) is not None:
            logger.info("this run is already complete", extra=fields(run=self.settings.run_id))
            return self._tell(earlier) if self.leads else ExitCode.OK
        try:
            end = self._work(config_path)
        except StageError as error:
            end = Outcome(error.reason, error.message)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            where = f": {error.filename}" if error.filename else ""
            end = Outcome(
                Reason.DISK_FULL if full else Reason.ENGINE_FAILED,
                f"{error.strerror or error}{where}" + ("; make `storage.size` larger" if full else ""),
            )
        except Exception as error:  # a fault of the trainer's own: told like any other end
            logger.exception("the trainer has failed")
            end = Outcome(Reason.ENGINE_FAILED, f"the trainer has failed: {type(error).__name__}: {error}")
        return self._finish(end)

    def _complete_result(self) -> StageResult | None:
        """The result of this very run, if it is complete and its model still there."""
        try:
            result = StageResult.model_validate_json((self.directory / paths.RESULT).read_text())
        except (OSError, ValueError):
            return None
        there = (self.directory / paths.MODEL / "config.json").is_file()
        if not (result.complete and result.run_id == self.settings.run_id and there):
            return None
        return result.model_copy(update={"attempt": self.settings.job.attempt})

    def _work(self, config_path: Path) -> Outcome:
        self.stopper.unless_stopped(lambda: sources.read_rows(self.settings.dataset))
        self._clear()
        self.progress.start()
        if self.settings.model.path is None:
            self.progress.set(phase="fetching model")
        workspace = self.directory.parents[1]
        model = self.stopper.unless_stopped(lambda: sources.model_directory(self.settings.model, workspace))
        self.progress.set(phase="loading engine")
        task = self.directory / "engine" / f"task-{self.node.rank}.json"
        TaskFile(
            config=str(config_path),
            model=str(model),
            run=str(self.directory),
            rank=self.node.rank,
            master_addr=self.node.master_addr,
            master_port=self.node.master_port,
        ).write(task)
        engine = EngineProcess(task, environment.of_engine(self.settings, self.node.rank))
        try:
            return self._follow(engine)
        finally:
            engine.end()

    def _clear(self) -> None:
        """Begin from nothing: the engines would pick up what a killed start has left and then train nothing."""
        engine, own = self.directory / "engine", f"data-{self.node.rank}"
        self.directory.mkdir(parents=True, exist_ok=True)
        engine.mkdir(exist_ok=True)
        for entry in engine.iterdir():
            of_a_node = entry.name.startswith(("data-", "task-"))
            if entry.name == own or (self.leads and not of_a_node):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        if self.leads:
            for name in (paths.METRICS, paths.RESULT, paths.LOSS_CHART):
                (self.directory / name).unlink(missing_ok=True)

    def _follow(self, engine: EngineProcess) -> Outcome:
        """Until the engine has ended, one way or another."""
        told: dict[str, Any] = {}
        deadline: float | None = None
        while engine.poll() is None:
            self._take_events(engine, told, wait=0.2)
            if self.progress.history.not_finite is not None:  # going on is a waste
                break
            if self.stopper.requested:
                if deadline is None:
                    seconds = max(self.stopper.left() - TELL_SECONDS, ENGINE_SECONDS)
                    deadline = time.monotonic() + seconds
                    logger.info("asked to stop", extra=fields(seconds=round(seconds, 1)))
                    engine.ask_to_stop()
                elif time.monotonic() > deadline:
                    logger.warning("the engine has not stopped in time")
                    break
        code = engine.poll()
        engine.end()
        engine.collect(2 if self.stopper.requested else 10)
        self._take_events(engine, told, wait=0)
        self.progress.catch_up()
        return outcome.judge(code, told.get("outcome"), list(engine.tail), self.progress.history)

    def _take_events(self, engine: EngineProcess, told: dict[str, Any], wait: float) -> None:
        while (event := engine.next_event(wait)) is not None:
            wait = 0
            told.update(event)
            self.progress.set(event.get("phase"), event.get("total"), event.get("epoch_steps"))
            if "dataset" in event:
                logger.info("data is tokenized", extra=fields(**event["dataset"], steps=event["total"]))

    def _finish(self, end: Outcome) -> int:
        stopped = self.stopper.requested
        succeeded = end.reason is Reason.COMPLETED
        self.progress.finish("complete" if succeeded else "stopped", finished=succeeded, hurry=stopped)
        history = self.progress.history
        if stopped and end.reason not in (Reason.COMPLETED, Reason.LOSS_NOT_FINITE):
            end = Outcome(Reason.INTERRUPTED, self._interrupted())
        shutil.rmtree(self.directory / "engine" / f"data-{self.node.rank}", ignore_errors=True)
        result = StageResult(
            attempt=self.settings.job.attempt,
            run_id=self.settings.run_id,
            rank=self.node.rank,
            outcome="Succeeded" if succeeded else "Interrupted" if end.reason is Reason.INTERRUPTED else "Failed",
            reason=end.reason,
            message=(end.message or f"{history.steps_done} steps, the model is proven to load")[:MESSAGE_LIMIT],
            exit_code=EXIT_CODE_OF_REASON[end.reason],
            steps_done=history.steps_done,
            steps_planned=self.progress.total,
            started=self.started,
            finished=datetime.now(UTC),
            metrics=(
                *history.metrics(self.progress.epoch_steps),
                Metric(
                    name="runtime_seconds", value=as_text(round((datetime.now(UTC) - self.started).total_seconds(), 1))
                ),
            ),
            loss_history=history.points(),
            model=end.model,
            training=end.training,
            osft=self.settings.osft,
            engine=environment.versions(self.settings.algorithm),
        )
        if succeeded and not self.leads:
            logger.info("this node has done its part")
            return ExitCode.OK
        if self.leads:
            self._keep(result)
        return self._tell(result)

    def _keep(self, result: StageResult) -> None:
        """Chart and result in the workspace; the result last and in one move: it says that the run is complete."""
        try:
            _replace(self.directory / paths.LOSS_CHART, chart.render(self.settings, result, self.progress.history))
        except Exception:  # a picture is never worth the result
            logger.exception("the chart can't be made")
        if result.complete:
            shutil.rmtree(self.directory / "engine" / "hf_format", ignore_errors=True)
        try:
            _replace(self.directory / paths.RESULT, result.to_json())
        except OSError as error:
            logger.error("the result can't be written to the workspace", extra=fields(error=str(error)))

    def _interrupted(self) -> str:
        done, planned = self.progress.history.steps_done, self.progress.total
        where = f" at step {done} of {planned}" if self.leads and planned else ""
        return f"stopped by a signal{where} before it was done; create the FineTuneJob again"

    def _tell(self, result: StageResult) -> int:
        return _tell(result, self.operator, self.stopper, self.surroundings)


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)
