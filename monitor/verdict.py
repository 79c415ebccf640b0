"""What the judge says about a window, and what it says it from."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.names import Source


class State(enum.StrEnum):
    OK = "ok"
    WARN = "warn"
    DRIFT = "drift"
    UNKNOWN = "unknown"


class Unknown(enum.StrEnum):
    """Why there is no verdict; a closed set."""

    NOT_ENOUGH_DATA = "not_enough_data"
    REFERENCE_TOO_SMALL = "reference_too_small"
    NO_REFERENCE = "no_reference"
    NO_DATA = "no_data"
    LOW_COVERAGE = "low_coverage"
    NOT_ALL_PARTITIONS = "not_all_partitions"


@dataclass(frozen=True, slots=True)
class Window:
    """The merged counts of one model over one span of event time. Step 7.

    Array shapes are those of `monitor.sketch.Sketch`. `offsets` are [first, last] per source
    partition, inclusive. `coverage` is the share of expected source partitions that are in it
    and complete.
    """

    model: str
    name: str
    """Name of its `plan.WindowSpec`."""
    start: int
    end: int
    rows: int
    errors: int
    counts: NDArray[np.int64]
    sums: NDArray[np.int64]
    extremes: NDArray[np.float64]
    latency: NDArray[np.int64]
    violations: NDArray[np.int64]
    rejects: NDArray[np.int64]
    coverage: float = 1.0
    missing_partitions: tuple[Source, ...] = ()
    offsets: Mapping[Source, tuple[int, int]] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    novel: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    revision: int = 0
    vectors: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    seasons: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Rows per group of seasons, where the reference is read by season; see `monitor.judge.seasons`."""


@dataclass(frozen=True, slots=True)
class Test:
    """One voting test of one feature in one window.

    `feature` is "latency" or "error" for those two. x = score / threshold, or its root for psi, g
    and joint, so that all x are distances; x > 1 names the feature. `threshold` is what this window was
    judged by: it includes how far the reference's own windows go, and is inf where there is nothing
    to compare. `effect` is the plain size of the change: PSI less what noise adds (psi, g, joint), else the
    score; n and m are the effective row counts the p-value was computed with; `tolerance` is in the
    score's own units, PSI for g and joint.
    """

    feature: str
    test: str
    """psi | ks | g | joint (of a group of features) | missing | non_finite | below | above | novel | other | latency | error | violation"""
    score: float
    threshold: float
    x: float
    p: float
    n: float
    m: float
    tolerance: float
    effect: float
    state: State


@dataclass(frozen=True, slots=True)
class SegmentVerdict:
    """The judgement of one segment in one window. What it spends is part of the model's own budget."""

    segment: str
    """ "country=DE"."""
    state: State
    reason: Unknown | None
    detail: str
    rows: int
    statistic: float
    """The largest x over its tests."""
    tests: tuple[Test, ...] = ()
    """The first of them, largest x first."""

    @property
    def named(self) -> tuple[Test, ...]:
        """The tests that name a feature, largest x first."""
        return tuple(test for test in self.tests if test.x > 1)


@dataclass(frozen=True, slots=True)
class Beside:
    """How far a window lies from something else than its reference; without scores where that is not known."""

    name: str
    start: int
    end: int
    """-1 of what is no window."""
    rows: int
    detail: str
    """Why there are no scores; "" when there are."""
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Feature → score name → value, those of `monitor.judge.beside.SHOWN`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one closed window, or an early alarm. JSON-able with `monitor.judge.record.to_json`."""

    model: str
    window: str
    start: int
    end: int
    revision: int
    state: State
    reason: Unknown | None
    detail: str
    """One sentence for people."""
    rows: int
    coverage: float
    p: float
    """Probability of a window statistic this large under no change."""
    statistic: float
    """M, the largest x over all voting tests, those of segments among them."""
    alpha: float
    """What this window may spend of the budget."""
    proven: bool
    """False: "budget not proven", too few reference windows."""
    reference: str
    reference_windows: int
    windows_needed: int
    """More where windows of the reference move with those before them."""
    tests: tuple[Test, ...] = ()
    """All voting tests of the whole, largest x first."""
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Feature → score name → value; all scores, voting or not."""
    rules: tuple[str, ...] = ()
    """Names of the raw rules that hold in this window."""
    offsets: Mapping[Source, tuple[int, int]] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    others: Mapping[str, int] = field(default_factory=dict)
    """Rows of other versions than the one that a registry has judged; they are in none of the counts."""
    blind: tuple[str, ...] = ()
    """Features that could not be judged."""
    segments: tuple[SegmentVerdict, ...] = ()
    """Of every segment, in the order of the plan; each may be the reason for the state."""
    diagnosis: Mapping[str, Any] = field(default_factory=dict)
    """What changed, where and since when, JSON-able: `monitor.judge.diagnose`. Empty unless it is drift."""
    beside: tuple[Beside, ...] = ()
    """In the order of the plan; they have no say in the state."""
    compat: Mapping[str, Any] = field(default_factory=dict)
    """Scores as other products have them, JSON-able: `monitor.judge.compat`. They have no say in the state."""
    estimate: Mapping[str, Any] = field(default_factory=dict)
    """How well the model does as far as scores tell, JSON-able: `monitor.labels.estimating`. It has no say in the state."""
    outcomes: Mapping[str, Any] = field(default_factory=dict)
    """Of a window whose labels are in: when they came, and errors, JSON-able: `monitor.labels.steps`."""
    early: bool = False
    """An alarm before the close: start is that of the window, end the look's. No closed window."""
    early_alpha: float = 0.0
    """What looks before the close could spend of the budget, beside alpha."""
    onset: int = -1
    """Start of the pane since which there was a change, as far as the counts tell; -1: not known."""
    since: Mapping[Source, tuple[int, int]] = field(default_factory=dict)
    """[first, last] offset per source partition from the onset on."""

    @property
    def changed_from(self) -> int:
        """The onset, or the window's start where it is not known."""
        return self.onset if self.onset >= 0 else self.start

    @property
    def named(self) -> tuple[Test, ...]:
        """The tests that name a feature, largest x first."""
        return tuple(test for test in self.tests if test.x > 1)
