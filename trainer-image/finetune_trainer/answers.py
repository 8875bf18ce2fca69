"""Asks trained models questions and counts exact answers: quick, greedy, the same on every machine."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_NEW_TOKENS = 256
"""Longest answer, if the expected ones are not longer."""


@dataclass(frozen=True)
class Question:
    """A chat whose last message is the expected answer."""

    messages: list[dict[str, str]]

    @property
    def prompt(self) -> list[dict[str, str]]:
        """What the model sees."""
        return self.messages[:-1]

    @property
    def expected(self) -> str:
        """What it should say."""
        return self.messages[-1]["content"].strip()


def read(file: Path) -> list[Question]:
    """Raises:
    ValueError: a line is no chat that ends with an assistant message.
    """
    questions = []
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        messages = json.loads(line)["messages"]
        if len(messages) < 2 or messages[-1]["role"] != "assistant":
            raise ValueError(f"{file} line {number}: the last message must be the assistant's, the expected answer")
        questions.append(Question(messages))
    if not questions:
        raise ValueError(f"{file} holds no questions")
    return questions


def main(models: list[Path], file: Path, *, limit: int, batch_size: int) -> int:
    """Print one JSON document. Exit code 1 and a line on stderr when a model or the questions can't be read."""
    try:
        questions = read(file)
        results = [ask(model, questions, limit=limit, batch_size=batch_size) for model in models]
    except (OSError, ValueError, KeyError) as error:
        print(f"answers: {error}", file=sys.stderr)
        return 1
    json.dump({"questions": len(questions), "models": results}, sys.stdout, indent=2, ensure_ascii=False)
    print()
    return 0


def ask(directory: Path, questions: list[Question], *, limit: int, batch_size: int) -> dict[str, Any]:
    """Accuracy over all questions, and the first `limit` answers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    begin = time.monotonic()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(directory, padding_side="left")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(directory, dtype="auto").to(device).eval()
    prompts = [tokenizer.apply_chat_template(q.prompt, tokenize=False, add_generation_prompt=True) for q in questions]
    longest = max(len(ids) for ids in tokenizer([q.expected for q in questions], add_special_tokens=False)["input_ids"])
    given = [""] * len(questions)
    order = sorted(
        range(len(questions)), key=lambda i: len(questions[i].expected)
    )  # a batch runs as long as its longest
    for first in range(0, len(order), batch_size):
        batch = order[first : first + batch_size]
        inputs = tokenizer([prompts[i] for i in batch], return_tensors="pt", padding=True, add_special_tokens=False).to(
            device
        )
        with torch.inference_mode():
            output = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                do_sample=False,
                num_beams=1,
                max_new_tokens=min(MAX_NEW_TOKENS, longest + 8),
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        texts = tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        for index, text in zip(batch, texts, strict=True):
            given[index] = text.strip()
    correct = sum(q.expected == answer for q, answer in zip(questions, given, strict=True))
    return {
        "model": str(directory),
        "accuracy": correct / len(questions),
        "correct": correct,
        "seconds": round(time.monotonic() - begin, 1),
        "answers": [
            {
                "question": q.prompt[-1]["content"],
                "expected": q.expected,
                "answer": answer,
                "correct": q.expected == answer,
            }
            for q, answer in zip(questions[:limit], given, strict=False)
        ],
    }
