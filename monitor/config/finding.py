"""What is wrong with a configuration, where, and what would be right."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterable
from dataclasses import dataclass

Steps = tuple[str | int, ...]
"""Where a setting stands: ("models", "churn", "windows", "1h", "size")."""


class Level(enum.StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Mark:
    """A span on one line of a file. `line`, `column` count from 1; `end` is one past the last column."""

    file: str
    line: int
    column: int
    end: int
    last: int = 0
    """Last line, when it goes on beyond `line`."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One error or warning. No field ever holds the value of a secret.

    `source` is the line it was found on, secrets masked; `caret` is the span in it, from 0.
    """

    level: Level
    code: str
    path: str
    text: str
    mark: Mark | None = None
    source: str = ""
    caret: tuple[int, int] = (0, 0)
    suggestion: str = ""
    help: str = ""

    @property
    def is_error(self) -> bool:
        return self.level is Level.ERROR


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding before its place is looked up in the files.

    `at_key` points the caret at the key instead of the value; `span` narrows it to characters
    [from, to) of the value, where the value stands on one line as it is.
    """

    code: str
    steps: Steps
    text: str
    suggestion: str = ""
    help: str = ""
    level: Level = Level.ERROR
    at_key: bool = False
    span: tuple[int, int] | None = None
    mark: Mark | None = None


def dotted(steps: Steps) -> str:
    """("models", "a.b", "allowed", 0) → `models["a.b"].allowed[0]`."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif "." in step or "[" in step or not step:
            text += f'["{step}"]'
        else:
            text += f".{step}" if text else step
    return text


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean …?` for the known word closest to `word`; "" when none is close."""
    choices = {choice.lower().replace("-", "_"): choice for choice in known}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), choices, n=1, cutoff=0.6)
    return f"did you mean `{choices[near[0]]}`?" if near else ""
