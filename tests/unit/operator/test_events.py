"""The story that `kubectl describe` tells."""

from finetune_operator.api.observation import Missing, Observation, Obstacle
from finetune_operator.api.status import FineTuneJobStatus
from finetune_operator.plan.resolve import resolve
from finetune_operator.status.events import Event, transitions
from finetune_operator.status.project import project
from support.made import NOW, RUN, made_failure, made_job, made_pod, made_progress, made_result, made_train_job

RUNNING = Observation(made_train_job(), (made_pod(),))


def story(*observations: Observation) -> list[Event]:
    told: list[Event] = []
    status = FineTuneJobStatus()
    for seen in observations:
        job = made_job(status)
        after = project(job, seen, resolve(job.spec), RUN, NOW)
        told += transitions(status, after)
        status = after
    return told


def trained(step: int) -> Observation:
    return Observation(made_train_job(), (made_pod(),), progress=made_progress(step, 100))


def test_a_good_job() -> None:
    done = Observation(made_train_job(complete=True), result=made_result())
    told = story(Observation(made_train_job()), RUNNING, trained(10), trained(30), trained(31), trained(80), done, done)
    assert [event.reason for event in told] == [
        "TrainJobCreated", "Training", "Progress", "Progress", "Completed"
    ]  # fmt: skip
    assert {event.kind for event in told} == {"Normal"}
    assert told[-1].message.endswith("last loss 0.5. Model: pvc://j-workspace/runs/j-0123456789ab/model")


def test_waiting_warns_once_and_tells_when_it_is_over() -> None:
    blocked = Observation(obstacles=(Obstacle(Missing.CLAIM, "claim x is missing"),))
    told = story(blocked, blocked, RUNNING)
    assert [(event.kind, event.reason) for event in told] == [
        ("Warning", "ClaimNotFound"), ("Normal", "TrainJobCreated"), ("Normal", "GoesOn"), ("Normal", "Training")
    ]  # fmt: skip


def test_failure_warns() -> None:
    told = story(RUNNING, Observation(made_train_job(failed_reason="X"), result=made_failure()))
    assert told[-1] == Event("Warning", "DataInvalid", "row 3: no messages")
