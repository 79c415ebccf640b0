"""How many windows on end have broken a limit: kept in the record of each, so that it outlasts what is remembered. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from monitor.judge.limits import Scores, breaks
from monitor.plan import RawRule
from monitor.verdict import Verdict


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


def _limit(rule: RawRule) -> str:
    """What a window is compared with, however long that must last."""
    return replace(rule, windows=1).text
