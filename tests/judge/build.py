"""References and windows made from numpy arrays, for tests of the judge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kernels.layout import FIRST_BIN, LATENCY_BINS, allocate
from monitor.names import REASONS, Source
from monitor.plan import Budget, FeaturePlan, Kind, ModelPlan, WindowSpec
from monitor.reference.profile import FeatureProfile, Panes, Part, Reference, SegmentColumn
from monitor.verdict import Window

HOUR = 3_600_000
DAY = 24 * HOUR


def numeric_profile(name, bins=256, *, design=1.0):
    """A feature uniform on [0, 1) with equal bins."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    coarse = (np.arange(bins) * 20 // bins).astype(np.int16)
    return FeatureProfile(
        name=name, path=(name,), kind=Kind.NUMERIC, edges=edges, coarse=coarse, categories=(),
        center=0.5, scale=0.5, minimum=0.0, maximum=1.0, mean=0.5, std=12**-0.5, iqr=0.5, design=design,
    )  # fmt: skip


def categorical_profile(name, categories, *, kind=Kind.CATEGORICAL):
    nothing = np.empty(0)
    return FeatureProfile(
        name=name, path=(name,), kind=kind, edges=nothing, coarse=nothing.astype(np.int16),
        categories=tuple(categories), center=0.0, scale=1.0, minimum=0.0, maximum=0.0, mean=0.0, std=0.0,
        iqr=0.0,
    )  # fmt: skip


def sparse(rows):
    """CSR of a dense matrix of counts: indptr, slots, values."""
    rows = np.asarray(rows, np.int64)
    used = rows != 0
    indptr = np.concatenate([[0], np.cumsum(np.count_nonzero(used, axis=1))]).astype(np.int64)
    columns = np.broadcast_to(np.arange(rows.shape[1], dtype=np.int32), rows.shape)
    return indptr, columns[used], rows[used]


def reference(profiles, panes, *, errors=None, latency=None, timed=True, pane=HOUR, start=0, name="january"):
    """A reference from counts per pane: int64[panes, slots]."""
    panes = np.asarray(panes, np.int64)
    first = profiles[0].slots
    rows = panes[:, :first].sum(axis=1)
    errors = np.zeros(len(panes), np.int64) if errors is None else np.asarray(errors)
    latency = np.zeros((len(panes), LATENCY_BINS), np.int64) if latency is None else np.asarray(latency)
    return Reference(
        model="m", name=name, created=0, origin={}, features=tuple(profiles),
        panes=Panes(start + pane * np.arange(len(panes), dtype=np.int64), *sparse(panes), rows, errors, *sparse(latency)),
        pane=pane if timed else 0, timed=timed, rows=int(rows.sum()), errors=int(errors.sum()),
        counts=panes.sum(axis=0), latency=latency.sum(axis=0),
    )  # fmt: skip


def plan(profiles, *, pages=2.0, size=HOUR, step=None, windows=None, rules=(), features=None, **more):
    spec = WindowSpec("1h", size, step or size)
    return ModelPlan(
        name="m", source="s", features=features or tuple(FeaturePlan(p.name, p.path, p.kind) for p in profiles),
        rules=tuple(rules), windows=windows or (spec,), pane=size, budget=Budget(pages, 30 * DAY), config="c",
        **more,
    )  # fmt: skip


def window(
    profiles,
    counts,
    *,
    at=1000,
    errors=0,
    latency=None,
    violations=(),
    extremes=None,
    coverage=1.0,
    rows=None,
):
    counts = np.asarray(counts, np.int64)
    layout = reference(profiles, counts[None, :]).layout()
    empty = allocate(layout, cells=1, rules=len(violations), reasons=len(REASONS))
    if extremes is None:
        extremes = np.tile([0.0, 1.0], (layout.numeric, 1)).reshape(-1, 2)
    return Window(
        model="m", name="1h", start=at * HOUR, end=(at + 1) * HOUR,
        rows=int(counts[: profiles[0].slots].sum()) if rows is None else rows, errors=errors, counts=counts,
        sums=empty.sums[0], extremes=np.asarray(extremes, float),
        latency=np.zeros(LATENCY_BINS, np.int64) if latency is None else latency,
        violations=np.asarray(violations, np.int64), rejects=empty.rejects[0], coverage=coverage,
        offsets={Source("t", 0): (10, 20)},
    )  # fmt: skip


def draw(rng, probabilities, n, size):
    """Counts of `size` windows of n rows; probabilities: one array per feature (over its slots)."""
    return np.concatenate([rng.multinomial(n, p, size=size) for p in probabilities], axis=1)


def uniform(profile, *, missing=0.0):
    """Slot probabilities of a numeric profile whose bins are equally likely."""
    p = np.zeros(profile.slots)
    p[0] = missing
    p[FIRST_BIN:-1] = (1 - missing) / (profile.slots - FIRST_BIN - 1)
    return p


def zipf(profile, *, missing=0.0, power=1.0):
    """Slot probabilities of a categorical profile, falling with rank."""
    p = np.zeros(profile.slots)
    mass = (1.0 + np.arange(len(profile.categories))) ** -power
    p[0] = missing
    p[FIRST_BIN:] = (1 - missing) * mass / mass.sum()
    return p


def segmented(whole, columns):
    """The reference with segments; columns: name → (values, int64[values + 2, panes, slots])."""
    first, none = whole.features[0].slots, np.zeros((len(whole.panes), LATENCY_BINS), np.int64)
    found = []
    for name, (values, parts) in columns.items():
        panes = []
        for counts in np.asarray(parts, np.int64):
            rows = counts[:, :first].sum(axis=1)
            own = Panes(whole.panes.starts, *sparse(counts), rows, np.zeros_like(rows), *sparse(none))
            panes.append(Part(own, np.zeros(len(whole.features))))
        found.append(SegmentColumn(name, tuple(values), tuple(panes)))
    return replace(whole, segments=tuple(found))


OWN = [numeric_profile("age", 64), categorical_profile("city", [f"k{i}" for i in range(12)])]
CHANCES = [uniform(OWN[0]), zipf(OWN[1])]
"""A small model, and the probabilities of its slots."""
