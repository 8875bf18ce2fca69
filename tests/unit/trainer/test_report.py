from datetime import UTC, datetime
from pathlib import Path

import pytest

from finetune_contract.progress import TrainerStatus
from finetune_contract.reasons import Reason
from finetune_contract.result import StageResult
from finetune_trainer import report
from finetune_trainer.report import Answer, Credentials, KubeflowTrainer, Operator

NOW = datetime(2026, 1, 2, tzinfo=UTC)
RESULT = StageResult(
    attempt=1, run_id="r", outcome="Failed", reason=Reason.ENGINE_FAILED, exit_code=10, started=NOW, finished=NOW
)
NOWHERE = Credentials(Path("/nonexistent/token"), Path("/nonexistent/ca"))


class Script:
    """Answers in order, and a clock that sleeping moves."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.now, self.posts = list(answers), 0.0, 0

    def post(self, url: str, body: str, credentials: Credentials) -> Answer:
        self.posts += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def offer(script: Script, monkeypatch: pytest.MonkeyPatch, seconds: float = 60) -> bool:
    monkeypatch.setattr(report, "post", script.post)
    return Operator("https://operator/", NOWHERE).result(RESULT, seconds, script.sleep, lambda: script.now)


def test_a_result_waits_for_the_next_leader(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(Answer(None, error="connection refused"), Answer(503, retry_after=7), Answer(500), Answer(200))
    assert offer(script, monkeypatch)
    assert script.posts == 4
    assert script.now == 0.5 + 7 + 2.0


def test_a_refusal_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(Answer(403, error="Forbidden"))
    assert not offer(script, monkeypatch)
    assert script.posts == 1


def test_a_result_is_not_offered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(Answer(None, error="timed out"))
    assert not offer(script, monkeypatch)
    assert 30 < script.now <= 60


def test_missing_credentials_are_no_exception() -> None:
    assert report.post("https://127.0.0.1:1/progress", "{}", NOWHERE).status is None


def test_trainers_own_server_is_used_when_all_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KubeflowTrainer.from_environment({}) is None
    names = {"URL": "https://trainer/status", "TOKEN": "/token", "CA_CERT": "/ca"}
    server = KubeflowTrainer.from_environment({f"KUBEFLOW_TRAINER_SERVER_{k}": v for k, v in names.items()})
    assert server is not None
    bodies: list[str] = []
    monkeypatch.setattr(report, "post", lambda url, body, credentials: bodies.append(body) or Answer(200))
    status = TrainerStatus(progress_percentage=5, last_updated_time=NOW)
    for now in (0.0, 3.0, 6.0):
        server.progress(status, now=now)
    server.progress(status, now=7.0, force=True)
    assert len(bodies) == 3
    assert (
        bodies[0]
        == '{"trainerStatus": {"progressPercentage": 5, "metrics": [], "lastUpdatedTime": "2026-01-02T00:00:00Z"}}'
    )


def test_a_signal_shortens_the_offer(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(Answer(None, error="timed out"))
    monkeypatch.setattr(report, "post", script.post)
    operator = Operator("https://operator/", NOWHERE)
    assert not operator.result(RESULT, 60, script.sleep, lambda: script.now, lambda: 15 - script.now)
    assert script.posts > 1
    assert script.now <= 15 - report.POST_SECONDS
    script.posts = 0
    assert not operator.result(RESULT, 60, script.sleep, lambda: script.now, lambda: 0.0)
    assert script.posts == 1  # once in any case
