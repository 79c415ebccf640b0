"""Layouts and batches that hold every kind of trouble, from a seed."""

from __future__ import annotations

import numpy as np

from kernels.layout import CATEGORICAL, FIRST_BIN, LATENCY_BINS, NUMERIC, CellArrays, Layout, Rules, allocate
from tests import naive

REASONS = 10
ODD = (np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 1.7e308, -1.7e308, 1e-300)


def layout(seed: int, *, numeric: int = 3, categorical: int = 2, edges: int = 30) -> Layout:
    """Numeric and categorical features in mixed order, with edges of every magnitude."""
    rng = np.random.default_rng(seed)
    kind = rng.permutation([NUMERIC] * numeric + [CATEGORICAL] * categorical).astype(np.int8)
    column = np.array([np.count_nonzero(kind[:f] == kind[f]) for f in range(len(kind))], np.int32)
    own = []
    for _ in range(numeric):
        plain = rng.normal(size=rng.integers(2, edges + 1)) * 10.0 ** rng.integers(-3, 4)
        own.append(np.unique([*plain, *rng.choice([0.0, 5e-324, -1e300, 1e308], size=2)]))
    widths = [
        len(own[c]) + 3 if k == NUMERIC else int(rng.integers(3, 9))
        for k, c in zip(kind, column, strict=True)
    ]
    return Layout(
        kind=kind,
        column=column,
        start=np.cumsum([0, *widths]).astype(np.int32),
        edges=np.concatenate(own) if own else np.empty(0),
        edge_start=np.cumsum([0, *(len(e) for e in own)]).astype(np.int32),
        center=rng.normal(size=numeric),
        scale=10.0 ** rng.integers(-4, 4, size=numeric).astype(float),
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
    }


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
