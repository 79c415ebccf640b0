"""Quantiles of the noncentral chi-square distribution, for many windows at once."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

MANY = 512
"""Above so many values the quantile is read off a table: one costs 10 to 60 µs, and a reference of
720 windows and 50 features needs 36,000 of them."""
_NODES = 513
INSIDE = ("_ncx2_isf", "_ncx2_sf")
"""What `scipy.special._ufuncs` calls the functions that `scipy.stats.ncx2` wraps."""


def isf(level: float, df: NDArray[np.float64], nc: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a noncentral chi-square variable exceeds with probability `level`; inf where df < 1.

    Exact for up to MANY values, else within 2e-4 of itself.
    """
    df, nc = np.broadcast_arrays(np.asarray(df, np.float64), np.asarray(nc, np.float64))
    out = np.full(df.shape, np.inf)
    usable = (df >= 1) & np.isfinite(nc)
    if usable.sum() <= MANY:
        if usable.any():
            out[usable] = _isf(level, df[usable], nc[usable])
        return out
    for freedom in np.unique(df[usable]):
        here = usable & (df == freedom)
        out[here] = _read(float(freedom), level, nc[here])
    return out


def sf(y: NDArray[np.float64], df: NDArray[np.float64], nc: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of exceeding `y`; 1 where df < 1."""
    y, df, nc = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (y, df, nc)))
    out = np.ones(df.shape)
    usable = (df >= 1) & np.isfinite(nc) & (y > 0)
    if usable.any():
        out[usable] = np.clip(np.nan_to_num(_sf(y[usable], df[usable], nc[usable])), 0.0, 1.0)
    return out


def noncentrality(y: NDArray[np.float64], level: float, df: NDArray[np.float64]) -> NDArray[np.float64]:
    """The noncentrality with which `y` is exceeded with probability `level`; 0 where none is needed."""
    out = np.zeros(y.shape)
    for freedom in np.unique(df[df >= 1]):
        here = df == freedom
        grid, excess = _table(float(freedom), level, _decade(y[here]))
        quantiles = (excess + np.sqrt(grid + freedom)) ** 2
        out[here] = np.interp(np.sqrt(y[here]), np.sqrt(quantiles), np.sqrt(grid)) ** 2
    return out


def _read(df: float, level: float, nc: NDArray[np.float64]) -> NDArray[np.float64]:
    grid, excess = _table(df, level, _decade(nc))
    root = np.sqrt(nc + df)
    return np.asarray((np.interp(root, np.sqrt(grid + df), excess) + root) ** 2)


def _decade(largest: NDArray[np.float64]) -> int:
    """Power of ten that the noncentralities of a table reach; the quantile of nc is above nc."""
    return int(np.ceil(np.log10(max(float(largest.max(initial=1.0)), 10.0))))


@functools.lru_cache(maxsize=1024)
def _table(df: float, level: float, decade: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """√quantile − √(nc + df) over noncentralities from 0 to 10^decade, at geometric distances: it
    hardly changes, so a line between two nodes is within 2e-4 of the quantile."""
    grid = df * np.expm1(np.linspace(0.0, np.log1p(10.0**decade / df), _NODES))
    return grid, np.sqrt(_isf(level, np.full(_NODES, df), grid)) - np.sqrt(grid + df)


def _isf(level: float, df: NDArray[np.float64], nc: NDArray[np.float64]) -> NDArray[np.float64]:
    """`scipy.stats.ncx2.isf`; df > 0, nc >= 0, 0 < level < 1."""
    from scipy.special import chdtri

    quantile, _ = _boost()
    with np.errstate(over="ignore"):  # as scipy does
        return np.asarray(np.where(nc == 0, chdtri(df, level), quantile(level, df, nc)))


def _sf(y: NDArray[np.float64], df: NDArray[np.float64], nc: NDArray[np.float64]) -> NDArray[np.float64]:
    """`scipy.stats.ncx2.sf`; df > 0, nc >= 0, y > 0."""
    from scipy.special import chdtrc

    _, tail = _boost()
    with np.errstate(over="ignore"):
        return np.asarray(np.where(nc == 0, chdtrc(df, y), tail(y, df, nc)))


def _boost() -> Iterator[Any]:
    """Quantile and tail where nc > 0, which scipy has of Boost.

    `scipy.stats` only wraps them, and importing it took half a second of a daemon's start and 40 MB that stayed. Their
    names are not promised: where there are none, the wraps are taken.
    """
    from scipy.special import _ufuncs

    for inside, shown in zip(INSIDE, ("isf", "sf"), strict=True):
        if (found := getattr(_ufuncs, inside, None)) is None:
            from scipy.stats import ncx2

            found = getattr(ncx2, shown)
        yield found
