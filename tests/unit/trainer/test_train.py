"""The launcher with an engine that is played: however a run ends, it is told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune_contract import paths
from finetune_contract.reasons import ExitCode, Reason
from finetune_contract.result import StageResult
from finetune_trainer import chart, environment, report, sources, train
from finetune_trainer.errors import StageError
from finetune_trainer.process import Stopper
from finetune_trainer.progress import Progress
from finetune_trainer.report import Answer, Credentials
from unit.trainer.builders import write_config

ROW = {"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "one"}]}
DONE = {
    "reason": Reason.COMPLETED,
    "model": {"path": "runs/run-1/model", "digest": f"sha256:{'0' * 64}", "parameters": 1, "bytes": 1},
}


class FakeEngine:
    """Writes the losses it is given, says how it ended, and has ended."""

    losses: tuple[float, ...] = ()
    told: dict[str, Any] = {}  # noqa: RUF012
    meanwhile: Callable[[], None] = staticmethod(lambda: None)
    """Runs while the engine does."""
    code = 0

    def __init__(self, task: Path, environ: dict[str, str]) -> None:
        self.tail: list[str] = []
        self.asked = False
        self._polls = 0
        data = task.parent / "data-0"
        data.mkdir(exist_ok=True)
        (data / "data.jsonl").write_text("{}")
        lines = [
            json.dumps({"step": i, "epoch": 0, "loss": loss, "time": float(i)}) + "\n"
            for i, loss in enumerate(self.losses, start=1)
        ]
        (task.parents[1] / paths.METRICS).write_text("".join(lines))
        self._events = [{"total": 3, "epoch_steps": 3}, {"outcome": self.told}]

    def poll(self) -> int | None:
        self._polls += 1
        if self._polls == 1:
            self.meanwhile()
        return None if self._polls < 3 and not self.asked else self.code

    def next_event(self, wait: float) -> dict[str, Any] | None:
        return self._events.pop(0) if self._events else None

    def ask_to_stop(self) -> None:
        self.asked = True

    def end(self) -> None:
        pass

    def collect(self, timeout: float = 10) -> None:
        pass


class Pod:
    """Surroundings of one start, and what is posted from it."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory, self.patch = directory, monkeypatch
        self.results: list[StageResult] = []
        self.log = directory / "termination-log"
        (directory / "train.jsonl").write_text(json.dumps(ROW) + "\n")
        base = directory / "base"
        base.mkdir()
        (base / "config.json").write_text("{}")
        (base / "model.safetensors").write_bytes(b"")
        self.engine = type("Engine", (FakeEngine,), {"losses": (3.0, 2.0, 1.0), "told": DONE})
        self.stopper = Stopper(60)
        monkeypatch.setattr(self.stopper, "install", lambda: None)
        monkeypatch.setattr(train, "Stopper", lambda grace: self.stopper)
        monkeypatch.setattr(train, "EngineProcess", self.engine)
        monkeypatch.setattr(report, "post", self._post)
        for name in ("PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK", "PET_MASTER_ADDR"):
            monkeypatch.delenv(name, raising=False)

    def _post(self, url: str, body: str, credentials: Credentials) -> Answer:
        if url == "https://operator/job/result":
            self.results.append(StageResult.model_validate_json(body))
        return Answer(200)

    def start(self, **changes: Any) -> int:
        config = write_config(self.directory, **{"report": {"url": "https://operator/job"}, **changes})
        return self.start_with(config)

    def start_with(self, config: Path) -> int:
        return train.main(config, train.Surroundings(Credentials(), self.log))

    @property
    def run(self) -> Path:
        return self.directory / "runs" / "run-1"

    @property
    def told(self) -> StageResult:
        """By the termination message."""
        return StageResult.model_validate_json(self.log.read_text())


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    return Pod(tmp_path, monkeypatch)


def test_a_complete_run_is_written_and_posted(pod: Pod) -> None:
    assert pod.start() == 0
    assert pod.results == [StageResult.model_validate_json((pod.run / "result.json").read_text())]
    assert pod.results[0].complete
    assert pod.told.complete
    assert (pod.run / "loss.html").exists()
    assert not (pod.run / "engine" / "data-0").exists()


def broken(*_: object, **__: object) -> Any:
    raise ZeroDivisionError("broken")


@pytest.mark.parametrize(
    ("place", "name"),
    [
        pytest.param(chart, "render", id="the chart"),
        pytest.param(train, "termination_message", id="the termination message"),
        pytest.param(Progress, "_read", id="reading the metrics"),
        pytest.param(Progress, "_report", id="the last report"),
    ],
)
def test_nothing_prevents_the_result(pod: Pod, place: Any, name: str) -> None:
    pod.patch.setattr(place, name, broken)
    assert pod.start() == 0
    assert pod.results[0].outcome == "Succeeded"
    assert (pod.run / "result.json").exists()


def test_a_fault_of_the_trainer_is_told(pod: Pod) -> None:
    pod.patch.setattr(sources, "read_rows", broken)
    assert pod.start() == ExitCode.ENGINE_FAILED
    assert "ZeroDivisionError: broken" in pod.results[0].message


def test_a_full_disk_is_told(pod: Pod) -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    pod.patch.setattr(sources, "read_rows", full)
    assert pod.start() == ExitCode.DISK_FULL
    assert pod.results[0].message == "No space left on device; make `storage.size` larger"


def test_a_loss_that_was_not_finite_stays_so(pod: Pod) -> None:
    pod.engine.losses = (2.0, float("inf"), 1.9)
    assert pod.start() == ExitCode.LOSS_NOT_FINITE
    assert pod.results[0].message.startswith("the loss is Infinity at step 2;")


class TestSignal:
    def test_while_the_engine_runs(self, pod: Pod) -> None:
        pod.engine.losses, pod.engine.told, pod.engine.code = (3.0, 2.0), {"reason": Reason.ENGINE_FAILED}, -15
        pod.engine.meanwhile = staticmethod(pod.stopper.stop)
        assert pod.start() == ExitCode.INTERRUPTED
        result = pod.results[0]
        assert (result.outcome, result.reason) == ("Interrupted", Reason.INTERRUPTED)
        assert result.message == ("stopped by a signal at step 2 of 3 before it was done; create the FineTuneJob again")
        assert pod.told.reason is Reason.INTERRUPTED

    def test_while_a_model_is_fetched(self, pod: Pod) -> None:
        def fetch(*_: object) -> None:
            pod.stopper.stop()
            raise StageError(Reason.MODEL_NOT_FOUND, "the connection is lost")

        pod.patch.setattr(sources, "model_directory", fetch)
        assert pod.start() == ExitCode.INTERRUPTED
        assert pod.results[0].message == "stopped by a signal before it was done; create the FineTuneJob again"

    def test_after_the_last_step_does_not_undo_the_work(self, pod: Pod) -> None:
        pod.patch.setattr(chart, "render", lambda *_: pod.stopper.stop() or "")
        assert pod.start() == 0
        assert pod.results[0].complete


class TestWrongConfiguration:
    def test_is_posted_when_it_says_where_to(self, pod: Pod) -> None:
        pod.patch.setenv("PET_NNODES", "3")
        assert pod.start() == ExitCode.CONFIG_INVALID
        assert pod.results == [pod.told]
        assert (pod.told.run_id, pod.told.attempt) == ("run-1", 1)

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param(None, id="no file"),
            pytest.param(b"{", id="no JSON"),
            pytest.param(b"\xff\xfe\x00", id="no text"),
            pytest.param(b"[1]", id="no object"),
            pytest.param(b"{}", id="nothing in it"),
            pytest.param(b'{"runId": "Not/One", "job": {"attempt": "x"}, "report": {"url": 3}}', id="wrong types"),
            pytest.param(b'{"report": {"url": "http://operator/job"}}', id="nothing goes in the clear"),
        ],
    )
    def test_is_told_with_what_is_left_of_it(self, pod: Pod, tmp_path: Path, text: bytes | None) -> None:
        if text is not None:
            (tmp_path / "config.json").write_bytes(text)
        assert pod.start_with(tmp_path / "config.json") == ExitCode.CONFIG_INVALID
        assert (pod.told.run_id, pod.told.attempt, pod.told.reason) == ("unknown", 1, Reason.CONFIG_INVALID)
        assert pod.results == []

    def test_too_many_attempts_are_told_as_the_last(self, pod: Pod) -> None:
        assert pod.start(job={"attempt": 1001}) == ExitCode.CONFIG_INVALID
        assert (pod.told.attempt, pod.told.run_id) == (1000, "run-1")
        assert "job.attempt" in pod.results[0].message


def test_another_node_neither_follows_nor_leaves_its_data(pod: Pod) -> None:
    for name, value in {"PET_NODE_RANK": "1", "PET_MASTER_ADDR": "node-0"}.items():
        pod.patch.setenv(name, value)
    own = pod.run / "engine" / "data-1"

    def meanwhile() -> None:
        own.mkdir()
        (own / "data.jsonl").write_text("{}")

    pod.engine.meanwhile = staticmethod(meanwhile)
    pod.engine.losses = (float("nan"),)  # an earlier start's
    pod.engine.told = {"reason": Reason.COMPLETED}
    assert pod.start(distribution={"numNodes": 2}) == 0
    assert not own.exists()
    assert pod.results == []


@pytest.mark.parametrize(
    ("told", "want"), [(None, 60), ("90", 90), ("soon", 60), ("-1", 60), ("nan", 60), ("inf", 60), ("0", 60)]
)
def test_the_time_to_end_is_the_pods(told: str | None, want: float) -> None:
    assert environment.grace_seconds({} if told is None else {environment.GRACE_ENV: told}) == want
