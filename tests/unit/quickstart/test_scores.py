import io

import pytest
from rich.console import Console

from demo import cluster, jobs, quickstart
from demo.scores import Answer, Score, comparison, examples, percent, scores_of
from demo.shell import Failed

RIGHT = Answer("Write 7 in English.", "seven", "seven")
WRONG = Answer("Write 7 in German.", "sieben", "sechs")


def shown(renderable, width=100):
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_scores_of_what_the_trainer_printed():
    answer = {"question": "Write 7 in English.", "expected": "seven", "answer": "seven", "correct": True}
    [score] = scores_of({"questions": 1, "models": [{"model": "/m", "accuracy": 1.0, "answers": [answer]}]})
    assert score == Score((RIGHT,))
    assert score.share == 1.0


def test_shares():
    score = Score((RIGHT, WRONG, WRONG))
    assert score.languages == ("English", "German")
    assert percent(score) == "33.3 %"
    assert percent(score.of("German")) == "0.0 %"
    assert Score(()).share == 0.0


def test_examples_show_a_mistake_if_there_is_one():
    mistake = Answer("Write 8 in English.", "eight", "nine")
    base = Score((WRONG,) * 20)
    tuned = Score((*(RIGHT,) * 9, mistake, *(RIGHT,) * 10))
    text = shown(examples(base, tuned, count=3))
    assert text.count("✔ seven") == 3
    assert text.count("✘ nine") == 1


def test_examples_take_languages_in_turns():
    tuned = Score(
        tuple(Answer(f"Write {n} in {where}.", "x", "x") for n in range(9) for where in ("English", "German"))
    )
    text = shown(examples(tuned, tuned, count=3))
    for question in ("Write 0 in English.", "Write 4 in German.", "Write 8 in English."):
        assert question in text


def test_comparison():
    text = shown(comparison("Answers", ("before", "after"), (Score((WRONG, RIGHT)), Score((RIGHT, RIGHT)))))
    assert "English" in text
    assert "together" in text
    assert "100.0 %" in text


@pytest.mark.parametrize(
    ("base", "tuned", "reason"),
    [((RIGHT, WRONG), (RIGHT,), "base model already"), ((WRONG,), (RIGHT, WRONG), "less than 90 %")],
)
def test_a_demo_that_proves_nothing_fails(base, tuned, reason):
    with pytest.raises(Failed, match=reason):
        quickstart.judge(Score(base), Score(tuned))


def test_a_demo_that_works_passes():
    quickstart.judge(Score((WRONG,) * 10), Score((*(RIGHT,) * 9, WRONG)))


def test_images():
    printed = "OPERATOR_IMAGE=r:1/o:a\nTRAINER_IMAGE=r:1/t:b\nQUICKSTART_IMAGE=r:1/q:c\n"
    assert cluster.images_of(printed) == cluster.Images("r:1/o:a", "r:1/t:b", "r:1/q:c")
    assert cluster._image("image", "localhost:5001/o:a") == {
        "image.repository": "localhost:5001/o",
        "image.tag": "a",
    }
    with pytest.raises(Failed, match="TRAINER_IMAGE"):
        cluster.images_of("OPERATOR_IMAGE=a")


def test_addresses():
    assert jobs.claim_and_path("pvc://claim/a/b") == ("claim", "a/b")
    assert jobs.mounted("pvc://claim/a/b") == "/claims/claim/a/b"
    with pytest.raises(Failed, match="not in a claim"):
        jobs.claim_and_path("hf://a/b")
