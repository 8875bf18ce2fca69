import pytest

from kubectl_finetune.reader import NotFound, Refused, Unreachable, _parsed
from kubectl_finetune.watch import CannotWatch, Follower, watch_lines
from unit.kubectl_finetune.samples import COMPLETED, EVENTS, FAILED, TRAINING


class Script:
    """Answers one after the other."""

    namespace = "default"

    def __init__(self, *answers, events=EVENTS):
        self.answers, self.said_events = list(answers), events

    def job(self, name):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def events(self, uid):
        if isinstance(self.said_events, Exception):
            raise self.said_events
        return self.said_events


class Clock:
    def __init__(self, step):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


def run(*answers, step=1.0, patience=60.0, events=EVENTS):
    said = []
    follower = Follower(Script(*answers, events=events), "quickstart", patience, clock=Clock(step))
    view = watch_lines(follower, said.append, 0, sleep=lambda _: None)
    return view, said


def test_follows_to_the_end():
    view, said = run(TRAINING, COMPLETED)
    assert view.succeeded
    assert [line.split()[0] for line in said] == ["event", "event", "Training", "Completed"]


def test_says_nothing_twice():
    _, said = run(TRAINING, TRAINING, TRAINING, FAILED)
    assert len([line for line in said if line.startswith("Training")]) == 1
    assert len([line for line in said if line.startswith("event")]) == 2


def test_hiccups_are_survived():
    view, said = run(TRAINING, Unreachable("the API server does not answer"), COMPLETED)
    assert view.succeeded
    assert "the API server does not answer; trying again" in said


def test_silence_ends():
    with pytest.raises(CannotWatch, match="does not answer"):
        run(TRAINING, *[Unreachable("the API server does not answer")] * 9, step=10, patience=30)


def test_missing_and_deleted():
    with pytest.raises(CannotWatch, match='"quickstart" not found'):
        run(NotFound('finetunejobs "quickstart" not found'))
    with pytest.raises(CannotWatch, match="was deleted"):
        run(TRAINING, NotFound("gone"))


def test_events_may_be_forbidden():
    view, said = run(COMPLETED, events=Refused("events is forbidden"))
    assert view.succeeded
    assert len(said) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, NotFound), (403, Refused), (401, Refused), (500, Unreachable), (429, Unreachable), (0, Unreachable)],
)
def test_answers(status, error):
    with pytest.raises(error, match="why"):
        _parsed("/x", status, b'{"message": "why"}')


def test_unreadable_answer():
    with pytest.raises(Unreachable):
        _parsed("/x", 200, b"<html>")
    assert _parsed("/x", 200, b'{"a": 1}') == {"a": 1}
