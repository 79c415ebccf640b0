"""Step 8: two-sample divergences between windows and a reference, over slots that are wide enough.

PSI with both samples uncertain, (1/n + 1/m) * chi2: Yurdakul and Naranjo 2020, "Statistical
properties of the population stability index", section 3. G: Wilks 1938.
"""

from __future__ import annotations

import math

import numpy as np

from kernels.jit import kernel
from kernels.layout import NOVEL, NUMERIC, OTHER, Array

GROUPS = 20
"""Coarse value slots of a numeric feature."""
LEFT_OUT = -1
"""Number of a slot that does not take part."""

PSI, G, PEARSON, N, M, SLOTS, THINNEST, JS, HELLINGER, TOTAL_VARIATION, LINF = range(11)
"""Columns of what `compare` writes."""
OUTPUTS = 11


@kernel("void(int64[:, ::1], const int64[:, ::1], const int32[::1])")
def coarsen(coarse: Array, counts: Array, group: Array) -> None:
    """Sum fine slots into coarse ones.

    coarse  int64[windows, coarse slots]   mutated; added to
    counts  int64[windows, slots]
    group   int32[slots]                   coarse slot of each slot
    """
    for window in range(len(counts)):
        for slot in range(len(group)):
            coarse[window, group[slot]] += counts[window, slot]


@kernel("int64(int64, int64)")
def _parent(group: int, level: int) -> int:
    """Node that holds a group at a level: of 10, 5, 2 or 1 nodes."""
    if level == 0:
        return group >> 1
    if level == 1:
        return group >> 2
    if level == 2:
        return (group >> 2) * 2 // 5
    return 0


@kernel("int64(int64[::1], const float64[::1], int64, int64, float64)")
def _renumber(slots: Array, expected: Array, first: int, last: int, wide: float) -> int:
    """Make labels consecutive; runs that are still thin are LEFT_OUT. Labels are never negative."""
    count = 0
    low = first
    while low < last:
        high = low
        mass = 0.0
        while high < last and slots[high] == slots[low]:
            mass += expected[high]
            high += 1
        label = LEFT_OUT
        if mass >= wide:
            label = count
            count += 1
        for slot in range(low, high):
            slots[slot] = label
        low = high
    return count


@kernel("int64(int64[::1], const float64[::1], int64, int64, float64)")
def join_nested(slots: Array, expected: Array, first: int, last: int, wide: float) -> int:
    """Number the coarse groups of a numeric feature; thin ones join along 20 → 10 → 5 → 2 → 1.

    slots     int64[coarse slots]     mutated from `first` to `last`; LEFT_OUT where all is thin
    expected  float64[coarse slots]   rows expected in the smaller sample
    wide      rows that a slot needs

    Returns how many slots there are. A node of the tree becomes one slot as soon as it holds a
    thin one, so a slot is always a node. A group without mass (an atom took its number) is no
    slot and makes nothing thin; it follows its parent.
    """
    for slot in range(first, last):
        slots[slot] = slot - first
    for level in range(4):
        low = first
        while low < last:
            high = low + 1
            while high < last and _parent(high - first, level) == _parent(low - first, level):
                high += 1
            thin = False
            part = low
            while part < high:
                mass = 0.0
                label = slots[part]
                while part < high and slots[part] == label:
                    mass += expected[part]
                    part += 1
                thin = thin or 0.0 < mass < wide
            if thin:
                for slot in range(low, high):
                    slots[slot] = low - first
            low = high
    return _renumber(slots, expected, first, last, wide)


@kernel("int64(int64[::1], const float64[::1], int64, int64, float64)")
def join_pooled(slots: Array, expected: Array, first: int, last: int, wide: float) -> int:
    """Number the categories; thin ones are pooled, in the order they stand in, until a pool is wide.

    slots     int64[coarse slots]     mutated from `first` to `last`; LEFT_OUT where all is thin
    expected  float64[coarse slots]   rows expected in the smaller sample
    wide      rows that a slot needs

    Returns how many slots there are. What is left over joins the last pool, or the lightest wide
    category where there is no pool. The order must not follow the reference's counts: pools
    of categories that were lucky together gave twice the nominal rate (250 categories, n = 1,000).
    """
    count = 0
    mass = 0.0
    pool = LEFT_OUT
    lightest = LEFT_OUT
    light = np.inf
    for slot in range(first, last):
        slots[slot] = LEFT_OUT
        if expected[slot] >= wide:
            slots[slot] = count
            if expected[slot] < light:
                light = expected[slot]
                lightest = count
            count += 1
    begin = first
    for slot in range(first, last):
        if expected[slot] < wide:
            mass += expected[slot]
        if mass >= wide or slot == last - 1:
            if mass >= wide:
                pool = count
                count += 1
            to = pool if pool != LEFT_OUT else lightest
            for part in range(begin, slot + 1):
                if expected[part] < wide:
                    slots[part] = to
            begin = slot + 1
            mass = 0.0
    return count


@kernel("int64(int64[::1], const float64[::1], int64, int64, int64, int64, float64)")
def vote(slots: Array, expected: Array, first: int, last: int, special: int, kind: int, wide: float) -> int:
    """Number the slots of one feature that are wide enough to vote; how many there are.

    slots     int64[coarse slots]     mutated from `first` to `last`: 0… or LEFT_OUT
    expected  float64[coarse slots]   rows expected in the smaller sample, of the reference's shares
    special   how many slots at `first` are special: they never join a value slot
    kind      NUMERIC or CATEGORICAL

    `novel` and `other` are one slot, the tail: a reference has no novel rows by definition, and a
    long tail always brings some, so that either alone differs in every window.
    """
    if kind == NUMERIC:
        count = join_nested(slots, expected, first + special, last, wide)
    else:
        count = join_pooled(slots, expected, first + special, last, wide)
    for slot in range(first, first + special):
        slots[slot] = LEFT_OUT
        if kind != NUMERIC and slot == first + OTHER:
            expected_tail = expected[first + NOVEL] + expected[first + OTHER]
            if expected_tail >= wide:
                slots[first + NOVEL] = slots[first + OTHER] = count
                count += 1
        elif expected[slot] >= wide and (kind == NUMERIC or slot != first + NOVEL):
            slots[slot] = count
            count += 1
    return count


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
    "void(float64[:, :, ::1], const int64[:, ::1], const float64[::1], const int32[::1], const int64[::1],"
    " const int8[::1], const float64[::1], int64, float64, float64, float64)"
)
def compare(
    out: Array,
    current: Array,
    reference: Array,
    start: Array,
    special: Array,
    kind: Array,
    design: Array,
    left: int,
    cap: float,
    wide: float,
    seen: float,
) -> None:
    """Compare every feature of every window with the reference.

    out        float64[windows, features, OUTPUTS]   mutated; zeros where there is nothing to compare
    current    int64[windows, coarse slots]
    reference  float64[coarse slots]
    start      int32[features + 1]   first coarse slot of each feature; special slots come first
    special    int64[features]       special slots per feature
    kind       int8[features]        NUMERIC or CATEGORICAL
    design     float64[features]     design effect that rows are divided by, ≥ 1
    left       1: the windows are part of the reference and left out of it one by one; else 0
    cap        a window counts at most this share of the reference's rows; inf: all
    wide       rows expected in the smaller sample that a slot needs
    seen       a special slot also takes part when the window has this many rows in it; inf: never

    Which slots take part follows from the whole reference's shares and the window's rows alone.
    """
    size = len(reference)
    expected = np.empty(size)
    slots = np.empty(size, np.int64)
    a = np.empty(size + 1)
    b = np.empty(size + 1)
    for window in range(len(current)):
        for feature in range(len(kind)):
            first = start[feature]
            last = start[feature + 1]
            n = 0.0
            m = 0.0
            for slot in range(first, last):
                n += current[window, slot]
                m += reference[slot]
            rest = m - left * n
            if n <= 0.0 or rest <= 0.0:
                continue
            rows = min(n, cap * rest) / design[feature]
            for slot in range(first, last):
                expected[slot] = reference[slot] / m * rows
                if slot < first + special[feature] and current[window, slot] >= seen:
                    expected[slot] = max(expected[slot], wide)
            count = vote(slots, expected, first, last, special[feature], kind[feature], wide)
            thinnest = np.inf
            for slot in range(count):
                a[slot] = 0.0
                b[slot] = 0.0
            for slot in range(first, last):
                to = slots[slot]
                if to >= 0:
                    a[to] += current[window, slot] * (rows / n)
                    b[to] += (reference[slot] - left * current[window, slot]) / design[feature]
            diverge(out[window, feature], a, b, count)
            for slot in range(count):
                thinnest = min(thinnest, (a[slot] + b[slot]) * rows / (rows + rest / design[feature]))
            out[window, feature, THINNEST] = thinnest
