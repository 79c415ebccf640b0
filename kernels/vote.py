"""Step 8: which coarse slots of a feature are wide enough to take part in a comparison."""

from __future__ import annotations

import numpy as np

from kernels.jit import kernel
from kernels.layout import NOVEL, NUMERIC, OTHER, Array

GROUPS = 20
"""Coarse value slots of a numeric feature."""
LEFT_OUT = -1
"""Number of a slot that does not take part."""


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
