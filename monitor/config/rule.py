"""The grammar of raw limits, `psi(age) > 0.25 for 3 windows`, and of retraining conditions."""

from __future__ import annotations

import re
from typing import NamedTuple

from monitor.config.finding import nearest
from monitor.config.quantity import parse_duration, parse_number
from monitor.judge.catalogue import FEATURE_MISMATCH, JOINT, KS, PERFORMANCE, PSI, RATIOS, SCORES, G

TESTS = (PSI, KS, G, JOINT, *RATIOS)
"""Voting tests, which take a tolerance."""
TIMED = (*PERFORMANCE, FEATURE_MISMATCH)
"""What a limit may hold on for a time, and may stand without brackets."""
MAX_WINDOWS = 1000

MAX_OF = 200
"""Windows that a share of windows can be asked of: as many are remembered whole."""

_RULE = re.compile(
    r"\s*(?P<score>[\w-]+)\s*(?:\(\s*(?P<feature>.+?)\s*\))?\s*(?P<operator>>=|<=|>|<)\s*(?P<limit>\S+)"
    r"(?:\s+in\s+(?P<quorum>\d{1,6})\s+(?P<among>features?|segments?))?"
    r"(?:\s+for\s+(?:(?P<windows>\d{1,6})(?:\s+of\s+(?P<of>\d{1,6}))?\s+windows?|(?P<duration>\w+)))?\s*"
)
_CALL = re.compile(r"\s*(?P<test>[\w-]+)\s*(?:\(\s*(?P<feature>.+?)\s*\))?\s*")
_DRIFT = re.compile(r"\s*drift\s+for\s+(\d{1,6})\s+windows?\s*")


class When(NamedTuple):
    """A limit as it is written; names as in `monitor.plan.RawRule`."""

    score: str
    feature: str
    operator: str
    limit: float
    windows: int
    of: int = 0
    quorum: int = 0
    among: str = ""


class GrammarError(ValueError):
    """A text does not follow the grammar; `suggestion` names the word that was probably meant."""

    def __init__(self, text: str, *, suggestion: str = "") -> None:
        super().__init__(text)
        self.suggestion = suggestion


def parse_limit(text: str) -> When:
    """`psi(age) > 0.25 for 3 windows` → ("psi", "age", ">", 0.25, 3). Raises GrammarError.

    A limit of performance has a segment or nothing in brackets, and may hold for a time, in ms and negative:
    `accuracy(country=DE) < 0.92 for 24h` → ("accuracy", "country=DE", "<", 0.92, -86400000). So may a limit of
    `feature_mismatch`, which has a feature or nothing in brackets. All may ask for so many features or segments,
    `psi > 0.25 in 3 features`, and for some of the last windows, `for 3 of 5 windows`.
    """
    match = _RULE.fullmatch(text)
    if match is None:
        raise GrammarError(
            "a rule is written like `psi(age) > 0.25 for 3 windows`, or `accuracy < 0.92 for 24h`"
        )
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
    quorum, among = _quorum(match, is_performance=score in PERFORMANCE)
    if not is_timed and ((not feature and not quorum) or match["duration"]):
        raise GrammarError("a rule on a score is written like `psi(age) > 0.25 for 3 windows`")
    windows, of = _windows(match["windows"] or "1"), int(match["of"] or 0)
    if of and not windows <= of <= MAX_OF:
        raise GrammarError(
            f"so many of {windows} to {MAX_OF} windows are asked for, like `for 3 of 5 windows`"
        )
    windows = _span(match["duration"]) if match["duration"] else windows
    return When(score, feature, match["operator"], limit, windows, of, quorum, among)


def needs_feature(when: When) -> bool:
    """Whether a limit is on the score of one feature, which must be there."""
    return when.score not in TIMED and not when.quorum


def _quorum(match: re.Match[str], *, is_performance: bool) -> tuple[int, str]:
    """How many features or segments a rule asks for, and which of the two."""
    if not match["quorum"]:
        return 0, ""
    quorum, among = int(match["quorum"]), match["among"].removesuffix("s") + "s"
    if quorum < 1:
        raise GrammarError(f"a rule asks for at least one of the {among}")
    if among != ("segments" if is_performance else "features"):
        raise GrammarError(
            "scores are of features, `psi > 0.25 in 3 features`; figures of segments, `accuracy < 0.9 in 2 segments`"
        )
    if match["feature"] and not is_performance:
        raise GrammarError(
            "a rule names one feature, `psi(age) > 0.25`, or asks for several, `psi > 0.25 in 3 features`"
        )
    return quorum, among


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
