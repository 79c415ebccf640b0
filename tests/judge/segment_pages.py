"""Pages per simulated month under no change of a model that is also watched by segments."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from monitor.judge.extract import Counts, Extract, extract
from monitor.judge.prepare import Prepared, prepare
from monitor.judge.weigh import statistics, weigh
from monitor.plan import SegmentPlan
from tests.judge.build import (
    DAY,
    HOUR,
    categorical_profile,
    numeric_profile,
    plan,
    reference,
    segmented,
    uniform,
    zipf,
)
from tests.judge.drawing import multinomial
from tests.judge.pages import Month, openings

SHARES = {"country": (0.4, 0.25, 0.15, 0.1, 0.05, 0.04, 0.01), "tier": (0.6, 0.3, 0.1, 0.0)}
"""Of the rows of each segment: values, then `other`, then `missing`. Both columns cut the same rows."""


class Setting(NamedTuple):
    """As of `pages.Setting`, with the segments of SHARES."""

    name: str
    n: int = 2_000
    numeric: int = 7
    categorical: int = 3
    pages: float = 2.0
    movement: float = 0.0
    has_floor: bool = True
    has_goal: bool = True


SETTINGS = (
    Setting("10 features in 11 segments, n = 2,000"),
    Setting("10 features in 11 segments that wobble by PSI 0.0025, n = 20,000", n=20_000, movement=0.05),
)


def simulate(setting: Setting, seed: int, *, days: int = 30) -> Month:
    """One month of hourly windows against a reference just long enough for the budget."""
    rng = np.random.Generator(np.random.Philox(seed))
    own = [numeric_profile(f"n{i}", 32) for i in range(setting.numeric)]
    own += [categorical_profile(f"c{i}", [f"k{j}" for j in range(20)]) for i in range(setting.categorical)]
    chances = [uniform(p, missing=0.01) if i < setting.numeric else zipf(p) for i, p in enumerate(own)]
    columns = {name: tuple(f"v{i}" for i in range(len(shares) - 2)) for name, shares in SHARES.items()}
    segments = tuple(SegmentPlan(name, (name,), values=values) for name, values in columns.items())
    model = plan(own, pages=setting.pages, segments=segments)
    length = round(30 * DAY / HOUR / setting.pages)
    whole, parts = _draw(rng, setting, chances, length)
    counted = {name: (values, parts[name]) for name, values in columns.items()}
    prepared = prepare(segmented(reference(own, whole, timed=True), counted), model, model.windows[0])
    assert prepared.ranks
    whole, parts = _draw(rng, setting, chances, days * 24)
    m, drift = _rejects(prepared, whole, model.min_records)
    for name, values in columns.items():
        for at, value in enumerate((*values, "other", "missing")):
            part = prepared.parts.get(f"{name}={value}")
            if part is not None:
                also, found = _rejects(part, parts[name][at], model.min_records)
                m, drift = np.maximum(m, also), drift | found
    warn = m > prepared.warn_critical
    return Month(seed, int(drift.sum()), openings(drift, warn), int((warn & ~drift).sum()))


def _draw(rng, setting, chances, size):
    """Counts of the whole, and of the segments of each column: float64[parts, size, slots]."""
    joint = np.outer(*(np.array(shares) for shares in SHARES.values()))
    rows = rng.multinomial(setting.n, joint.ravel(), size=size)
    score = rng.normal(0.0, setting.movement, (size, len(chances))) if setting.movement else None
    found = []
    for at, p in enumerate(chances):
        moved = p
        if score is not None:
            moved = np.tile(p, (size, 1))
            moved[:, 3:] *= np.exp(score[:, at, None] * np.linspace(-1.7, 1.7, len(p) - 3))
            moved /= moved.sum(axis=1, keepdims=True)
        found.append(multinomial(rng, rows.T, moved))
    cells = np.concatenate(found, axis=2).reshape(*joint.shape, size, -1)
    parts = [cells.sum(axis=1 - axis) for axis in range(2)]
    return cells.sum(axis=(0, 1)), dict(zip(SHARES, parts, strict=True))


def _rejects(prepared: Prepared, counts, min_rows):
    """M and drift of each window of the whole, or of one segment that has rows enough."""
    rows = counts[:, : prepared.frame.features[0].slots].sum(axis=1)
    m, drift = np.zeros(len(rows)), np.zeros(len(rows), bool)
    enough = np.flatnonzero(rows >= min_rows)
    if not len(enough):
        return m, drift
    none = np.zeros(len(enough), np.int64)
    windows = extract(
        Counts(counts[enough], rows[enough], none, np.zeros((len(enough), 1152), np.int64)),
        prepared.frame, left_out=False,
    )  # fmt: skip
    m[enough] = statistics(windows, prepared.frame, prepared.tolerances, prepared.level)
    for at in np.flatnonzero(m[enough] > prepared.critical):
        one = Extract(*(getattr(windows, name)[at : at + 1] for name in Extract.__slots__))
        evidence = weigh(one, prepared.frame, prepared.tolerances, prepared.level, prepared.past)
        drift[enough[at]] = bool(((evidence.x > prepared.critical) & (evidence.p <= prepared.alpha)).any())
    return m, drift
