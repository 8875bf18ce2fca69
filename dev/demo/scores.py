"""What `finetune_trainer answers` printed, counted and shown. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Answer:
    """One held-out question and what a model said."""

    question: str
    expected: str
    given: str

    @property
    def right(self) -> bool:
        """Exactly the expected words."""
        return self.expected == self.given

    @property
    def language(self) -> str:
        """Last word of the question."""
        return self.question.rstrip(".").split()[-1]


@dataclass(frozen=True)
class Score:
    """One model's answers to all questions."""

    answers: tuple[Answer, ...]

    @property
    def total(self) -> int:
        """How many questions."""
        return len(self.answers)

    @property
    def right(self) -> int:
        """How many right answers."""
        return sum(answer.right for answer in self.answers)

    @property
    def share(self) -> float:
        """Right answers, from 0 to 1."""
        return self.right / self.total if self.total else 0.0

    def of(self, language: str) -> "Score":
        """The questions of one language."""
        return Score(tuple(answer for answer in self.answers if answer.language == language))

    @property
    def languages(self) -> tuple[str, ...]:
        """In order of first appearance."""
        return tuple(dict.fromkeys(answer.language for answer in self.answers))


def scores_of(printed: dict[str, Any]) -> list[Score]:
    """Scores in the order of the models."""
    return [
        Score(tuple(Answer(a["question"], a["expected"], a["answer"]) for a in model["answers"]))
        for model in printed["models"]
    ]


def percent(score: Score) -> str:
    """`98.3 %`."""
    return f"{100 * score.share:.1f} %"


def examples(base: Score, tuned: Score, count: int = 6) -> Table:
    """Some questions with both answers: evenly spread, and the first mistake of the tuned model if there is one."""
    table = Table(title="Held-out questions", title_justify="left", title_style="bold", expand=False)
    table.add_column("question", no_wrap=True)
    table.add_column("before", max_width=30, no_wrap=True, overflow="ellipsis")
    table.add_column("after", overflow="fold")
    for index in _chosen(tuned, count):
        before, after = base.answers[index], tuned.answers[index]
        table.add_row(before.question, _marked(before), _marked(after))
    return table


def _chosen(tuned: Score, count: int) -> list[int]:
    """Languages take turns, and numbers are spread over all there are."""
    groups = [[i for i, a in enumerate(tuned.answers) if a.language == language] for language in tuned.languages]
    turns = [groups[i % len(groups)] for i in range(count)] if groups else []
    spread = [group[round(i * (len(group) - 1) / max(1, count - 1))] for i, group in enumerate(turns)]
    wrong = next((i for i, answer in enumerate(tuned.answers) if not answer.right), None)
    return list(dict.fromkeys([*spread, *([] if wrong is None else [wrong])]))


def _marked(answer: Answer) -> Text:
    sign, style = ("✔", "green") if answer.right else ("✘", "red")
    return Text.assemble((f"{sign} ", style), answer.given.replace("\n", " ") or "(nothing)")


def comparison(title: str, names: Sequence[str], scores: Sequence[Score]) -> Table:
    """One row per language, one column per model, and a last row for all of them where there are several."""
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    languages = scores[0].languages
    for language in languages:
        table.add_row(language, *(percent(score.of(language)) for score in scores))
    if len(languages) > 1:
        table.add_section()
        table.add_row("together", *(percent(score) for score in scores), style="bold")
    return table
