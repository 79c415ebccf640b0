"""A log counted once more by plain Python that shares nothing with the fold, and what a daemon made of it."""

from __future__ import annotations

import bisect
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.names import Reason
from monitor.plan import Kind
from monitor.reference.profile import Reference
from monitor.state.local import LocalLog
from tests.daemon.build import BOUND, LATENESS, MODEL, PANE, WINDOW, Sent, reference


@dataclass
class Recount:
    """What a log holds, counted by plain Python."""

    records: int = 0
    rows: Counter[int] = field(default_factory=Counter)
    """By pane."""
    slots: dict[int, Counter[tuple[str, int]]] = field(default_factory=dict)
    """Pane → (feature, slot) → rows."""
    late: int = 0
    future: int = 0
    rejects: int = 0

    def of_window(self, end: int) -> int:
        return sum(self.rows[pane] for pane in range(end - WINDOW, end, PANE))

    @property
    def ends(self) -> set[int]:
        return {pane // WINDOW * WINDOW + WINDOW for pane, rows in self.rows.items() if rows}


def recount(
    sent: Sequence[Sent], *, profile: Reference | None = None, good: Callable[[Any], bool] | None = None
) -> Recount:
    """Count every record once. `good` tells which of those that parse can become rows."""
    profile = profile or reference()
    found = Recount()
    newest: dict[int, list[int]] = {}
    for record in sent:
        found.records += 1
        row = _parsed(record.value)
        if row is None or (good is not None and not good(row)):
            found.rejects += 1
            continue
        _place(found, newest.setdefault(record.partition, []), row, record, profile)
    return found


def _parsed(value: bytes | None) -> dict[str, Any] | None:
    try:
        row = json.loads(value or b"")
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _place(found: Recount, newest: list[int], row: dict[str, Any], record: Sent, profile: Reference) -> None:
    event = row["ts"]
    agreed = newest[19] if len(newest) >= 20 else None
    if event - record.timestamp > 300_000:
        found.future += 1
        return
    ahead = agreed is not None and event - agreed > 7 * 86_400_000
    if agreed is not None and event < agreed - BOUND - LATENESS:
        found.late += 1
        return
    newest.append(event)
    newest.sort(reverse=True)
    del newest[20:]
    if ahead:
        found.future += 1
        return
    pane = event // PANE * PANE
    found.rows[pane] += 1
    counts = found.slots.setdefault(pane, Counter())
    for feature in profile.features:
        value = row["score"] if feature.name == "prediction" else row["features"].get(feature.name)
        counts[feature.name, _slot(feature, value)] += 1


def _slot(feature: Any, value: Any) -> int:
    if value is None:
        return 0
    if feature.kind is Kind.NUMERIC:
        return 2 + bisect.bisect_right(feature.edges.tolist(), value)
    text = str(value).lower() if isinstance(value, bool) else value
    return 3 + feature.categories.index(text) if text in feature.categories else 1


def differences(
    state: LocalLog,
    truth: Recount,
    records: dict[int, dict[str, Any]] | None,
    *,
    profile: Reference | None = None,
) -> list[str]:
    """Every way in which state and verdicts are not those of the log; empty when all is exact."""
    profile = profile or reference()
    rows: Counter[int] = Counter()
    slots: dict[int, Counter[tuple[str, int]]] = {}
    names = [(feature.name, slot) for feature in profile.features for slot in range(feature.slots)]
    for sketch in state.changes([MODEL], 0)[1]:
        rows[sketch.key.pane] += sketch.rows
        counts = slots.setdefault(sketch.key.pane, Counter())
        for at in sketch.counts.nonzero()[0]:
            counts[names[at]] += int(sketch.counts[at])
    wrong = []
    for pane in sorted(rows.keys() | truth.rows.keys()):
        if rows[pane] != truth.rows[pane]:
            wrong.append(f"pane {pane}: {rows[pane]} rows, {truth.rows[pane]} in the log")
        elif slots.get(pane, Counter()) != truth.slots.get(pane, Counter()):
            wrong.append(f"pane {pane}: slots differ")
    wrong += tally_differences(state, truth)
    for end, verdict in (records or {}).items():
        if verdict["rows"] != truth.of_window(end):
            wrong.append(f"verdict to {end}: {verdict['rows']} rows, {truth.of_window(end)} in the log")
    if records is not None and not truth.ends <= records.keys():
        wrong.append(f"no verdict on windows to {sorted(truth.ends - records.keys())}")
    if state.divergences:
        wrong.append(f"{state.divergences} checkpoints diverged")
    return wrong


def tallies(state: LocalLog) -> Counter[str]:
    """Rejects by "model|reason" over all partitions."""
    total: Counter[str] = Counter()
    for source in state.sources():
        checkpoint = state.recover(source)
        total.update(checkpoint.marker.tallies or {})
    return total


def tally_differences(state: LocalLog, truth: Recount) -> list[str]:
    """Records of the log == rows + late + future + rejects, each of them right."""
    total = tallies(state)
    late = sum(count for name, count in total.items() if name.endswith(f"|{Reason.LATE}"))
    future = sum(count for name, count in total.items() if name.endswith(f"|{Reason.FUTURE}"))
    rejects = sum(total.values()) - late - future
    records = sum(state.recover(source).marker.records for source in state.sources())
    expected = (truth.records, truth.late, truth.future, truth.rejects)
    if (records, late, future, rejects) != expected:
        return [
            f"(records, late, future, rejects) are {(records, late, future, rejects)}, in the log {expected}"
        ]
    return []


def stored_verdicts(state: LocalLog) -> dict[int, dict[str, Any]]:
    """Verdict records of the ledger, by end, the newest revision."""
    bodies = state.ledger(MODEL, kinds=("verdict",)).of("verdict").values()
    return {body["end"]: dict(body) for body in bodies}
