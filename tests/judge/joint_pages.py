"""Pages per simulated month under no change, and the power against a change of correlation, of a model with groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from kernels.fold import fold
from kernels.layout import allocate, no_rules
from monitor.groups import member_columns
from monitor.judge import catalogue as names
from monitor.judge.extract import Counts, Extract, extract
from monitor.judge.prepare import Prepared, prepare
from monitor.judge.weigh import statistics, weigh
from monitor.names import REASONS
from monitor.plan import ModelPlan
from monitor.reference.build import build
from monitor.reference.grouped import GroupDeclaration
from monitor.reference.profile import Reference
from monitor.reference.table import Table
from monitor.reference.vector import mean_words
from tests.judge.build import DAY, HOUR
from tests.judge.joined import plan_of
from tests.judge.pages import Month, openings

FEATURES = 12
RHO = 0.8
GROUPS = (GroupDeclaration("pair", ("f0", "f1")), GroupDeclaration("three", ("f2", "f3", "f4")))
"""A pair, of which one has a long tail, and three that share a cause; the other features go their own ways."""
BLOCK = 16_384


class Setting(NamedTuple):
    name: str
    n: int = 500
    numeric: int = FEATURES
    categorical: int = 0
    pages: float = 2.0
    movement: float = 0.0
    """Standard deviation of the correlation of the pair from hour to hour, as an inverse hyperbolic tangent."""


SETTINGS = (
    Setting("2 groups, 500 rows an hour"),
    Setting("2 groups, correlation moving by 0.1, 2,000 rows an hour", n=2_000, movement=0.1),
)


class Scene(NamedTuple):
    reference: Reference
    plan: ModelPlan
    prepared: Prepared


def rows_of(rng: np.random.Generator, n: int, rho: np.ndarray | float) -> np.ndarray:
    """float64[rows, FEATURES]; rho: one for all rows, or one for each."""
    found = rng.normal(size=(n, FEATURES))
    found[:, 1] = rho * found[:, 0] + np.sqrt(1.0 - np.square(rho)) * found[:, 1]
    found[:, 1] = np.exp(found[:, 1])
    found[:, 2:5] += rng.normal(size=(n, 1))
    found[:, 5][rng.random(n) < 0.02] = np.nan
    found[:, 4][rng.random(n) < 0.02] = np.nan
    return found


def drawn(rng: np.random.Generator, setting: Setting, hours: int) -> np.ndarray:
    rho = np.tanh(np.arctanh(RHO) + rng.normal(0.0, setting.movement, hours))
    return rows_of(rng, hours * setting.n, np.repeat(rho, setting.n))


def scene_of(rng: np.random.Generator, setting: Setting) -> Scene:
    """A reference just long enough for the budget."""
    hours = round(30 * DAY / HOUR / setting.pages)
    values = drawn(rng, setting, hours)
    columns = {f"f{i}": np.ascontiguousarray(column) for i, column in enumerate(values.T)}
    events = np.repeat(np.arange(hours) * HOUR, setting.n)
    reference = build(Table(columns, events=events), model="m", name="r", pane=HOUR, groups=GROUPS)
    own = plan_of(reference, groups=tuple(group.name for group in GROUPS), pages=setting.pages)
    prepared = prepare(reference, own, own.windows[0])
    assert prepared.ranks
    return Scene(reference, own, prepared)


def windows_of(scene: Scene, values: np.ndarray, n: int) -> Extract:
    """Windows of n rows each, counted by the fold."""
    layout, count = scene.reference.layout(), len(values) // n
    cells = allocate(layout, cells=count, rules=0, reasons=len(REASONS))
    members = member_columns(scene.plan.features)
    cell = np.repeat(np.arange(count), n).astype(np.int32)
    for low in range(0, len(values), BLOCK):
        part = values[low : low + BLOCK]
        rows = len(part)
        fold(
            cells, layout, no_rules(layout), cell=cell[low : low + BLOCK], values=np.ascontiguousarray(part.T),
            codes=np.empty((0, rows), np.int32), latency=np.full(rows, np.nan), errors=np.zeros(rows, np.uint8),
            offsets=np.arange(rows), vectors=np.ascontiguousarray(part[:, members]),
        )  # fmt: skip
    means = cells.vectors[:, mean_words(layout.vectors)]
    counts = Counts(cells.counts, cells.rows, cells.errors, cells.latency, means=means)
    return extract(counts, scene.prepared.frame, left_out=False)


def group_of(size: int, n: int) -> Scene:
    """A model of `size` normal features that are one group; the first two have a correlation of RHO."""
    rng, hours = np.random.Generator(np.random.Philox(size)), round(30 * DAY / HOUR / 2)
    values = paired(rng, hours * n, size, RHO)
    columns = {f"f{i}": np.ascontiguousarray(column) for i, column in enumerate(values.T)}
    group = GroupDeclaration("pair", tuple(columns))
    events = np.repeat(np.arange(hours) * HOUR, n)
    reference = build(Table(columns, events=events), model="m", name="r", pane=HOUR, groups=(group,))
    own = plan_of(reference, groups=("pair",))
    return Scene(reference, own, prepare(reference, own, own.windows[0]))


def paired(rng: np.random.Generator, n: int, size: int, rho: float) -> np.ndarray:
    found = rng.normal(size=(n, size))
    found[:, 1] = rho * found[:, 0] + (1.0 - rho * rho) ** 0.5 * found[:, 1]
    return found


def simulate(setting: Setting, seed: int, *, days: int = 30) -> Month:
    """One month of hourly windows against a fresh reference."""
    rng = np.random.Generator(np.random.Philox(seed))
    scene = scene_of(rng, setting)
    prepared = scene.prepared
    windows = windows_of(scene, drawn(rng, setting, days * 24), setting.n)
    m = statistics(windows, prepared.frame, prepared.tolerances, prepared.level)
    drift, warn = m > prepared.critical, m > prepared.warn_critical
    for at in np.flatnonzero(drift):
        one = Extract(*(getattr(windows, name)[at : at + 1] for name in Extract.__slots__))
        evidence = weigh(one, prepared.frame, prepared.tolerances, prepared.level, prepared.past)
        drift[at] = bool(((evidence.x > prepared.critical) & (evidence.p <= prepared.alpha)).any())
    return Month(seed, int(drift.sum()), openings(drift, warn), int((warn & ~drift).sum()))


def measure(
    setting: Setting, seeds: Sequence[int], *, progress: Callable[[str], None] = lambda _: None
) -> list[Month]:
    months = []
    for seed in seeds:
        months.append(simulate(setting, seed))
        if len(months) % 10 == 0:
            progress(f"pages, {setting.name}: {len(months)} of {len(seeds)} months")
    return months


class Power(NamedTuple):
    """Shares of windows that drift: by the pair, and by any test of any single feature."""

    rho: float
    n: int
    pair: float
    single: float


def power(seed: int, rho: float, n: int, *, windows: int, scene: Scene) -> Power:
    """Of windows of n rows in which the correlation of the pair is `rho` and nothing else has changed."""
    rng = np.random.Generator(np.random.Philox(seed))
    return found_in(rows_of(rng, windows * n, rho), rho, n, scene=scene)


def found_in(values: np.ndarray, rho: float, n: int, *, scene: Scene) -> Power:
    found, prepared = windows_of(scene, values, n), scene.prepared
    evidence = weigh(found, prepared.frame, prepared.tolerances, prepared.level, prepared.past)
    drift = (evidence.x > prepared.critical) & (evidence.p <= prepared.alpha)
    of_pair = np.array(
        [one == ("pair", names.JOINT) for one in zip(evidence.features, evidence.tests, strict=True)]
    )
    joint = np.array([test == names.JOINT for test in evidence.tests])
    return Power(
        rho, n, float(drift[:, of_pair].any(axis=1).mean()), float(drift[:, ~joint].any(axis=1).mean())
    )
