"""One line of what `driftline check` found."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Sign(enum.StrEnum):
    OK = "√"
    DOUBTFUL = "~"
    WRONG = "x"


@dataclass(frozen=True, slots=True)
class Line:
    sign: Sign
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.sign} {self.subject}: {self.text}"


def ok(subject: str, text: str) -> Line:
    return Line(Sign.OK, subject, text)


def doubtful(subject: str, text: str) -> Line:
    return Line(Sign.DOUBTFUL, subject, text)


def wrong(subject: str, text: str) -> Line:
    return Line(Sign.WRONG, subject, text)
