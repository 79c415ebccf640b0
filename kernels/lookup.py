"""Where to look for the bin of a value: tables made of a layout's edges, and of nothing else.

A value x is brought to t = (x - center) * inverse, as a float32, and away from 0 by 1. The bits of that
are its *position*, an integer: exponent and first binary digits number a step, the rest of them, its
last `drop` bits, say how far it is inside. Steps are equally wide around the center and wider in
proportion further out, so that the thousandth part of a heavy tail has steps of its own. Rounding never
turns an order around: edges at smaller positions are <= x, edges at larger ones are > x, and only with
an edge at its very position, or in steps with several edges, is x itself compared. So the tables change
what counting costs, never what is counted.
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
FINER = (1, 2, 4)
"""Steps per edge that are tried where the edges lie closest together, while some share a step."""
SMALL = 16_384
"""Entries of a table that is tried in any case: most of them lie far out, where few values come."""
MOST = 32
"""Entries per edge of larger ones."""
CROWD, PAIR, ENTRY = 20.0, 2.0, 5e-6
"""Nanoseconds that a value costs more: in a crowded step, in one with two edges, and for each entry of the table.
Measured with 4,096 bins of normal values: 2.4 ns with 12,000 entries, 2.0 with 24,000, 2.1 with 33,000."""
RARE = 32
"""Of this many edges one may lie in a crowded step before such steps get steps of their own."""
WIDER = 4
"""Steps per edge of a crowded step."""
MANTISSA = 23
BIAS = 127
DIGITS = 18
"""Most binary digits that number steps of an octave."""
LARGEST = float(np.finfo(np.float64).max)
SMALLEST = float(np.finfo(np.float64).tiny)
"""Widest and narrowest unit, whose inverses are finite and above 0."""

Scale = tuple[float, float, float]


class Lookup(NamedTuple):
    """Tables of all numeric features; derived from a layout, immutable.

    scales   float64[numeric, 3]  center, inverse (finite, > 0) and the largest |t| + 1, a float32
    spans    int64[numeric, 10]   bits of a position inside its step (`drop`); position of the center;
                                  where the feature begins and ends in `entries`; where it begins in
                                  `bounds`; its edges; where it begins in `crowds`, `inner` and `nests`;
                                  its nests, 0 for most
    entries  int32[all steps]     so that (entry + the last `drop` bits of a position) >> drop is the rank,
                                  the number of edges at smaller positions or this one; the last bits of
                                  the sum are 0 where an edge has this position. A step that is crowded,
                                  with more than one edge, leads to ~its number among those
    bounds   float64[all edges]   -inf, the edges and PAD NaNs of each feature
    crowds   int32[crowded, 2]    edges before a crowded step of either kind, and after it
    inner    int32[inner steps]   edges in earlier inner steps; a step with more than PAD: ~its crowd
    nests    float64[nests, 4]    inner steps of a crowded one: (x - origin) * inverse, at most `last`, is
                                  the distance from the entry `begin` of the feature's `inner`
    """

    scales: NDArray[np.float64]
    spans: NDArray[np.int64]
    entries: NDArray[np.int32]
    bounds: NDArray[np.float64]
    crowds: NDArray[np.int32]
    inner: NDArray[np.int32]
    nests: NDArray[np.float64]


class _Steps(NamedTuple):
    """Steps of one feature and where they put its edges."""

    scale: Scale
    drop: int
    middle: int
    positions: NDArray[np.int32]

    @property
    def size(self) -> int:
        return 2 * self.middle >> self.drop

    @property
    def crowded(self) -> tuple[int, int]:
        """Edges in steps with more than PAD, and in those with two."""
        here = np.unique(self.positions >> self.drop, return_counts=True)[1]
        return int(here[here > PAD].sum()), int(here[here == PAD].sum())


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
    scales, spans = np.empty((numeric, 3)), np.empty((numeric, 10), np.int64)
    entries, bounds, crowds = [np.empty(0, np.int32)], [np.empty(0)], [np.empty((0, 2), np.int32)]
    inner, nests = [np.empty(0, np.int32)], [np.empty((0, 4))]
    begins = np.zeros(5, np.int64)
    for column in range(numeric):
        own = edges[starts[column] : starts[column + 1]]
        steps = _choose(own)
        table, crowd = _entries(steps)
        nested = _nested(own, crowd)
        bound = np.concatenate([[-np.inf], own, np.full(PAD, np.nan)])
        parts = (table, bound, np.concatenate([crowd, nested.crowds]), nested.inner, nested.nests)
        scales[column] = steps.scale
        spans[column] = (
            *(steps.drop, steps.middle, begins[0], begins[0] + len(table), begins[1], len(own)),
            *(*begins[2:], len(nested.nests)),
        )
        for into, part in zip((entries, bounds, crowds, inner, nests), parts, strict=True):
            into.append(part)
        begins += [len(part) for part in parts]
    return Lookup(scales, spans, *map(np.concatenate, (entries, bounds, crowds, inner, nests)))


def positions(x: Array, scale: Scale, middle: int) -> NDArray[np.int32]:
    """The position of every x, as `kernels.ranks.find_positions` finds it."""
    center, inverse, top = scale
    with np.errstate(over="ignore"):
        t = ((x - center) * inverse).astype(np.float32) + np.float32(0.0)
        size = np.minimum(np.abs(t) + np.float32(1.0), np.float32(top))
    bits = size.view(np.int32) - np.int32(BIAS << MANTISSA)
    return ((bits ^ (t.view(np.int32) >> 31)) | 1) + np.int32(middle)


def _choose(own: Array) -> _Steps:
    """The steps of one feature: the first that crowd no edges, or those that cost least."""
    tried: list[tuple[float, int, _Steps]] = []
    for finer in FINER:
        for part in PARTS:
            steps = _candidate(own, part, finer)
            if tried and steps.size > max(SMALL, MOST * len(own)):
                continue
            many, pairs = steps.crowded
            if many == pairs == 0:
                return steps
            cost = (CROWD * many + PAIR * pairs) / len(own) + ENTRY * steps.size
            tried.append((cost, len(tried), steps))
    return min(tried)[2]


def _candidate(own: Array, part: int, finer: int) -> _Steps:
    count = len(own)
    near = min(max(count // part, PAD), count - 1)
    digits = min(max((finer * count).bit_length() - 2, 2), DIGITS)
    with np.errstate(over="ignore"):  # 1e308 - -1e308
        widths = own[near:] - own[: count - near]
        at = int(np.argmin(widths))
        center = float(own[at + near // 2])
        inverse = 1.0 / min(max(float(widths[at]), SMALLEST), LARGEST)
        far = float(max(center - own[0], own[-1] - center) * inverse) + 1.0
    octaves = min(math.frexp(far)[1], FAR) if math.isfinite(far) else FAR
    scale = center, inverse, float(np.nextafter(np.float32(2.0**octaves), np.float32(0.0)))
    middle = octaves << MANTISSA
    return _Steps(scale, MANTISSA - digits, middle, positions(own, scale, middle))


def _entries(steps: _Steps) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The feature's part of `entries`, and the edges before and after each of its crowded steps."""
    size, drop = steps.size, steps.drop
    before = np.searchsorted(steps.positions >> drop, np.arange(size + 1))
    here = np.diff(before)
    entries = before[:-1] << drop
    single, pairs, crowded = (np.flatnonzero(which) for which in (here == 1, here == 2, here > PAD))
    inside = steps.positions[before[single]] & ((1 << drop) - 1)
    entries[single] += (1 << drop) - inside
    entries[pairs] = ~before[pairs] << drop
    entries[crowded] = ~(len(steps.positions) + 1 + np.arange(len(crowded))) << drop
    crowds = np.stack([before[crowded], before[crowded + 1]], axis=1)
    return entries.astype(np.int32), crowds.astype(np.int32)


class _Nested(NamedTuple):
    inner: NDArray[np.int32]
    nests: Array
    crowds: NDArray[np.int32]
    """Of inner steps."""


def _nested(own: Array, crowds: Array) -> _Nested:
    """Steps inside the crowded ones, where more than a few edges lie in such."""
    tables, nests, more = [np.empty(0, np.int32)], [np.empty((0, 4))], [np.empty((0, 2), np.int32)]
    if np.diff(crowds).sum() * RARE > len(own):
        begin, known = 0, len(crowds)
        for low, high in crowds.tolist():
            table, scale, crowded = _nest(own[low:high], low, begin, known)
            tables.append(table)
            nests.append(np.array([scale]))
            more.append(crowded)
            begin += len(table)
            known += len(crowded)
    return _Nested(*map(np.concatenate, (tables, nests, more)))


def _nest(own: Array, low: int, begin: int, known: int) -> tuple[Array, tuple[float, ...], Array]:
    """Equally wide steps for the edges of one crowded step; edges that crowd even those are searched."""
    size = WIDER * len(own)
    origin = float(own[0])
    with np.errstate(over="ignore"):
        width = min(max(float(own[-1] - own[0]), SMALLEST), LARGEST)
        inverse = min(size / width, LARGEST)
        found = (np.clip((own - origin) * inverse, 0.0, size - 1.0) + begin).astype(np.int64) - begin
    table = low + np.searchsorted(found, np.arange(size + 1))
    crowded = np.flatnonzero(np.diff(table) > PAD)
    crowds = np.stack([table[crowded], table[crowded + 1]], axis=1)
    table[crowded] = ~(known + np.arange(len(crowded)))
    return table[:-1].astype(np.int32), (origin, inverse, size - 1.0, float(begin)), crowds.astype(np.int32)
