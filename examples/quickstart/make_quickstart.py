"""Make the quickstart's base model and data: numbers to words in several languages.

    python make_quickstart.py DIRECTORY [--seed N]

DIRECTORY then holds

    base-model/                 a chat model that has learned nothing yet: random weights, a million parameters
    numbers/train.jsonl         English, German and French: what the quickstart trains on
    numbers/held-out.jsonl      the same languages, numbers that occur in no training file
    spanish/train.jsonl         a second task, for the OSFT example
    spanish/held-out.jsonl      the same held-out numbers, in Spanish
    manifest.json               what is here, with digests; written last, so its presence means: complete

Every line of a `.jsonl` file is a chat: `{"messages": [{"role": "user", …}, {"role": "assistant", …}]}`. The answers
come from num2words. The same seed makes the same bytes.
"""

import argparse
import hashlib
import json
import math
import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from num2words import num2words

VERSION = 2
"""Raise it whenever the same seed would make other files."""
LANGUAGES = {"English": "en", "German": "de", "French": "fr", "Spanish": "es"}
PROMPTS = {
    "English": "Write {} in English.",
    "German": "Write {} in German.",
    "French": "Write {} in French.",
    "Spanish": "Escribe {} en español.",
}
TASKS = {"numbers": ("English", "German", "French"), "spanish": ("Spanish",)}
LIMIT = 10_000
ALWAYS_TRAINED = 100
"""Numbers below this are in every training file: every word occurs there. Questions are held out from the rest."""
HELD_OUT_NUMBERS = 100
TRAIN_SAMPLES = {"numbers": 3200, "spanish": 1600}
PIECE_FREQUENCY = 10
"""A part of a word that is at least this frequent in the tokenizer's corpus becomes a piece."""

PAD, END, SYSTEM, USER, ASSISTANT = SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "<|assistant|>{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] }}<|end|>"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""`generation` marks what the model says itself: only that is trained on."""

Question = tuple[str, int]
"""A language and a number."""


def prompt(question: Question) -> str:
    """What the user asks."""
    language, number = question
    return PROMPTS[language].format(number)


def answer(question: Question) -> str:
    """What the assistant should say."""
    language, number = question
    return str(num2words(number, lang=LANGUAGES[language]))


def chat(question: Question) -> dict[str, object]:
    """One sample, as chat fine-tuning tools read it."""
    return {
        "messages": [
            {"role": "user", "content": prompt(question)},
            {"role": "assistant", "content": answer(question)},
        ]
    }


def seeded(purpose: str, seed: int) -> random.Random:
    """Random choices that are the same every time."""
    return random.Random(f"{purpose} {seed}")  # noqa: S311  # nothing here is a secret


def held_out_numbers(seed: int) -> list[int]:
    """Numbers that no training file contains, in any language."""
    return sorted(seeded("held out", seed).sample(range(ALWAYS_TRAINED, LIMIT), HELD_OUT_NUMBERS))


def training_questions(task: str, seed: int) -> list[Question]:
    """All small numbers, and a sample of the others that leaves out what is held out."""
    rng = seeded(f"train {task}", seed)
    excluded = set(held_out_numbers(seed))
    small = [(language, number) for language in TASKS[task] for number in range(ALWAYS_TRAINED)]
    others = [
        (language, number)
        for language in TASKS[task]
        for number in range(ALWAYS_TRAINED, LIMIT)
        if number not in excluded
    ]
    chosen = small + rng.sample(others, TRAIN_SAMPLES[task] - len(small))
    rng.shuffle(chosen)
    return chosen


def held_out_questions(task: str, seed: int) -> list[Question]:
    """Every held-out number in every language of the task, languages taking turns."""
    return [(language, number) for number in held_out_numbers(seed) for language in TASKS[task]]


def tokenizer_corpus() -> Iterator[str]:
    """Texts whose frequent parts are the words that numbers are made of: each of them becomes one piece."""
    words = [*range(21), *range(30, 100, 10), *range(100, 1000, 100), 1000]
    for language, code in LANGUAGES.items():
        for number in words:
            yield from [f"{num2words(number, lang=code)} {num2words(number, lang=code)}"] * PIECE_FREQUENCY
        for number in range(ALWAYS_TRAINED):
            yield answer((language, number))
        yield from [prompt((language, 0)) + " and ciento"] * PIECE_FREQUENCY


def make_tokenizer() -> Any:
    """A byte-level tokenizer with a chat template; digits are always single pieces."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        min_frequency=PIECE_FREQUENCY,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(tokenizer_corpus(), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=None,
        pad_token=PAD,
        eos_token=END,
        extra_special_tokens=[SYSTEM, USER, ASSISTANT],
        model_max_length=256,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def make_model(tokenizer: Any, seed: int) -> Any:
    """A small decoder with random weights."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=8 * math.ceil(len(tokenizer) / 8),
            hidden_size=128,
            intermediate_size=384,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=256,
            tie_word_embeddings=False,
            initializer_range=0.05,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            dtype="float32",
        )
    )
    # Words far apart from the start: it learns as fast, and a second task disturbs the first one less.
    torch.nn.init.normal_(model.get_input_embeddings().weight)
    model.generation_config.max_new_tokens = 48
    return model


def write_lines(path: Path, questions: Iterable[Question]) -> None:
    """One chat per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for question in questions:
            file.write(json.dumps(chat(question), ensure_ascii=False) + "\n")


def digest(path: Path) -> str:
    """sha256 of a file."""
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def make(directory: Path, seed: int) -> None:
    """Everything, and the manifest last."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "manifest.json").unlink(missing_ok=True)
    tokenizer = make_tokenizer()
    model = make_model(tokenizer, seed)
    model.save_pretrained(directory / "base-model")
    tokenizer.save_pretrained(directory / "base-model")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"base-model: {parameters / 1e6:.2f} million random parameters, {len(tokenizer)} word pieces", flush=True)
    for task in TASKS:
        training, held_out = training_questions(task, seed), held_out_questions(task, seed)
        if leaked := {number for _, number in training} & {number for _, number in held_out}:
            raise AssertionError(f"held-out numbers in the training data of {task}: {sorted(leaked)}")
        write_lines(directory / task / "train.jsonl", training)
        write_lines(directory / task / "held-out.jsonl", held_out)
        print(f"{task}: {len(training)} training samples, {len(held_out)} held-out questions", flush=True)
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != "manifest.json")
    manifest = {
        "version": VERSION,
        "seed": seed,
        "files": {path.relative_to(directory).as_posix(): digest(path) for path in files},
    }
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def is_complete(directory: Path, seed: int) -> bool:
    """The same files are there already, unchanged."""
    try:
        manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
        return (manifest["version"], manifest["seed"]) == (VERSION, seed) and all(
            digest(directory / name) == expected for name, expected in manifest["files"].items()
        )
    except (OSError, ValueError, KeyError):
        return False


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if is_complete(options.directory, options.seed):
        print(f"{options.directory}: complete, nothing to do")
        return 0
    make(options.directory, options.seed)
    print(f"{options.directory}: done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
