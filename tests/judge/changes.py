"""Changes of every kind, put into windows of a simulated model at the size that the judge just detects."""

from __future__ import annotations

import functools
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kernels.fold import fold
from kernels.layout import FIRST_BIN, MISSING, NOVEL, CellArrays, allocate, no_rules
from monitor.judge.diagnose import diagnose
from monitor.judge.kinds import Kind
from monitor.judge.policy import judge
from monitor.judge.prepare import Prepared, prepare
from monitor.names import REASONS, Source
from monitor.novel import keep
from monitor.plan import ModelPlan
from monitor.reference.build import build
from monitor.reference.profile import CATEGORIES, Reference
from monitor.reference.table import Table
from monitor.sketch import NOVEL_KEPT
from monitor.verdict import State, Verdict, Window
from tests.judge.build import HOUR, plan

POWER = 0.9
TRIES = 40
"""Windows by which the power at one size is told, to ± 0.05."""
HALVINGS = 9
FRESH = 1 << 50
"""Seeds of the windows that are diagnosed begin here: not those that the size was found with."""
COUNTRIES = 30

NUMBERS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, n: rng.normal(50.0, 8.0, n),
    "gamma": lambda rng, n: rng.gamma(2.0, 20.0, n),
    "lognormal": lambda rng, n: rng.lognormal(3.0, 0.8, n),
    "uniform": lambda rng, n: rng.uniform(0.0, 100.0, n),
    "two_humps": lambda rng, n: np.where(
        rng.random(n) < 0.4, rng.normal(10.0, 2.0, n), rng.normal(25.0, 4.0, n)
    ),
    "zeros": lambda rng, n: np.where(rng.random(n) < 0.3, 0.0, rng.exponential(12.0, n)),
    "count": lambda rng, n: rng.poisson(30.0, n).astype(float),
}
CLASSES = {"country": COUNTRIES, "device": 8, "plan": 4}
"""Categorical features and how many categories each has; shares fall with rank."""
INTERVAL = ("normal", "gamma", "lognormal", "uniform", "two_humps", "count")


class World(NamedTuple):
    reference: Reference
    plan: ModelPlan
    prepared: Prepared
    rows: int
    """Rows of a window."""


class Case(NamedTuple):
    """A kind of change of one feature. `change(rng, values, size)` makes the values that arrive."""

    kind: str
    feature: str
    variant: str
    change: Callable[[np.random.Generator, np.ndarray, float], np.ndarray]
    most: float

    def __str__(self) -> str:
        return f"{self.kind} {self.variant} ({self.feature})"


class Detected(NamedTuple):
    window: Window
    verdict: Verdict
    columns: Mapping[str, np.ndarray]
    """The rows of the window."""


class Row(NamedTuple):
    """What was said of one kind of change."""

    said: Mapping[str, int]
    right: float
    seeds: int
    notes: str


class Matrix(NamedTuple):
    rows: Mapping[str, Row]
    sizes: Mapping[str, float]
    """Case → size that is detected with POWER."""
    wrong: Mapping[str, Mapping[str, int]]
    """Case → what was said instead."""

    def table(self) -> str:
        """Markdown: kinds that were put in as rows, kinds that were named as columns."""
        said = [kind for kind in Kind if any(kind in row.said for row in self.rows.values())]
        lines = [f"| put in | {' | '.join(said)} | named right |", "|---|" + "---:|" * (len(said) + 1)]
        for kind, row in self.rows.items():
            cells = " | ".join(str(row.said.get(other, 0)) for other in said)
            lines.append(f"| {kind} | {cells} | {row.right:.1%} |")
        lines += ["", "| change | size detected with power 0.9 | said instead |", "|---|---:|---|"]
        for case, size in self.sizes.items():
            wrong = ", ".join(f"{kind} {count}" for kind, count in self.wrong.get(case, {}).items())
            lines.append(f"| {case} | {size:.3g} | {wrong} |")
        return "\n".join(lines)


def confusion(
    chosen: Sequence[Case], seeds: int, *, tries: int, progress: Callable[[str], None] = lambda _: None
) -> Matrix:
    """`seeds` diagnosed windows per kind, spread evenly over its cases."""
    own = world()
    sizes: dict[str, float] = {}
    wrong: dict[str, dict[str, int]] = {}
    rows = {}
    for kind in dict.fromkeys(case.kind for case in chosen):
        same = [case for case in chosen if case.kind == kind]
        said: Counter[str] = Counter()
        for i, case in enumerate(same):
            sizes[str(case)] = just_detected(own, case, tries=tries)
            found = Counter(named(own, case, sizes[str(case)], len(range(i, seeds, len(same)))))
            said += found
            if found.keys() - {kind}:
                wrong[str(case)] = {other: count for other, count in found.items() if other != kind}
        total = sum(said.values())
        worst = sorted(((-sum(w.values()), c) for c, w in wrong.items() if c.startswith(kind)))[:3]
        notes = "; ".join(f"{case}: {wrong[case]}" for _, case in worst)
        rows[kind] = Row(said, said[kind] / total, total, notes)
        progress(f"  {kind}: {rows[kind].right:.1%} of {total}, {dict(said)}")
    return Matrix(rows, sizes, wrong)


def named(own: World, case: Case, size: float, count: int) -> Iterator[str]:
    """The kinds that `count` windows with the change in them are said to have; such as are not detected do not count."""
    seed = FRESH + (zlib.crc32(str(case).encode()) << 16)
    for number in range(3 * count):
        found = detected(own, case, size, seed + number)
        if found is None or count == 0:
            continue
        count -= 1
        diagnosis = diagnose(found.window, found.verdict, own.prepared)
        cause = next(one for one in diagnosis["features"] if one["feature"] == case.feature)
        yield cause.get("kind", "")


def shares(classes: int) -> np.ndarray:
    mass = (1.0 + np.arange(classes)) ** -1.0
    return mass / mass.sum()


def draw(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """Rows of the model as they are ordinarily; a category is `<feature>0` and so on, missing is None."""
    out = {name: own(rng, rows) for name, own in NUMBERS.items()}
    for name, classes in CLASSES.items():
        named = np.array([f"{name}{i}" for i in range(classes)], object)
        out[name] = named[rng.choice(classes, rows, p=shares(classes))]
    out["gamma"][rng.random(rows) < 0.02] = np.nan
    out["country"][rng.random(rows) < 0.01] = None
    return out


@functools.cache
def world(rows: int = 2_000, windows: int = 360, seed: int = 1) -> World:
    """A model of ten features with a reference of as many windows, which is 30 days ÷ budget."""
    rng = np.random.Generator(np.random.Philox(seed))
    count = rows * windows
    table = Table(draw(rng, count), events=np.arange(count) * HOUR // rows)
    reference = build(table, model="m", name="r", pane=HOUR)
    own = plan(reference.features)
    return World(reference, own, prepare(reference, own, own.windows[0]), rows)


def window(own: World, columns: Mapping[str, np.ndarray]) -> Window:
    """A live window of these rows, counted by the fold."""
    rows = len(next(iter(columns.values())))
    cells, novel = counted(own, columns, np.zeros(rows, np.int64), 1)
    return Window(
        model="m", name="1h", start=1000 * HOUR, end=1001 * HOUR, rows=rows, errors=0, novel=novel,
        offsets={Source("t", 0): (1000, 1000 + rows - 1)},
        **{name: getattr(cells, name)[0] for name in
           ("counts", "sums", "extremes", "vectors", "latency", "violations", "rejects")},
    )  # fmt: skip


def counted(
    own: World, columns: Mapping[str, np.ndarray], cell: np.ndarray, count: int
) -> tuple[CellArrays, dict[int, dict[str, int]]]:
    """These rows in as many cells, and the novel categories of all."""
    layout, features = (
        own.prepared.frame.layout,
        own.reference.features,
    )  # one object: its tables are made once
    rows = len(cell)
    cells = allocate(layout, cells=count, rules=0, reasons=len(REASONS))
    values = np.stack([columns[p.name] for p in features if p.kind not in CATEGORIES]).astype(float)
    named = [p for p in features if p.kind in CATEGORIES]
    novel: dict[int, dict[str, int]] = {}
    codes = np.empty((len(named), rows), np.int32)
    for i, profile in enumerate(named):
        slot = {category: FIRST_BIN + k for k, category in enumerate(profile.categories)} | {None: MISSING}
        codes[i] = [slot.get(value, NOVEL) for value in columns[profile.name].tolist()]
        new, counts = np.unique(columns[profile.name][codes[i] == NOVEL].astype(str), return_counts=True)
        if len(new):
            novel[i] = keep(dict(zip(new.tolist(), counts.tolist(), strict=True)), NOVEL_KEPT)
    fold(
        cells, layout, no_rules(layout), cell=cell.astype(np.int32), values=values, codes=codes,
        latency=np.full(rows, np.nan), errors=np.zeros(rows, np.uint8), offsets=np.arange(rows),
        vectors=np.empty((rows, 0)),
    )  # fmt: skip
    return cells, novel


def detected(own: World, case: Case, size: float, seed: int) -> Detected | None:
    """A window with the change in it; None where the judge does not name the feature."""
    rng = np.random.Generator(np.random.Philox(seed))
    columns = draw(rng, own.rows)
    columns[case.feature] = case.change(rng, columns[case.feature], size)
    made = window(own, columns)
    verdict = judge(made, own.prepared, own.plan, previous=())
    named = any(test.feature == case.feature and test.state is State.DRIFT for test in verdict.tests)
    return Detected(made, verdict, columns) if verdict.state is State.DRIFT and named else None


def power(own: World, case: Case, size: float, tries: int, seed: int) -> float:
    return sum(detected(own, case, size, seed + i) is not None for i in range(tries)) / tries


def reaches(own: World, case: Case, size: float, tries: int, seed: int) -> bool:
    """Whether that power is at least POWER; ends once it is clear."""
    left = int((1.0 - POWER) * tries + 1e-9)
    for i in range(tries):
        left -= detected(own, case, size, seed + i) is None
        if left < 0:
            return False
    return True


def just_detected(own: World, case: Case, *, tries: int = TRIES) -> float:
    """The size that is detected with POWER, by bisection of its logarithm."""
    seed = zlib.crc32(str(case).encode()) << 16
    low, high = np.log(case.most / 2000.0), np.log(case.most)
    for step in range(HALVINGS):
        middle = 0.5 * (low + high)
        if reaches(own, case, float(np.exp(middle)), tries, seed + step * tries):
            high = middle
        else:
            low = middle
    return float(np.exp(high))


def cases() -> list[Case]:
    return [*_of_numbers(), *_of_classes()]


def _of_numbers() -> Iterator[Case]:
    for name, ordinary in NUMBERS.items():
        yield Case("missing", name, "", _missing, 1.0)
        typical = float(np.median(ordinary(np.random.default_rng(3), 999)))
        for variant, value in (("at the median", typical), ("at -1", -1.0), ("at 9999", 9999.0)):
            yield Case("stuck", name, variant, functools.partial(_stuck, value=value), 1.0)
        for factor in (0.01, 10.0, 1000.0, 2.54, 1 / 60, 0.45359237):
            yield Case("scale", name, f"x {factor:.4g}", functools.partial(_scale, factor=factor), 1.0)
        for side in (1, -1) if name != "zeros" else (1,):
            yield Case("clipping", name, f"{side:+d}", functools.partial(_clip, side=side), 0.9)
    for name in INTERVAL:
        for sign in (1, -1):
            yield Case("location", name, f"{sign:+d}", functools.partial(_location, sign=sign), 2.0)
            yield Case("spread", name, f"{sign:+d}", functools.partial(_spread, sign=sign), 2.0)
        for lobes in ("hump" if name == "two_humps" else "humps", "skew"):
            yield Case("shape", name, lobes, functools.partial(_shape, lobes=lobes), 1.0)


def _of_classes() -> Iterator[Case]:
    for name, classes in CLASSES.items():
        yield Case("missing", name, "", _missing, 1.0)
        yield Case("novel", name, "one", functools.partial(_novel, count=1), 1.0)
        yield Case("novel", name, "five", functools.partial(_novel, count=5), 1.0)
        for variant, part in (("whole", 1.0), ("half", 0.5)):
            yield Case("renamed", name, variant, functools.partial(_renamed, classes=classes, part=part), 1.0)
        yield Case("shape", name, "mix", functools.partial(_mix, classes=classes), 1.0)


def _some(rng: np.random.Generator, values: np.ndarray, share: float) -> np.ndarray:
    return rng.random(len(values)) < share


def _missing(rng: np.random.Generator, values: np.ndarray, size: float) -> np.ndarray:
    return np.where(_some(rng, values, size), None if values.dtype == object else np.nan, values)


def _stuck(rng: np.random.Generator, values: np.ndarray, size: float, *, value: float) -> np.ndarray:
    return np.where(_some(rng, values, size), value, values)


def _scale(rng: np.random.Generator, values: np.ndarray, size: float, *, factor: float) -> np.ndarray:
    return np.where(_some(rng, values, size), values * factor, values)


def _clip(_rng: np.random.Generator, values: np.ndarray, size: float, *, side: int) -> np.ndarray:
    if side > 0:
        return np.minimum(values, np.nanquantile(values, 1.0 - size))
    return np.maximum(values, np.nanquantile(values, size))


def _location(rng: np.random.Generator, values: np.ndarray, size: float, *, sign: int) -> np.ndarray:
    return _as_before(rng, values, values + sign * size * np.nanstd(values))


def _spread(rng: np.random.Generator, values: np.ndarray, size: float, *, sign: int) -> np.ndarray:
    center = np.nanmean(values)
    return _as_before(rng, values, center + (values - center) * (1.0 + size) ** sign)


def _as_before(rng: np.random.Generator, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Whole numbers stay whole ones: up or down at random, right on average."""
    return np.floor(after + rng.random(len(after))) if (before == np.round(before)).all() else after


def _shape(rng: np.random.Generator, values: np.ndarray, size: float, *, lobes: str) -> np.ndarray:
    """A share of the rows from a population of about the same mean, deviation and range, and of another shape."""
    n = len(values)
    other = {
        "humps": np.where(rng.random(n) < 0.5, -0.95, 0.95) + 0.31 * rng.normal(size=n),
        "skew": 1.0 - rng.exponential(1.0, n),
        "hump": rng.normal(size=n),
    }[lobes]
    other = np.nanmean(values) + other * np.nanstd(values)
    other = np.where((other >= np.nanmin(values)) & (other <= np.nanmax(values)), other, values)
    other = _as_before(rng, values, other)
    return np.where(_some(rng, values, size), other, values)


def _novel(rng: np.random.Generator, values: np.ndarray, size: float, *, count: int) -> np.ndarray:
    new = np.array([f"new{i}" for i in range(count)], object)
    return np.where(_some(rng, values, size), new[rng.integers(0, len(new), len(values))], values)


def _renamed(
    rng: np.random.Generator, values: np.ndarray, size: float, *, classes: int, part: float
) -> np.ndarray:
    """The rarest category with a share of at least `size` has a new name, in `part` of its rows."""
    rank = int(np.flatnonzero(shares(classes) >= min(size, shares(classes)[0]))[-1])
    old = next(value for value in values.tolist() if value is not None).rstrip("0123456789") + str(rank)
    return np.where((values == old) & _some(rng, values, part), "new", values)


def _mix(rng: np.random.Generator, values: np.ndarray, size: float, *, classes: int) -> np.ndarray:
    """A share of the rows from a population in which the ranks of categories are turned round."""
    name = str(next(value for value in values.tolist() if value is not None)).rstrip("0123456789")
    other = np.array([f"{name}{i}" for i in range(classes)], object)
    drawn = other[rng.choice(classes, len(values), p=shares(classes)[::-1])]
    return np.where(_some(rng, values, size), drawn, values)
