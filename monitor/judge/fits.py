"""How well each way of changing explains the values of a numeric feature, from the counts of both sides.

Every way says what shares of the window's rows it puts in each slot, given the reference's shares p: location
moves them by b, spread widens them about their mean, scale multiplies all or some of them, and so on. Its fit is
the log-likelihood ratio to "nothing changed", Σ c ln(q/p) over the fine bins, less a penalty for what was chosen
to make it fit: 1 for a number (Akaike 1974), ln k for one of k. The reference's own uncertainty and dependent
rows make a row count less: 1 / (design (1 + n/m)).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.judge.column import LEAK, SAME, Column
from monitor.reference.bins import nested

Array = NDArray[np.float64]

UNITS = (
    *((10.0**k, 0.0) for k in (-9, -6, -3, -2, -1, 1, 2, 3, 6, 9)),
    *((a, 0.0) for a in (60.0, 3600.0, 86400.0, 24.0, 7.0, 12.0, 1024.0, 1048576.0, -1.0)),
    *((a, 0.0) for a in (2.54, 0.3048, 1.609344, 0.45359237, 28.349523, 3.785411784, 3.6)),
    *((1.0 / a, 0.0) for a in (60.0, 3600.0, 86400.0, 24.0, 7.0, 12.0, 1024.0, 1048576.0)),
    *((1.0 / a, 0.0) for a in (2.54, 0.3048, 1.609344, 0.45359237, 28.349523, 3.785411784, 3.6)),
    *((1.8, 32.0), (1.0 / 1.8, -32.0 / 1.8), (1.0, 273.15), (1.0, -273.15)),
)
"""(a, b) of a·x + b: powers of ten, time, bytes, sign, length, mass, volume, speed, temperature."""
STEPS = 24
"""Halvings of the bracket of a share: 1e-7 of it."""
RARE = 6.0
"""By so much, as a log-likelihood, a fitted a·x or a·x + b must be likelier than a mere shift or spread, which it
nearly contains; so must a changed sign or temperature of some rows, which explain a bit of all that falls below zero."""
BEYOND = 0.5
"""Share of the reference's range by which all values, moved, may exceed the range moved likewise."""


@dataclass(frozen=True, slots=True)
class Fit:
    """One way of changing at its best: `gain` is its log-likelihood ratio, penalised. `figures` are its numbers."""

    kind: str
    gain: float
    figures: Mapping[str, float] = field(default_factory=dict)


def fits(own: Column) -> list[Fit]:
    """Every way of changing, each at its best, in the order in which equal ones are preferred."""
    with np.errstate(all="ignore"):
        found = [stuck(own), unit(own), scale(own), clipping(own), location(own), spread(own), affine(own)]
    return [fit for fit in found if fit is not None and np.isfinite(fit.gain)]


def stuck(own: Column) -> Fit | None:
    """A share of the values are one value: one slot has too many rows, all others as much too few."""
    n, c = own.rows, own.counts
    now = c / n
    rest = np.maximum(1.0 - now, 1e-12)
    gain = c * np.log(np.maximum(now, 1e-12) / own.shares) + (n - c) * np.log(rest / (1.0 - own.shares))
    penalty = np.full(len(c), 1.0 + np.log(len(c)))
    penalty[[0, -1]] = 1.0 + np.log(2.0)  # beyond the reference's values there are but two places
    gain = np.where((now > own.shares) & _is_one_value(own), own.weight * gain - penalty, -np.inf)
    slot = int(gain.argmax())
    figures = {
        "share": float(now[slot]), "reference_share": own.usual(slot), "value": _value(own, slot),
    }  # fmt: skip
    return Fit("stuck", float(gain[slot]), figures)


def _is_one_value(own: Column) -> NDArray[np.bool_]:
    """False for `below` and `above` unless the rows in them may all be as the extreme one.

    The mean must agree, and where it is too coarse to say no the value must look like one that stands for
    something: -1, 9999.
    """
    out = np.ones(len(own.counts), np.bool_)
    for slot, value in ((0, own.low), (-1, own.high)):
        share = own.counts[slot] / own.rows
        lift, error = share * (value - own.profile.mean), own.profile.std / np.sqrt(own.rows)
        is_fit = abs(own.mean - own.profile.mean - lift) <= 0.05 * abs(lift) + 4.0 * error
        out[slot] = is_fit and (value == round(value) or 4.0 * error <= 0.1 * abs(lift))
    return out


def _value(own: Column, slot: int) -> float:
    """A value in a slot: the extreme one beyond the reference's, else the middle of the bin."""
    if slot == 0:
        return own.low
    if slot == len(own.counts) - 1:
        return own.high
    low, high = own.profile.edges[slot - 1], own.profile.edges[slot]
    if own.low == own.high:
        return own.low
    return float(low if high - low <= SAME * max(abs(low), abs(high)) else 0.5 * (low + high))


def unit(own: Column) -> Fit | None:
    """A share of the values, or all, are a·x + b with a and b of UNITS."""
    ways = np.array(UNITS)
    ways = ways[[not np.allclose(a * own.profile.mean + b, own.profile.mean, rtol=1e-6) for a, b in UNITS]]
    if len(ways) == 0:
        return None
    moved = np.stack([own.moved(a, b) for a, b in ways.tolist()])
    share = _share(own, moved)
    gain = own.gain((1.0 - share[:, None]) * own.shares + share[:, None] * moved)
    gain = gain - np.minimum(0.5 * _off(own, ways, share) ** 2, 50.0)
    is_odd = ((ways[:, 0] < 0) | (ways[:, 1] != 0)) & (share < 0.9)
    gain = np.where(_reaches(own, ways), gain, -np.inf) - np.where(is_odd, RARE, 0.0)
    best = int(gain.argmax())
    (a, b), part = ways[best].tolist(), float(share[best])
    penalty = 1.0 + np.log(len(UNITS))
    return Fit("scale", float(gain[best]) - penalty, {"factor": a, "offset": b, "share": part})


def _share(own: Column, moved: Array) -> Array:
    """The share f of each row of `moved` at which (1 - f) p + f q is likeliest: the likelihood is concave in f."""
    low, high = np.zeros(len(moved)), np.ones(len(moved))
    step = moved - own.shares
    for _ in range(STEPS):
        middle = 0.5 * (low + high)
        mixed = np.maximum(own.shares + (1.0 - LEAK) * middle[:, None] * step, 1e-300)
        rising = (step / mixed) @ own.counts > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    return low


def _reaches(own: Column, ways: Array) -> NDArray[np.bool_]:
    """Whether each way can bring a value as far as the window's least and greatest, in four standard deviations."""
    profile = own.profile
    room = 4.0 * np.maximum(np.abs(ways[:, 0]), 1.0) * profile.std
    far = np.sort(ways[:, :1] * np.array([profile.minimum, profile.maximum]) + ways[:, 1:], axis=1)
    # what the reference has of one sign a factor cannot give the other
    keeps = (ways[:, 0] > 0) & (ways[:, 1] == 0.0)
    low = np.minimum(far[:, 0], profile.minimum) - np.where(keeps & (profile.minimum >= 0), 0.0, room)
    high = np.maximum(far[:, 1], profile.maximum) + np.where(keeps & (profile.maximum <= 0), 0.0, room)
    return np.asarray((own.low >= low) & (own.high <= high))


def _off(own: Column, ways: Array, share: Array) -> Array:
    """By how many standard errors the window's mean misses what each way makes of it.

    What lies above the reference's values says how many they are; only the mean tells 100 from 1,000.
    """
    profile, n = own.profile, own.rows
    lift = share * (ways[:, 0] * profile.mean + ways[:, 1] - profile.mean)
    each = np.abs(ways[:, 0]) * np.hypot(profile.mean, profile.std) + np.abs(ways[:, 1])
    error = np.sqrt(profile.std**2 / n + share * each**2 / n + (0.1 * lift) ** 2)
    return np.asarray((own.mean - profile.mean - lift) / np.maximum(error, 1e-300))


def clipping(own: Column) -> Fit | None:
    """What lay beyond a limit lies on it, or is gone."""
    found = []
    for counts, shares, side in ((own.counts, own.shares, 1.0), (own.counts[::-1], own.shares[::-1], -1.0)):
        within = np.cumsum(shares)
        beyond = 1.0 - within
        over = counts.sum() - np.cumsum(counts)
        heap = counts * np.log((shares + beyond) / shares) + over * np.log(LEAK)
        gone = (counts.sum() - over) * -np.log(np.maximum(within, 1e-12)) + over * np.log(LEAK)
        for gain, is_heap in ((heap, 1.0), (gone, 0.0)):
            slot = int(gain[1:-1].argmax()) + 1
            figures = {
                "side": side, "limit": own.high if side > 0 else own.low, "heap": is_heap,
                "share": float(counts[slot] / own.rows), "reference_share": float(shares[slot]),
                "beyond": float(beyond[slot]),
            }  # fmt: skip
            penalty = np.log(2 * len(counts))
            found.append(Fit("clipping", own.weight * float(gain[slot]) - penalty, figures))
    return max(found, key=lambda fit: fit.gain)


def location(own: Column) -> Fit:
    """All values are moved by the same amount."""
    error = own.profile.std / np.sqrt(own.rows)
    guesses = [own.mean - own.profile.mean, _quantile(own, 0.5) - own.profile.center]
    b, gain = _best(own, ((1.0, guess) for guess in guesses), step=(0.0, error))[1:]
    return Fit("location", gain - 1.0, {"shift": b})


def spread(own: Column) -> Fit:
    """All values lie further from their mean, or nearer, by the same factor."""
    center, error = own.profile.mean, 1.0 / np.sqrt(own.rows)
    wide = _quantile(own, 0.75) - _quantile(own, 0.25)
    guesses = [own.std / own.profile.std, wide / own.profile.iqr]
    starts = ((a, (1.0 - a) * center) for a in guesses if np.isfinite(a) and a > 0)
    a, _, gain = _best(own, starts, step=(error, -error * center))
    return Fit("spread", gain - 1.0, {"factor": a})


def scale(own: Column) -> Fit | None:
    """All values are multiplied by the same factor."""
    if own.profile.mean == 0:
        return None
    error = own.profile.std / abs(own.profile.mean) / np.sqrt(own.rows)
    guesses = [own.mean / own.profile.mean, _quantile(own, 0.5) / own.profile.center]
    starts = ((a, 0.0) for a in guesses if np.isfinite(a) and a != 0)
    a, _, gain = _best(own, starts, step=(error, 0.0))
    return Fit("scale", gain - 1.0 - RARE, {"factor": a, "offset": 0.0, "share": 1.0})


def affine(own: Column) -> Fit:
    """All values are a·x + b."""
    center, n = own.profile.mean, np.sqrt(own.rows)
    a = own.std / own.profile.std
    gain, b = -np.inf, own.mean - a * center
    for _ in range(2):
        _, b, _ = _best(own, [(a, b)], step=(0.0, own.profile.std / n))
        a, b, gain = _best(own, [(a, b)], step=(1.0 / n, -center / n))
    return Fit("scale", gain - 2.0 - RARE, {"factor": a, "offset": b, "share": 1.0})


def _best(
    own: Column, starts: Iterable[tuple[float, float]], *, step: tuple[float, float]
) -> tuple[float, float, float]:
    """a, b and gain of the best of a line of ways through each start; `step` is about one standard error."""
    best = (1.0, 0.0, -np.inf)
    for start in starts:
        a, b, width = *start, 1.0
        for count in (6, 4, 4):
            line = [(a + k * width * step[0], b + k * width * step[1]) for k in range(-count, count + 1)]
            gains = [_of_all(own, *way) for way in line]
            (a, b), top = line[int(np.argmax(gains))], max(gains)
            width /= 4.0
        if top > best[2]:
            best = (a, b, top)
    return best


def _of_all(own: Column, a: float, b: float) -> float:
    """The gain of all values being a·x + b: as far as they reach, and with the mean that follows."""
    profile, n = own.profile, own.rows
    far = sorted((a * profile.minimum + b, a * profile.maximum + b))
    room = BEYOND * (far[1] - far[0])
    if a == 0 or own.low < far[0] - room or own.high > far[1] + room:
        return -np.inf
    lift = (a - 1.0) * profile.mean + b
    error = np.hypot(abs(a) * profile.std * np.sqrt((1.0 + n / own.m) / n), 0.1 * lift)
    off = (own.mean - profile.mean - lift) / error if error > 0 else 0.0
    return float(own.gain(own.shifted(a, b))) - min(0.5 * own.weight * off**2, 50.0)


def shape(own: Column) -> Fit:
    """Shares of coarse groups as the window has them, at whichever of 20, 10 and 5 groups fits best."""
    found = []
    for level in (20, 10, 5):
        group = np.concatenate([[0], nested(own.profile.coarse, level=level) + 1, [level + 1]])
        c = np.bincount(group, own.counts, minlength=level + 2)
        p = np.bincount(group, own.shares, minlength=level + 2)
        some = c > 0
        gain = own.weight * float((c[some] * np.log(c[some] / c.sum() / p[some])).sum())
        found.append(gain - float(some.sum() - 1))
    return Fit("shape", max(found))


def _quantile(own: Column, q: float) -> float:
    """A quantile of the window, linear inside bins."""
    edges = np.concatenate([[own.low], own.profile.edges, [own.high]])
    edges = np.maximum.accumulate(edges)
    above = np.concatenate([[0.0], np.cumsum(own.counts)])
    return float(np.interp(q * above[-1], above, edges))
