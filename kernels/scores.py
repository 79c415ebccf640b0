"""Step 8: all scores of all features of windows against a reference, in one call.

PSI with both samples uncertain, (1/n + 1/m) * chi2: Yurdakul and Naranjo 2020, "Statistical
properties of the population stability index", section 3. G: Wilks 1938.
"""

from __future__ import annotations

import math

import numpy as np

from kernels.jit import kernel
from kernels.layout import BELOW, NUMERIC, SUM_SCALE, Array
from kernels.vote import vote

PSI, G, PEARSON, N, M, SLOTS, THINNEST, JS, HELLINGER, TOTAL_VARIATION, LINF = range(11)
"""Columns of what `score` writes: over the coarse slots that are wide enough."""
DIVERGENCES = 11
ROWS, KS, FINITE, FINITE_REFERENCE, WASSERSTEIN, P01, MEDIAN, P99, MEAN, STD = range(11, 21)
"""The others: over all slots; from KS on of numeric features alone."""
OUTPUTS = 21

_HALF = np.uint64(32)
_LOW = np.uint64(2**32 - 1)
_TOP = np.uint64(62)
_SIGN = np.uint64(63)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)


@kernel("void(float64[::1], const float64[::1], const float64[::1], int64)")
def diverge(out: Array, a: Array, b: Array, count: int) -> None:
    """Divergences of two count vectors.

    out    float64[OUTPUTS]   mutated: PSI, G, PEARSON, N, M, JS, HELLINGER, TOTAL_VARIATION, LINF
    a, b   float64[≥ count]   rows per slot of the window and of the reference; real, ≥ 0
    count  slots

    p = (a + ½) / (n + count/2), q alike. PSI = Σ (p - q) ln(p / q); JS is the square root of the
    divergence in bits; Hellinger √(½ Σ (√p - √q)²); G = 2 Σ over both samples of
    rows · ln(rows / expected rows), divided by Williams' 1976 factor, without which 20 expected rows
    per slot give 1.1 times the nominal rate; Pearson the two-sample χ². a = b gives 0 throughout.
    """
    n = 0.0
    m = 0.0
    for slot in range(count):
        n += a[slot]
        m += b[slot]
    out[N] = n
    out[M] = m
    out[SLOTS] = count
    if count < 2 or n <= 0.0 or m <= 0.0:
        return
    spread = 0.0
    psi = g = pearson = js = hellinger = total = largest = 0.0
    for slot in range(count):
        p = (a[slot] + 0.5) / (n + 0.5 * count)
        q = (b[slot] + 0.5) / (m + 0.5 * count)
        psi += (p - q) * math.log(p / q)
        middle = 0.5 * (p + q)
        js += 0.5 * (p * math.log2(p / middle) + q * math.log2(q / middle))
        hellinger += (math.sqrt(p) - math.sqrt(q)) ** 2
        total += abs(p - q)
        largest = max(largest, abs(p - q))
        both = a[slot] + b[slot]
        if both > 0.0:
            spread += 1.0 / both
            pearson += (a[slot] * math.sqrt(m / n) - b[slot] * math.sqrt(n / m)) ** 2 / both
            if a[slot] > 0.0:
                g += 2.0 * a[slot] * math.log(a[slot] * (n + m) / (both * n))
            if b[slot] > 0.0:
                g += 2.0 * b[slot] * math.log(b[slot] * (n + m) / (both * m))
    out[PSI] = psi
    out[G] = max(g, 0.0) / (
        1.0 + (n + m) * (spread - 1.0 / (n + m)) * (1.0 / n + 1.0 / m - 1.0 / (n + m)) / (6.0 * (count - 1))
    )
    out[PEARSON] = pearson
    out[JS] = math.sqrt(max(js, 0.0))
    out[HELLINGER] = math.sqrt(0.5 * hellinger)
    out[TOTAL_VARIATION] = 0.5 * total
    out[LINF] = largest


@kernel(
    "void(float64[::1], const int64[::1], const int64[::1], const float64[::1], const float64[::1], int64)"
)
def distances(out: Array, counts: Array, reference: Array, edges: Array, ends: Array, left: int) -> None:
    """KS, FINITE, FINITE_REFERENCE and WASSERSTEIN of one numeric feature.

    out                float64[OUTPUTS]     mutated in these four columns
    counts, reference  int64[edges + 1]     rows below, in bins, above
    edges              float64[edges]
    ends               float64[2]           min and max of the window: ends of below and above
    left               1: the window is part of the reference and left out of it; else 0

    KS is the largest difference of the two distribution functions, 0 where a side has no value.
    WASSERSTEIN is the area between them in the feature's unit, NaN there. Both are straight lines
    inside a bin, so one of width w adds w(|d0| + |d1|)/2, or w(d0² + d1²)/(2(|d0| + |d1|)) when
    their difference changes sign from d0 to d1 in it.
    """
    n = 0
    m = 0
    for slot in range(len(counts)):
        n += counts[slot]
        m += reference[slot] - left * counts[slot]
    out[KS] = 0.0
    out[FINITE] = n
    out[FINITE_REFERENCE] = m
    out[WASSERSTEIN] = np.nan
    if n <= 0 or m <= 0:
        return
    last = len(edges)
    f = 0
    g = 0
    before = largest = area = 0.0
    for slot in range(last + 1):
        f += counts[slot]
        g += reference[slot] - left * counts[slot]
        after = f / n - g / m
        largest = max(largest, abs(after))
        begin = edges[slot - 1] if slot > 0 else min(ends[0], edges[0])
        end = edges[slot] if slot < last else max(ends[1], edges[last - 1])
        width = end - begin
        size = abs(before) + abs(after)
        if size > 0.0 and math.isfinite(width):
            if before * after < 0.0:
                area += width * (before * before + after * after) / (2.0 * size)
            else:
                area += width * size / 2.0
        before = after
    out[KS] = largest
    out[WASSERSTEIN] = area


@kernel("float64(const int64[::1], const float64[::1], float64, float64, float64)")
def quantile(counts: Array, edges: Array, share: float, low: float, high: float) -> float:
    """The value below which `share` of the rows lie; straight lines inside bins, NaN without rows.

    counts     int64[edges + 1]   rows below, in bins, above
    edges      float64[edges]
    low, high  smallest and largest value; inf and -inf when unknown
    """
    total = 0
    for slot in range(len(counts)):
        total += counts[slot]
    if total <= 0:
        return np.nan
    goal = share * total
    slot = 0
    reached = counts[0]
    while reached < goal and slot < len(edges):
        slot += 1
        reached += counts[slot]
    begin = edges[slot - 1] if slot > 0 else min(low, edges[0])
    end = edges[slot] if slot < len(edges) else max(high, edges[slot - 1])
    value = begin
    if counts[slot] > 0:
        value += (goal - float(reached - counts[slot])) / counts[slot] * (end - begin)
    if low <= high and value < low:
        return low
    if low <= high and value > high:
        return high
    return float(value)


@kernel("UniTuple(uint64, 2)(uint64, uint64)")
def _product(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """High and low word of a * b."""
    low = (a & _LOW) * (b & _LOW)
    cross = (a >> _HALF) * (b & _LOW) + (low >> _HALF)
    other = (a & _LOW) * (b >> _HALF) + (cross & _LOW)
    return (a >> _HALF) * (b >> _HALF) + (cross >> _HALF) + (other >> _HALF), (other << _HALF) | (low & _LOW)


@kernel("float64(uint64, uint64, uint64)")
def ratio(high: np.uint64, low: np.uint64, below: np.uint64) -> float:
    """(high * 2**64 + low) / below, rounded once; below from 1 to 2**63."""
    if high == _ZERO and low == _ZERO:
        return 0.0
    quotient = rest = _ZERO
    exponent = 128
    while quotient >> _TOP == _ZERO:  # 63 digits, the last of which stands for all that follow
        rest = (rest << _ONE) | (high >> _SIGN)
        high = (high << _ONE) | (low >> _SIGN)
        low <<= _ONE
        quotient <<= _ONE
        exponent -= 1
        if rest >= below:
            rest -= below
            quotient |= _ONE
    if (rest | high | low) != _ZERO:
        quotient |= _ONE
    rounded: float = math.ldexp(float(np.int64(quotient)), exponent)
    return rounded


@kernel("void(float64[::1], const int64[::1], int64, float64, float64)")
def moments(out: Array, sums: Array, count: int, center: float, scale: float) -> None:
    """MEAN and (population) STD of one numeric feature, in its own unit.

    out    float64[OUTPUTS]   mutated in these two columns; NaN without rows
    sums   int64[3]           as `kernels.moments.add_moments` leaves them, or a sum of such
    count  finite values that went in, at most 2**31

    Exact up to the last rounding, but of the clipped and rounded values: one beyond
    `center ± SUM_CLIP * scale` counts as if it lay there. The variance is
    (count * squares - total²) / count², in integers of 128 bits.
    """
    out[MEAN] = out[STD] = np.nan
    if count <= 0:
        return
    n = np.uint64(count)
    total = np.uint64(abs(sums[0]))
    mean = ratio(_ZERO, total, n)
    out[MEAN] = center + scale * ((mean if sums[0] >= 0 else -mean) / SUM_SCALE)
    low = np.uint64(sums[2]) << _HALF
    squares = low + np.uint64(sums[1])
    carry = _ONE if squares < low else _ZERO
    high, low = _product(n, squares)
    high += n * ((np.uint64(sums[2]) >> _HALF) + carry)
    first, second = _product(total, total)
    spread = 0.0
    if high > first or (high == first and low > second):
        borrow = _ONE if low < second else _ZERO
        spread = ratio(high - first - borrow, low - second, n * n)
    out[STD] = scale * (math.sqrt(spread) / SUM_SCALE)


@kernel(
    "void(float64[:, :, ::1], int64[:, ::1], const int64[:, ::1], const int64[:, :, ::1], const float64[:, :, ::1],"
    " const int64[::1], const float64[::1], const int32[::1], const int32[::1], const int64[::1], const float64[::1],"
    " const int8[::1], const int32[::1], const int32[::1], const float64[::1], const int32[::1],"
    " const float64[::1], const float64[::1], int64, float64, float64, float64)"
)
def score(
    out: Array,
    coarse: Array,
    counts: Array,
    sums: Array,
    extremes: Array,
    reference: Array,
    whole: Array,
    group: Array,
    place: Array,
    special: Array,
    design: Array,
    kind: Array,
    column: Array,
    start: Array,
    edges: Array,
    edge_start: Array,
    center: Array,
    scale: Array,
    left: int,
    cap: float,
    wide: float,
    seen: float,
) -> None:
    """Every score of every feature of every window.

    out        float64[windows, features, OUTPUTS]  written over. Divergences are 0 where there is
               nothing to compare; from KS on NaN of other than numeric features; from P01 on NaN
               when `left`, as windows of a reference have neither sums nor extremes
    coarse     int64[windows, coarse slots]         written over: the counts, coarse
    counts     int64[windows, slots]
    sums       int64[windows, numeric, SUM_WORDS]
    extremes   float64[windows, numeric, 2]         min and max; inf and -inf when unknown
    reference  int64[slots]
    whole      float64[coarse slots]                the reference, coarse, as divergences see it
    group      int32[slots]                         coarse slot of each slot
    place      int32[features + 1]                  first coarse slot of each feature
    special    int64[features]                      special coarse slots, which come first
    design     float64[features]                    design effect that rows are divided by, ≥ 1
    kind, column, start, edges, edge_start, center, scale   as in `kernels.layout.Layout`
    left       1: the windows are part of the reference and left out of it one by one; else 0
    cap        a window counts at most this share of the reference's rows; inf: all
    wide       rows expected in the smaller sample that a slot needs
    seen       a special slot also takes part when the window has this many rows in it; inf: never

    Which slots take part follows from the whole reference's shares and the window's rows alone.
    """
    expected = np.empty(len(whole))
    slots = np.empty(len(whole), np.int64)
    a = np.empty(len(whole) + 1)
    b = np.empty(len(whole) + 1)
    for window in range(len(counts)):
        coarse[window] = 0
        for slot in range(len(group)):
            coarse[window, group[slot]] += counts[window, slot]
        for feature in range(len(kind)):
            row = out[window, feature]
            row[:KS] = 0.0
            row[KS:] = np.nan
            if kind[feature] == NUMERIC:
                numeric = column[feature]
                own = edges[edge_start[numeric] : edge_start[numeric + 1]]
                mine = counts[window, start[feature] + BELOW : start[feature + 1]]
                ends = extremes[window, numeric]
                theirs = reference[start[feature] + BELOW : start[feature + 1]]
                distances(row, mine, theirs, own, ends, left)
                if not left:
                    row[P01] = quantile(mine, own, 0.01, ends[0], ends[1])
                    row[MEDIAN] = quantile(mine, own, 0.5, ends[0], ends[1])
                    row[P99] = quantile(mine, own, 0.99, ends[0], ends[1])
                    moments(row, sums[window, numeric], int(row[FINITE]), center[numeric], scale[numeric])
            first = place[feature]
            last = place[feature + 1]
            n = 0.0
            m = 0.0
            for slot in range(first, last):
                n += coarse[window, slot]
                m += whole[slot]
            row[ROWS] = n
            rest = m - left * n
            if n <= 0.0 or rest <= 0.0:
                continue
            rows = min(n, cap * rest) / design[feature]
            for slot in range(first, last):
                expected[slot] = whole[slot] / m * rows
                if slot < first + special[feature] and coarse[window, slot] >= seen:
                    expected[slot] = max(expected[slot], wide)
            count = vote(slots, expected, first, last, special[feature], kind[feature], wide)
            for slot in range(count):
                a[slot] = 0.0
                b[slot] = 0.0
            for slot in range(first, last):
                to = slots[slot]
                if to >= 0:
                    a[to] += coarse[window, slot] * (rows / n)
                    b[to] += (whole[slot] - left * coarse[window, slot]) / design[feature]
            diverge(row, a, b, count)
            row[THINNEST] = np.inf
            for slot in range(count):
                thin = (a[slot] + b[slot]) * rows / (rows + rest / design[feature])
                row[THINNEST] = min(row[THINNEST], thin)
