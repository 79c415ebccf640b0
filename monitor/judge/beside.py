"""How far a window lies from other counts than its reference: shown beside the tests, and no vote."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kernels.layout import FIRST_BIN, MISSING, NON_FINITE, NOVEL, OTHER
from monitor.judge import catalogue as names
from monitor.judge.extract import extract
from monitor.judge.mixture import framed, rounded
from monitor.judge.prepare import Prepared
from monitor.judge.scores import score
from monitor.judge.votes import counts_of
from monitor.novel import hash64
from monitor.plan import Kind
from monitor.reference.profile import FeatureProfile, Reference
from monitor.reference.vector import mean_words
from monitor.verdict import Beside, Window

SHOWN = (names.PSI, names.KS, "js", names.WASSERSTEIN, names.MMD, names.JOINT, *names.RATIOS)
"""What is shown of each feature; all scores would double the verdicts in the ledger with every name."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbour:
    """What a window is compared with, in the slots of its own reference: arrays as of a `Window`.

    means  int64[mean words], or of length 0: vectors are not compared
    """

    rows: int
    errors: int
    counts: NDArray[np.int64]
    latency: NDArray[np.int64]
    means: NDArray[np.int64]


def counted(window: Window, prepared: Prepared) -> Neighbour:
    means = np.asarray(window.vectors, np.int64)[mean_words(prepared.frame.layout.vectors)]
    return Neighbour(window.rows, window.errors, window.counts, window.latency, means)


def compare(
    window: Window, prepared: Prepared, other: Neighbour, *, name: str, start: int = -1, end: int = -1
) -> Beside:
    """Scores of a window that has rows against `other`; features of which either has no rows are left out."""
    if other.rows == 0:
        return Beside(name, start, end, 0, "it has no rows")
    blank = len(other.means) != len(prepared.frame.means)
    there = framed(
        replace(prepared.frame, bases=()),  # neyman is not shown of it
        size=other.rows,
        counts=other.counts.astype(np.float64),
        latency=other.latency.astype(np.float64),
        errors=other.errors,
        means=np.zeros(len(prepared.frame.means)) if blank else other.means.astype(np.float64),
    )
    counts = counts_of(window, prepared)
    numbers = extract(counts, there, left_out=False)
    found = score(window, counts, there, hits=numbers.hits[0], trials=numbers.trials[0])
    start_of = there.layout.start
    empty = {
        profile.name
        for i, profile in enumerate(there.features)
        if not there.counts[start_of[i] : start_of[i + 1]].any()
    }
    hidden = {names.MMD, names.JOINT} if blank else set()
    scores = {
        feature: {one: value for one, value in own.items() if one in SHOWN and one not in hidden}
        for feature, own in found.items()
        if feature not in empty
    }
    return Beside(name, start, end, other.rows, "", scores)


def rebinned(other: Reference, own: Reference) -> Neighbour:
    """The counts of another reference in the slots of `own`.

    Exact where both have the same edges; else the values inside a bin are taken to lie evenly. Categories
    go by name. Features that it lacks or that are of another kind have no counts; vectors have no means.
    """
    borders = np.cumsum([profile.slots for profile in other.features])[:-1]
    each = zip(other.features, np.split(other.counts, borders), strict=True)
    have = {profile.name: (profile, counts) for profile, counts in each}
    parts = []
    for profile in own.features:
        slots = np.zeros(profile.slots)
        theirs = have.get(profile.name)
        if theirs is not None and theirs[0].kind is profile.kind:
            slots = _numeric(*theirs, profile) if profile.kind is Kind.NUMERIC else _named(*theirs, profile)
        parts.append(rounded(slots))
    counts = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    return Neighbour(other.rows, other.errors, counts, other.latency, np.zeros(0, np.int64))


def _numeric(theirs: FeatureProfile, counts: NDArray[np.int64], own: FeatureProfile) -> NDArray[np.float64]:
    if np.array_equal(theirs.edges, own.edges):
        return counts.astype(np.float64)
    slots = np.zeros(own.slots)
    slots[[MISSING, NON_FINITE]] = counts[[MISSING, NON_FINITE]]
    below = np.concatenate([[0.0], np.cumsum(counts[FIRST_BIN:-1])])
    at = np.interp(own.edges, theirs.edges, below)
    slots[FIRST_BIN - 1] = at[0] + counts[FIRST_BIN - 1]
    slots[FIRST_BIN:-1] = np.diff(at)
    slots[-1] = below[-1] - at[-1] + counts[-1]
    return slots


def _named(theirs: FeatureProfile, counts: NDArray[np.int64], own: FeatureProfile) -> NDArray[np.float64]:
    slots = np.zeros(own.slots)
    slots[:FIRST_BIN] = counts[:FIRST_BIN]
    if own.kind is Kind.VECTOR:
        slots[FIRST_BIN:] = counts[FIRST_BIN:]
        return slots
    place = {category: FIRST_BIN + i for i, category in enumerate(own.categories)}
    rare = set(own.tail.tolist())
    for category, rows in zip(theirs.categories, counts[FIRST_BIN:].tolist(), strict=True):
        slots[place.get(category, OTHER if hash64(category) in rare else NOVEL)] += rows
    return slots
