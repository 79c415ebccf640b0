"""A window's scores as other products would give them, for those who come from there. They have no vote.

Values are known where counts are by value: of categorical features unless the reference has a tail of rare categories
or the window more new ones than are kept by name, of numeric ones where every row lies in a bin of a single number. Of
other numeric features the rows of a bin are taken to lie evenly in it: such scores are marked `near`, and are not the
product's. configs/compat.md lists what can be had, and why the rest cannot.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.layout import FIRST_BIN, MISSING, NON_FINITE, NOVEL, OTHER
from monitor.judge.prepare import Prepared
from monitor.judge.published import OF_NAMES, Array, Names
from monitor.judge.published_numbers import OF_NUMBERS, Numbers
from monitor.plan import Kind
from monitor.reference.profile import CATEGORIES, FeatureProfile
from monitor.verdict import Window

SPREAD = 16
"""Places within a bin that its rows are laid at where their values are not known."""


def compat_scores(window: Window, prepared: Prepared, products: Sequence[str]) -> dict[str, Any]:
    """Product → feature → {near, scores}, JSON-able; features without any score are left out.

    Compared is with the whole reference, whatever season the window is in: none of them has seasons.
    """
    frame = prepared.frame
    found: dict[str, Any] = {product: {} for product in products}
    for i, profile in enumerate(frame.features):
        own = slice(int(frame.layout.start[i]), int(frame.layout.start[i + 1]))
        reference, current = frame.counts[own].astype(np.float64), window.counts[own].astype(np.float64)
        column = int(frame.layout.column[i])
        near = False
        scores: dict[str, dict[str, float]] = {}
        if profile.kind in CATEGORIES:
            names = _names(profile, reference, current, window.novel.get(column, {}))
            scores = {} if names is None else {one: OF_NAMES[one](names) for one in products}
        elif profile.kind is Kind.NUMERIC:
            able = [one for one in products if one in OF_NUMBERS and _is_taken(one, reference, current)]
            with np.errstate(all="ignore"):  # of values near the largest double; what overflows is left out
                numbers = _numbers(profile, reference, current, window.extremes[column])
                near, scores = not numbers.exact, {one: OF_NUMBERS[one](numbers) for one in able}
        for product, values in scores.items():
            finite = {name: value for name, value in values.items() if math.isfinite(value)}
            if finite:
                found[product][profile.name] = {"near": near, "scores": finite}
    return found


def extent(product: str, profile: FeatureProfile, reference: NDArray[np.int64]) -> str:
    """How far a product's scores of a feature can be had: exact | near | none. `reference`: its slots.

    A window can have less: new categories that are not all kept by name, values where the reference has none.
    """
    if profile.kind in CATEGORIES:
        return "none" if reference[OTHER] or len(profile.tail) else "exact"
    if profile.kind is not Kind.NUMERIC or product not in OF_NUMBERS:
        return "none"
    single = np.nextafter(profile.edges[:-1], np.inf) >= profile.edges[1:]
    return "near" if (reference[FIRST_BIN:-1].astype(bool) & ~single).any() else "exact"


def _names(
    profile: FeatureProfile, reference: Array, current: Array, novel: Mapping[str, int]
) -> Names | None:
    """Rows by category, in the order of the names; None where not every category is known by its rows."""
    if reference[OTHER] or current[OTHER] or len(profile.tail) or sum(novel.values()) != current[NOVEL]:
        return None
    rows = dict(
        zip(profile.categories, zip(reference[FIRST_BIN:], current[FIRST_BIN:], strict=True), strict=True)
    )
    rows |= {name: (0.0, float(count)) for name, count in novel.items()}
    both = np.array([rows[name] for name in sorted(rows) if any(rows[name])]).reshape(-1, 2)
    missing = (float(reference[MISSING]), float(current[MISSING]))
    return Names(np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1]), missing)


def _is_taken(product: str, reference: Array, current: Array) -> bool:
    """Whether the product takes such a column: NannyML fails on infinities, and Scouter bins them as numbers."""
    return product == "evidently" or not (
        current[NON_FINITE] or (product == "nannyml" and reference[NON_FINITE])
    )


def _numbers(profile: FeatureProfile, reference: Array, current: Array, extremes: Array) -> Numbers:
    low, high = (
        (float(extremes[0]), float(extremes[1])) if current[FIRST_BIN - 1 :].any() else (math.inf, -math.inf)
    )
    starts = np.concatenate([[min(low, profile.edges[0])], profile.edges])
    ends = np.concatenate([profile.edges, [max(high, profile.edges[-1])]])
    single = np.nextafter(starts, np.inf) >= ends
    there = reference[FIRST_BIN - 1 :] + current[FIRST_BIN - 1 :] > 0
    single[[0, -1]] = False  # of what lies beyond the reference the extremes alone are known
    bins = np.flatnonzero(there)
    places = np.where(single[bins], 1, SPREAD)
    each = np.repeat(bins, places)
    place = np.arange(len(each)) - np.repeat(np.cumsum(places) - places, places)
    places = np.repeat(places, places)
    values = starts[each] + np.where(single[each], 0.0, (ends - starts)[each] * ((place + 0.5) / places))
    sides = []
    for counts in (reference, current):
        own = counts[FIRST_BIN - 1 + each]
        sides.append(np.rint(own * (place + 1) / places) - np.rint(own * place / places))
    return Numbers(
        values, sides[0], sides[1],
        low=(profile.minimum, low), high=(profile.maximum, high),
        rows=float(current.sum()), exact=not (there & ~single).any(),
    )  # fmt: skip
