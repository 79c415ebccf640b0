"""Slow, obvious twins of the scoring kernels."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from kernels import scores as columns
from kernels.layout import NUMERIC


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


def area(a, b, edges, low, high):
    """The same area, exact: a bin in which the difference changes sign is two triangles."""
    ends = [min(low, edges[0]), *edges, max(high, edges[-1])]
    n, m = sum(map(int, a)), sum(map(int, b))
    total = before = Fraction(0)
    for x, y, start, end in zip(a, b, ends[:-1], ends[1:], strict=True):
        after = before + Fraction(int(x), n) - Fraction(int(y), m)
        width, size = Fraction(float(end)) - Fraction(float(start)), abs(before) + abs(after)
        crosses = before * after < 0
        total += width * (before**2 + after**2) / (2 * size) if crosses else width * size / 2
        before = after
    return float(total)


def quantile(counts, edges, q, low, high):
    """Straight lines inside bins; below and above reach to `low` and `high`."""
    total = int(np.sum(counts))
    if total == 0:
        return math.nan
    ends = np.concatenate([[min(low, edges[0])], edges, [max(high, edges[-1])]])
    reached = np.cumsum(counts)
    at = int(np.searchsorted(reached, q * total, side="left"))
    inside = (q * total - float(reached[at] - counts[at])) / float(counts[at])
    value = float(ends[at] + inside * (ends[at + 1] - ends[at]))
    return float(np.clip(value, low, high)) if low <= high else value


def mean_std(sums, n, center, scale):
    """From the exact sums, in integers without end."""
    if n == 0:
        return math.nan, math.nan
    total, low, high = (int(word) for word in sums)
    spread = max(n * (low + (high << 32)) - total * total, 0) / (n * n)
    return center + scale * (total / n / 65536.0), scale * (math.sqrt(spread) / 65536.0)


def divergences(a, b):
    """PSI, G, Pearson, n, m, slots, JS, Hellinger, total variation and L-infinity of two lists of rows."""
    k, n, m = len(a), sum(a), sum(b)
    if k < 2 or n <= 0 or m <= 0:
        return [0.0, 0.0, 0.0, n, m, k, 0.0, 0.0, 0.0, 0.0]
    p = [(x + 0.5) / (n + 0.5 * k) for x in a]
    q = [(x + 0.5) / (m + 0.5 * k) for x in b]
    pairs = list(zip(p, q, strict=True))
    rows = [(x, y) for x, y in zip(a, b, strict=True) if x + y > 0]
    g = sum(2 * x * math.log(x * (n + m) / ((x + y) * n)) for x, y in rows if x > 0)
    g += sum(2 * y * math.log(y * (n + m) / ((x + y) * m)) for x, y in rows if y > 0)
    total = n + m
    spread = sum(total / (x + y) for x, y in rows) - 1
    williams = 1 + spread * (total / n + total / m - 1) / (6 * total * (k - 1))
    pearson = sum((x * math.sqrt(m / n) - y * math.sqrt(n / m)) ** 2 / (x + y) for x, y in rows)
    js = sum(x * math.log2(2 * x / (x + y)) + y * math.log2(2 * y / (x + y)) for x, y in pairs) / 2
    hellinger = math.sqrt(sum((math.sqrt(x) - math.sqrt(y)) ** 2 for x, y in pairs) / 2)
    gaps = [abs(x - y) for x, y in pairs]
    return [
        psi(a, b),
        max(g, 0) / williams,
        pearson,
        n,
        m,
        k,
        math.sqrt(max(js, 0)),
        hellinger,
        sum(gaps) / 2,
        max(gaps),
    ]


def voting(expected, special, kind, wide):
    """The sets of coarse slots of a feature that take part; special slots come first."""
    join = join_nested if kind == NUMERIC else join_pooled
    sets = [frozenset(slot + special for slot in found) for found in join(expected[special:], wide)]
    parts = [[slot] for slot in range(special)] if kind == NUMERIC else [[0], [1, 2]]
    return sets + [frozenset(part) for part in parts if sum(expected[slot] for slot in part) >= wide]


def divergence(coarse, whole, *, special, kind, design, left, cap, wide, seen):
    """The columns of `score` up to LINF of one feature, and its ROWS."""
    out = np.zeros(columns.KS)
    n, m = float(sum(coarse)), float(sum(whole))
    out[columns.ROWS] = n
    rest = m - left * n
    if n <= 0 or rest <= 0:
        return out
    rows = min(n, cap * rest) / design
    expected = [share / m * rows for share in whole]
    for slot in range(special):
        if coarse[slot] >= seen:
            expected[slot] = max(expected[slot], wide)
    sets = voting(expected, special, kind, wide)
    a = [sum(coarse[slot] * (rows / n) for slot in group) for group in sets]
    b = [sum((whole[slot] - left * coarse[slot]) / design for slot in group) for group in sets]
    psi_g_pearson_n_m_slots, distances = np.split(np.array(divergences(a, b)), [6])
    out[: columns.THINNEST] = psi_g_pearson_n_m_slots
    out[columns.JS : columns.LINF + 1] = distances
    out[columns.THINNEST] = min(
        ((x + y) * rows / (rows + rest / design) for x, y in zip(a, b, strict=True)), default=math.inf
    )
    return out


def numeric(counts, reference, edges, ends, sums, *, center, scale, left):
    """The columns of `score` from KS on of one numeric feature; counts from the slot below on."""
    rest = reference - left * counts
    n, m = int(counts.sum()), int(rest.sum())
    known = n > 0 and m > 0
    out = [ks(counts, rest) if known else 0.0, n, m, area(counts, rest, edges, *ends) if known else math.nan]
    if left:
        return [*out, *[math.nan] * 5]
    out += [quantile(counts, edges, q, *ends) for q in (0.01, 0.5, 0.99)]
    return [*out, *mean_std(sums, n, center, scale)]
