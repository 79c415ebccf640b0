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
RARE = 32
"""Of this many edges one may lie in a crowded step before such steps get steps of their own."""
WIDER = 4
"""Steps per edge of a crowded step."""
NARROW = 32_767
"""Most edges of a feature that a table of 16 bits can tell apart; such tables stay in a faster cache."""
MANTISSA = 52
BIAS = 1023
LARGEST = float(np.finfo(np.float64).max)
SMALLEST = float(np.finfo(np.float64).tiny)
"""Widest and narrowest unit, whose inverses are finite and above 0."""


class Lookup(NamedTuple):
    """Tables of all numeric features; derived from a layout, immutable.

    scales  float64[numeric, 3]  center, inverse (finite, > 0) and the largest |z| of a step
    spans   int64[numeric, 8]    bits of z that are dropped; steps on either side; where the feature
                                 begins and ends in `below`; where it begins in `bounds`; its edges;
                                 where it begins in `nests`; its nests, 0 for most
    below   int16[all steps]     edges in earlier steps, for each step and once for all of them. A step
                                 that is crowded, with more than PAD edges, has ~edges, or ~its nest.
                                 int32 where a feature has more than NARROW edges
    bounds  float64[all edges]   edges of each feature, and PAD NaNs
    nests   float64[nests, 4]    steps inside a crowded one: (x - origin) * inverse, at most `last`, is
                                 the distance from the entry `begin` of the feature's `below`
    """

    scales: NDArray[np.float64]
    spans: NDArray[np.int64]
    below: NDArray[np.int16] | NDArray[np.int32]
    bounds: NDArray[np.float64]
    nests: NDArray[np.float64]


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
    scales, spans = np.empty((numeric, 3)), np.empty((numeric, 8), np.int64)
    narrow = np.int16 if np.max(np.diff(starts), initial=0) <= NARROW else np.int32
    below, bounds, nests = [np.empty(0, narrow)], [np.empty(0)], [np.empty((0, 4))]
    entries = padded = known = 0
    for column in range(numeric):
        own = edges[starts[column] : starts[column + 1]]
        scale, drop, half = _choose(own)
        table, inner = _tables(own, _steps(own, scale, drop, half), half)
        scales[column] = scale
        spans[column] = drop, half, entries, entries + len(table), padded, len(own), known, len(inner)
        below.append(table.astype(narrow))
        bounds += [own, np.full(PAD, np.nan)]
        nests.append(inner)
        entries += len(table)
        padded += len(own) + PAD
        known += len(inner)
    return Lookup(scales, spans, np.concatenate(below), np.concatenate(bounds), np.concatenate(nests))


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


def _tables(own: Array, found: Array, half: int) -> tuple[NDArray[np.int32], Array]:
    """The feature's part of `below` and its nests."""
    outer = np.searchsorted(found, np.arange(2 * half + 1)).astype(np.int32)
    crowd = np.diff(outer, append=outer[-1])
    crowded = np.flatnonzero(crowd > PAD)
    if int(crowd[crowded].sum()) * RARE <= len(own):
        outer[crowded] = ~outer[crowded]
        return outer, np.empty((0, 4))
    tables, nests, begin = [outer], [], len(outer)
    for nest, (step, low, more) in enumerate(zip(crowded, outer[crowded], crowd[crowded], strict=True)):
        table, scale = _nest(own[low : low + more], int(low), begin)
        tables.append(table)
        nests.append(scale)
        outer[step] = ~nest
        begin += len(table)
    return np.concatenate(tables), np.array(nests)


def _nest(own: Array, low: int, begin: int) -> tuple[NDArray[np.int32], tuple[float, float, float, float]]:
    """Equally wide steps for the edges of one crowded step; edges that crowd even those are searched."""
    size = WIDER * len(own)
    origin = float(own[0])
    with np.errstate(over="ignore"):
        width = min(max(float(own[-1] - own[0]), SMALLEST), LARGEST)
        inverse = min(size / width, LARGEST)
        found = (np.clip((own - origin) * inverse, 0.0, size - 1.0) + begin).astype(np.int64) - begin
    table = (low + np.searchsorted(found, np.arange(size + 1))).astype(np.int32)
    crowded = np.diff(table, append=table[-1]) > PAD
    return np.where(crowded, ~table, table), (origin, inverse, size - 1.0, float(begin))
