"""What a backtest counts: windows by state, pages, and how long after its beginning a change paged. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.incident.track import Transition
from monitor.judgement import Judged
from monitor.verdict import State, Verdict


@dataclass(frozen=True, slots=True)
class Seen:
    """One verdict and its incidents, without the counts."""

    verdict: Verdict
    transitions: tuple[Transition, ...]

    @classmethod
    def of(cls, judged: Judged) -> Seen:
        return cls(judged.verdict, judged.transitions)

    @property
    def pages(self) -> int:
        return sum(transition.pages for transition in self.transitions)


@dataclass(frozen=True, slots=True)
class Row:
    """One family of windows of one model. Delays in ms, from the onset of what paged to the end of the window
    that did, or of the look at it; None without pages."""

    model: str
    window: str
    windows: int
    states: dict[State, int]
    pages: int
    early: int
    """How many of the pages came before their window closed."""
    mean_delay: float | None
    worst_delay: int | None


def summarize(items: Sequence[Seen]) -> list[Row]:
    """A row for each model and family of windows, in the order in which they were first judged. A window that was
    judged anew counts as it was judged last."""
    families = dict.fromkeys((item.verdict.model, item.verdict.window) for item in items)
    return [_row(model, window, items) for model, window in families]


def unproven(items: Sequence[Seen]) -> dict[tuple[str, str], tuple[int, int]]:
    """(model, window) → how many windows the reference has that was judged by last, and needs: where they are too few
    for the budget to hold for sure."""
    last = {
        (item.verdict.model, item.verdict.window): item.verdict for item in items if item.verdict.reference
    }
    return {key: (one.reference_windows, one.windows_needed) for key, one in last.items() if not one.proven}


def _row(model: str, window: str, items: Sequence[Seen]) -> Row:
    own = [item for item in items if (item.verdict.model, item.verdict.window) == (model, window)]
    last = {item.verdict.end: item.verdict.state for item in own if not item.verdict.early}
    delays = [
        transition.incident.opened - transition.incident.onset
        for item in own
        for transition in item.transitions
        if transition.pages
    ]
    return Row(
        model=model,
        window=window,
        windows=len(last),
        states={state: sum(found is state for found in last.values()) for state in State},
        pages=len(delays),
        early=sum(item.pages for item in own if item.verdict.early),
        mean_delay=sum(delays) / len(delays) if delays else None,
        worst_delay=max(delays, default=None),
    )
