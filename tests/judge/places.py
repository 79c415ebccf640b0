"""Simulated drifts that are confined to a part of the rows: what the search for it is measured and tested with.

A model of 20 columns, which depend on each other, and a feature `x` that depends on all of them. x changes by a PSI inside the
part; a window has a million rows, of which some are sampled, its reference four. An oracle that knows how x changes inside, and what it
was everywhere before, says how much chance allows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import log_ndtr

from kernels.layout import FIRST_BIN
from monitor.judge.frame import Frame, build_frame
from monitor.judge.where import LEVEL, Found, where
from monitor.sample import REFERENCE_ROWS
from tests.judge.build import categorical_profile, numeric_profile, plan, reference

MASSES = (0.02, 0.05, 0.10, 0.20)
PSI = 0.25
ROWS, BEFORE = 1_000_000, 4_000_000
VALUES, CLASSES, NUMBERS = 20, 14, 6
SHARES = np.array([20, 15, 10, 8, 5, 5, 5, 4, 4, 4, 3, 3, 3, 2, 2, 2, 2, 2, 0.5, 0.5]) / 100.0
WEIGHTS = np.array([0.4, 0.3, 0.2, 0.1])
"""Of the kinds of rows that make columns depend on each other."""
LINE = np.linspace(-1.0, 1.0, VALUES)


class World(NamedTuple):
    """columns: float64[columns, kinds, VALUES], shares of each value among each kind of rows; x: float64[kinds, VALUES]"""

    columns: np.ndarray
    x: np.ndarray
    frame: Frame

    @property
    def usual(self) -> np.ndarray:
        """Shares of x in the reference."""
        return np.asarray(WEIGHTS @ self.x)


class Drawn(NamedTuple):
    """kinds: int64[rows]; values: int64[rows, columns]; x: int64[rows]"""

    kinds: np.ndarray
    values: np.ndarray
    x: np.ndarray

    def codes(self, rows: int) -> np.ndarray:
        """Slot codes of the first of them, as samples have them; x comes last."""
        both = np.column_stack([self.values[:rows], self.x[:rows]])
        return np.asarray(both + FIRST_BIN, np.uint16)


def world() -> World:
    rng = np.random.Generator(np.random.Philox(7))
    columns = []
    for column in range(CLASSES + NUMBERS):
        shares = SHARES if column < CLASSES else np.full(VALUES, 1.0 / VALUES)
        own = tilted(np.tile(shares, (len(WEIGHTS), 1)), rng.normal(0.0, 0.5, (len(WEIGHTS), VALUES)))
        own *= shares / (WEIGHTS @ own)
        columns.append(own / own.sum(axis=1, keepdims=True))
    x = tilted(np.full((len(WEIGHTS), VALUES), 1.0 / VALUES), np.outer([-0.6, -0.2, 0.3, 0.8], LINE))
    profiles = [categorical_profile(f"c{c}", [f"v{v}" for v in range(VALUES)]) for c in range(CLASSES)]
    profiles += [numeric_profile(f"n{n}", VALUES) for n in range(NUMBERS)] + [numeric_profile("x", VALUES)]
    usual = [WEIGHTS @ own for own in (*columns, x)]
    counts = [slots(profile, BEFORE * share) for profile, share in zip(profiles, usual, strict=True)]
    whole = reference(profiles, np.concatenate(counts)[None, :])
    return World(np.array(columns), x, build_frame(whole, plan(profiles)))


def slots(profile: Any, counts: np.ndarray) -> np.ndarray:
    found = np.zeros(profile.slots, np.int64)
    found[FIRST_BIN : FIRST_BIN + VALUES] = np.round(counts)
    return found


def tilted(shares: np.ndarray, by: np.ndarray) -> np.ndarray:
    own = shares * np.exp(by)
    return np.asarray(own / own.sum(axis=-1, keepdims=True))


def psi(p: np.ndarray, q: np.ndarray) -> float:
    return float(((p - q) * np.log(p / q)).sum())


def pick(rng: np.random.Generator, shares: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """A value for each row; shares: float64[kinds, VALUES]."""
    out, chance = np.empty(len(kinds), np.int64), rng.random(len(kinds))
    for kind, own in enumerate(shares):
        mine = kinds == kind
        out[mine] = np.searchsorted(own.cumsum()[:-1], chance[mine], side="right")
    return out


def draw(rng: np.random.Generator, own: World, rows: int) -> Drawn:
    kinds = rng.choice(len(WEIGHTS), rows, p=WEIGHTS)
    values = np.column_stack([pick(rng, column, kinds) for column in own.columns])
    return Drawn(kinds, values, pick(rng, own.x, kinds))


def change(rng: np.random.Generator, form: int) -> np.ndarray:
    """How x changes: its place, its spread, its mix, or one of its values."""
    if form == 0:
        return LINE * rng.choice([-1.0, 1.0])
    if form == 1:
        return LINE**2 * rng.choice([-1.0, 1.0])
    if form == 2:
        return rng.normal(0.0, 1.0, VALUES)
    return np.asarray(np.arange(VALUES) == rng.integers(VALUES), float)


def changed(own: World, kinds: np.ndarray, by: np.ndarray, goal: float) -> np.ndarray:
    """x among each kind of rows, changed so that its PSI is `goal` where kinds have these shares."""
    low, high = 0.0, 8.0
    for _ in range(40):
        middle = (low + high) / 2
        found = tilted(own.x, middle * by)
        low, high = (middle, high) if psi(kinds @ found, kinds @ own.x) < goal else (low, middle)
    return tilted(own.x, high * by)


class Case(NamedTuple):
    """A window: the rows `inside`, the rest and how it came about."""

    name: str
    guilty: tuple[tuple[str, tuple[int, ...]], ...]
    """(feature, its slots); empty: the drift is everywhere."""
    mass: float
    window: Drawn
    before: Drawn
    counts: np.ndarray
    ratio: np.ndarray
    """ln of how x changes inside, which only an oracle knows."""


Guilty = tuple[tuple[int, tuple[int, ...]], ...]


def drifted(own: World, seed: int, guilty: Guilty, rows: int, *, goal: float = PSI, name: str = "") -> Case:
    """x changes where each of `guilty`, (column, its values), holds; everywhere where there is none."""
    rng = np.random.Generator(np.random.Philox(seed))
    before, window = draw(rng, own, REFERENCE_ROWS), draw(rng, own, rows)
    joint, inside = WEIGHTS.copy(), np.ones(rows, bool)
    for column, values in guilty:
        joint = joint * own.columns[column][:, list(values)].sum(axis=1)
        inside &= np.isin(window.values[:, column], values)
    mass, kinds = float(joint.sum()), joint / joint.sum()
    now = changed(own, kinds, change(rng, seed % 4), goal)
    window.x[inside] = pick(rng, now, window.kinds[inside])
    shares = own.usual + mass * (kinds @ now - kinds @ own.x)
    features = own.frame.features
    usual = [ROWS * (WEIGHTS @ column) for column in own.columns]
    counts = [slots(p, c) for p, c in zip(features, [*usual, rng.multinomial(ROWS, shares)], strict=True)]
    named = tuple((features[c].name, tuple(FIRST_BIN + v for v in values)) for c, values in guilty)
    ratio = np.log((kinds @ now) / (kinds @ own.x))
    return Case(name, named, mass, window, before, np.concatenate(counts), ratio)


def search(own: World, case: Case, rows: int) -> Found | None:
    return where(
        case.window.codes(rows), case.before.codes(REFERENCE_ROWS), own.frame, case.counts, ["x"], rows=ROWS
    )


def said(own: World, case: Case, rows: int) -> str:
    """`right`, `wrong`, `everywhere` or `nothing`."""
    found = search(own, case, rows)
    if found is None or found.condition is None:
        return "everywhere" if found is not None and found.is_everywhere else "nothing"
    parts = {(one.feature, one.slots) for one in found.condition.literals}
    return "right" if parts == set(case.guilty) else "wrong"


def oracle(own: World, case: Case, rows: int) -> tuple[bool, bool]:
    """Whether the guilty one of all single values differs most, for who knows how x changes inside and was before; and whether
    by more than chance, at the level of the search."""
    score = case.ratio[case.window.x[:rows]]
    spread = score.std()
    best, guiltiest = -np.inf, ("", -1)
    for column, shares in enumerate(own.columns):
        values = case.window.values[:rows, column]
        n = np.bincount(values, minlength=VALUES).astype(float)
        total = np.bincount(values, score, minlength=VALUES)
        usual = (shares * WEIGHTS[:, None]).T @ (own.x @ case.ratio) / (WEIGHTS @ shares)
        lift = total - n * usual
        with np.errstate(all="ignore"):
            z = (lift / n - (lift.sum() - lift) / (rows - n)) / (spread * np.sqrt(1.0 / n + 1.0 / (rows - n)))
        z = np.where(n >= 10, z, -np.inf)
        if z.max() > best:
            best, guiltiest = float(z.max()), (own.frame.features[column].name, int(z.argmax()) + FIRST_BIN)
    first = guiltiest == (case.guilty[0][0], case.guilty[0][1][0])
    return first, first and log_ndtr(-best) + np.log(len(own.columns) * VALUES) <= LEVEL


def of_mass(own: World, mass: float, seed: int) -> Guilty:
    rng = np.random.Generator(np.random.Philox([seed, int(1000 * mass)]))
    return ((int(rng.integers(CLASSES)), (int(rng.choice(np.flatnonzero(np.isclose(SHARES, mass)))),)),)


def range_of(own: World, mass: float, seed: int) -> Guilty:
    rng = np.random.Generator(np.random.Philox([seed, 1]))
    width = round(mass * VALUES)
    low = int(rng.integers(VALUES - width))
    return ((CLASSES + int(rng.integers(NUMBERS)), tuple(range(low, low + width))),)


def set_of(own: World, mass: float, seed: int) -> Guilty:
    rng = np.random.Generator(np.random.Philox([seed, 2]))
    third = np.flatnonzero(np.isclose(SHARES, mass / 3, atol=0.004))
    return ((int(rng.integers(CLASSES)), tuple(sorted(rng.choice(third, 3, replace=False).tolist()))),)


def both_of(own: World, mass: float, seed: int) -> Guilty:
    """Two values of two columns, of 20 % of the rows and of mass ÷ 20 %."""
    rng = np.random.Generator(np.random.Philox([seed, 3]))
    first, second = rng.choice(CLASSES, 2, replace=False).tolist()
    other = int(rng.choice(np.flatnonzero(np.isclose(SHARES, mass / 0.2))))
    return ((first, (0,)), (second, (other,)))


FORMS: dict[str, tuple[Callable[[World, float, int], Guilty], Sequence[float]]] = {
    "one value": (of_mass, MASSES),
    "three values": (set_of, (0.15,)),
    "a range": (range_of, (0.10,)),
    "two columns": (both_of, (0.03,)),
}
