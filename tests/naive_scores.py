"""Slow, obvious twins of the scoring kernels."""

from __future__ import annotations

import math

import numpy as np


def nodes(level: int) -> list[list[int]]:
    """The nodes of the coarse view at 20, 10, 5, 2 or 1 slots, as lists of groups."""
    if level == 20:
        return [[g] for g in range(20)]
    if level == 10:
        return [[2 * i, 2 * i + 1] for i in range(10)]
    if level == 5:
        return [list(range(4 * i, 4 * i + 4)) for i in range(5)]
    if level == 2:
        return [list(range(12)), list(range(12, 20))]
    return [list(range(20))]


def join_nested(expected, wide=20.0):
    """Sets of groups that vote: climb the tree, every node that holds a thin set becomes one set."""
    sets = [frozenset([g]) for g in range(20)]
    for level in (10, 5, 2, 1):
        for node in nodes(level):
            inside = [s for s in sets if s <= set(node)]
            masses = [sum(expected[g] for g in s) for s in inside]
            if any(0 < mass < wide for mass in masses):
                sets = [s for s in sets if s not in inside] + [frozenset(node)]
    kept = [s for s in sets if sum(expected[g] for g in s) >= wide]
    return sorted(kept, key=min)


def join_pooled(expected, wide=20.0):
    """Sets of categories that vote: wide ones alone, thin ones in pools; the rest joins the last pool."""
    alone = [[i] for i, mass in enumerate(expected) if mass >= wide]
    pools, open_pool = [], []
    for i, mass in enumerate(expected):
        if mass < wide:
            open_pool.append(i)
            if sum(expected[j] for j in open_pool) >= wide:
                pools.append(open_pool)
                open_pool = []
    if pools:
        pools[-1] = pools[-1] + open_pool
    elif alone:
        lightest = min(alone, key=lambda s: expected[s[0]])
        lightest.extend(open_pool)
    return [frozenset(s) for s in alone + pools]


def psi(a, b):
    k = len(a)
    p = [(x + 0.5) / (sum(a) + 0.5 * k) for x in a]
    q = [(x + 0.5) / (sum(b) + 0.5 * k) for x in b]
    return sum((x - y) * math.log(x / y) for x, y in zip(p, q, strict=True))


def ks(a, b):
    """Largest difference of two distribution functions given as counts per bin."""
    f, g = np.cumsum(a) / np.sum(a), np.cumsum(b) / np.sum(b)
    return float(np.max(np.abs(f - g)))


def wasserstein(a, b, edges, low, high):
    """Area between two piecewise linear distribution functions, by a fine grid."""
    ends = np.concatenate([[min(low, edges[0])], edges, [max(high, edges[-1])]])
    f = np.concatenate([[0.0], np.cumsum(a) / np.sum(a)])
    g = np.concatenate([[0.0], np.cumsum(b) / np.sum(b)])
    area = 0.0
    for i in range(len(ends) - 1):
        t = (np.arange(4000) + 0.5) / 4000
        d = (1 - t) * (f[i] - g[i]) + t * (f[i + 1] - g[i + 1])
        area += (ends[i + 1] - ends[i]) * float(np.mean(np.abs(d)))
    return area
