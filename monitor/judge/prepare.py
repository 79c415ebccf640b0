"""Everything about judging that follows from the reference and the window's size alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import floor, log

import numpy as np
from numpy.typing import NDArray

from monitor.judge.early import Slots, build_slots
from monitor.judge.frame import Frame
from monitor.judge.looking import Early, prepare_early, unlooked
from monitor.judge.mixture import mixture
from monitor.judge.parts import SAMPLED, Parts, learn_parts
from monitor.judge.power import OF_INTEREST, Rows, rows_needed
from monitor.judge.seasons import Seasons
from monitor.judge.together import together
from monitor.judge.tolerances import Tolerances, given_ratios, learn
from monitor.judge.views import view_of
from monitor.judge.weigh import statistics
from monitor.judge.windows import kept_spans
from monitor.labels.estimating import Estimator, estimator_of
from monitor.plan import ModelPlan, WindowSpec
from monitor.reference.profile import Reference
from monitor.verdict import Unknown, Window

LEAST_EARLY = 0.01
"""Smallest share of a window's α that is worth looking for: below it log E must reach 4.6 more."""
WARN = 10.0
"""The budget of `warn`, in budgets of pages."""
MOST_WARNED = 0.1
"""Largest share of ordinary windows that `warn` may take: ten times a generous budget of daily
windows would be most of them, which tells nothing."""
LEAST_LEVEL = 1e-12
"""Smallest level of a threshold: beyond it a quantile says nothing, and a budget of 0 has none."""
LEAST_CRITICAL = 0.1
"""Smallest scale of x: a reference in which nothing ever moved would otherwise have none."""
_STEP = 1.15
"""Step of the grid of sizes of seasons that the rows a window needs are worked out for."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What `policy.judge` needs of a reference; immutable, one per model, reference and window size.

    statistics  float64[windows]  M of the reference's own windows, descending, at `level`, each by what was
                learnt from others
    past        float64[windows, features, detectors]  their detectors' scores
    alpha       what the window may spend when it closes; looks before may spend `early.alpha`
    slots       the reference as onsets see it
    early       None: there are no looks
    level       what each test's threshold stands at: alpha / number of tests
    critical    M above which a window pages; x and thresholds are scaled by it
    ranks       the rank of M among these windows decides; else there are too few, and Holm's test does
    together    how many windows count as one, see `monitor.judge.together`
    warn_critical, warn_p  M above which, with a test of p at most warn_p, a window is `warn`
    seasons     what windows are compared with instead of the whole `frame`; see `of`
    notes       what is to be said of the reference in every verdict
    sample      uint16[rows, features]  rows of the reference, see `Reference.sample`
    sample_groups  int64[rows]  the group of seasons that each is of, where there are seasons
    """

    reference: str
    spec: WindowSpec
    frame: Frame
    tolerances: Tolerances
    alpha: float
    level: float
    statistics: NDArray[np.float64]
    past: NDArray[np.float64]
    critical: float
    warn_critical: float
    warn_p: float
    ranks: bool
    together: float
    rows: Rows
    slots: Slots
    early: Early | None = None
    parts: Mapping[str, Prepared] = field(default_factory=dict)
    """Segment → the same of its part of the reference, with the whole's level and critical values."""
    unready: Mapping[str, Unknown] = field(default_factory=dict)
    """Segments that cannot be judged by this reference, and why."""
    estimator: Estimator | None = None
    """None: the reference knows no labels."""
    seasons: Seasons | None = None
    notes: tuple[str, ...] = ()
    sample: NDArray[np.uint16] = field(default_factory=lambda: np.zeros((0, 0), np.uint16))
    sample_groups: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    _needed: dict[int, Rows] = field(default_factory=dict)

    def of(self, window: Window) -> Prepared:
        """The same for one window that has rows: its frame is of the seasons that the window covers.

        Raises ValueError where `window.seasons` are not of these seasons.
        """
        own = self.seasons
        if own is None:
            return self
        if len(window.seasons) != len(own.rows) or window.seasons.sum() != window.rows:
            raise ValueError(
                f"{window.seasons.sum()} rows of {len(window.seasons)} seasons - window {window.name} of "
                f"{window.model} - {window.rows} of {len(own.rows)}"
            )
        frame = mixture(self.frame, own, window.seasons)
        joined = [g for g in np.flatnonzero(window.seasons).tolist() if own.calendar.joined(g)]
        notes = (*self.notes, *([_joined(own, joined)] if joined else []))
        return replace(self, frame=frame, rows=self._rows(frame.rows), notes=notes)

    def _rows(self, size: int) -> Rows:
        """Rows that a window needs against `size` rows, at least; the sizes of a day are worked out once."""
        step = floor(log(max(size, 1)) / log(_STEP))
        if step not in self._needed:
            smaller = replace(self.frame, coarse=self.frame.coarse * (_STEP**step / max(self.frame.rows, 1)))
            self._needed[step] = rows_needed(smaller, self.tolerances, self.level, most=SAMPLED)
        return self._needed[step]

    @property
    def windows(self) -> int:
        return len(self.statistics)

    @property
    def windows_needed(self) -> int:
        """For the whole budget, looks and closing test."""
        return windows_needed(self.alpha + (self.early.alpha if self.early else 0.0), self.together)

    @property
    def proven(self) -> bool:
        """Whether the reference has enough windows for the budget."""
        return self.ranks and self.windows >= self.windows_needed

    @property
    def interest(self) -> float:
        """The change that a window of `rows` rows shows, as PSI: of the median feature."""
        return max(2 * float(np.median(self.tolerances.divergence)), OF_INTEREST)

    def rank(self, statistic: float) -> float:
        """Probability of an M this large among the reference's windows and this one."""
        return (1.0 + float(np.sum(self.statistics >= statistic))) / (self.windows + 1.0)


def prepare(reference: Reference, plan: ModelPlan, spec: WindowSpec) -> Prepared:
    """Learn what the judge needs: seconds for 50 features and 720 windows. Pure.

    Raises ValueError when the reference's counts do not fit its features.
    """
    view = view_of(reference, plan, spec)
    frame, windows = view.frame, view.windows
    parts = learn_parts(reference, plan, spec)
    tests = max(frame.tests + parts.tests, 1)
    learnt = learn(windows, frame, plan.tolerance, least=plan.ratio_tolerance, overlap=spec.overlap)
    tolerances = learnt.live
    known = 0 if windows is None else len(windows)
    early = _early(reference, plan, spec, frame, tolerances, windows=known)
    alpha = spendable(plan, spec) - (early.alpha if early is not None else 0.0)
    level = max(alpha / tests, LEAST_LEVEL)
    own = np.empty(0) if windows is None else statistics(windows, frame, learnt.own, level)
    m = parts.largest(own, level)
    first, _ = kept_spans(reference, spec, min_rows=plan.min_records)
    count = together(m, reference.panes.starts[first], spec)
    ranked = np.sort(m)[::-1]
    critical, ranks = _critical(ranked, alpha, least=1.0)
    warn_alpha = max(alpha, min(WARN * alpha, MOST_WARNED))
    warn_critical, _ = _critical(ranked, warn_alpha, least=0.0)
    whole = Prepared(
        reference=identity(reference),
        spec=spec,
        frame=frame,
        tolerances=tolerances,
        alpha=alpha,
        level=level,
        statistics=ranked,
        past=view.past,
        critical=critical,
        warn_critical=warn_critical,
        warn_p=warn_alpha if ranks else warn_alpha / tests,
        ranks=ranks,
        together=count,
        rows=rows_needed(view.usual, tolerances, level),
        slots=build_slots(frame, novel_apart=True),
        early=_doubted(early, known, count),
        seasons=view.seasons,
        notes=view.notes,
    )
    return _with_parts(_with_known(whole, reference, plan), parts)


def _critical(ranked: NDArray[np.float64], alpha: float, *, least: float) -> tuple[float, bool]:
    """The M that must be exceeded, and whether a rank among the windows says so; else all of theirs and `least`."""
    found = critical_statistic(ranked, alpha)
    largest = max(least, float(ranked[0]) if len(ranked) else 0.0)
    return max(largest if found is None else found, LEAST_CRITICAL), found is not None


def _early(
    reference: Reference,
    plan: ModelPlan,
    spec: WindowSpec,
    frame: Frame,
    tolerances: Tolerances,
    *,
    windows: int,
) -> Early | None:
    """What looks need; None for seasons too: what a part of a window is compared with changes with its hours."""
    alpha = early_part(plan, spendable(plan, spec), windows=windows)
    if alpha <= 0.0 or plan.season != "none":
        return None
    slots = build_slots(frame)
    return prepare_early(
        reference, plan, spec, slots=slots, tolerance=tolerances.divergence,
        ratio=given_ratios(slots.names, frame, plan.tolerance, least=plan.ratio_tolerance), alpha=alpha,
    )  # fmt: skip


def no_looks(reference: Reference, plan: ModelPlan, prepared: Prepared) -> str:
    """Why open windows are not looked at, for people; "" where they are."""
    if prepared.early is not None:
        return ""
    if plan.early <= 0.0 or plan.budget.pages <= 0:
        return "looks have no part of the budget"
    if plan.season != "none":
        return "what a part of a window would be compared with changes with its hours, by season"
    if early_part(plan, spendable(plan, prepared.spec), windows=prepared.windows) <= 0.0:
        return f"a reference of {prepared.windows} windows leaves nothing of the budget beside closed windows"
    return unlooked(reference, plan, prepared.spec)


def _doubted(early: Early | None, windows: int, count: float) -> Early | None:
    """Not proven by so many windows of which `count` count as one, if they are too few."""
    if early is None or windows >= windows_needed(early.alpha, count):
        return early
    return replace(early, proven=False)


def _with_parts(whole: Prepared, parts: Parts) -> Prepared:
    own = {}
    for part in parts.ready:
        rows, view = part.rows(whole.level), part.view
        own[part.segment] = replace(
            whole, frame=view.frame, tolerances=part.tolerances, past=view.past, rows=rows,
            seasons=view.seasons, notes=view.notes, slots=build_slots(view.frame, novel_apart=True), early=None, _needed={},
        )  # fmt: skip
    return replace(whole, parts=own, unready=parts.unready)


def _with_known(whole: Prepared, reference: Reference, plan: ModelPlan) -> Prepared:
    """With the rows that were kept of the reference, and what it knows of labels."""
    return replace(_with_rows(whole, reference), estimator=estimator_of(reference, plan))


def _with_rows(whole: Prepared, reference: Reference) -> Prepared:
    """With the rows that were kept of the reference."""
    if whole.seasons is None or not len(reference.sample):
        return replace(whole, sample=reference.sample)
    groups = np.repeat(whole.seasons.calendar.at(reference.panes.starts), reference.sampled)
    return replace(whole, sample=reference.sample, sample_groups=groups)


def _joined(seasons: Seasons, joined: list[int]) -> str:
    named = ", ".join(seasons.calendar.name(group) for group in joined[:2])
    more = f" and {len(joined) - 2} more" if len(joined) > 2 else ""
    return f"too little in the reference for each of {named}{more}, read together"


def spendable(plan: ModelPlan, spec: WindowSpec) -> float:
    """α of one window, looks and closing test together: its part of the budget. Window sizes share it equally."""
    share = 1.0 / max(len(plan.windows), 1)
    return min(share * plan.budget.pages * spec.step / plan.budget.period, 0.5)


def early_part(plan: ModelPlan, alpha: float, *, windows: int) -> float:
    """What looks at a window may spend of its α: their share, but no more than the closing test can spare.

    A reference of W windows proves no α below 1/(W + 1): one that is just long enough for the whole
    budget would otherwise be too short for four fifths of it.
    """
    part = plan.early * alpha
    if windows >= windows_needed(alpha):
        part = min(part, alpha - 1.0 / (windows + 1.0))
    return part if part >= LEAST_EARLY * alpha else 0.0


def windows_needed(alpha: float, together: float = 1.0) -> int:
    """Reference windows without which a rank cannot be as small as alpha, where so many count as one."""
    return max(int(np.ceil(together * (1.0 / alpha - 1.0) - 1e-9)), 0) if alpha > 0 else 2**31


def critical_statistic(ranked: NDArray[np.float64], alpha: float) -> float | None:
    """The M that must be exceeded for a rank of at most alpha; None when there are too few windows."""
    beyond = int(np.floor(alpha * (len(ranked) + 1) + 1e-9))
    if beyond < 1:
        return None
    return float(ranked[beyond - 1]) if beyond <= len(ranked) else 0.0


def identity(reference: Reference) -> str:
    """Name of a reference in verdicts; another file of the same name is another reference."""
    return f"{reference.name}@{reference.digest[:12]}" if reference.digest else reference.name
