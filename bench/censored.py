"""Figures while labels are censored: positives are told within hours, negatives by and by; how far off early labels are,
and ours.

    python -m bench.run --only censored

Windows of an hour, labels by the table of the join as the daemon uses it, delays those of windows that are complete. Each
window is looked at when it is 4, 6 and 8 hours old; an error is the distance from what all of its labels will say.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.figure import figure, say
from bench.machine import seed
from monitor.joinable import LABELS, dtype_of
from monitor.labels.join import Join
from monitor.labels.provisional import provisional
from monitor.labels.shares import cell_of
from monitor.labels.steps import delays_of, edges_of, outcomes_of
from monitor.plan import JoinPlan
from monitor.verdict import State, Verdict

HOUR = 3_600_000
WAIT = 72 * HOUR
JOIN = JoinPlan("labels", "score", WAIT, b"8 bytes!", ("1",), 0.5)
COMPLETE = 24
"""Windows that delays are known from."""
AGES = (4, 6, 8)
SHOWN = ("accuracy", "precision")


def figures(*, smoke: bool) -> list[dict[str, Any]]:
    rows, rounds = (20_000, 2) if smoke else (100_000, 20)
    runs = [_run(rows, np.random.default_rng((seed(), number))) for number in range(rounds)]
    notes = (
        f"{rounds} seeds of an hour of {rows:,} predictions at 4, 6 and 8 hours of age; 1 in 4 is positive, told after 3 "
        f"hours on average, others after 24; delays of {COMPLETE} complete windows"
    )
    found = []
    for name in SHOWN:
        naive, ours = ([100 * one[name][side] for one in runs] for side in (0, 1))
        inside = float(np.mean([one[name][2] for one in runs]))
        say(
            f"censored: {name}: early labels {np.mean(naive):.2f} points off, weighted {np.mean(ours):.3f}, {inside:.0%} within"
        )
        found += [
            figure(f"{name}, early labels as they are", "points off", float(np.mean(naive)), goal=">= 5", rounds=rounds,
                   ours_range=naive, notes=notes),
            figure(f"{name}, each label for those that will come", "points off", float(np.mean(ours)), goal="<= 1",
                   rounds=rounds, ours_range=ours, notes=f"{inside:.0%} within its bounds; the largest of any seed is in the range"),
        ]  # fmt: skip
    return found


def _run(rows: int, rng: np.random.Generator) -> dict[str, tuple[float, float, float]]:
    """Figure → error of early labels and of weighted ones, and how often bounds held; means over the ages."""
    history = []
    for at in range(COMPLETE):
        join, cell, cells, row = _window(at * HOUR)
        scores, labels = _drawn(rows // COMPLETE, rng)
        _fill(join, cell, at * HOUR, scores, labels, _late(labels, rng), until=at * HOUR + WAIT + HOUR)
        pairs = join.pairs(cells)
        own = outcomes_of(
            pairs.value, pairs.stamp - at * HOUR, cell_of(join.sums(row), JOIN), join=JOIN, span=HOUR
        )
        history.append(_record(own))
    delays = delays_of(history, edges_of(JOIN, HOUR))
    scores, labels = _drawn(rows, rng)
    late = _late(labels, rng)
    truth = _truth(scores, labels)
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in SHOWN}
    for age in AGES:
        join, cell, _, row = _window(0)
        _fill(join, cell, 0, scores, labels, late, until=age * HOUR)
        one = provisional("1h", 0, HOUR, {0: join.sums(row)}, join=JOIN, until=age * HOUR, delays=delays)
        assert one is not None
        for name in SHOWN:
            own = one.figures[name]
            is_inside = own.low <= truth[name] <= own.high
            found[name].append(
                (abs(one.early[name].value - truth[name]), abs(own.value - truth[name]), float(is_inside))
            )
    return {name: tuple(np.mean(of, axis=0).tolist()) for name, of in found.items()}


def _window(start: int) -> tuple[Join, int, list[int], int]:
    join = Join(JOIN)
    row = join.row()
    cell = join.cell(opening=start - WAIT, deadline=start + HOUR + WAIT, rank=1, parts=[row])
    return join, cell, [cell], row


def _drawn(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels of a model that misses three in ten positives and one in twenty-five others."""
    labels = rng.random(rows) < 0.25
    hit = rng.random(rows) < np.where(labels, 0.7, 0.04)
    return np.where(hit, rng.uniform(0.5, 1, rows), rng.uniform(0, 0.5, rows)), labels


def _late(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Ms from the start of the window to each label: when the prediction was made, and its delay."""
    mean = np.where(labels, 3.0, 24.0) * HOUR
    return (rng.random(len(labels)) * HOUR + np.minimum(rng.exponential(mean), WAIT - 1)).astype(np.int64)


def _fill(
    join: Join, cell: int, start: int, scores: np.ndarray, labels: np.ndarray, late: np.ndarray, *, until: int
) -> None:
    """Predictions, and the labels that came until then, a tenth of them told wrong at first and corrected at once."""
    ids = np.arange(1, len(scores) + 1, dtype=np.uint64)
    join.predict(ids, np.full(len(ids), cell, np.int32), scores.astype(np.float32))
    came = np.flatnonzero(start + late <= until)
    told = np.zeros(len(came), dtype_of(LABELS, 0))
    told["id"], told["value"] = ids[came], labels[came]
    told["stamp"] = told["mark"] = start + late[came]
    told["offset"] = came
    first = told[::10].copy()
    first["value"] = 1 - first["value"]
    first["stamp"] -= 1
    join.label(np.concatenate([told, first]))


def _truth(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    predicted = scores.astype(np.float32) >= 0.5
    return {
        "accuracy": float((predicted == labels).mean()),
        "precision": float(labels[predicted].mean()),
    }


def _record(outcomes: dict[str, Any]) -> Verdict:
    return Verdict(
        model="m", window="1h", start=0, end=HOUR, revision=0, state=State.OK, reason=None, detail="", rows=0, coverage=1.0,
        p=1.0, statistic=0.0, alpha=0.0, proven=False, reference="", reference_windows=0, windows_needed=0, outcomes=outcomes,
    )  # fmt: skip
