"""What a judgement says."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """A reason (one CamelCase word) and a sentence for people: what it is, and what to do."""

    reason: str
    message: str
    exit_code: int | None = None
