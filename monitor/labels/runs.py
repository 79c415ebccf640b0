"""How many windows on end have broken a limit, kept in the record of each so that it outlasts what is remembered; and
since when. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import dropwhile, takewhile
from typing import Any

from monitor.judge.limits import Scores, breaks
from monitor.names import Source
from monitor.plan import RawRule, WindowSpec
from monitor.verdict import Verdict


def spanned(limits: Iterable[RawRule], spec: WindowSpec) -> list[RawRule]:
    """The limits with the number of windows of this family that last as long as they say."""
    return [
        replace(rule, windows=max(1 + -(-(-rule.windows - spec.size) // spec.step), 1))
        if rule.windows < 0
        else rule
        for rule in limits
    ]


def run(rule: RawRule, scores: Scores, before: Sequence[Verdict]) -> int:
    """Windows on end that break a limit, with this one: what the record of the one before says, and one more. Where that
    is of another limit, they are counted among those that are remembered."""
    if not breaks(rule, scores):
        return 0
    stood = before[-1].outcomes.get("runs", {}).get(rule.name) if before else None
    if stood is not None and stood["limit"] == _limit(rule):
        return int(stood["windows"]) + 1
    return 1 + next(
        (at for at, one in enumerate(reversed(before)) if not breaks(rule, one.scores)), len(before)
    )


def kept(limits: Sequence[RawRule], runs: Mapping[str, int]) -> dict[str, Any]:
    """What the record of a window has of that."""
    found = {
        rule.name: {"windows": runs[rule.name], "limit": _limit(rule)}
        for rule in limits
        if runs.get(rule.name)
    }
    return {"runs": found} if found else {}


def dated(verdict: Verdict, limits: Sequence[RawRule], before: Sequence[Verdict]) -> Verdict:
    """With since when what holds in it has been so, as far as windows are remembered, and where the records are from there
    on; `before`: oldest first. An onset that is known stays if it is earlier."""
    if not verdict.rules:
        return verdict
    spans = [_span(rule, verdict, before) for rule in limits if rule.name in verdict.rules]
    onset = min([verdict.changed_from, *(one.start for span in spans for one in span[:1])])
    since: dict[Source, tuple[int, int]] = {}
    for one in (*(one for one in before if one.end > onset), verdict):
        for source, (first, last) in one.offsets.items():
            low, high = since.get(source, (first, last))
            since[source] = min(low, first), max(high, last)
    return replace(verdict, onset=onset, since=since)


def _span(rule: RawRule, verdict: Verdict, before: Sequence[Verdict]) -> list[Verdict]:
    """The windows from the first one on that a rule holds by, with this one."""
    if rule.of:
        span = [*before[max(len(before) - rule.of + 1, 0) :], verdict]
        return list(dropwhile(lambda one: not breaks(rule, one.scores), span))
    noted = verdict.outcomes.get("runs", {}).get(rule.name, {}).get("windows")
    seen = takewhile(lambda one: breaks(rule, one.scores), reversed(before))
    count = int(noted) if noted is not None else 1 + sum(1 for _ in seen)
    return [*before[max(len(before) - count + 1, 0) :], verdict]


def _limit(rule: RawRule) -> str:
    """What a window is compared with, however long that must last."""
    return replace(rule, windows=1).text
