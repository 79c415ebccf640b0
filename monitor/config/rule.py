"""The grammar of raw limits, `psi(age) > 0.25 for 3 windows`, and of retraining conditions."""

from __future__ import annotations

import re

from monitor.config.finding import nearest
from monitor.config.quantity import parse_duration, parse_number
from monitor.judge.catalogue import FEATURE_MISMATCH, JOINT, KS, PERFORMANCE, PSI, RATIOS, SCORES, G

TESTS = (PSI, KS, G, JOINT, *RATIOS)
"""Voting tests, which take a tolerance."""
TIMED = (*PERFORMANCE, FEATURE_MISMATCH)
"""What a limit may hold on for a time, and may stand without brackets."""
MAX_WINDOWS = 1000

_RULE = re.compile(
    r"\s*(?P<score>[\w-]+)\s*(?:\(\s*(?P<feature>.+?)\s*\))?\s*(?P<operator>>=|<=|>|<)\s*(?P<limit>\S+)"
    r"(?:\s+for\s+(?:(?P<windows>\d{1,6})\s+windows?|(?P<duration>\w+)))?\s*"
)
_CALL = re.compile(r"\s*(?P<test>[\w-]+)\s*(?:\(\s*(?P<feature>.+?)\s*\))?\s*")
_DRIFT = re.compile(r"\s*drift\s+for\s+(\d{1,6})\s+windows?\s*")


class GrammarError(ValueError):
    """A text does not follow the grammar; `suggestion` names the word that was probably meant."""

    def __init__(self, text: str, *, suggestion: str = "") -> None:
        super().__init__(text)
        self.suggestion = suggestion


def parse_limit(text: str) -> tuple[str, str, str, float, int]:
    """`psi(age) > 0.25 for 3 windows` → ("psi", "age", ">", 0.25, 3). Raises GrammarError.

    A limit of performance has a segment or nothing in brackets, and may hold for a time, in ms and negative:
    `accuracy(country=DE) < 0.92 for 24h` → ("accuracy", "country=DE", "<", 0.92, -86400000). So may a limit of
    `feature_mismatch`, which has a feature or nothing in brackets.
    """
    match = _RULE.fullmatch(text)
    if match is None:
        raise GrammarError("a rule is written like `psi(age) > 0.25 for 3 windows`")
    score, feature = match["score"], match["feature"] or ""
    is_timed = score in TIMED
    if score not in SCORES and not is_timed:
        raise GrammarError(
            f"`{score}` is not a known score; known: {', '.join((*SCORES, *TIMED))}",
            suggestion=nearest(score, (*SCORES, *TIMED)),
        )
    try:
        limit = parse_number(match["limit"])
    except ValueError as error:
        raise GrammarError(f"the limit of a rule is a number: {error}") from None
    if not is_timed and (not feature or match["duration"]):
        raise GrammarError("a rule on a score is written like `psi(age) > 0.25 for 3 windows`")
    windows = _span(match["duration"]) if match["duration"] else _windows(match["windows"] or "1")
    return score, feature, match["operator"], limit, windows


def parse_test(text: str) -> tuple[str, str]:
    """`psi` → ("psi", ""); `psi(age)` → ("psi", "age"). Raises GrammarError."""
    match = _CALL.fullmatch(text)
    if match is None or match["test"] not in TESTS:
        raise GrammarError(
            f"a tolerance is given per test, `psi`, or test and feature, `psi(age)`; "
            f"tests: {', '.join(TESTS)}",
            suggestion=nearest(text.split("(", maxsplit=1)[0], TESTS),
        )
    return match["test"], match["feature"] or ""


def parse_drift(text: str) -> int:
    """`drift for 3 windows` → 3; `drift` → 1. Raises GrammarError."""
    if text.strip() == "drift":
        return 1
    match = _DRIFT.fullmatch(text)
    if match is None:
        raise GrammarError(
            "a retraining condition is written like `drift for 3 windows`; for one on performance give the "
            "model a rule: {when: accuracy < 0.92 for 24h, do: retrain}"
        )
    return _windows(match[1])


def _span(text: str) -> int:
    try:
        span = parse_duration(text)
    except ValueError as error:
        raise GrammarError(f"a limit holds for a time like 24h: {error}") from None
    if span <= 0:
        raise GrammarError("a limit holds for more than no time")
    return -span


def _windows(digits: str) -> int:
    windows = int(digits)
    if not 1 <= windows <= MAX_WINDOWS:
        raise GrammarError(f"a rule holds for 1 to {MAX_WINDOWS} windows")
    return windows
