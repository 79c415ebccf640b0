"""What a reference looks like to the judge: coarse slots, and the list of tests."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.layout import (
    BELOW,
    CATEGORICAL,
    FIRST_BIN,
    MISSING,
    NOVEL,
    NUMERIC,
    OTHER,
    PRESENT,
    SUM_SCALE,
    VECTOR,
    Layout,
)
from kernels.scores import quantile
from kernels.vote import GROUPS
from monitor.judge import catalogue as names
from monitor.judge.joint import Joint, joints_of
from monitor.judge.neyman import Basis, bases
from monitor.judge.tail import as_live
from monitor.plan import Kind, ModelPlan, RuleKind
from monitor.reference.profile import FeatureProfile, Reference
from monitor.reference.vector import mean_words

SLOW = 0.99
"""The reference's quantile above which a latency is slow."""

_SPECIALS = {Kind.NUMERIC: names.NUMERIC_SPECIALS, Kind.VECTOR: names.VECTOR_SPECIALS}


@dataclass(frozen=True, slots=True)
class Ratio:
    """One ratio that is tested: which counts it is made of.

    source  "slot": coarse slot `index`; "breach": breach `index`; "error"; "latency"
    """

    feature: str
    test: str
    source: str
    index: int = 0
    owner: int = -1
    """Feature number, -1 for latency and error."""


@dataclass(frozen=True, slots=True, eq=False)
class Breach:
    """The contract breaches of one feature: `rules` of a window, or `slots` of the reference."""

    feature: str
    owner: int
    rules: tuple[int, ...]
    slots: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A reference as the judge sees it; immutable, independent of the window's size.

    group    int32[slots]          coarse slot of each slot
    start    int32[features + 1]   first coarse slot of each feature; special slots come first,
                                   then coarse groups or the shuffled categories
    special  int64[features]
    counts   int64[slots]          rows of the reference
    coarse   float64[coarse slots] the same, coarse; what a window left out is compared with
    live     float64[coarse slots] the same as live windows will show it; see `monitor.judge.tail`
    novel    float64[features]     rows of as many that live windows will have in unseen categories
    design   float64[features]     design effect, at least 1
    shift    float64[numeric]      correction of the KS statistic for bins, 0 where atoms forbid it
    unit     float64[numeric]      what a Wasserstein distance is divided by
    moments  float64[numeric, 5]   mean, std, p01, median and p99 of the reference
    owner    int64[ratios]         feature number of each ratio, -1 for latency and error
    picked   int64[ratios]         coarse slot of each ratio whose source is "slot", which come first
    breached int64[breaches]       rows of the reference that breach each contract
    means    int64[mean words]     sums of the reference's vectors; see `monitor.reference.vector`
    spreads  float64[dims] each    standard deviation of each dimension of each vector feature, in
                                   its scales; 1 where the reference knows but one value
    joints                         the groups that vote
    bases                          per numeric column, where neyman votes; else none
    slow_from                      first latency bin above the reference's p99
    labels                         feature of each test that votes, and the tests, in their order
    ratios                         in this order: "slot", "breach" (one per breach), "error", "latency"
    """

    features: tuple[FeatureProfile, ...]
    layout: Layout
    group: NDArray[np.int32]
    start: NDArray[np.int32]
    special: NDArray[np.int64]
    counts: NDArray[np.int64]
    coarse: NDArray[np.float64]
    live: NDArray[np.float64]
    novel: NDArray[np.float64]
    design: NDArray[np.float64]
    shift: NDArray[np.float64]
    unit: NDArray[np.float64]
    moments: NDArray[np.float64]
    owner: NDArray[np.int64]
    picked: NDArray[np.int64]
    breached: NDArray[np.int64]
    means: NDArray[np.int64]
    spreads: tuple[NDArray[np.float64], ...]
    rows: int
    errors: int
    latency: NDArray[np.int64]
    slow_from: int
    breaches: tuple[Breach, ...]
    ratios: tuple[Ratio, ...]
    detectors: tuple[str, ...]
    joints: tuple[Joint, ...]
    bases: tuple[Basis, ...]
    labels: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def numeric(self) -> NDArray[np.int64]:
        """Feature numbers of the numeric columns, in column order."""
        return np.flatnonzero(self.layout.kind == NUMERIC)

    @property
    def tests(self) -> int:
        """How many tests vote."""
        features = len(self.features)
        own = features + self.layout.numeric + len(self.ratios) + len(self.joints) + len(self.bases)
        return own + features * len(self.detectors)


def build_frame(reference: Reference, plan: ModelPlan) -> Frame:
    """The frame of a reference. Raises ValueError when its counts do not fit its features."""
    layout = _layout(reference)
    group, start, special = _coarse_slots(reference, layout)
    counts = np.ascontiguousarray(reference.counts, np.int64)
    whole = np.bincount(group, counts, minlength=int(start[-1])).astype(np.float64)
    live, novel = as_live(whole, reference.features, start)
    breaches = _breaches(reference, plan, layout)
    ratios = _ratios(reference, start, breaches, has_latency=_slow_from(reference.latency) > 0)
    detectors = tuple(name for name in names.DETECTORS if name in plan.detectors)
    joints = joints_of(reference.features, layout, plan.groups)
    polynomials = bases(counts, layout) if names.NEYMAN in plan.detectors else ()
    return Frame(
        features=reference.features,
        layout=layout,
        group=group,
        start=start,
        special=special,
        counts=counts,
        coarse=whole,
        live=live,
        novel=novel,
        design=np.array([max(1.0, f.design) for f in reference.features], np.float64),
        shift=_bin_shift(counts, layout),
        unit=_units(reference),
        moments=_moments(reference, counts, layout),
        owner=np.array([ratio.owner for ratio in ratios], np.int64),
        picked=np.array([ratio.index for ratio in ratios if ratio.source == "slot"], np.int64),
        breached=breached(counts[None, :], breaches, layout)[0],
        means=reference.vectors[mean_words(layout.vectors)],
        spreads=_spreads(reference, layout),
        rows=reference.rows,
        errors=reference.errors,
        latency=reference.latency,
        slow_from=_slow_from(reference.latency),
        breaches=breaches,
        ratios=ratios,
        detectors=detectors,
        joints=joints,
        bases=polynomials,
        labels=_labels(reference, ratios, detectors, joints, polynomials),
    )


def _layout(reference: Reference) -> Layout:
    layout = reference.layout()
    if layout.slots != len(reference.counts):
        raise ValueError(
            f"{len(reference.counts)} counts - reference {reference.name} - {layout.slots} slots of its features"
        )
    return layout


def _coarse_slots(
    reference: Reference, layout: Layout
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    group = np.empty(layout.slots, np.int32)
    start, special = [0], []
    for feature, profile in enumerate(reference.features):
        low, high = int(layout.start[feature]), int(layout.start[feature + 1])
        own = group[low:high]
        base = start[-1]
        if layout.kind[feature] == NUMERIC:
            own[:FIRST_BIN] = base + np.arange(FIRST_BIN)
            own[-1] = base + FIRST_BIN
            own[FIRST_BIN:-1] = base + FIRST_BIN + 1 + np.clip(profile.coarse, 0, GROUPS - 1).astype(np.int32)
            special.append(len(names.NUMERIC_SPECIALS))
            start.append(base + FIRST_BIN + 1 + GROUPS)
        elif layout.kind[feature] == VECTOR:
            own[:] = base + np.arange(high - low)
            special.append(FIRST_BIN)
            start.append(base + high - low)
        else:
            own[:FIRST_BIN] = base + np.arange(FIRST_BIN)
            order = np.argsort([_shuffled(category) for category in profile.categories], kind="stable")
            own[FIRST_BIN + order.astype(np.int64)] = base + FIRST_BIN + np.arange(len(order))
            special.append(len(names.CATEGORICAL_SPECIALS))
            start.append(base + high - low)
    return group, np.array(start, np.int32), np.array(special, np.int64)


def _shuffled(category: str) -> int:
    """A place among categories that says nothing of how often they occur; see `join_pooled`."""
    return zlib.crc32(category.encode("utf-8", "surrogatepass"))


def _bin_shift(counts: NDArray[np.int64], layout: Layout) -> NDArray[np.float64]:
    """0.5826/√B per numeric feature; 0 where a bin holds more than 2/B of the finite mass.

    Broadie, Glasserman and Kou 1997: the maximum of a Brownian path seen at B points falls
    0.5826/√B short of the path's own.
    """
    shift = np.zeros(layout.numeric)
    for feature in np.flatnonzero(layout.kind == NUMERIC):
        low, high = int(layout.start[feature]), int(layout.start[feature + 1])
        mass = counts[low + FIRST_BIN : high - 1]
        bins = len(mass)
        if mass.sum() > 0 and mass.max() * bins <= 2 * mass.sum():
            shift[layout.column[feature]] = 0.5826 / bins**0.5
    return shift


def _units(reference: Reference) -> NDArray[np.float64]:
    """IQR of each numeric feature; the standard deviation where it is 0, else 1."""
    wide = [
        next((w for w in (p.iqr, p.std) if np.isfinite(w) and w > 0), 1.0)
        for p in reference.features
        if p.kind is Kind.NUMERIC
    ]
    return np.array(wide, np.float64)


def _moments(reference: Reference, counts: NDArray[np.int64], layout: Layout) -> NDArray[np.float64]:
    found = []
    for feature in np.flatnonzero(layout.kind == NUMERIC):
        profile = reference.features[feature]
        own = counts[layout.start[feature] + BELOW : layout.start[feature + 1]]
        with np.errstate(all="ignore"):  # a range near the largest double overflows
            found.append(
                [
                    profile.mean,
                    profile.std,
                    *(
                        quantile(own, profile.edges, q, profile.minimum, profile.maximum)
                        for q in (0.01, 0.5, 0.99)
                    ),
                ]
            )
    return np.array(found, np.float64).reshape(layout.numeric, 5)


def _spreads(reference: Reference, layout: Layout) -> tuple[NDArray[np.float64], ...]:
    of, found = layout.vectors, []
    for own, feature in enumerate(np.flatnonzero(layout.kind == VECTOR).tolist()):
        length = int(of.dim_start[own + 1] - of.dim_start[own])
        words = reference.vectors[of.word_start[own] : of.word_start[own] + 3 * length]
        n = max(int(reference.counts[layout.start[feature] + PRESENT]), 1)
        total, low, high = (part.astype(np.float64) for part in words.reshape(3, length))
        std = np.sqrt(np.maximum((low + high * 2.0**32) / n - (total / n) ** 2, 0.0)) / SUM_SCALE
        found.append(np.where(std > 0, std, 1.0))
    return tuple(found)


def _slow_from(latency: NDArray[np.int64]) -> int:
    """First latency bin with at most 1 % of the reference at or above it; 0 without latencies."""
    total = int(latency[1:].sum())
    if total == 0:
        return 0
    above = total - np.cumsum(latency[1:])
    return 2 + int(np.argmax(above <= (1 - SLOW) * total))


def _breaches(reference: Reference, plan: ModelPlan, layout: Layout) -> tuple[Breach, ...]:
    """What the reference's slots say about each feature's contract.

    A bin that a limit cuts counts as a breach: the reference then breaches at least as often as
    it seems, and a window must be worse than that.
    """
    declared = {feature.name: feature for feature in plan.features}
    found = []
    for owner, profile in enumerate(reference.features):
        rules = tuple(i for i, rule in enumerate(plan.rules) if rule.feature == profile.name)
        if not rules or profile.name not in declared:
            continue
        kinds = {plan.rules[i].kind for i in rules}
        mask = np.zeros(profile.slots, np.int64)
        mask[MISSING] = RuleKind.NULL in kinds
        if RuleKind.RANGE in kinds and layout.kind[owner] == NUMERIC:
            mask[MISSING + 1 :] = _outside(profile, *declared[profile.name].range)
        if RuleKind.CATEGORY in kinds and layout.kind[owner] == CATEGORICAL:
            allowed = set(declared[profile.name].allowed)
            mask[[NOVEL, OTHER]] = 1
            mask[FIRST_BIN:] = [category not in allowed for category in profile.categories]
        found.append(Breach(profile.name, owner, rules, mask))
    return tuple(found)


def breached(counts: NDArray[np.int64], breaches: Sequence[Breach], layout: Layout) -> NDArray[np.int64]:
    """How often slots say that contracts were breached: int64[windows, breaches]."""
    found = np.zeros((len(counts), len(breaches)), np.int64)
    for i, breach in enumerate(breaches):
        low, high = layout.start[breach.owner], layout.start[breach.owner + 1]
        found[:, i] = counts[:, low:high] @ breach.slots
    return found


def _outside(profile: FeatureProfile, low: float | None, high: float | None) -> NDArray[np.int64]:
    """1 for each slot from non-finite on that holds values outside [low, high]."""
    left = np.concatenate([[-np.inf, -np.inf], profile.edges])
    right = np.concatenate([[np.inf], profile.edges, [np.inf]])
    right[-2] = np.nextafter(right[-2], -np.inf)  # the last edge lies just above the maximum
    outside = np.zeros(len(left), bool)
    if low is not None:
        outside |= left < low
    if high is not None:
        outside |= right > high
    return outside.astype(np.int64)


def _ratios(
    reference: Reference, start: NDArray[np.int32], breaches: Sequence[Breach], *, has_latency: bool
) -> tuple[Ratio, ...]:
    ratios: list[Ratio] = []
    for owner, profile in enumerate(reference.features):
        tests = () if profile.members else _SPECIALS.get(profile.kind, names.CATEGORICAL_SPECIALS)
        ratios += [
            Ratio(profile.name, test, "slot", int(start[owner]) + place, owner)
            for place, test in enumerate(tests)
        ]
    ratios += [Ratio(b.feature, names.VIOLATION, "breach", i, b.owner) for i, b in enumerate(breaches)]
    ratios.append(Ratio(names.ERROR, names.ERROR, names.ERROR))
    if has_latency:
        ratios.append(Ratio(names.LATENCY, names.LATENCY, names.LATENCY))
    return tuple(ratios)


def _labels(
    reference: Reference,
    ratios: Sequence[Ratio],
    detectors: Sequence[str],
    joints: Sequence[Joint],
    polynomials: Sequence[Basis],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    numeric = [profile for profile in reference.features if profile.kind is Kind.NUMERIC]
    own = [
        (profile.name, names.PSI if profile.kind is Kind.NUMERIC else names.G)
        for profile in reference.features
    ]
    own += [(profile.name, names.KS) for profile in numeric]
    own += [(ratio.feature, ratio.test) for ratio in ratios]
    own += [(profile.name, detector) for profile in reference.features for detector in detectors]
    own += [(joint.name, names.JOINT) for joint in joints]
    own += [(profile.name, names.NEYMAN) for profile, _ in zip(numeric, polynomials, strict=False)]
    return tuple(feature for feature, _ in own), tuple(test for _, test in own)
