"""A model of two or more features that go together, counted by the fold as live records are."""

from __future__ import annotations

import numpy as np

from kernels.fold import fold
from kernels.layout import allocate, no_rules
from monitor.columns import NOTHING_NOVEL, Columns
from monitor.groups import member_columns, with_groups
from monitor.names import REASONS
from monitor.plan import FeaturePlan
from monitor.reference.build import build
from monitor.reference.grouped import GroupDeclaration
from monitor.reference.table import Table
from monitor.verdict import Window
from tests.judge.build import HOUR, plan

NAMES = ("income", "debt", "age")
GROUP = "money"


def draw(rng, rows, *, rho=0.8):
    """float64[rows, 3]: normal, the first two correlated; the third goes its own way."""
    found = rng.normal(size=(rows, len(NAMES)))
    found[:, 1] = rho * found[:, 0] + (1 - rho * rho) ** 0.5 * found[:, 1]
    return found


def reference_of(values, *, hours, members=NAMES[:2], timed=True, **more):
    """A reference of so many hourly panes."""
    events = np.arange(len(values)) * (hours * HOUR) // len(values) if timed else None
    table = Table(dict(zip(NAMES, np.asarray(values).T, strict=True)), events=events)
    groups = (GroupDeclaration(GROUP, tuple(members)),) if members else ()
    return build(table, model="m", name="r", pane=HOUR, groups=groups, **more)


def plan_of(reference, *, groups=(GROUP,), **more):
    features = tuple(
        FeaturePlan(one.name, one.path, one.kind, members=one.members, length=len(one.members))
        for one in reference.features
    )
    return plan(reference.features, features=features, groups=groups, **more)


def columns_of(values, own, *, groups=True):
    """The rows as a decoder gives them."""
    rows = len(values)
    read = Columns(
        model="m", index=np.arange(rows), offsets=np.arange(rows), timestamps=np.zeros(rows, np.int64),
        events=np.zeros(rows, np.int64), values=np.ascontiguousarray(np.asarray(values).T),
        codes=np.empty((0, rows), np.int32), latency=np.full(rows, np.nan), errors=np.zeros(rows, np.uint8),
        group=np.zeros(rows, np.int32), groups=(("", "champion"),), novel=NOTHING_NOVEL,
    )  # fmt: skip
    return with_groups(read, member_columns(own.features)) if groups else read


def cells_of(values, reference, own, *, cells=None):
    """One cell with these rows added."""
    layout, columns = reference.layout(), columns_of(values, own)
    if cells is None:
        cells = allocate(layout, cells=1, rules=0, reasons=len(REASONS))
    fold(
        cells, layout, no_rules(layout), cell=np.zeros(len(columns), np.int32), values=columns.values,
        codes=columns.codes, latency=columns.latency, errors=columns.errors, offsets=columns.offsets,
        vectors=columns.vectors,
    )  # fmt: skip
    return cells


def window_of(values, reference, own):
    cells = cells_of(values, reference, own)
    return Window(
        model="m", name="1h", start=100_000 * HOUR, end=100_001 * HOUR, rows=len(values), errors=0,
        **{name: getattr(cells, name)[0] for name in
           ("counts", "sums", "extremes", "vectors", "latency", "violations", "rejects")},
    )  # fmt: skip
