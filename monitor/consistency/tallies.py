"""Counts of what was compared with the online store, of all replicas. Any thread.

They are not part of the exact state: a sample is asked once, and what was not asked while a process was down never is.
Each replica compares records of the partitions it reads and tells the others, with its notices, what it counted; whoever
judges the model adds them up. A replica that starts anew counts under a new name, so that what it counted before
stays counted as long as the one who judges lives.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.clock import Clock

COUNTS = ("compared", "mismatched", "moved")
"""Of a feature in a pane, in this order. `compared` ones are the same or mismatched, `moved` ones neither."""
RECORD = ""
"""Stands where a feature's name stands: records of which any feature was compared, or mismatched."""
OUTCOMES = ("compared", "stale", "limited", "dropped", "no_entity", "failed")
"""What became of the records of the sample."""
TOLD_FOR = 60_000
"""Ms for which a pane is told again after it changed: twelve notices, of which others see one at least."""
MOST_TOLD = 64
"""Panes of a model in a notice, the newest."""
SLACK = 3_600_000
"""Ms that panes are held beyond the windows that need them."""

Row = list[int]
Pane = dict[str, Row]


@dataclass(slots=True)
class Standing:
    """How the store of one model is doing, as one process sees it."""

    outcomes: dict[str, int] = field(default_factory=dict)
    error: str = ""
    """Why the last question had no answer; "" when it had."""
    answered: int = -1
    """Wall time of the last answer, ms."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What another process tells."""

    run: str
    panes: Mapping[tuple[str, int], Pane]
    standings: Mapping[str, Standing]


class Tallies:
    """`add` by the threads that ask, `tell` and `take` by the one that judges."""

    def __init__(self, clock: Clock, run: str = "") -> None:
        """`run`: the name of this process, which no other has and no earlier one had."""
        self.run = run
        self._clock = clock
        self._lock = threading.Lock()
        self._own: dict[str, Standing] = {}
        self._others: dict[str, dict[str, Standing]] = {}
        """Model → run → how it is doing there."""
        self._panes: dict[str, dict[int, dict[str, Pane]]] = {}
        """Model → pane → run → feature → counts."""
        self._changed: dict[tuple[str, int], int] = {}
        """When our own panes changed, wall time."""
        self._spoke: dict[str, int] = {}
        """When others spoke last."""

    def add(self, model: str, pane: int, rows: Mapping[str, Iterable[int]]) -> None:
        """Count `rows`, by feature, beside what was counted of a pane."""
        with self._lock:
            own = self._panes.setdefault(model, {}).setdefault(pane, {}).setdefault(self.run, {})
            for feature, counts in rows.items():
                row = own.setdefault(feature, [0] * len(COUNTS))
                for place, count in enumerate(counts):
                    row[place] += count
            self._changed[model, pane] = self._clock.now_ms()

    def note(self, model: str, outcome: str, count: int = 1) -> None:
        """Records of the sample that came to one of OUTCOMES."""
        with self._lock:
            outcomes = self._own.setdefault(model, Standing()).outcomes
            outcomes[outcome] = outcomes.get(outcome, 0) + count

    def answered(self, model: str, error: str = "") -> None:
        """A question was answered, or was not, and why."""
        with self._lock:
            standing = self._own.setdefault(model, Standing())
            standing.error = error
            standing.answered = standing.answered if error else self._clock.now_ms()

    def sums(self, model: str, start: int, end: int) -> dict[str, tuple[int, ...]]:
        """Counts of the panes within [start, end), by feature."""
        found: Pane = {}
        with self._lock:
            for pane, runs in self._panes.get(model, {}).items():
                if start <= pane < end:
                    for feature, row in (item for one in runs.values() for item in one.items()):
                        kept = found.setdefault(feature, [0] * len(COUNTS))
                        kept[:] = [one + other for one, other in zip(kept, row, strict=True)]
        return {feature: tuple(row) for feature, row in found.items()}

    def oldest(self, model: str) -> int | None:
        """Start of the first pane of which anything was counted; None without."""
        with self._lock:
            return min(self._panes.get(model, ()), default=None)

    def standing(self, model: str) -> Standing:
        """How the store is doing, as all processes see it: counts added up, the newest answer, any error."""
        with self._lock:
            known = [*self._others.get(model, {}).values(), *filter(None, (self._own.get(model),))]
            outcomes = {name: sum(one.outcomes.get(name, 0) for one in known) for name in OUTCOMES}
            return Standing(
                outcomes,
                next((one.error for one in known if one.error), ""),
                max((one.answered for one in known), default=-1),
            )

    def forget(self, model: str, before: int) -> None:
        """No coming window needs panes that start before `before`."""
        with self._lock:
            panes = self._panes.get(model, {})
            for pane in [pane for pane in panes if pane < before - SLACK]:
                del panes[pane]
                self._changed.pop((model, pane), None)

    # Between replicas

    def tell(self) -> dict[str, Any]:
        """What belongs into a notice: panes that changed lately, JSON-able."""
        since = self._clock.now_ms() - TOLD_FOR
        with self._lock:
            panes: dict[str, dict[str, Pane]] = {}
            for (model, pane), changed in sorted(self._changed.items(), reverse=True):
                told = panes.setdefault(model, {})
                if changed >= since and len(told) < MOST_TOLD:
                    own = self._panes[model][pane][self.run]
                    told[str(pane)] = {feature: list(row) for feature, row in own.items()}
            standings = {
                model: {"outcomes": dict(one.outcomes), "error": one.error, "answered": one.answered}
                for model, one in self._own.items()
            }
        return {"run": self.run, "panes": panes, "standings": standings}

    def take(self, told: Iterable[tuple[int, Any]], stall: int) -> None:
        """What others tell, and when they did; of one that is silent for `stall` ms it is forgotten how it was doing.

        What is not understood, as of another version, says nothing.
        """
        now = self._clock.now_ms()
        for at, one in told:
            try:
                heard = _heard(one)
            except (KeyError, TypeError, ValueError, AttributeError):
                continue
            if heard.run != self.run and now - at <= stall:
                self._put(heard, at)
        with self._lock:
            self._drop({run for run, at in self._spoke.items() if now - at > stall})

    def _put(self, heard: Heard, at: int) -> None:
        with self._lock:
            self._spoke[heard.run] = at
            for (model, pane), rows in heard.panes.items():
                self._panes.setdefault(model, {}).setdefault(pane, {})[heard.run] = rows
            for model, standing in heard.standings.items():
                self._others.setdefault(model, {})[heard.run] = standing

    def _drop(self, runs: Collection[str]) -> None:
        for run in runs:
            del self._spoke[run]
            for standings in self._others.values():
                standings.pop(run, None)


def _heard(told: Any) -> Heard:
    panes = {
        (str(model), int(pane)): {
            str(feature): [int(count) for count in row] for feature, row in rows.items()
        }
        for model, own in told["panes"].items()
        for pane, rows in own.items()
    }
    if any(len(row) != len(COUNTS) for rows in panes.values() for row in rows.values()):
        raise ValueError("other counts")
    return Heard(
        str(told["run"]), panes, {str(name): _standing(one) for name, one in told["standings"].items()}
    )


def _standing(told: Mapping[str, Any]) -> Standing:
    outcomes = {str(name): int(count) for name, count in told["outcomes"].items()}
    return Standing(outcomes, str(told["error"]), int(told["answered"]))
