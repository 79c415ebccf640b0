"""Layouts and batches that hold every kind of trouble, from a seed."""

from __future__ import annotations

import numpy as np

from kernels.blocks import find_blocks, room
from kernels.layout import (
    CATEGORICAL,
    FIRST_BIN,
    FREQUENCIES,
    LATENCY_BINS,
    NUMERIC,
    VECTOR,
    VECTOR_SLOTS,
    WAVE_WIDTH,
    CellArrays,
    Layout,
    Rules,
    Vectors,
    allocate,
)
from tests import naive

REASONS = 10
ODD = (np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 1.7e308, -1.7e308, 1e-300)


def layout(
    seed: int, *, numeric: int = 3, categorical: int = 2, vectors: tuple[int, ...] = (2, 35), edges: int = 30
) -> Layout:
    """Features of all kinds in mixed order, with edges of every magnitude; `vectors`: their lengths."""
    rng = np.random.default_rng(seed)
    kinds = [NUMERIC] * numeric + [CATEGORICAL] * categorical + [VECTOR] * len(vectors)
    kind = rng.permutation(kinds).astype(np.int8)
    column = np.array([np.count_nonzero(kind[:f] == kind[f]) for f in range(len(kind))], np.int32)
    own = []
    for _ in range(numeric):
        plain = rng.normal(size=rng.integers(2, edges + 1)) * 10.0 ** rng.integers(-3, 4)
        own.append(np.unique([*plain, *rng.choice([0.0, 5e-324, -1e300, 1e308], size=2)]))
    slots = {
        NUMERIC: lambda c: len(own[c]) + 3,
        CATEGORICAL: lambda c: int(rng.integers(3, 9)),
        VECTOR: lambda c: VECTOR_SLOTS,
    }
    widths = [slots[int(k)](c) for k, c in zip(kind, column, strict=True)]
    return Layout(
        kind=kind,
        column=column,
        start=np.cumsum([0, *widths]).astype(np.int32),
        edges=np.concatenate(own) if own else np.empty(0),
        edge_start=np.cumsum([0, *(len(e) for e in own)]).astype(np.int32),
        center=rng.normal(size=numeric),
        scale=10.0 ** rng.integers(-4, 4, size=numeric).astype(float),
        vectors=vectors_of(rng, vectors),
    )


def vectors_of(rng: np.random.Generator, lengths: tuple[int, ...]) -> Vectors:
    """Any frequencies, phases and shifts that the arrays can hold."""
    wide = [-(-length // WAVE_WIDTH) * WAVE_WIDTH for length in lengths]
    waves = rng.integers(-32767, 32768, (FREQUENCIES, sum(wide)))
    for length, end, width in zip(lengths, np.cumsum(wide), wide, strict=True):
        waves[:, end - width + length : end] = 0
    return Vectors(
        dim_start=np.cumsum([0, *lengths]).astype(np.int32),
        word_start=np.cumsum([0, *(3 * length + FREQUENCIES for length in lengths)]).astype(np.int32),
        wave_start=np.cumsum([0, *wide]).astype(np.int32),
        center=rng.normal(size=sum(lengths)),
        scale=10.0 ** rng.integers(-4, 4, size=sum(lengths)).astype(float),
        waves=waves.astype(np.int16),
        phases=rng.integers(-(2**31), 2**31, (len(lengths), FREQUENCIES)).astype(np.int32),
        shift=rng.integers(0, 22, len(lengths)).astype(np.int32),
    )


def batch(seed: int, of: Layout, *, rows: int, cells: int) -> dict[str, np.ndarray]:
    """Keyword arguments of `fold`: plain values, edges, their neighbours, and `ODD` ones."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(of.numeric, rows)) * 10.0 ** rng.integers(-6, 7, size=(of.numeric, rows))
    for c in range(of.numeric):
        edges = of.edges[of.edge_start[c] : of.edge_start[c + 1]]
        near = [*edges, *np.nextafter(edges, np.inf), *np.nextafter(edges, -np.inf), *ODD]
        at = rng.random(rows) < 0.4
        values[c, at] = rng.choice(near, size=at.sum())
    latency = rng.lognormal(1, 4, rows)
    at = rng.random(rows) < 0.3
    latency[at] = rng.choice([*naive.EDGES, *ODD, -1.0, LATENCY_BINS], size=at.sum())
    return {
        "cell": rng.integers(-1, cells, rows).astype(np.int32),
        "values": values,
        "codes": rng.integers(-3, 12, (of.categorical, rows)).astype(np.int32),
        "latency": latency,
        "errors": (rng.random(rows) < 0.2).astype(np.uint8),
        "offsets": rng.permutation(rows).astype(np.int64) + 1000,
        "vectors": _vectors(rng, of.vectors, rows),
    }


def _vectors(rng: np.random.Generator, of: Vectors, rows: int) -> np.ndarray:
    """Missing ones, those with odd elements, and elements of any size."""
    out = rng.normal(size=(rows, of.dims)) * 10.0 ** rng.integers(-6, 7, size=(rows, 1))
    for low, high in zip(of.dim_start[:-1], of.dim_start[1:], strict=True):
        kind = rng.random(rows)
        out[kind < 0.2, low:high] = np.nan
        for row in np.flatnonzero(kind > 0.7):
            out[row, rng.integers(low, high)] = rng.choice(ODD)
    return out


def blocks_of(cell: np.ndarray) -> np.ndarray:
    """The blocks of `find_blocks`."""
    blocks = np.empty((room(len(cell)), 3), np.int32)
    return blocks[: find_blocks(blocks, cell)]


def take(of: dict[str, np.ndarray], index) -> dict[str, np.ndarray]:
    """The rows `index` of a batch, in that order."""
    return {
        name: array[:, index] if name in {"values", "codes"} else array[index] for name, array in of.items()
    }


def rules(seed: int, of: Layout) -> Rules:
    """Some of the rules a feature may have, numbered in any order; limits on, beside and beyond values."""
    rng = np.random.default_rng(seed)
    wanted = rng.random((3, of.features)) < 0.7
    wanted[1] &= of.kind == NUMERIC
    wanted[2] &= of.kind == CATEGORICAL
    numbers = np.full(wanted.shape, -1, np.int32)
    count = int(wanted.sum())
    numbers[wanted] = rng.permutation(count)
    limits = np.sort(rng.normal(size=(2, of.features)) * 10.0 ** rng.integers(-3, 4, of.features), axis=0)
    limits[0, rng.random(of.features) < 0.3] = -np.inf
    limits[1, rng.random(of.features) < 0.3] = np.inf
    forbidden = (rng.random(of.slots) < 0.5).astype(np.uint8)
    for start in of.start[:-1]:
        forbidden[start : start + FIRST_BIN] = 0
    return Rules(count, *numbers, *limits, forbidden)


def empty(of: Layout, *, cells: int, rules: int = 0) -> CellArrays:
    return allocate(of, cells=cells, rules=rules, reasons=REASONS)


def image(of: CellArrays) -> tuple[bytes, ...]:
    """Equal exactly when every bit is, the sign of zero too."""
    return tuple(array.tobytes() for array in of)


def coarse(of: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A coarse view as `kernels.scores.score` takes it: group of each slot, first group, special groups."""
    group, first, special = [], [0], []
    for feature, kind in enumerate(of.kind):
        slots = np.arange(of.start[feature + 1] - of.start[feature])
        own = slots.copy()
        if kind == NUMERIC:
            bins = len(slots) - 4
            own = np.concatenate([[0, 1, 2], 4 + np.arange(bins) * 20 // bins, [3]])
        special.append(4 if kind == NUMERIC else 3)
        group.append(first[-1] + own)
        first.append(first[-1] + (24 if kind == NUMERIC else len(slots)))
    return np.concatenate(group).astype(np.int32), np.array(first, np.int32), np.array(special, np.int64)
