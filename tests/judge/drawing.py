"""Counts of windows whose rows fall into slots at random: multinomial, as numpy's, several times as fast.

numpy draws a chain of binomials, one a slot, whatever the rows: 250 rows in 260 slots cost it twenty times what they cost
here. Many rows are drawn as independent Poisson counts of somewhat fewer rows on the mean, again where they come out as
more than there are; given their total such counts are multinomial, so the rows that are left are drawn like the others,
and few rows one by one from an alias table (Walker 1977). Poisson counts are by inversion, larger ones by transformed
rejection (Hörmann 1993, PTRS). Random numbers are splitmix64's (Steele, Lea and Flood 2014), seeded by the generator.
"""

from __future__ import annotations

import math

import numba
import numpy as np

MANY = 40
"""Rows for each slot from which numpy's binomials are faster."""
FEW = 10
"""Rows for each slot up to which they are drawn one by one: a Poisson count costs what ten rows do."""
SPARE = 3.0
"""Standard deviations that the mean of Poisson counts lies below the rows: one draw in 700 is made again."""
HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)
INVERTED = 10.0
"""Mean up to which a Poisson count is drawn by inversion; PTRS holds from there on."""


def multinomial(rng: np.random.Generator, rows, chances: np.ndarray) -> np.ndarray:
    """int64[..., slots] of rows int64[...] that fall into slots by chances float64[..., slots]; both are broadcast.

    Windows that share their chances, which then have no axis of windows, share one table.
    """
    rows, chances = np.asarray(rows, np.int64), np.asarray(chances, np.float64)
    shape = np.broadcast_shapes(rows.shape, chances.shape[:-1])
    if np.min(rows, initial=2**62) > MANY * chances.shape[-1]:
        return rng.multinomial(np.broadcast_to(rows, shape), chances)
    kinds = math.prod(chances.shape[:-1])
    of = np.broadcast_to(np.arange(kinds).reshape(chances.shape[:-1]), shape).ravel()
    order = np.argsort(of, kind="stable") if kinds > 1 else np.arange(len(of))
    flat = np.ascontiguousarray(np.broadcast_to(rows, shape)).ravel()
    out = np.zeros((len(of), chances.shape[-1]), np.int64)
    seed = rng.integers(2**64, dtype=np.uint64)
    _draw(seed, flat, of, order, np.ascontiguousarray(chances.reshape(kinds, -1)), out)
    return out.reshape(*shape, -1)


@numba.njit(cache=True, nogil=True)
def _draw(seed, rows, of, order, chances, out):
    """rows, of int64[windows]: how many, and by which chances; order: windows of the same chances together."""
    slots = chances.shape[1]
    keep, other = np.empty(slots), np.empty(slots, np.int64)
    share, ready = np.empty(slots), -1
    counts = np.empty(slots, np.int64)
    state = seed
    for at in order:
        if of[at] != ready:
            ready = of[at]
            total = chances[ready].sum()
            for slot in range(slots):
                share[slot] = chances[ready, slot] / total
            _alias(share, keep, other)
        left = rows[at]
        while left > FEW * slots:
            state, drawn = _poisson_counts(state, left - SPARE * math.sqrt(left), share, counts)
            if drawn <= left:
                left -= drawn
                for slot in range(slots):
                    out[at, slot] += counts[slot]
        state = _one_by_one(state, left, keep, other, out[at])


@numba.njit(cache=True, nogil=True, inline="always")
def _next(state):
    """State, and 64 random bits."""
    state += np.uint64(0x9E3779B97F4A7C15)
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state, z ^ (z >> np.uint64(31))


@numba.njit(cache=True, nogil=True, inline="always")
def _uniform(state):
    """State, and a number in (0, 1)."""
    state, bits = _next(state)
    return state, (float(bits >> np.uint64(11)) + 0.5) * 2.0**-53


@numba.njit(cache=True, nogil=True)
def _alias(share, keep, other):
    """Each slot's part of its own column, and the slot that has the rest of it (Vose 1991)."""
    slots = len(share)
    small, large = np.empty(slots, np.int64), np.empty(slots, np.int64)
    few = many = 0
    for slot in range(slots):
        keep[slot], other[slot] = share[slot] * slots, slot
        if keep[slot] < 1.0:
            small[few] = slot
            few += 1
        else:
            large[many] = slot
            many += 1
    while few > 0 and many > 0:
        few -= 1
        thin, thick = small[few], large[many - 1]
        other[thin] = thick
        keep[thick] -= 1.0 - keep[thin]
        if keep[thick] < 1.0:
            many -= 1
            small[few] = thick
            few += 1
    for at in range(many):
        keep[large[at]] = 1.0
    for at in range(few):  # what rounding has left; of a slot without a chance nothing may be
        keep[small[at]] = 1.0 if share[small[at]] > 0.0 else 0.0
        if share[small[at]] == 0.0:
            other[small[at]] = np.argmax(share)


@numba.njit(cache=True, nogil=True)
def _one_by_one(state, rows, keep, other, out):
    slots = len(keep)
    for _ in range(rows):
        state, u = _uniform(state)
        place = u * slots
        slot = int(place)
        out[slot if place - slot < keep[slot] else other[slot]] += 1
    return state


@numba.njit(cache=True, nogil=True)
def _poisson_counts(state, mean, share, counts):
    """State, and the sum of independent counts of that mean."""
    drawn = 0
    for slot in range(len(share)):
        own = mean * share[slot]
        if own <= 0.0:
            counts[slot] = 0
        elif own < INVERTED:
            state, counts[slot] = _inverted(state, own)
        else:
            state, counts[slot] = _transformed(state, own)
        drawn += counts[slot]
    return state, drawn


@numba.njit(cache=True, nogil=True)
def _inverted(state, mean):
    state, u = _uniform(state)
    chance, count = math.exp(-mean), 0
    while (
        u > chance and count < 200
    ):  # 200 is 60 standard deviations off: beyond it chances are lost to rounding
        u -= chance
        count += 1
        chance *= mean / count
    return state, count


@numba.njit(cache=True, nogil=True)
def _transformed(state, mean):
    root = math.sqrt(mean)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse, least = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2.0)
    log_mean = math.log(mean)
    while True:
        state, u = _uniform(state)
        state, v = _uniform(state)
        u -= 0.5
        near = 0.5 - abs(u)
        count = math.floor((2.0 * a / near + b) * u + mean + 0.43)
        if near >= 0.07 and v <= least:
            return state, count
        if count < 0 or (near < 0.013 and v > near):
            continue
        if math.log(v * inverse / (a / (near * near) + b)) <= count * log_mean - mean - _log_factorial(count):
            return state, count


@numba.njit(cache=True, nogil=True)
def _log_factorial(count):
    """Of 3 or more exact to 1e-8 (Stirling)."""
    if count < 3:
        return math.log(2.0) if count == 2 else 0.0
    x = count + 1.0
    s = 1.0 / (x * x)
    series = (1.0 / 12.0 - s * (1.0 / 360.0 - s * (1.0 / 1260.0 - s / 1680.0))) / x
    return (x - 0.5) * math.log(x) - x + HALF_LOG_2_PI + series
