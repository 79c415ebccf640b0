"""Whether a reference is consistent, before any kernel indexes with it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kernels.layout import FREQUENCIES, LATENCY_BINS
from monitor.errors import ReferenceInvalid
from monitor.intake.times import LATEST_MS
from monitor.plan import LONGEST_VECTOR, Kind
from monitor.reference import calibrated
from monitor.reference.bins import GROUPS
from monitor.reference.grouped import fits as fit_together
from monitor.reference.profile import FeatureProfile, Reference
from monitor.reference.sampled import fits
from monitor.reference.segments import wrong
from monitor.reference.vector import COARSEST, SMALLEST, mean_words, stacked

MAX_FEATURES = 100_000
MAX_SLOTS = 1 << 16
"""Slots of one feature: far above what a build makes, far below what 32-bit slot numbers hold."""
LARGEST_COUNT = 1 << 52
"""Rows of one reference; sums of such counts stay exact in 64 bits."""


def check(reference: Reference, *, where: str) -> None:
    """Raise ReferenceInvalid unless every array fits every other. `where` is named in errors."""
    _require(len(reference.features) <= MAX_FEATURES, "too many features", where, f"at most {MAX_FEATURES}")
    names = [profile.name for profile in reference.features]
    _require(len(set(names)) == len(names), "a feature name occurs twice", where, "one feature per name")
    for profile in reference.features:
        _check_profile(profile, where=f"{where}, feature {profile.name!r}")
    _check_groups(reference, where=where)
    slots = sum(profile.slots for profile in reference.features)
    _require(slots < 2**31, f"{slots} slots", where, "fewer than 2147483648")
    _check_times(reference, where=where)
    panes = reference.panes
    _require(
        all(len(array) == len(panes) for array in (panes.rows, panes.errors)),
        "rows or errors do not have one entry per pane",
        where,
        "one each",
    )
    _check_sparse(panes.indptr, panes.slots, panes.values, len(panes), size=slots, where=f"{where}, panes")
    _check_sparse(
        panes.latency_indptr,
        panes.latency_bins,
        panes.latency_values,
        len(panes),
        size=LATENCY_BINS,
        where=f"{where}, latency",
    )
    _check_sums(reference, slots=slots, where=where)
    _check_words(reference, where=where)
    _check_segments(reference, slots=slots, where=where)
    _require(
        fits(reference),
        "sampled rows that do not fit the features or the panes",
        where,
        "a slot of every feature in each, and no more of a pane than it has rows",
    )
    _require(
        calibrated.fits(reference),
        "labelled rows that do not fit the scores or the segments",
        where,
        "no more of a score than it has rows, and those of the segments of a column together",
    )


def _check_profile(profile: FeatureProfile, *, where: str) -> None:
    _require(profile.name != "", "a feature without a name", where, "a name")
    _require(bool(profile.path or profile.members), "no path", where, "where live records have the feature")
    _require(profile.slots <= MAX_SLOTS, f"{profile.slots} slots", where, f"at most {MAX_SLOTS}")
    numbers = (profile.center, profile.scale, profile.design)
    _require(
        all(math.isfinite(number) for number in numbers) and profile.scale > 0 and profile.design >= 1,
        f"center {profile.center}, scale {profile.scale}, design effect {profile.design}",
        where,
        "finite numbers, a scale above 0 and a design effect of at least 1",
    )
    levels = profile.coarse_levels
    _require(
        all(0 < low < high for high, low in zip((GROUPS + 1, *levels), levels, strict=False)),
        f"coarse levels {levels}",
        where,
        f"falling numbers from {GROUPS} to 1",
    )
    if profile.kind is Kind.VECTOR or profile.vector is not None:
        _check_vector(profile, where=where)
        return
    if profile.kind is not Kind.NUMERIC:
        _check_categories(profile, where=where)
        return
    edges, coarse = profile.edges, profile.coarse
    _require(
        len(edges) >= 2 and bool(np.isfinite(edges).all()) and bool((np.diff(edges) > 0).all()),
        "edges that do not ascend, or that are not finite",
        where,
        "at least two ascending finite numbers",
    )
    _require(
        len(coarse) == len(edges) - 1
        and bool((np.diff(coarse.astype(np.int64)) >= 0).all())
        and int(coarse[0]) >= 0
        and int(coarse[-1]) < GROUPS,
        "coarse groups that do not fit the bins",
        where,
        f"one per bin, ascending from 0 to at most {GROUPS - 1}",
    )


def _check_categories(profile: FeatureProfile, *, where: str) -> None:
    names = profile.categories
    _require(len(set(names)) == len(names), "a category occurs twice", where, "one slot per category")
    _require(0 <= profile.novelty <= 1, f"novelty {profile.novelty}", where, "a share")
    rising = bool((profile.tail[1:] > profile.tail[:-1]).all())
    _require(rising, "hashes of rare categories that do not ascend", where, "ascending ones")
    if profile.kind is Kind.BOOLEAN:
        _require(names == ("false", "true"), f"categories {names}", where, '"false" and "true"')


def _check_vector(profile: FeatureProfile, *, where: str) -> None:
    vector = profile.vector
    fits = vector is not None and profile.kind is Kind.VECTOR
    _require(fits, "a vector part that does not fit its kind", where, "one")
    assert vector is not None
    _require(
        1 <= vector.length <= LONGEST_VECTOR
        and vector.scale.shape == (vector.length,)
        and vector.waves.shape == (FREQUENCIES, vector.length)
        and vector.phases.shape == (FREQUENCIES,),
        "arrays of a vector that do not fit each other",
        where,
        f"those of 1 to {LONGEST_VECTOR} numbers and {FREQUENCIES} frequencies",
    )
    _require(
        bool(np.isfinite(vector.center).all())
        and bool((vector.scale >= SMALLEST).all())
        and bool(np.isfinite(vector.scale).all()),
        "centres or scales that are no numbers",
        where,
        f"finite numbers, and scales from {SMALLEST:g}",
    )
    _require(
        0 <= vector.shift <= COARSEST and math.isfinite(vector.bandwidth) and vector.bandwidth > 0,
        f"shift {vector.shift}, bandwidth {vector.bandwidth}",
        where,
        f"0 to {COARSEST} and a number above 0",
    )


def _check_groups(reference: Reference, *, where: str) -> None:
    """Decoders make the vectors of groups of the columns of their members, behind the vectors that they read."""
    numeric = {profile.name for profile in reference.features if profile.kind is Kind.NUMERIC}
    seen = False
    for profile in reference.features:
        here, traces = f"{where}, group {profile.name!r}", profile.vector.traces if profile.vector else ()
        _require(not seen or bool(profile.members), "a feature behind a group", here, "groups last")
        seen = bool(profile.members)
        if not seen:
            _require(not traces, "traces of a feature that is no group", here, "none")
            continue
        _require(
            numeric.issuperset(profile.members)
            and fit_together(profile.members)
            and profile.vector is not None
            and profile.vector.length == len(profile.members)
            and len(traces) == 3
            and all(math.isfinite(trace) and trace >= 0 for trace in traces)
            and traces[0] ** 2 >= traces[1] * (1 - 1e-6)
            and traces[1] ** 2 >= traces[2] * (1 - 1e-6)
            and (traces[2] > 0) == (traces[0] > 0),
            "members or traces of a group that cannot be",
            here,
            "different numeric features, one for each number of its vector, and the traces of a covariance",
        )


def _check_words(reference: Reference, *, where: str) -> None:
    of = stacked([profile.vector for profile in reference.features if profile.vector is not None])
    means, panes = mean_words(of), reference.panes
    _require(
        reference.vectors.shape == (of.words,)
        and (not of.count or panes.vectors.shape == (len(panes), len(means)))
        and (not of.count or bool((panes.vectors.sum(axis=0) == reference.vectors[means]).all())),
        "sums of vectors that do not fit the panes",
        where,
        "the sums over the panes",
    )


def _check_segments(reference: Reference, *, slots: int, where: str) -> None:
    for column in reference.segments:
        here = f"{where}, segments by {column.name!r}"
        for part in column.parts:
            panes, novelty = part.panes, part.novelty
            sparse = (panes.indptr, panes.slots, panes.values)
            _check_sparse(*sparse, len(panes), size=slots, where=here)
            latency = (panes.latency_indptr, panes.latency_bins, panes.latency_values)
            _check_sparse(*latency, len(panes), size=LATENCY_BINS, where=here)
            _require(
                bool(((panes.errors >= 0) & (panes.errors <= panes.rows)).all())
                and len(novelty) == len(reference.features)
                and bool(((novelty >= 0) & (novelty <= 1)).all())
                and _counts_every_row(replace(reference, panes=panes)),
                "rows, errors or novelty that do not fit the counts",
                here,
                "one slot of every feature per row, and shares",
            )
        problem = wrong(reference, column)
        _require(not problem, problem, here, "different values, and segments that add up to the whole")


def _check_times(reference: Reference, *, where: str) -> None:
    starts, pane = reference.panes.starts, reference.pane
    _require(
        0 <= reference.created <= LATEST_MS,
        f"created {reference.created}",
        where,
        "a time before the year 10000",
    )
    if not reference.timed:
        _require(
            len(starts) == 1 and pane == 0, f"untimed, {len(starts)} panes of {pane} ms", where, "one of 0 ms"
        )
        return
    _require(0 < pane < 1 << 62, f"panes of {pane} ms", where, "at least 1 ms")
    _require(len(starts) > 0, "no panes", where, "at least one")
    _require(
        int(starts[0]) >= 0
        and int(starts[-1]) <= LATEST_MS
        and bool((np.diff(starts) > 0).all())
        and not bool((starts % pane).any()),
        "pane starts that do not ascend, or are no multiples of the pane size",
        where,
        f"ascending multiples of {pane} ms since 1970",
    )


def _check_sparse(
    indptr: NDArray[np.int64],
    slots: NDArray[np.int32],
    values: NDArray[np.int64],
    panes: int,
    *,
    size: int,
    where: str,
) -> None:
    _require(
        len(indptr) == panes + 1
        and int(indptr[0]) == 0
        and bool((np.diff(indptr) >= 0).all())
        and int(indptr[-1]) == len(slots) == len(values),
        "row pointers that do not fit the counts",
        where,
        "one ascending pointer per pane, from 0 to the number of counts",
    )
    if len(slots) == 0:
        return
    _require(
        int(slots.min()) >= 0 and int(slots.max()) < size,
        "slots outside the layout",
        where,
        f"slots from 0 to {size - 1}",
    )
    rising = np.diff(slots.astype(np.int64)) > 0
    borders = indptr[1:-1]
    rising[borders[(borders > 0) & (borders < len(slots))] - 1] = True
    _require(bool(rising.all()), "slots that do not ascend within a pane", where, "each slot once, ascending")
    _require(
        int(values.min()) > 0 and int(values.max()) <= LARGEST_COUNT,
        "counts that are not positive",
        where,
        f"counts from 1 to {LARGEST_COUNT}",
    )


def _check_sums(reference: Reference, *, slots: int, where: str) -> None:
    panes = reference.panes
    _require(
        int(panes.rows.min(initial=1)) >= 0 and float(panes.rows.sum(dtype=np.float64)) <= LARGEST_COUNT,
        "impossible numbers of rows",
        where,
        f"numbers from 0 to {LARGEST_COUNT}",
    )
    _require(
        int(panes.errors.min(initial=0)) >= 0 and bool((panes.errors <= panes.rows).all()),
        "more errors than rows",
        where,
        "at most one error per row",
    )
    totals = (reference.rows, reference.errors)
    _require(
        totals == (int(panes.rows.sum()), int(panes.errors.sum())),
        f"{totals[0]} rows, {totals[1]} errors",
        where,
        "the sums over the panes",
    )
    _require(
        _adds_up(reference.counts, panes.slots, panes.values, size=slots)
        and _adds_up(reference.latency, panes.latency_bins, panes.latency_values, size=LATENCY_BINS),
        "totals that are not the sums over the panes",
        where,
        "the sums over the panes",
    )
    _require(
        _counts_every_row(reference),
        "a feature that does not count every row once",
        where,
        "one slot of every feature per row",
    )


def _adds_up(
    total: NDArray[np.int64], slots: NDArray[np.int32], values: NDArray[np.int64], *, size: int
) -> bool:
    if len(total) != size:
        return False
    sums = np.zeros(size, np.int64)
    np.add.at(sums, slots, values)
    return bool((sums == total).all())


def _counts_every_row(reference: Reference) -> bool:
    """Whether every feature has as many counts in a pane as the pane has rows."""
    panes, features = reference.panes, len(reference.features)
    if not features:
        return True
    owner = np.repeat(np.arange(features), [profile.slots for profile in reference.features])
    pane = np.repeat(np.arange(len(panes)), np.diff(panes.indptr))
    # as doubles, which are exact up to LARGEST_COUNT
    sums = np.bincount(pane * features + owner[panes.slots], panes.values, len(panes) * features)
    return bool((sums.reshape(len(panes), features) == panes.rows[:, np.newaxis]).all())


def _require(holds: bool, what: str, where: str, right: str) -> None:  # noqa: FBT001
    if not holds:
        raise ReferenceInvalid(f"{what} - {where} - {right} would be right")
