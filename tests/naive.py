"""Slow, obvious twins of the kernels, in plain Python. What they say is right by definition."""

from __future__ import annotations

import math
import sys
from fractions import Fraction

import numpy as np

from kernels.layout import (
    CATEGORICAL,
    LATENCY_BINS,
    LATENCY_GAMMA,
    LATENCY_MIN_MS,
    OTHER,
    VECTOR,
    CellArrays,
    Layout,
    Rules,
)


def slot_of(x: float, edges) -> int:
    """The slot of a numeric value, counting edges one by one."""
    if math.isnan(x):
        return 0
    if math.isinf(x):
        return 1
    return 2 + sum(1 for edge in edges if edge <= x)


def code_slot(code: int, slots: int) -> int:
    return code if 0 <= code < slots else OTHER


def quantum(x: float, center: float, scale: float) -> int:
    """The integer that stands for x in the exact moments: up to ±2**16 scales, to 2**-16 of one."""
    z = (x - center) * min(65536.0 / scale, sys.float_info.max)
    return round(min(max(z, -(2.0**32)), 2.0**32))


def latency_edges() -> list[float]:
    edges = [0.0, LATENCY_MIN_MS]
    while len(edges) < LATENCY_BINS - 1:
        edges.append(edges[-1] * LATENCY_GAMMA)
    return [*edges, math.inf]


EDGES = latency_edges()


def latency_bin(ms: float) -> int:
    if math.isnan(ms) or ms < 0:
        return 0
    return next(i for i, edge in enumerate(EDGES) if i > 0 and ms <= edge)


def fold(
    cells: CellArrays,
    layout: Layout,
    rules: Rules,
    *,
    cell,
    values,
    codes,
    latency,
    errors,
    offsets,
    vectors=None,
) -> None:
    """Same arguments and effect as `kernels.fold.fold`; one row and one feature at a time."""
    for row, to in enumerate(int(c) for c in cell):
        if to < 0:
            continue
        offset = int(offsets[row])
        cells.rows[to] += 1
        cells.errors[to] += 1 if errors[row] else 0
        cells.first[to] = offset if cells.first[to] < 0 else min(int(cells.first[to]), offset)
        cells.last[to] = max(int(cells.last[to]), offset)
        cells.latency[to, latency_bin(float(latency[row]))] += 1
        for feature in range(layout.features):
            column, start = int(layout.column[feature]), int(layout.start[feature])
            if layout.kind[feature] == CATEGORICAL:
                slots = int(layout.start[feature + 1]) - start
                slot = code_slot(int(codes[column, row]), slots)
                cells.counts[to, start + slot] += 1
                _judge(
                    cells, to, rules, feature, slot == 0, rules.category, bool(rules.forbidden[start + slot])
                )
                continue
            if layout.kind[feature] == VECTOR:
                slot = add_vector(cells.vectors[to], layout, column, vectors[row].tolist())
                cells.counts[to, start + slot] += 1
                _judge(cells, to, rules, feature, slot == 0, rules.null, False)
                continue
            x = float(values[column, row])
            is_outside = math.isinf(x) or x < float(rules.low[feature]) or x > float(rules.high[feature])
            _judge(cells, to, rules, feature, math.isnan(x), rules.range, is_outside)
            edges = layout.edges[layout.edge_start[column] : layout.edge_start[column + 1]].tolist()
            cells.counts[to, start + slot_of(x, edges)] += 1
            if math.isfinite(x):
                _add_moment(cells, to, column, x, float(layout.center[column]), float(layout.scale[column]))


def _judge(cells: CellArrays, to: int, rules: Rules, feature: int, missing: bool, rule, broken: bool) -> None:
    if missing and rules.null[feature] >= 0:
        cells.violations[to, rules.null[feature]] += 1
    if broken and rule[feature] >= 0:
        cells.violations[to, rule[feature]] += 1


def _add_moment(cells: CellArrays, to: int, column: int, x: float, center: float, scale: float) -> None:
    q = quantum(x, center, scale)
    square = min(abs(q), 2**32 - 1) ** 2
    words = (q, square % 2**32, square // 2**32)
    for word, amount in enumerate(words):
        cells.sums[to, column, word] = int(cells.sums[to, column, word]) + amount
    x = 0.0 if x == 0 else x
    cells.extremes[to, column, 0] = min(float(cells.extremes[to, column, 0]), x)
    cells.extremes[to, column, 1] = max(float(cells.extremes[to, column, 1]), x)


def add_vector(words, layout: Layout, own: int, row: list[float]) -> int:
    """Add the vector of feature `own` among a row's dimensions to its words; returns its slot."""
    of = layout.vectors
    low, high = int(of.dim_start[own]), int(of.dim_start[own + 1])
    vector = row[low:high]
    if not all(math.isfinite(x) for x in vector):
        return 0 if all(math.isnan(x) for x in vector) else 1
    dims, word, steps = high - low, int(of.word_start[own]), []
    for dim, x in enumerate(vector):
        z = (x - float(of.center[low + dim])) * (1.0 / float(of.scale[low + dim]))
        q = round(min(max(z, -65536.0), 65536.0) * 65536.0)
        square = min(abs(q), 2**32 - 1) ** 2
        for place, amount in enumerate((q, square % 2**32, square // 2**32)):
            words[word + place * dims + dim] = int(words[word + place * dims + dim]) + amount
        steps.append(round(min(max(z * 2048.0, -32767.0), 32767.0)))
    for frequency, wave in enumerate(of.waves[:, of.wave_start[own] :].tolist()):
        turns = sum(a * b for a, b in zip(steps, wave, strict=False)) * 2 ** int(of.shift[own])
        share = Fraction((turns + int(of.phases[own, frequency])) % 2**32, 2**32)
        amount = round(2**20 * math.sqrt(2 / len(of.waves)) * math.cos(2 * math.pi * float(share)))
        words[word + 3 * dims + frequency] = int(words[word + 3 * dims + frequency]) + amount
    return 3


def mean_std(xs, center: float, scale: float) -> tuple[float, float]:
    """Mean and population standard deviation of the clipped and rounded values, by fractions."""
    qs = [Fraction(quantum(x, center, scale), 65536) for x in xs]
    mean = sum(qs) / len(qs)
    variance = sum((q - mean) ** 2 for q in qs) / len(qs)
    return center + scale * float(mean), scale * math.sqrt(variance)


def ordered(values) -> np.ndarray:
    """Ascending; of equal numbers, which are zeros or the same, the negative sign first."""
    return np.array(sorted(values, key=lambda x: (x, math.copysign(1.0, x))), np.float64)


def quantile(xs, q: float) -> float:
    """The value of rank floor(q * (n - 1))."""
    return sorted(xs)[int(q * (len(xs) - 1))]


def watermark(seen: list[int], agree: int, *, log_append: bool, bound: int) -> int:
    """`seen` are all event times that count, in any order."""
    ranked = sorted(seen, reverse=True)
    rank = 1 if log_append else agree
    return -1 if len(ranked) < rank else max(ranked[rank - 1] - bound, 0)


def place(
    rows, agree: int, *, log_append: bool, bound: int, max_future: int, max_ahead: int
) -> tuple[list[int], list[int]]:
    """Pane start (-1 late, -2 future) of each (event, timestamp, lateness, pane) of a whole log.

    Beside it, the watermark before each row. Remembers every event time instead of the largest.
    """
    seen: list[int] = []
    panes: list[int] = []
    marks: list[int] = []
    for event, timestamp, lateness, pane in rows:
        mark = watermark(seen, agree, log_append=log_append, bound=bound)
        marks.append(mark)
        if timestamp >= 0 and event > timestamp + max_future:
            panes.append(-2)
        elif not log_append and len(seen) >= agree and event > sorted(seen)[-agree] + max_ahead:
            panes.append(-2)
            seen.append(event)
        elif event < 0 or (mark >= 0 and event < mark - lateness):
            panes.append(-1)
        else:
            panes.append(event // pane * pane)
            seen.append(event)
    return panes, marks


def number_pairs(rows) -> tuple[list[int], list[int]]:
    """Number of each row's (group, pane) in order of first appearance, -1 for negative panes; first rows."""
    met: dict[tuple[int, int], int] = {}
    first: list[int] = []
    numbers: list[int] = []
    for row, (group, pane) in enumerate(rows):
        if pane < 0:
            numbers.append(-1)
            continue
        if (group, pane) not in met:
            met[group, pane] = len(met)
            first.append(row)
        numbers.append(met[group, pane])
    return numbers, first


def gather(array: list[int]) -> tuple[list[int], list[int], list[int]]:
    """Gaps and values of the elements that are not zero; largest, smallest (or 0), widest gap."""
    places = [at for at, value in enumerate(array) if value]
    gaps = [place - before for before, place in zip([0, *places], places, strict=False)]
    return gaps, [array[at] for at in places], [max([0, *array]), min([0, *array]), max([0, *gaps])]
