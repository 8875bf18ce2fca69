"""From what was seen to the status."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from finetune_contract.progress import LossPoint
from finetune_operator.api.observation import Missing, Observation, Obstacle
from finetune_operator.api.status import FineTuneJobStatus
from finetune_operator.plan.resolve import resolve
from finetune_operator.status.conditions import find
from finetune_operator.status.project import project
from support.made import NOW, RUN, made_failure, made_job, made_pod, made_progress, made_result, made_train_job

RUNNING = Observation(made_train_job(), (made_pod(),))


def see(*observations: Observation, seconds: int = 1, **spec: Any) -> FineTuneJobStatus:
    """The status after each of these was seen, `seconds` apart."""
    status = FineTuneJobStatus()
    for number, seen in enumerate(observations):
        job = made_job(status, **spec)
        status = project(job, seen, resolve(job.spec), RUN, NOW + timedelta(seconds=number * seconds))
    return status


def summary(status: FineTuneJobStatus) -> tuple[str, str]:
    found = find(status.conditions, "Succeeded")
    assert found
    return found.status, found.reason


def with_(seen: Observation, **changes: Any) -> Observation:
    return Observation(**({f: getattr(seen, f) for f in seen.__dataclass_fields__} | changes))


@pytest.mark.parametrize(
    ("seen", "want", "words"),
    [
        pytest.param(Observation(), ("Unknown", "Pending"), "being made", id="nothing yet"),
        pytest.param(Observation(made_train_job()), ("Unknown", "Pending"), "Waiting", id="no pods yet"),
        pytest.param(
            Observation(made_train_job(), (made_pod(phase="Pending", unschedulable="0/3 nodes"),)),
            ("Unknown", "Pending"),
            "0/3 nodes",
            id="the scheduler's words",
        ),
        pytest.param(Observation(made_train_job(suspended=True)), ("Unknown", "Pending"), "suspended", id="suspended"),
        pytest.param(RUNNING, ("Unknown", "Training"), "starting", id="a pod runs"),
        pytest.param(with_(RUNNING, progress=made_progress()), ("Unknown", "Training"), "Step 5 of 10", id="steps"),
        pytest.param(
            Observation(made_train_job(), (made_pod(phase="Succeeded", exit_code=0),)),
            ("Unknown", "Training"),
            "have ended",
            id="pods ended before Trainer says so",
        ),
    ],
)
def test_states(seen: Observation, want: tuple[str, str], words: str) -> None:
    status = see(seen)
    assert summary(status) == want
    found = find(status.conditions, "Succeeded")
    assert found
    assert words in found.message


def test_success() -> None:
    done = Observation(made_train_job(complete=True), result=made_result())
    status = see(RUNNING, with_(RUNNING, progress=made_progress()), done)
    assert summary(status) == ("True", "Completed")
    assert status.completion_time == "2026-01-02T03:04:07Z"
    assert status.start_time == "2026-01-02T03:04:05Z"
    assert status.progress
    assert (status.progress.step, status.progress.percentage, status.progress.remaining) == (10, 100, None)
    assert status.output
    assert status.output.model
    assert status.output.model.uri == "pvc://j-workspace/runs/j-0123456789ab/model"
    assert status.output.report == "pvc://j-workspace/runs/j-0123456789ab/loss.html"


def test_result_stands_in_the_status_before_trainer_is_done() -> None:
    status = see(RUNNING, with_(RUNNING, result=made_result()))
    assert summary(status) == ("Unknown", "Training")
    assert status.attempts[0].reason == "Completed"


def test_success_is_remembered_across_lives_of_the_operator() -> None:
    status = see(with_(RUNNING, result=made_result()), Observation(made_train_job(complete=True)))
    assert summary(status) == ("True", "Completed")


def test_trainer_s_failure_after_a_complete_result_is_success() -> None:
    lost = Observation(made_train_job(failed_reason="ReachedMaxRestarts"), result=made_result())
    assert summary(see(RUNNING, lost)) == ("True", "Completed")


def test_failure_is_told_and_stalls() -> None:
    status = see(RUNNING, Observation(made_train_job(failed_reason="X"), result=made_failure()))
    assert summary(status) == ("False", "DataInvalid")
    stalled = find(status.conditions, "Stalled")
    assert stalled
    assert (stalled.status, stalled.message) == ("True", "row 3: no messages")
    assert (status.attempts[0].reason, status.attempts[0].exit_code) == ("DataInvalid", 13)


def test_terminal_status_never_changes() -> None:
    done = see(RUNNING, Observation(made_train_job(complete=True), result=made_result()))
    for seen in (Observation(), RUNNING, Observation(gone_since=NOW)):
        assert project(made_job(done), seen, resolve(made_job().spec), "x", NOW) == done


def test_edit_of_a_finished_job_is_acknowledged() -> None:
    done = see(RUNNING, Observation(made_train_job(complete=True), result=made_result()))
    edited = replace(made_job(done), generation=2)
    after = project(edited, Observation(), resolve(edited.spec), RUN, NOW)
    assert after.observed_generation == 2
    assert {condition.observed_generation for condition in after.conditions} == {2}


def test_curve_survives_a_termination_message_with_room_for_its_last_point_only() -> None:
    curve = tuple(str(n) for n in range(50, 0, -1))
    before = with_(RUNNING, progress=made_progress(50, 51, curve))
    short = made_result(steps_done=51, steps_planned=51, loss_history=(LossPoint(step=51, loss="0.5"),))
    pod = made_pod(phase="Succeeded", exit_code=0, termination_message=short.to_json())
    status = see(before, Observation(made_train_job(complete=True), (pod,)))
    assert [point.step for point in status.loss_history] == list(range(1, 52))
    assert status.metrics
    assert (status.metrics.loss, status.metrics.learning_rate) == ("0.5", "0.001")


def test_old_progress_does_not_come_back_after_the_result() -> None:
    told = with_(RUNNING, progress=made_progress(3, age=5))
    status = see(told, with_(told, result=made_result()), with_(told, result=made_result()))
    assert status.progress
    assert (status.progress.step, status.progress.summary) == (10, "100%")


def test_progress_that_was_not_written_yet_is_not_lost_to_a_sibling_s_failure() -> None:
    status = see(RUNNING, with_(RUNNING, progress=made_progress(5, age=5), result=made_failure(rank=1)))
    assert status.progress
    assert status.progress.step == 5
    assert len(status.loss_history) == 2


def test_result_of_another_run_says_nothing() -> None:
    status = see(RUNNING, Observation(made_train_job(complete=True), run_id=RUN, result=made_result(run_id="other")))
    assert summary(status) == ("False", "ResultMissing")


def test_failure_is_not_called_while_a_pod_may_still_report() -> None:
    ended = Observation(made_train_job(failed_reason="X"), (made_pod(deleting=True),))
    assert summary(see(RUNNING, ended))[0] == "Unknown"
    assert summary(see(RUNNING, ended, seconds=91)) == ("False", "PodsLost")
    assert summary(see(RUNNING, with_(ended, result=made_failure()))) == ("False", "DataInvalid")


def test_suspended_job_waits_whatever_its_last_pods_were() -> None:
    pods = (made_pod(phase="Failed", exit_code=143, deleting=True),)
    status = see(RUNNING, Observation(made_train_job(suspended=True), pods))
    assert summary(status) == ("Unknown", "Pending")


@pytest.mark.parametrize(
    ("loss", "want"),
    [
        ("0.0", "0.0"),
        ("NaN", "NaN"),
        ("2.4370415210723877", "2.437"),
        ("0.00001234567", "1.235e-05"),
        ("x" * 32, "x" * 8),
    ],
)
def test_loss_for_the_column(loss: str, want: str) -> None:
    status = see(with_(RUNNING, progress=made_progress(losses=(loss,))))
    assert status.progress
    assert status.progress.loss == want


@pytest.mark.parametrize("loss", ["0.0", "NaN", "inf", "0.30000000000000004"])
def test_loss_is_the_engine_s_text(loss: str) -> None:
    status = see(with_(RUNNING, progress=made_progress(losses=("2.0", loss))))
    assert status.metrics
    assert status.metrics.loss == loss
    assert status.loss_history[-1].loss == loss


def test_last_point_of_the_history_is_the_last_step() -> None:
    points = tuple(LossPoint(step=i, loss=str(i)) for i in (1, 10))
    status = see(RUNNING, Observation(made_train_job(complete=True), result=made_result(loss_history=points)))
    assert status.loss_history[-1].step == status.progress.step == 10  # type: ignore[union-attr]
    assert status.metrics
    assert status.metrics.loss == "10"


def test_obstacle_stalls_then_is_over() -> None:
    blocked = Observation(obstacles=(Obstacle(Missing.CLAIM, "claim x is missing: create it"),))
    status = see(blocked)
    assert summary(status) == ("Unknown", "ClaimNotFound")
    stalled = find(status.conditions, "Stalled")
    assert stalled
    assert stalled.status == "True"
    after = find(see(blocked, RUNNING).conditions, "Stalled")
    assert after
    assert after.status == "False"


def test_patience_is_counted_from_the_first_obstacle() -> None:
    blocked = Observation(obstacles=(Obstacle(Missing.CLAIM, "missing"),))
    retry = {"pendingTimeoutSeconds": 10}
    assert summary(see(blocked, blocked, blocked, seconds=4, retry=retry)) == ("Unknown", "ClaimNotFound")
    assert summary(see(blocked, blocked, blocked, seconds=5, retry=retry)) == ("False", "ClaimNotFound")
    pause = see(blocked, RUNNING, blocked, seconds=9, retry=retry)
    assert summary(pause) == ("Unknown", "ClaimNotFound"), "an obstacle that was over starts anew"


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"])
def test_image_trouble(reason: str) -> None:
    pod = made_pod(phase="Pending", waiting_reason=reason, image="registry/none:1")
    status = see(Observation(made_train_job(), (pod,)))
    assert summary(status) == ("Unknown", "ImagePullFailed")
    found = find(status.conditions, "Stalled")
    assert found
    assert "registry/none:1" in found.message


def test_missing_secret() -> None:
    pod = made_pod(
        phase="Pending", waiting_reason="CreateContainerConfigError", waiting_message='secret "hub" not found'
    )
    status = see(Observation(made_train_job(), (pod,)))
    assert summary(status) == ("Unknown", "SecretNotFound")
    found = find(status.conditions, "Stalled")
    assert found
    assert '"hub"' in found.message


def test_transition_time_changes_with_the_status_only() -> None:
    first = find(see(RUNNING).conditions, "Succeeded")
    later = find(
        see(Observation(made_train_job()), RUNNING, with_(RUNNING, progress=made_progress())).conditions, "Succeeded"
    )
    assert first
    assert later
    assert later.last_transition_time == first.last_transition_time


def test_resolved_and_run_are_frozen_once_written() -> None:
    before = see(RUNNING)
    job = made_job(before)
    other = resolve(made_job(training={"numEpochs": 9}).spec)
    after = project(job, RUNNING, other, "another-run", NOW)
    assert after.resolved == before.resolved
    assert after.run_id == before.run_id


def test_same_observation_gives_the_same_status() -> None:
    seen = with_(RUNNING, progress=made_progress())
    assert see(seen) == see(seen, seen, seen, seconds=60)
