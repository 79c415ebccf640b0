"""Where a drift lies: the single condition that explains most of the excess. Pure; see `monitor.judge.excess`.

A condition is on one feature (categories, or an interval of its bins) or on two. It is guilty where the excess of
the rows that it holds for lies beyond that of all others. A drift that is everywhere has the same excess in all
parts, so chance is all that the largest of thousands of differences is held against.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from kernels.layout import BELOW, FIRST_BIN, MISSING, NON_FINITE, NUMERIC
from kernels.vote import GROUPS
from monitor.judge.condition import Condition, Literal
from monitor.judge.excess import Rows, Scored, Sums, Table
from monitor.judge.frame import Frame

FEATURES = 4
"""Drifting features whose excess is added up; they are given largest first, and those behind add little."""
FEWEST = 20
"""Sampled rows of the window that a condition holds for, at least: with fewer no difference is normal."""
LEAST = 0.5
"""Share of the excess beyond its share of the rows that a condition explains at least: most of it."""
MOST = 2.0
"""And at most, or it is chance: no part has twice of what there is."""
HALF = 0.5
"""A drift that is in no part of up to so much of the rows is said to be everywhere, if so much of it is within parts."""
WIDEST = 0.9
"""Share of the rows of a condition at most. What holds for more is everywhere."""
LEVEL = math.log(0.05)
"""Logarithm of the probability with which any condition is named where none is guilty."""
BEAM = 8
"""Conditions on one feature that are tried together with a second, and that are looked at closely."""
MORE = 3.0
"""What each further category, and a second feature, must make chance less likely beyond how many there are, as a
logarithm: in 1 of 20 names a stranger."""
NARROWER = 0.75
"""Rows that a second feature may leave of those of the first; with more it says next to nothing."""
MOST_VALUES = 8
"""Categories of one condition; a person reads no more."""

OUTCOMES = frozenset({"prediction", "label"})
"""What comes of the features. No condition is on them: where an input has changed they have changed in turn, and
rows that lack a value get much the same prediction. For the same reason they are left out beside an input that has
changed more: the place of their change would be its values."""

_Floats = NDArray[np.float64]
_NONE = Sums(*np.zeros((4, 1)))


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to. `condition` None: of parts of up to `widest` of the rows a guilty one would most
    likely have been found."""

    condition: Condition | None
    widest: float

    @property
    def is_everywhere(self) -> bool:
        """Whether there is no condition, and not for want of rows."""
        return self.condition is None and self.widest >= HALF


@dataclass(frozen=True, slots=True)
class _Tried:
    """A condition. parts: (feature, its coarse slots), of one or two features; z of its difference, in
    standard deviations; tries: logarithm of how many of its kind there are."""

    parts: tuple[tuple[int, tuple[int, ...]], ...]
    z: float
    lift: float
    rows: float
    before: float
    tries: float

    @property
    def chance(self) -> float:
        """Logarithm of the probability that one of as many is as guilty by chance."""
        return _log_tail(self.z) + self.tries


def where(
    window: NDArray[np.uint16],
    reference: NDArray[np.uint16],
    frame: Frame,
    counts: NDArray[np.int64],
    named: Sequence[str],
    *,
    rows: int,
    weights: _Floats | None = None,
) -> Found | None:
    """The condition that explains most of the excess of the features `named`, largest first; None where nothing can
    be said, as there are no rows or the counts of none of the features have changed.

    window, reference  uint16[rows, features]: `Sample.codes` of the window, `Reference.sample`
    counts, rows       of the whole window
    weights            float64[rows of the reference]  how much each stands for; None: the same
    """
    known = {profile.name: at for at, profile in enumerate(frame.features)}
    names = [name for name in dict.fromkeys(named) if name in known]
    if names and names[0] not in OUTCOMES:
        names = [name for name in names if name not in OUTCOMES]
    drifted = [known[name] for name in names[:FEATURES]]
    if not drifted or min(len(window), len(reference)) < 2 * FEWEST:
        return None
    own = Rows(window, reference, counts, frame, drifted, weights)
    if not own.excess:
        return None
    share = min(len(window) / max(rows, 1), 1.0)
    design = 1.0 + share * (max(float(frame.design[feature]) for feature in own.excess) - 1.0)
    search = _Search(own, design)
    best = search.best()
    if best is None:
        return Found(None, 0.0 if search.is_of_mix() else search.widest)
    return Found(search.condition(best), search.widest)


class _Search:
    """`design`: the design effect among sampled rows, which is less than among all."""

    def __init__(self, rows: Rows, design: float) -> None:
        self._rows, self._design = rows, design
        self._columns = math.log(len(rows.widths))

    @property
    def widest(self) -> float:
        """Share of the rows of the largest part that would be found with probability 0.95: the same excess in
        fewer rows is more of it in each."""
        whole = self._rows.scored()
        assert whole is not None
        tries = self._columns + math.log(max(sum(self._rows.widths) / len(self._rows.widths), 1.0))
        needed = NormalDist().inv_cdf(1.0 - math.exp(LEVEL - tries)) + 1.645
        return whole.excess**2 / max(self._design * whole.noise, 1e-300) / needed**2

    def is_of_mix(self) -> bool:
        """Whether most of the excess goes along with the mix of another drifting feature, or there is no other column: then
        nothing within the values of a column says that it is everywhere."""
        rows = self._rows
        tables = [
            (scored, scored.table(feature, width))
            for feature, width in enumerate(rows.widths)
            if (scored := rows.scored(feature)) is not None
        ]
        within = [
            float((table.rows * table.lift).sum() / table.rows.sum()) / scored.excess
            for scored, table in tables
        ]
        return min(within, default=0.0) < HALF

    def best(self) -> _Tried | None:
        singles = sorted(self._over(None), key=lambda one: one.chance)[:BEAM]
        tried = [*singles, *(both for one in singles for both in self._over(one))]
        enough = [one for one in tried if one.lift >= LEAST]
        sure = [self._closely(one) for one in sorted(enough, key=lambda one: one.chance)[:BEAM]]
        sure = [one for one in sure if one.chance <= LEVEL]
        return min(sure, key=lambda one: one.chance, default=None)

    def condition(self, one: _Tried) -> Condition:
        rows = self._rows
        literals = tuple(
            Literal(rows.frame.features[feature].name, self._slots(feature, coarse))
            for feature, coarse in sorted(one.parts)
        )
        share = one.rows + one.lift * (1.0 - one.rows)
        others = any(feature in rows.excess for feature, _ in one.parts)
        return Condition(literals, min(share, 1.0), one.rows, one.before, math.exp(one.chance), others)

    def _slots(self, feature: int, coarse: Sequence[int]) -> tuple[int, ...]:
        """The slots within the feature that lie in coarse ones."""
        frame = self._rows.frame
        low, high = frame.layout.start[feature : feature + 2].tolist()
        own = frame.group[low:high] - frame.start[feature]
        return tuple(np.flatnonzero(np.isin(own, coarse)).tolist())

    def _over(self, first: _Tried | None) -> Iterator[_Tried]:
        """The guiltiest condition on each feature, alone or together with `first`."""
        rows, held = self._rows, self._held(first) if first else None
        taken = [feature for feature, _ in first.parts] if first else []
        parts: dict[int, tuple[Scored, Sums]] = {}
        for feature, width in enumerate(rows.widths):
            scored = rows.scored(feature, *taken)
            if feature in taken or scored is None or rows.frame.features[feature].name in OUTCOMES:
                continue
            if id(scored) not in parts:
                parts[id(scored)] = (
                    (scored, _NONE)
                    if first is None or held is None
                    else (scored.only(held), self._beside(first, scored))
                )
            own, others = parts[id(scored)]
            column = _Column(
                own.table(feature, width),
                others,
                feature=feature,
                excess=scored.excess,
                design=self._design,
                first=first,
                tries=self._columns + (first.tries + MORE if first else 0.0),
            )
            found = column.guiltiest(_axis(rows.frame, feature))
            if found is not None:
                yield found

    def _beside(self, first: _Tried, scored: Scored) -> Sums:
        """The rows for which `first`, which is on one feature, does not hold."""
        ((feature, coarse),) = first.parts
        member = np.ones((1, self._rows.widths[feature]))
        member[0, list(coarse)] = 0.0
        return scored.table(feature, self._rows.widths[feature]).summed(member)

    def _held(self, one: _Tried) -> NDArray[np.int64]:
        """Numbers of the sampled rows for which a condition holds."""
        held = np.ones(self._rows.codes.shape[1], bool)
        for feature, coarse in one.parts:
            held &= np.isin(self._rows.codes[feature], coarse)
        return np.flatnonzero(held)

    def _closely(self, one: _Tried) -> _Tried:
        """The same with the chance of sums that are far from normal: where few rows carry much.

        z is scaled by r ÷ z of the window's rows alone, where r is the signed root of the saddlepoint approximation of
        the sum of as many scores, drawn from all of the window's.
        """
        scored = self._rows.scored(*(feature for feature, _ in one.parts))
        assert scored is not None
        own = scored.scores[: scored.split] - scored.scores[: scored.split].mean()
        count = max(int(np.searchsorted(self._held(one), scored.split)), 1)
        above = one.z * math.sqrt(scored.spread[0] / count)
        return replace(one, z=min(one.z, _root(own, above) * math.sqrt(count)))


class _Column:
    """The conditions on one feature, among some rows. `others`: rows for which none of them holds; `design`: as
    of a search; `tries`: logarithm of how many features, and of how many `first` were tried."""

    def __init__(
        self, table: Table, others: Sums, *, feature: int, excess: float, design: float, first: _Tried | None,
        tries: float,
    ) -> None:  # fmt: skip
        self._table, self._whole = table, table.summed() + others
        self._feature, self._excess, self._design = feature, excess, design
        self._first, self._tries = () if first is None else first.parts, tries
        held = float(table.rows.sum())
        self._widest = WIDEST * held if first is None else NARROWER * held

    def guiltiest(self, order: tuple[int, ...]) -> _Tried | None:
        """An interval of the slots in this order or, where there is none, a few categories; None where there
        are too few rows."""
        sets = _intervals(order) if order else np.eye(len(self._table.rows))
        found = self._best(sets, math.log(max(len(sets), 1)))
        return found if found is None or order else self._grown(found)

    def _grown(self, found: _Tried) -> _Tried:
        """More categories, one by one, as long as they make chance less likely."""
        width = len(self._table.rows)
        for size in range(2, min(MOST_VALUES, width - 1) + 1):
            sets = np.eye(width)[self._table.rows > 0]
            sets[:, list(found.parts[0][1])] = 1.0
            grown = self._best(sets, math.log(math.comb(width, size)) + MORE * (size - 1))
            if grown is None or grown.chance >= found.chance:
                break
            found = grown
        return found

    def _best(self, sets: _Floats, many: float) -> _Tried | None:
        """The guiltiest of some sets of slots: float64[sets, slots]."""
        if not len(sets):
            return None
        z, *numbers = self._differences(self._table.summed(sets))
        at = int(np.argmax(z))
        if z[at] <= 0:
            return None
        lift, part, before = (float(column[at]) for column in numbers)
        own = (self._feature, tuple(np.flatnonzero(sets[at]).tolist()))
        return _Tried((own, *self._first), float(z[at]), lift, part, before, self._tries + many)

    def _differences(self, inside: Sums) -> tuple[_Floats, ...]:
        """Of sets: z, share of the excess beyond their share of the rows, shares of rows now and before."""
        outside = self._whole - inside
        with np.errstate(all="ignore"):
            part, before = inside.rows / self._whole.rows, inside.before / self._whole.before
            difference = inside.lift / inside.rows - outside.lift / outside.rows
            noise = inside.noise / inside.rows**2 + outside.noise / outside.rows**2
            z = difference / np.sqrt(self._design * noise)
            lift = part * difference / self._excess
        usable = (inside.rows >= FEWEST) & (inside.rows <= self._widest) & (lift <= MOST)
        return np.where(usable, z, -np.inf), lift, part, before


def _axis(frame: Frame, feature: int) -> tuple[int, ...]:
    """Coarse slots of a numeric feature from below to above; of others none."""
    if frame.layout.kind[feature] != NUMERIC:
        return ()
    groups = int(frame.features[feature].coarse.max(initial=0)) + 1
    return (BELOW, *range(FIRST_BIN + 1, FIRST_BIN + 1 + groups), FIRST_BIN)


@functools.lru_cache(maxsize=32)
def _intervals(order: tuple[int, ...]) -> _Floats:
    """float64[sets, slots] of a numeric feature: the special slots each, and all intervals of values."""
    count = len(order)
    sets: list[tuple[int, ...]] = [(MISSING,), (NON_FINITE,)]
    sets += [order[a:b] for a in range(count) for b in range(a + 1, count + 1)]
    member = np.zeros((len(sets), FIRST_BIN + 1 + GROUPS))
    for row, chosen in enumerate(sets):
        member[row, list(chosen)] = 1.0
    return member


def _log_tail(z: float) -> float:
    """Logarithm of the probability that a normal variable exceeds z."""
    if z < 30.0:
        return math.log(0.5 * math.erfc(z / math.sqrt(2.0)))
    return -z * z / 2.0 - math.log(z * math.sqrt(2.0 * math.pi))


def _root(scores: _Floats, above: float) -> float:
    """√(2 I): I the rate at which the mean of many such centred scores gets beyond `above`; Cramér 1938."""
    values, count = np.unique(scores, return_counts=True)
    top, share = float(values[-1]), count / len(scores)
    if above >= top:
        return math.sqrt(-2.0 * math.log(float(share[-1])))

    def tilted(t: float) -> tuple[float, float]:
        weight = share * np.exp(t * (values - top))
        total = float(weight.sum())
        return float(weight @ values) / total, math.log(total) + t * top

    low, high = 0.0, 1.0 / top
    while tilted(high)[0] < above and high * top < 500.0:
        high *= 2.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if tilted(middle)[0] < above else (low, middle)
    return math.sqrt(max(2.0 * (high * above - tilted(high)[1]), 0.0))
