"""Turns conversations into token ids and labels, so that the engine sees exactly our data.

The engines' own processing drops samples under 20 tokens and over `max_seq_len` without an error (instructlab/training/
data_process.py); here a sample that does not fit is an error that names its row, and every other one is trained on.
Only the assistant's tokens, its end-of-turn token included, have labels.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_contract.reasons import Reason
from finetune_trainer.errors import StageError
from finetune_trainer.sources import Row, refuse_rows

IGNORED = -100
"""Label of a token that has no loss."""
CHUNK = 512
"""Rows tokenized at once."""
_BEGIN, _END = "\ue000", "\ue001"
"""Private-use characters that mark the assistant's words in a rendered template."""

Span = tuple[int, int]


@dataclass(frozen=True)
class Dataset:
    """What was written."""

    samples: int
    tokens: int
    longest: int


def write(rows: Sequence[Row], tokenizer: Any, max_seq_len: int, source: str, file: Path) -> Dataset:
    """Tokenize all rows into `file` in the engines' processed format.

    Raises:
        StageError: `DataInvalid` with row numbers, `ModelInvalid` when the tokenizer can't do it.
    """
    if not tokenizer.chat_template:
        raise StageError(Reason.MODEL_INVALID, "the base model's tokenizer has no chat template; use an instruct model")
    if not tokenizer.is_fast:
        raise StageError(Reason.MODEL_INVALID, "the base model must have a fast tokenizer (tokenizer.json)")
    wrong: list[tuple[int, str]] = []
    samples = tokens = longest = 0
    with file.open("w") as out:
        for row, sample in _encode_all(rows, tokenizer):
            if isinstance(sample, str):
                wrong.append((row.number, sample))
                continue
            ids, labels = sample
            learned = sum(1 for label in labels[1:] if label != IGNORED)
            if len(ids) > max_seq_len:
                wrong.append((row.number, _too_long(len(ids), max_seq_len)))
            elif learned == 0:
                wrong.append((row.number, "the chat template leaves no assistant token to learn from"))
            else:
                sample_json = {"input_ids": ids, "labels": labels, "len": len(ids), "num_loss_counted_tokens": learned}
                out.write(json.dumps(sample_json) + "\n")
                samples, tokens, longest = samples + 1, tokens + len(ids), max(longest, len(ids))
    if wrong:
        refuse_rows(source, wrong)
    return Dataset(samples, tokens, longest)


def _too_long(length: int, limit: int) -> str:
    return f"has {length} tokens, more than `training.maxSeqLen` {limit}; raise it or shorten the sample"


def _encode_all(rows: Sequence[Row], tokenizer: Any) -> Iterator[tuple[Row, tuple[list[int], list[int]] | str]]:
    """Ids and labels of each row, or what is wrong with it."""
    for begin in range(0, len(rows), CHUNK):
        chunk = rows[begin : begin + CHUNK]
        rendered = [_render(row.messages, tokenizer) for row in chunk]
        texts = [r[0] for r in rendered if not isinstance(r, str)]
        encoded = iter(_encode(texts, tokenizer))
        for row, result in zip(chunk, rendered, strict=True):
            if isinstance(result, str):
                yield row, result
                continue
            ids, offsets = next(encoded)
            yield row, (ids, _labels(ids, offsets, result[1]))


def _encode(texts: list[str], tokenizer: Any) -> Iterable[tuple[list[int], list[Span]]]:
    if not texts:
        return []
    batch = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, truncation=False, padding=False)
    return zip(batch["input_ids"], batch["offset_mapping"], strict=True)


def _labels(ids: list[int], offsets: list[Span], spans: list[Span]) -> list[int]:
    """A token is learned when it begins inside a span."""
    labels, index = [], 0
    for token, (begin, _) in zip(ids, offsets, strict=True):
        while index < len(spans) and begin >= spans[index][1]:
            index += 1
        labels.append(token if index < len(spans) and begin >= spans[index][0] else IGNORED)
    return labels


def _render(messages: list[dict[str, Any]], tokenizer: Any) -> tuple[str, list[Span]] | str:
    """The conversation as text and the assistant's spans in it, or what is wrong."""

    def template(some: list[dict[str, Any]], *, prompt: bool = False) -> str:
        text: str = tokenizer.apply_chat_template(some, tokenize=False, add_generation_prompt=prompt)
        return text

    try:
        full = template(messages)
        spans = _spans_by_prefix(messages, full, template) or _spans_by_marks(
            messages, full, template, tokenizer.eos_token
        )
    except Exception as error:  # a template is a program of the model's author and may raise anything
        return f"the model's chat template refuses it: {error}"
    return (full, spans) if spans else "the model's chat template rewrites the assistant's messages"


def _spans_by_prefix(messages: list[dict[str, Any]], full: str, template: Any) -> list[Span] | None:
    """What the template adds for each assistant message after its generation prompt, if it renders turn by turn."""
    spans = []
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before, after = template(messages[:index], prompt=True), template(messages[: index + 1])
        if not (after.startswith(before) and full.startswith(after)):
            return None
        spans.append((len(before), len(after.rstrip())))
    return spans


def _spans_by_marks(messages: list[dict[str, Any]], full: str, template: Any, eos: str | None) -> list[Span] | None:
    """For a template that changes earlier turns (reasoning models): find the words by marks put around them."""
    marked = template([m if m["role"] != "assistant" else {**m, "content": _mark(m["content"])} for m in messages])
    if marked.replace(_BEGIN, "").replace(_END, "") != full:
        return None
    spans: list[Span] = []
    position, begin = 0, -1
    for character in marked:
        if character == _BEGIN:
            begin = position
        elif character == _END and begin >= 0:
            end = position + len(eos) if eos and full.startswith(eos, position) else position
            spans.append((begin, end))
            begin = -1
        else:
            position += 1
    return spans


def _mark(content: str) -> str:
    """Marks inside the outer white space, which templates may strip."""
    words = content.strip()
    lead = content[: len(content) - len(content.lstrip())]
    return f"{lead}{_BEGIN}{words}{_END}{content[len(lead) + len(words) :]}"
