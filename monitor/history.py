"""The verdicts of one model that are remembered. Evaluate thread only."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice, takewhile

from monitor.judge.kept import Kept
from monitor.judge.record import to_json
from monitor.plan import ModelPlan
from monitor.state.log import Entry
from monitor.verdict import Verdict, Window

HISTORY = 1_000
"""Verdict records kept per window name: a month of hourly windows, which is what a budget counts."""
DETAILED = 200
"""The newest of them are kept whole: at 500 features one is 2 MB in the ledger and takes 60 ms to read, and
a tenth of that packed. Of the others remain state, counts and probability, without tests and scores."""

STOOD = 24
"""Windows that are looked at for whether a limit held that clears elsewhere: the last that was judged counts."""


class History:
    """`kept`: by window name, oldest first; HISTORY at most, DETAILED of them whole."""

    def __init__(self) -> None:
        self.kept: dict[str, deque[Kept]] = {}

    def of(self, name: str) -> Sequence[Kept]:
        return self.kept.get(name, ())

    def newest(self) -> dict[str, Verdict]:
        """The latest verdict of each window name."""
        return {name: history[-1].verdict() for name, history in self.kept.items()}

    def before(self, window: Window, plan: ModelPlan, *, reference: str = "") -> list[Verdict]:
        """As many verdicts before this window as the raw rules look at; with a `reference`, back to the first
        that was made with another."""
        count = max((max(rule.windows, rule.of) for rule in plan.raw_rules), default=1) - 1
        if any(rule.clear is not None for rule in plan.raw_rules):
            count = max(count, STOOD)
        before = (kept for kept in reversed(self.of(window.name)) if kept.end < window.end)
        found = (kept.verdict() for kept in islice(before, count))
        return list(takewhile(lambda one: one.reference == (reference or one.reference), found))[::-1]

    def said(self, name: str, end: int) -> Verdict | None:
        """The verdict of one window; None where there was none, or it is not remembered any more."""
        found = next((kept for kept in reversed(self.of(name)) if kept.end == end), None)
        return None if found is None else found.verdict()

    def remember(self, kept: Kept, plan: ModelPlan) -> None:
        """A verdict that is newer than all others of its window name, or the revision of one of them."""
        history = self.kept.setdefault(kept.window, deque(maxlen=HISTORY))
        if kept.revision > 0 and any(other.end == kept.end for other in history):
            renewed = [kept if other.end == kept.end else other for other in history]
            self.kept[kept.window] = deque(renewed, maxlen=HISTORY)
            return
        if len(history) >= _detailed(plan):
            history[-_detailed(plan)] = history[-_detailed(plan)].bare()
        history.append(kept)

    def outdated(self, verdict: Verdict, plan: ModelPlan) -> list[Entry]:
        """What becomes of older verdict records when `verdict` is added: one shrinks, one goes."""
        history = self.of(verdict.window)
        if verdict.revision > 0:
            return []
        entries = []
        if len(history) >= _detailed(plan):
            shrunk = history[-_detailed(plan)].bare()
            entries.append(Entry("verdict", _identity(shrunk), shrunk.body()))
        if len(history) == HISTORY:
            entries.append(Entry("verdict", _identity(history[0]), None))
        return entries


def verdict_entry(verdict: Verdict) -> Entry:
    """The ledger entry of a verdict: one per window name and end, replaced by its revisions."""
    return Entry("verdict", _identity(verdict), to_json(verdict))


def _detailed(plan: ModelPlan) -> int:
    """How many verdicts are kept whole; a raw rule looks at the scores of as many as it says."""
    return max(DETAILED, *(max(rule.windows, rule.of) for rule in plan.raw_rules), 1)


def _identity(verdict: Verdict | Kept) -> str:
    return f"{verdict.window}|{verdict.end:015d}"
