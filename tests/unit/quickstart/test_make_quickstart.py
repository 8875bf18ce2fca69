import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "examples/quickstart/make_quickstart.py"


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("make_quickstart", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", [0, 1])
def test_held_out_numbers_are_in_no_training_file(maker, seed):
    held_out = {number for task in maker.TASKS for _, number in maker.held_out_questions(task, seed)}
    trained = {number for task in maker.TASKS for _, number in maker.training_questions(task, seed)}
    assert len(held_out) == maker.HELD_OUT_NUMBERS
    assert not held_out & trained


@pytest.mark.parametrize("task", ["numbers", "spanish"])
def test_training_questions(maker, task):
    questions = maker.training_questions(task, 0)
    assert len(questions) == len(set(questions)) == maker.TRAIN_SAMPLES[task]
    assert {language for language, _ in questions} == set(maker.TASKS[task])
    assert {(language, n) for language in maker.TASKS[task] for n in range(maker.ALWAYS_TRAINED)} <= set(questions)
    assert all(0 <= number < maker.LIMIT for _, number in questions)


def test_same_seed_same_data(maker):
    assert maker.training_questions("numbers", 3) == maker.training_questions("numbers", 3)
    assert maker.training_questions("numbers", 3) != maker.training_questions("numbers", 4)
    assert maker.held_out_numbers(3) != maker.held_out_numbers(4)


def test_chat(maker):
    assert maker.chat(("German", 4711)) == {
        "messages": [
            {"role": "user", "content": "Write 4711 in German."},
            {"role": "assistant", "content": "viertausendsiebenhundertelf"},
        ]
    }


def test_only_what_the_assistant_says_is_marked(maker):
    begin, end = maker.CHAT_TEMPLATE.index("{% generation %}"), maker.CHAT_TEMPLATE.index("{% endgeneration %}")
    assert maker.CHAT_TEMPLATE[begin:end].endswith("{{ message['content'] }}<|end|>")


def test_complete_means_unchanged(maker, tmp_path):
    maker.write_lines(tmp_path / "numbers/train.jsonl", [("English", 7)])
    files = {"numbers/train.jsonl": maker.digest(tmp_path / "numbers/train.jsonl")}
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"version": maker.VERSION, "seed": 0, "files": files}))
    assert maker.is_complete(tmp_path, 0)
    assert not maker.is_complete(tmp_path, 1)
    (tmp_path / "numbers/train.jsonl").write_text("changed")
    assert not maker.is_complete(tmp_path, 0)
    manifest.write_text("half a fi")
    assert not maker.is_complete(tmp_path, 0)
    manifest.unlink()
    assert not maker.is_complete(tmp_path, 0)
