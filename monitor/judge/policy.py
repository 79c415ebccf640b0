"""From a window to its verdict: step 9. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from kernels.layout import BELOW, NOVEL, NUMERIC, PRESENT, VECTOR
from monitor.judge.extract import Extract, extract
from monitor.judge.limits import rules_that_hold
from monitor.judge.prepare import Prepared, spendable, windows_needed
from monitor.judge.scores import Scores, score
from monitor.judge.segments import Voices, judge_segments
from monitor.judge.text import caveats, describe, more_rows
from monitor.judge.votes import counts_of, ranked_tests
from monitor.judge.weigh import Evidence, weigh
from monitor.plan import ModelPlan, WindowSpec
from monitor.verdict import SegmentVerdict, State, Test, Unknown, Verdict, Window

_FIRST = {NUMERIC: BELOW, VECTOR: PRESENT}
"""First slot of a feature that holds values."""
NONE: Mapping[str, Window] = MappingProxyType({})


def judge(
    window: Window,
    prepared: Prepared,
    plan: ModelPlan,
    *,
    previous: Sequence[Verdict],
    segments: Mapping[str, Window] = NONE,
) -> Verdict:
    """Decide whether a closed window, or any of its `segments`, has drifted.

    A window drifts when a test's x exceeds 1 and its own p is at most α. x is scaled so that, with
    enough reference windows, that is exactly when M ranks within α among theirs; with fewer, when
    Holm rejects at α and M exceeds every one of theirs (`proven` is False then, and where windows move with
    those before them, so that more would be needed).

    `previous` are verdicts of the model, oldest first, for raw rules; those of other windows or
    not before this one do not count. UNKNOWN takes the place of OK where a change that matters
    could not have been seen, and of everything where rows or partitions are missing; it neither
    opens nor closes an incident. Raises ValueError when the counts are not of this reference.
    """
    if len(window.counts) != prepared.frame.layout.slots:
        raise ValueError(
            f"{len(window.counts)} slots - window {window.name} of {window.model} - "
            f"{prepared.frame.layout.slots} of reference {prepared.reference}"
        )
    if window.rows == 0:
        return _verdict(window, prepared, reason=Unknown.NO_DATA, detail="No rows in this window.")
    prepared = prepared.of(window)
    counts = counts_of(window, prepared)
    numbers = extract(counts, prepared.frame, left_out=False)
    scores = score(window, counts, prepared.frame, hits=numbers.hits[0], trials=numbers.trials[0])
    before = sorted(
        (v for v in previous if v.window == window.name and v.end < window.end), key=lambda v: v.end
    )
    rules = rules_that_hold(plan.raw_rules, scores, before=before)
    if window.rows < plan.min_records:
        detail = f"{plan.min_records - window.rows} more rows are needed before anything can be said."
        return _verdict(
            window, prepared, reason=Unknown.NOT_ENOUGH_DATA, detail=detail, scores=scores, rules=rules
        )
    voices = judge_segments(segments, prepared, plan)
    return _judged(window, prepared, numbers, scores=scores, rules=rules, voices=voices)


def judge_without_reference(window: Window, plan: ModelPlan, spec: WindowSpec) -> Verdict:
    """The verdict of a model that has no reference yet: UNKNOWN, whatever is in the window."""
    alpha = spendable(plan, spec)
    return Verdict(
        model=window.model,
        window=window.name,
        start=window.start,
        end=window.end,
        revision=window.revision,
        state=State.UNKNOWN,
        reason=Unknown.NO_DATA if window.rows == 0 else Unknown.NO_REFERENCE,
        detail="No rows in this window." if window.rows == 0 else "No reference to compare with.",
        rows=window.rows,
        coverage=window.coverage,
        p=1.0,
        statistic=0.0,
        alpha=alpha,
        proven=False,
        reference="",
        reference_windows=0,
        windows_needed=windows_needed(alpha),
        offsets=window.offsets,
        versions=window.versions,
        blind=tuple(feature.name for feature in plan.features),
    )


def _judged(
    window: Window,
    prepared: Prepared,
    numbers: Extract,
    *,
    scores: Scores,
    rules: tuple[str, ...],
    voices: Voices,
) -> Verdict:
    evidence = weigh(numbers, prepared.frame, prepared.tolerances, prepared.level, prepared.past)
    tests = ranked_tests(evidence, prepared)
    states = {test.state for test in tests} | {segment.state for segment in voices.verdicts}
    state = next((s for s in (State.DRIFT, State.WARN) if s in states), State.OK)
    raw = max((t.x for t in tests), default=0.0)
    raw = max(raw, voices.statistic) * prepared.critical
    smallest = min(min((t.p for t in tests), default=1.0), voices.smallest)
    p = prepared.rank(raw) if prepared.ranks else min(1.0, (len(tests) + voices.tests) * smallest)  # Holm
    detail = describe(state, tests, window, prepared, p=p, segments=voices.verdicts)
    reason = None
    if window.coverage < 1.0:
        reason = Unknown.LOW_COVERAGE
        without = ", ".join(map(str, window.missing_partitions[:3]))
        detail = f"Only {window.coverage:.0%} of the source partitions are complete"
        detail += f", not {without}." if without else "."
    elif state is State.OK and (lacking := more_rows(window, prepared)):
        small = lacking.startswith("reference")
        reason = Unknown.REFERENCE_TOO_SMALL if small else Unknown.NOT_ENOUGH_DATA
        detail = f"{'; '.join((lacking, *caveats(prepared)))}."
    return _verdict(
        window, prepared, reason=reason, detail=detail, state=state, scores=scores, rules=rules,
        tests=tests, p=p, statistic=raw / prepared.critical, blind=_blind(window, evidence, prepared),
        segments=voices.verdicts,
    )  # fmt: skip


def _blind(window: Window, evidence: Evidence, prepared: Prepared) -> tuple[str, ...]:
    """Features whose distribution could not be compared: no values on one side, or a broken number."""
    frame = prepared.frame
    layout = frame.layout
    broken = {evidence.features[i] for i in np.flatnonzero(~np.isfinite(evidence.x[0]))}
    low = layout.start[:-1] + [_FIRST.get(kind, NOVEL) for kind in layout.kind.tolist()]
    empty = np.zeros(layout.features, np.bool_)
    for counts in (window.counts, frame.counts):
        above = np.concatenate([[0], np.cumsum(counts)])
        empty |= above[layout.start[1:]] == above[low]
    return tuple(
        profile.name
        for profile, is_empty in zip(frame.features, empty.tolist(), strict=True)
        if is_empty or profile.name in broken
    )


def _verdict(
    window: Window,
    prepared: Prepared,
    *,
    reason: Unknown | None,
    detail: str,
    state: State = State.UNKNOWN,
    scores: Scores | None = None,
    rules: tuple[str, ...] = (),
    tests: tuple[Test, ...] = (),
    p: float = 1.0,
    statistic: float = 0.0,
    blind: tuple[str, ...] = (),
    segments: tuple[SegmentVerdict, ...] = (),
) -> Verdict:
    return Verdict(
        model=window.model,
        window=window.name,
        start=window.start,
        end=window.end,
        revision=window.revision,
        state=State.UNKNOWN if reason is not None else state,
        reason=reason,
        detail=detail,
        rows=window.rows,
        coverage=window.coverage,
        p=p,
        statistic=statistic,
        alpha=prepared.alpha,
        proven=prepared.proven,
        reference=prepared.reference,
        reference_windows=prepared.windows,
        windows_needed=prepared.windows_needed,
        tests=tests,
        scores=scores or {},
        rules=rules,
        offsets=window.offsets,
        versions=window.versions,
        blind=blind,
        segments=segments,
        early_alpha=prepared.early.alpha if prepared.early is not None else 0.0,
    )
