"""Where to look for the bin of a value: tables made of a layout's edges, and of nothing else.

A value x is brought to z = (x - center) * inverse, moved away from 0 by 1. The exponent and the
first binary digits of z number a step: steps are equally wide around the center and wider in
proportion further out, so that the thousandth part of a heavy tail has steps of its own. Rounding
never turns an order around: edges in earlier steps are <= x, edges in later ones are > x, and only
those of x's own step are compared. So the tables change what counting costs, never what is counted.
"""

from __future__ import annotations

import math
import weakref
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels.layout import Array, Layout

PAD = 2
"""NaNs behind the edges of each feature: two edges are compared without asking whether there are so many."""
FAR = 24
"""Most octaves of steps on either side; edges further out share the last step."""
PARTS = (2, 8, 32)
"""The steps are equally wide where this part of all edges lies closest together; the best is taken."""
MANTISSA = 52
BIAS = 1023
LARGEST = float(np.finfo(np.float64).max)
SMALLEST = float(np.finfo(np.float64).tiny)
"""Widest and narrowest unit, whose inverses are finite and above 0."""


class Lookup(NamedTuple):
    """Tables of all numeric features; derived from a layout, immutable.

    scales  float64[numeric, 3]   center, inverse (finite, > 0) and the largest |z| of a step
    spans   int64[numeric, 5]     bits of z that are dropped, steps on either side, first entry in
                                  `below`, first entry in `bounds`, number of edges
    below   int32[all steps + 1]  edges in earlier steps; ~edges where the step holds more than two
    bounds  float64[all edges]    edges of each feature, and PAD NaNs
    """

    scales: NDArray[np.float64]
    spans: NDArray[np.int64]
    below: NDArray[np.int32]
    bounds: NDArray[np.float64]


def lookup(layout: Layout) -> Lookup:
    """The tables of a layout, made at the first call and kept as long as its edges are."""
    edges, starts = layout.edges, layout.edge_start
    known = _known.get(id(edges))
    if known is not None and known[0]() is edges and known[1] is starts:
        return known[2]
    made = build(edges, starts)
    key = id(edges)
    _known[key] = weakref.ref(edges, lambda _: _known.pop(key, None)), starts, made
    return made


_known: dict[int, tuple[weakref.ref[Array], Array, Lookup]] = {}


def build(edges: Array, starts: Array) -> Lookup:
    """Tables for finite edges, ascending within a feature: edges[starts[c]:starts[c + 1]] is feature c."""
    numeric = len(starts) - 1
    scales, spans = np.empty((numeric, 3)), np.empty((numeric, 5), np.int64)
    below, bounds = [np.empty(0, np.int32)], [np.empty(0)]
    steps = padded = 0
    for column in range(numeric):
        own = edges[starts[column] : starts[column + 1]]
        scale, drop, half = _choose(own)
        table = _table(_steps(own, scale, drop, half), half)
        scales[column] = scale
        spans[column] = drop, half, steps, padded, len(own)
        below.append(table)
        bounds += [own, np.full(PAD, np.nan)]
        steps += len(table)
        padded += len(own) + PAD
    return Lookup(scales, spans, np.concatenate(below), np.concatenate(bounds))


def _choose(own: Array) -> tuple[tuple[float, float, float], int, int]:
    """The steps of one feature: the first candidate that crowds no step, or the one that crowds fewest."""
    tried = []
    for part in PARTS:
        candidate = _candidate(own, part)
        found = _steps(own, *candidate)
        crowded = int(np.count_nonzero(found[PAD:] == found[:-PAD])) if len(own) > PAD else 0
        if crowded == 0:
            return candidate
        tried.append((crowded, candidate))
    return min(tried)[1]


def _candidate(own: Array, part: int) -> tuple[tuple[float, float, float], int, int]:
    count = len(own)
    near = min(max(count // part, PAD), count - 1)
    digits = max(count.bit_length() - 2, 2)
    with np.errstate(over="ignore"):  # 1e308 - -1e308
        widths = own[near:] - own[: count - near]
        at = int(np.argmin(widths))
        center = float(own[at + near // 2])
        inverse = 1.0 / min(max(float(widths[at]), SMALLEST), LARGEST)
        far = float(max(center - own[0], own[-1] - center) * inverse) + 1.0
    octaves = min(math.frexp(far)[1], FAR) if math.isfinite(far) else FAR
    return (center, inverse, math.nextafter(2.0**octaves, 0.0)), MANTISSA - digits, octaves << digits


def _steps(x: Array, scale: tuple[float, float, float], drop: int, half: int) -> NDArray[np.int64]:
    """The step of every x, as `kernels.bins.find_steps` finds it."""
    center, inverse, top = scale
    with np.errstate(over="ignore"):
        y = (x - center) * inverse
    z = np.clip(np.where(y < 0.0, y - 1.0, y + 1.0), -top, top)
    size = (np.abs(z).view(np.int64) >> drop) - (BIAS << (MANTISSA - drop))
    return np.where(z < 0.0, half - 1 - size, half + size)


def _table(found: Array, half: int) -> NDArray[np.int32]:
    below = np.searchsorted(found, np.arange(2 * half + 1)).astype(np.int32)
    crowded = np.diff(below, append=below[-1]) > PAD
    return np.where(crowded, ~below, below)
