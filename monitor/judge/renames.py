"""How well each way of changing explains the categories of a feature; as `monitor.judge.fits` does for numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.layout import NOVEL
from monitor.judge.column import LEAK
from monitor.judge.fits import Fit
from monitor.reference.profile import FeatureProfile

Array = NDArray[np.float64]

SURE = 3.0
"""Standard errors by which a category must have become rarer before it can have a new name."""
NEAR = 3.5
"""Standard errors within which what a category lost must be found under the new name."""
ALL_ONE = 0.95
"""Share from which on one category is all that there is."""
ALIKE = 5.0
"""What it is worth, as a log-likelihood, that two names differ by case, spaces or punctuation alone."""
PAIRS = 16
"""New names that are looked for; so many tell the tale."""
MOST = 0.5
"""Share of the rows under the new names that are looked for which pairs explain at least. Where new categories take rows
from all, a frequent one loses by chance about as much as one of them has."""


@dataclass(frozen=True, slots=True)
class Pair:
    """`rows` rows of category number `old` (from 0) are called `new` now."""

    old: int
    new: str
    rows: int
    match: float = 0.0
    """Log-likelihood ratio of so many rows to any other number of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Categories:
    """Present values of one categorical feature in a window and in the reference.

    counts  float64[slots - 1]  rows of the window: novel, other, categories
    shares  float64[slots - 1]  of the reference, none of them 0
    weight  what a row's log-likelihood counts
    m       rows of the reference
    """

    profile: FeatureProfile
    counts: Array
    shares: Array
    weight: float
    m: float
    novel: Mapping[str, int]

    @property
    def rows(self) -> float:
        return float(self.counts.sum())

    def gain(self, shares: Array) -> float:
        """Log-likelihood ratio to the reference's shares."""
        mixed = (1.0 - LEAK) * shares / shares.sum() + LEAK * self.shares
        return float(self.weight * (self.counts * np.log(mixed / self.shares)).sum())


def categories(
    profile: FeatureProfile,
    window: NDArray[np.int64],
    reference: NDArray[np.int64],
    *,
    novel: Mapping[str, int],
) -> Categories | None:
    """From the slots of one categorical feature; None where one side has no value."""
    counts, theirs = window[NOVEL:].astype(np.float64), reference[NOVEL:].astype(np.float64)
    n, m = counts.sum(), theirs.sum()
    if n == 0 or m == 0:
        return None
    usual = theirs + 0.5
    usual[0] += profile.novelty * m
    weight = 1.0 / (profile.design * (1.0 + n / m))
    return Categories(profile, counts, usual / usual.sum(), weight, float(m), novel)


def fits(own: Categories) -> tuple[list[Fit], tuple[Pair, ...]]:
    """Every way of changing in the order in which equal ones are preferred, and what was renamed."""
    pairs = renamed(own)
    found = [_stuck(own), _renamed(own, pairs), _novel(own)]
    return [fit for fit in found if fit is not None], pairs


def shape(own: Categories) -> Fit:
    """Shares as the window has them. Categories of few rows stand together: each costs as much as it gains."""
    few = own.shares * own.rows < 5.0
    few[0] = False
    slot = np.where(few, 1, np.arange(len(own.counts)))
    c, p = np.bincount(slot, own.counts), np.bincount(slot, own.shares)
    some = c > 0
    gain = own.weight * float((c[some] * np.log(c[some] / own.rows / p[some])).sum())
    return Fit("shape", gain - _freedom(some))


def _freedom(some: NDArray[np.bool_]) -> float:
    return float(some.sum() - 1)


def _stuck(own: Categories) -> Fit | None:
    slot = int(own.counts.argmax())
    share = float(own.counts[slot] / own.rows)
    if share < ALL_ONE or own.shares[slot] >= ALL_ONE or (slot == 0 and len(own.novel) != 1) or slot == 1:
        return None
    shares = (1.0 - share) * own.shares
    shares[slot] += share
    return Fit(
        "stuck",
        own.gain(shares) - 1.0 - np.log(len(own.counts)),
        {"share": share, "reference_share": float(own.shares[slot]), "slot": float(slot)},
    )


def _novel(own: Categories) -> Fit | None:
    share = float(own.counts[0] / own.rows)
    if share <= own.shares[0]:
        return None
    shares = own.shares * (1.0 - share) / (1.0 - own.shares[0])
    shares[0] = share
    figures = {"share": share, "reference_share": float(own.shares[0])}
    return Fit("novel", own.gain(shares) - 1.0, figures)


def _renamed(own: Categories, pairs: Sequence[Pair]) -> Fit | None:
    looked_at = sum(sorted(own.novel.values())[-PAIRS:])
    if not pairs or sum(pair.rows for pair in pairs) < MOST * looked_at:
        return None
    shares = own.shares.copy()
    for pair in pairs:
        moved = min(pair.rows / own.rows, float(shares[pair.old + 2]))
        shares[pair.old + 2] -= moved
        shares[0] += moved
    rest = own.counts[0] - sum(pair.rows for pair in pairs)
    share = max(float(rest / own.rows) - float(own.shares[0]), 0.0)
    shares *= 1.0 - share
    shares[0] += share
    figures = {"pairs": float(len(pairs)), "share": sum(pair.rows for pair in pairs) / own.rows}
    choice = 1.0 + float(np.log(len(own.profile.categories)))
    match = sum(pair.match for pair in pairs)
    return Fit("renamed", own.gain(shares) + match - choice * len(pairs), figures)


def renamed(own: Categories) -> tuple[Pair, ...]:
    """Which categories have lost as many rows as a new value has; the most frequent new values first.

    A new value that differs by case, spaces or punctuation alone is taken first.
    """
    expected = own.shares[2:] * own.rows
    now = own.counts[2:]
    error = np.sqrt(expected * (1.0 + own.rows / own.m)) + 0.5
    lost = (expected - now) / error
    free = lost > SURE
    found: list[Pair] = []
    ranked = sorted(own.novel.items(), key=lambda item: (-item[1], item[0]))[:PAIRS]
    for new, rows in ranked:
        off = np.where(free, np.abs(now + rows - expected) / error, np.inf)
        alike = [_plain(category) == _plain(new) for category in own.profile.categories]
        off = np.where(off <= NEAR, off - 2 * NEAR * np.array(alike), off)
        if len(off) == 0 or off.min() > NEAR:
            continue
        old = int(off.argmin())
        free[old] = False
        z = (now[old] + rows - expected[old]) / error[old]
        chance = np.log(own.rows / (error[old] * np.sqrt(2 * np.pi))) - 0.5 * z * z
        found.append(Pair(old, new, rows, float(own.weight * chance) + ALIKE * alike[old]))
    return tuple(found)


def _plain(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
