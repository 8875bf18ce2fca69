"""Masking, with a tokenizer of one token per character and templates of the kinds in use."""

import json
from pathlib import Path
from typing import Any

import pytest

from finetune_contract.reasons import Reason
from finetune_trainer import samples
from finetune_trainer.errors import StageError
from finetune_trainer.sources import Row


class Tokenizer:
    chat_template, is_fast, eos_token = "yes", True, "$"

    def __call__(self, texts: list[str], **_: Any) -> dict[str, Any]:
        return {
            "input_ids": [[ord(c) for c in t] for t in texts],
            "offset_mapping": [[(i, i + 1) for i in range(len(t))] for t in texts],
        }

    def apply_chat_template(
        self, messages: list[dict[str, Any]], *, tokenize: bool, add_generation_prompt: bool
    ) -> str:
        assert not tokenize
        return "".join(self.turn(m, messages) for m in messages) + ("a:" if add_generation_prompt else "")

    def turn(self, message: dict[str, Any], messages: list[dict[str, Any]]) -> str:
        return f"{message['role'][0]}:{message['content']}$\n"


class Reasoning(Tokenizer):
    """Shows the thoughts of the last turn only, so earlier turns change when another one follows."""

    def turn(self, message: dict[str, Any], messages: list[dict[str, Any]]) -> str:
        thought = "<think>" if message is messages[-1] and message["role"] == "assistant" else ""
        return f"{message['role'][0]}:{thought}{message['content'].strip()}$\n"


class Censoring(Tokenizer):
    def turn(self, message: dict[str, Any], messages: list[dict[str, Any]]) -> str:
        return f"{message['role'][0]}:{len(messages)}$\n"


def chat(*contents: str) -> list[dict[str, Any]]:
    return [{"role": ("user", "assistant")[i % 2], "content": c} for i, c in enumerate(contents)]


def learned(tokenizer: Tokenizer, messages: list[dict[str, Any]], tmp_path: Path) -> str:
    file = tmp_path / "data.jsonl"
    samples.write([Row(1, messages)], tokenizer, 1000, "train.jsonl", file)
    sample = json.loads(file.read_text())
    assert sample["len"] == len(sample["input_ids"]) == len(sample["labels"])
    assert sample["num_loss_counted_tokens"] == sum(label != -100 for label in sample["labels"])
    return "".join("." if label == -100 else chr(label) for label in sample["labels"])


def test_only_the_assistant_and_its_end_of_turn_are_learned(tmp_path: Path) -> None:
    assert learned(Tokenizer(), chat("1+1", "two"), tmp_path) == ".........two$."


def test_every_turn_of_the_assistant_is_learned(tmp_path: Path) -> None:
    assert learned(Tokenizer(), chat("a", "X", "b", "Y"), tmp_path) == ".......X$........Y$."


def test_a_template_that_changes_earlier_turns_is_understood(tmp_path: Path) -> None:
    assert learned(Reasoning(), chat("a", " X ", "b", "Y"), tmp_path) == ".......X$...............Y$."


def test_a_sample_shorter_than_the_engines_minimum_is_kept(tmp_path: Path) -> None:
    assert learned(Tokenizer(), chat("", "a"), tmp_path) == "......a$."


def test_too_long_a_sample_is_told_with_row_and_length(tmp_path: Path) -> None:
    rows = [Row(1, chat("a", "b")), Row(5, chat("a" * 40, "b")), Row(7, chat("a" * 50, "b"))]
    with pytest.raises(
        StageError, match=r"train\.jsonl row 5: has 49 tokens, more than `training.maxSeqLen` 20.*others: 7"
    ) as e:
        samples.write(rows, Tokenizer(), 20, "train.jsonl", tmp_path / "data.jsonl")
    assert e.value.reason is Reason.DATASET_INVALID


def test_a_template_that_hides_the_answer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="rewrites the assistant's messages"):
        learned(Censoring(), chat("a", "b", "c", "d"), tmp_path)


@pytest.mark.parametrize(("attribute", "value"), [("chat_template", None), ("is_fast", False)])
def test_a_tokenizer_must_be_able_to_do_it(tmp_path: Path, attribute: str, value: object) -> None:
    tokenizer = Tokenizer()
    setattr(tokenizer, attribute, value)
    with pytest.raises(StageError) as error:
        learned(tokenizer, chat("a", "b"), tmp_path)
    assert error.value.reason is Reason.MODEL_INVALID
