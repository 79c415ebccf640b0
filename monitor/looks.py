"""Looks at the windows of one model that are still open. Evaluate thread only.

A look is made at the counts of panes that every source partition has passed for good: its watermark is
behind their end by the allowed lateness, so no row can come to them any more. What is seen is therefore
a function of the records, whatever the time of the look, the batches, or how often a process was restarted;
a look that is made again sees the same. An idle partition holds looks back, it may have rows yet: those that
are left are made when its window closes. Only an alarm is written down. One window alarms once, and closes as
any other does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.held import Held
from monitor.judge.alarm import alarm
from monitor.judge.looking import Early, look
from monitor.judge.prepare import Prepared
from monitor.judge.record import from_json, to_json
from monitor.plan import WindowSpec
from monitor.state.log import Entry
from monitor.verdict import Verdict, Window

KIND = "look"
"""Of the ledger's entries: the newest alarm of each window name, {end of its window, verdict}."""


class Looks:
    """How far windows were looked at, and what alarmed."""

    def __init__(self) -> None:
        self.alarms: dict[str, Verdict] = {}
        """The newest alarm of each window name."""
        self._alarmed: dict[str, int] = {}
        """Ends of their windows."""
        self._made: dict[str, tuple[int, int]] = {}
        """Window name → end of the window that was looked at last, and how far."""
        self._blocks: dict[str, dict[int, NDArray[np.int64]]] = {}
        """Window name → start of a block → its counts, of the window that was looked at last."""
        self._counted: list[tuple[Early, str | None, set[str]]] = []
        """Ways to count blocks, of which version, and the window names that go by each."""
        self._with: dict[str, tuple[str | None, str]] = {}
        """Window name → version and reference that its blocks are of."""

    def restore(self, bodies: Mapping[str, Mapping[str, Any]]) -> None:
        """Continue from the alarms of the ledger: no second one of the same window."""
        for name, body in bodies.items():
            self._alarmed[name] = int(body["end"])
            self.alarms[name] = from_json(body["verdict"])

    def accept(self, verdict: Verdict, entry: Entry) -> None:
        """An alarm is durable now."""
        assert entry.body is not None
        self._alarmed[verdict.window] = int(entry.body["end"])
        self.alarms[verdict.window] = verdict

    def renew(self) -> None:
        """Counts have other slots from now on."""
        self._blocks.clear()
        self._made.clear()
        self._counted.clear()

    def next(
        self, spec: WindowSpec, span: tuple[int, int], *, until: int, prepared: Prepared, held: Held
    ) -> tuple[Verdict, Window] | None:
        """Make the looks at the window `span` that are due by `until`, to the first alarm: its verdict, and
        what it was made from."""
        early, (start, end) = prepared.early, span
        if early is None or self._alarmed.get(spec.name, -1) >= end:
            return None
        if self._with.setdefault(spec.name, own := (held.plan.version, prepared.reference)) != own:
            self._with[spec.name] = own
            self._blocks.pop(spec.name, None)
            self._made.pop(spec.name, None)
            for _, _, names in self._counted:
                names.discard(spec.name)
        of, made = self._made.get(spec.name, (end, start))
        if of != end:
            made = start
        for at in early.looks(start, end, spec.step):
            if made < at <= until:
                found = self._look(spec, span, at, prepared, early, held)
                if found is not None:
                    return found
                self._made[spec.name] = (end, at)
        return None

    def _look(
        self, spec: WindowSpec, span: tuple[int, int], at: int, prepared: Prepared, early: Early, held: Held
    ) -> tuple[Verdict, Window] | None:
        (start, end), known = span, self._blocks.get(spec.name, {})
        blocks = {
            low: known[low] if low in known else self._block(spec, low, early, held)
            for low in range(start, at, early.every)
        }
        self._blocks[spec.name] = blocks
        seen = np.array(list(blocks.values()))
        if seen[:, -2].sum() < held.plan.min_records:  # every row counts as an error or none
            return None
        alarming = look(seen, (end - start) // early.every, early)
        if alarming is None:
            return None
        window = held.window(spec, start, at)
        return alarm(window, seen, alarming, prepared, early), window

    def _block(self, spec: WindowSpec, low: int, early: Early, held: Held) -> NDArray[np.int64]:
        for name in self._alike(spec.name, early, held.plan.version):
            if low in self._blocks.get(name, ()):
                return self._blocks[name][low]
        return held.slots(spec, low, low + early.every, early.slots)

    def _alike(self, name: str, early: Early, version: str | None) -> set[str]:
        """Window names whose blocks are counted in the same way: each block is merged once for all of them."""
        for one, of, names in self._counted:
            if name in names:
                return names
            if of == version and one.every == early.every and one.slots.is_as(early.slots):
                names.add(name)
                return names
        self._counted.append((early, version, {name}))
        return self._counted[-1][2]


def entry_of(verdict: Verdict, end: int) -> Entry:
    """The ledger entry of an alarm at a window that ends at `end`; it takes the place of the one before."""
    return Entry(KIND, verdict.window, {"end": end, "verdict": to_json(verdict)})
