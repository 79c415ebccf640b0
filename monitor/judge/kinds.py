"""What kind of change a feature has gone through: the first in this order that explains what is seen."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kernels.layout import BELOW, MISSING, NON_FINITE, NUMERIC, SUM_SCALE, VECTOR
from monitor.judge import catalogue as names
from monitor.judge import column, fits, renames
from monitor.judge.column import Column
from monitor.judge.fits import Fit
from monitor.judge.frame import Frame
from monitor.judge.renames import Categories, Pair
from monitor.verdict import Test, Window


class Kind(enum.StrEnum):
    """A closed set, in the order in which they are tested. JOINT is of groups, the last three are of no feature's values."""

    MISSING = "missing"
    NON_FINITE = "non_finite"
    STUCK = "stuck"
    SCALE = "scale"
    RENAMED = "renamed"
    NOVEL = "novel"
    CLIPPING = "clipping"
    LOCATION = "location"
    SPREAD = "spread"
    SHAPE = "shape"
    JOINT = "joint"
    VIOLATION = "violation"
    ERRORS = "errors"
    LATENCY = "latency"


ALIKE = 1.0
"""Of two ways whose fits differ by less than this, the first in the order of `Kind` is named. Of a spread and a
location or scale it is the better one: skewed values that spread less move one way, and of 100 spreads 7 were named one of them,
2 locations a spread."""
UNEXPLAINED = 0.25
"""Share of all that can be explained that a way may leave unexplained. A real change is never one way alone:
with a million rows something beside it is always beyond doubt."""
MINOR = 0.1
"""Beside a change of values that explains ten times as much, more missing values are not named first."""
_JOINTLY = (names.JOINT, names.MMD, names.INCOMPLETE)
LEAST_GAIN = 2.0
"""Log-likelihood below which nothing is said of a feature's values."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One feature of one window beside its reference, and its tests, largest x first.

    `is_part`: the frame is of one segment or of some seasons, and its profiles have the moments of the whole.
    """

    index: int
    frame: Frame
    window: Window
    tests: tuple[Test, ...]
    scores: Mapping[str, float] = field(default_factory=dict)
    is_part: bool = False

    @property
    def slots(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Counts of the window and of the reference."""
        low, high = self.frame.layout.start[self.index : self.index + 2].tolist()
        return self.window.counts[low:high], self.frame.counts[low:high]

    def names(self, test: str) -> bool:
        return any(one.test == test and one.x > 1 for one in self.tests)


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one feature: a kind with its numbers, and what else did."""

    kind: Kind
    figures: Mapping[str, float] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    also: tuple[Change, ...] = ()


def change_of(subject: Subject) -> Change:
    """The kind of change of a feature, or a group, that a drift verdict names."""
    if subject.frame.features[subject.index].members:
        return Change(Kind.JOINT, {name: subject.scores[name] for name in _JOINTLY if name in subject.scores})
    values, total = _values(subject)
    absent = [
        _absent(subject, kind, slot)
        for kind, slot in ((Kind.MISSING, MISSING), (Kind.NON_FINITE, NON_FINITE))
    ]
    found = []
    for change, gain in absent:
        if gain > LEAST_GAIN and gain >= (MINOR if subject.names(change.kind) else 1.0) * total:
            found.append(change)
    if values is not None and (
        not found
        or any(subject.names(test) for test in (names.KS, names.NEYMAN))  # of finite values alone
        or total > max(gain for _, gain in absent)
    ):
        found.append(values)
    found += [change for change, _ in absent if change not in found and subject.names(change.kind)]
    if not found:
        found.append(_other(subject))
    first, *others = found
    return Change(first.kind, first.figures, first.pairs, tuple(others))


def _absent(subject: Subject, kind: Kind, slot: int) -> tuple[Change, float]:
    """How much the ratio of one special slot explains; of categories only that of the missing."""
    window, reference = subject.slots
    n, m = float(window.sum()), float(reference.sum())
    if (
        n == 0
        or m == 0
        or (kind is Kind.NON_FINITE and subject.frame.layout.kind[subject.index] not in (NUMERIC, VECTOR))
    ):
        return Change(kind), -np.inf
    now, usual = float(window[slot]) / n, (float(reference[slot]) + 0.5) / (m + 1.0)
    parts = ((now, usual), (1.0 - now, 1.0 - usual))
    gain = n * sum(share * np.log(share / before) for share, before in parts if share > 0)
    weight = 1.0 / (subject.frame.features[subject.index].design * (1.0 + n / m))
    figures = {"share": now, "reference_share": float(reference[slot]) / m}
    return Change(kind, figures), float(weight * gain) - 1.0


def _values(subject: Subject) -> tuple[Change | None, float]:
    """The kind of change of the values, and all that can be explained of it."""
    kind = subject.frame.layout.kind[subject.index]
    if kind == VECTOR:
        return None, 0.0
    if kind == NUMERIC:
        own = _column(subject)
        if own is None:
            return None, 0.0
        chosen, total = choose(fits.fits(own), fits.shape(own))
        return _numeric(own, chosen), total
    categories = _categories(subject)
    if categories is None:
        return None, 0.0
    ways, pairs = renames.fits(categories)
    chosen, total = choose(ways, renames.shape(categories))
    if chosen is None:
        return None, total
    moved = pairs if chosen.kind == Kind.RENAMED else ()
    return Change(Kind(chosen.kind), chosen.figures, moved), total


def choose(ways: Sequence[Fit], shape: Fit) -> tuple[Fit | None, float]:
    """The first way that explains about as much as any does, and the most that can be explained.

    `shape` explains whatever there is; it is chosen where all others leave too much to it.
    """
    most = max((fit.gain for fit in ways), default=-np.inf)
    total = max(most, shape.gain)
    if total < LEAST_GAIN:
        return None, max(total, 0.0)
    if shape.gain - most > max(ALIKE, UNEXPLAINED * shape.gain):
        return shape, total
    order = list(Kind)
    near = [fit for fit in ways if fit.gain >= most - ALIKE]
    first = min(near, key=lambda fit: order.index(Kind(fit.kind)))
    if first.kind in (Kind.SCALE, Kind.LOCATION):
        first = max([first, *(fit for fit in near if fit.kind == Kind.SPREAD)], key=lambda fit: fit.gain)
    return first, total


def _column(subject: Subject) -> Column | None:
    frame = subject.frame
    window, reference = subject.slots
    profile, place = frame.features[subject.index], int(frame.layout.column[subject.index])
    center, scale = float(frame.layout.center[place]), float(frame.layout.scale[place])
    n = float(window[BELOW:].sum())
    total, low, high = (float(word) for word in subject.window.sums[place])
    with np.errstate(all="ignore"):
        first = total / SUM_SCALE / n if n else np.nan
        second = (low + high * 2.0**32) / SUM_SCALE**2 / n if n else np.nan
        mean, std = center + scale * first, scale * float(np.sqrt(max(second - first * first, 0.0)))
        if subject.is_part:
            profile = column.of_part(profile, reference)
        return column.column(
            profile, window, reference, extremes=subject.window.extremes[place], mean=mean, std=std
        )


def _categories(subject: Subject) -> Categories | None:
    layout = subject.frame.layout
    novel = subject.window.novel.get(int(layout.column[subject.index]), {})
    return renames.categories(subject.frame.features[subject.index], *subject.slots, novel=novel)


def _numeric(own: Column, fit: Fit | None) -> Change | None:
    if fit is None:
        return None
    moments = {
        "mean": own.mean, "std": own.std, "reference_mean": own.profile.mean, "reference_std": own.profile.std,
    }  # fmt: skip
    return Change(Kind(fit.kind), moments | dict(fit.figures))


def _other(subject: Subject) -> Change:
    """Of a feature whose values have not changed as far as counts tell: contract, vectors."""
    first = next((test for test in subject.tests if test.x > 1), None)
    if first is not None and first.test == names.VIOLATION:
        share = subject.scores.get("violation_ratio", first.score)
        return Change(Kind.VIOLATION, {"share": share, "reference_share": share - first.score})
    if first is not None and first.test == names.MEAN_SHIFT:
        dimension = subject.scores.get("mean_shift_dimension", 0.0)
        return Change(Kind.LOCATION, {"mean_shift": first.score, "dimension": dimension})
    return Change(Kind.SHAPE)
