"""How an attempt ended."""

import pytest

from finetune_operator.api.observation import Observation
from finetune_operator.policy.outcome import failure, known_result
from support.made import NOW, made_failure, made_pod, made_result, made_train_job

INTERRUPTED = made_failure(outcome="Interrupted", reason="Interrupted", exit_code=23, message="SIGTERM")
FAILED = {"failed_reason": "ReachedMaxRestarts", "failed_message": "jobset failed"}


@pytest.mark.parametrize(
    ("seen", "want"),
    [
        pytest.param(Observation(made_train_job(complete=True)), "ResultMissing", id="complete without a result"),
        pytest.param(Observation(made_train_job(**FAILED)), "PodsLost", id="failed and no pod left to ask"),
        pytest.param(Observation(gone_since=NOW), "TrainJobDeleted", id="deleted"),
        pytest.param(
            Observation(made_train_job(failed_reason="DeadlineExceeded")), "DeadlineExceeded", id="Trainer's deadline"
        ),
        pytest.param(
            Observation(made_train_job(**FAILED), result=made_failure()),
            "DataInvalid",
            id="the trainer's own words first",
        ),
        pytest.param(
            Observation(made_train_job(complete=True), result=made_result(steps_done=9)),
            "ResultIncomplete",
            id="a step short of success",
        ),
        pytest.param(
            Observation(made_train_job(complete=True), result=made_result(model=None)),
            "ResultIncomplete",
            id="no model proven",
        ),
        pytest.param(
            Observation(made_train_job(complete=True), result=made_result(steps_done=0, steps_planned=0)),
            "ResultIncomplete",
            id="zero steps of zero",
        ),
        pytest.param(
            Observation(
                made_train_job(**FAILED), (made_pod(phase="Failed", exit_code=137, terminated_reason="OOMKilled"),)
            ),
            "OutOfMemory",
            id="the kernel's verdict",
        ),
        pytest.param(
            Observation(
                made_train_job(**FAILED), (made_pod(phase="Failed", exit_code=137, terminated_reason="Error"),)
            ),
            "TrainerKilled",
            id="SIGKILL is not out of memory",
        ),
        pytest.param(
            Observation(made_train_job(**FAILED), (made_pod(phase="Failed", reason="Evicted", message="disk"),)),
            "Evicted",
            id="evicted",
        ),
        pytest.param(
            Observation(
                made_train_job(**FAILED),
                (
                    made_pod(uid="a", name="sibling", phase="Failed", exit_code=143),
                    made_pod(uid="b", name="culprit", phase="Failed", exit_code=18),
                ),
            ),
            "DiskFull",
            id="the culprit, not the sibling that was told to stop",
        ),
        pytest.param(
            Observation(
                made_train_job(**FAILED),
                (made_pod(phase="Failed", exit_code=137, terminated_reason="OOMKilled"),),
                result=INTERRUPTED,
            ),
            "OutOfMemory",
            id="rank 0 says it was interrupted, rank 1 was the cause",
        ),
        pytest.param(
            Observation(
                made_train_job(**FAILED),
                (
                    made_pod(
                        phase="Failed", exit_code=18, termination_message=made_failure(reason="DiskFull").to_json()
                    ),
                ),
                result=INTERRUPTED,
            ),
            "DiskFull",
            id="a sibling's termination message beats an interruption",
        ),
        pytest.param(
            Observation(
                made_train_job(**FAILED),
                (made_pod(phase="Failed", reason="Evicted", exit_code=143),),
                result=INTERRUPTED,
            ),
            "Evicted",
            id="the kubelet's reason for an interruption",
        ),
        pytest.param(
            Observation(made_train_job(failed_reason="DeadlineExceeded"), result=INTERRUPTED),
            "DeadlineExceeded",
            id="Trainer's reason for an interruption",
        ),
        pytest.param(
            Observation(made_train_job(**FAILED), (made_pod(phase="Failed", exit_code=23),), result=INTERRUPTED),
            "Interrupted",
            id="nothing else explains it",
        ),
    ],
)
def test_failure(seen: Observation, want: str) -> None:
    assert failure(seen).reason == want


def test_result_in_a_termination_message_counts() -> None:
    pod = made_pod(phase="Succeeded", exit_code=0, termination_message=made_result().to_json())
    found = known_result(Observation(made_train_job(complete=True), (pod,)))
    assert found is not None
    assert found.complete


def test_termination_message_of_another_attempt_does_not_count() -> None:
    pod = made_pod(phase="Succeeded", exit_code=0, termination_message=made_result(attempt=2).to_json())
    assert known_result(Observation(made_train_job(complete=True), (pod,))) is None


@pytest.mark.parametrize("text", ["", "Traceback (most recent call last): …", '{"outcome": "Succeeded"}', "[]"])
def test_other_termination_messages_are_no_result(text: str) -> None:
    assert known_result(Observation(pods=(made_pod(exit_code=0, termination_message=text),))) is None


def test_posted_result_beats_the_pods_words() -> None:
    pod = made_pod(exit_code=0, termination_message=made_result(steps_done=1).to_json())
    found = known_result(Observation(pods=(pod,), result=made_result()))
    assert found is not None
    assert found.steps_done == 10
