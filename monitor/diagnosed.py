"""A verdict with what is shown of it and has no vote, as the diagnosis of a drift. It never costs the verdict: what
goes wrong here is counted and left out."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from monitor import metrics
from monitor.held import Held
from monitor.incident.text import rfc3339
from monitor.judge.compat import compat_scores
from monitor.judge.diagnose import NONE, diagnose
from monitor.judge.located import located
from monitor.judge.onset import onset
from monitor.judge.pairs import told_pairs
from monitor.judge.prepare import Prepared
from monitor.labels.estimating import estimates
from monitor.plan import ModelPlan, WindowSpec
from monitor.sample import Sample
from monitor.verdict import State, Verdict, Window

log = structlog.get_logger(__name__)

PANES = 300
"""Panes that a change is dated among; where a window has more, several are taken as one."""


def diagnosed(
    verdict: Verdict,
    window: Window,
    prepared: Prepared,
    plan: ModelPlan,
    *,
    segments: Mapping[str, Window] = NONE,
    sampled: Callable[[], Sample | None] = lambda: None,
) -> Verdict:
    """The verdict, and if it is drift what changed, where and since when. `sampled` makes the sample of the window's
    rows. Raises nothing."""
    if verdict.state is not State.DRIFT:
        return verdict
    try:
        found = diagnose(window, verdict, prepared, segments=segments, values=plan.shown)
        sample = sampled()
        told_pairs(found, window, prepared, sample)
        if place := located(verdict, window, prepared, sample=sample, values=plan.shown):
            found |= {"where": place}
        return replace(verdict, diagnosis=found | {"commands": list(commands(found, plan))})
    except Exception:
        # boundary: a verdict without a diagnosis pages all the same
        metrics.INTERNAL_ERRORS_TOTAL.labels("diagnose").inc()
        log.exception("diagnose_raised", model=plan.name, window=window.name)
        return verdict


def dated(verdict: Verdict, spec: WindowSpec, *, prepared: Prepared, panes: Callable[[str], Held]) -> Verdict:
    """With the time since when there is the change that a verdict found, and the offsets from there on.

    Looked for in the window and one step before it, where its panes are still held: in the whole, or where only
    segments drift in the first of them. `panes`: those of a segment, "" of the whole. Not of a model that is read
    by season: what a pane is compared with would change with its hour.
    """
    part = _guilty(verdict)
    held, own = panes(part), prepared.parts.get(part, prepared)
    tests = [test for one in verdict.segments if one.segment == part for test in one.named] or verdict.named
    first = max(verdict.start - spec.step, held.whole, held.store.oldest() or 0)
    span = -(-(verdict.end - first) // (PANES * held.plan.pane)) * held.plan.pane
    if held.plan.season != "none" or not tests or span <= 0:
        return verdict
    starts = range(verdict.end - (verdict.end - first) // span * span, verdict.end, span)
    windows = (held.window(spec, low, low + span) for low in starts)
    before = sum(low < verdict.start for low in starts)
    named = dict.fromkeys(test.feature for test in tests)
    at = onset(windows, own.slots, own.frame, named, before=before, is_part=bool(part))
    if at is None:
        return verdict
    since = held.window(spec, starts[at], verdict.end).offsets
    return replace(verdict, onset=starts[at], since=dict(since))


def _guilty(verdict: Verdict) -> str:
    """The segment that a change is dated in: "", the whole, where that names anything."""
    drifting = [one for one in verdict.segments if one.named]
    if verdict.named or not drifting:
        return ""
    return max(drifting, key=lambda one: one.statistic).segment


def compared(verdict: Verdict, window: Window, prepared: Prepared, products: Sequence[str]) -> Verdict:
    """The verdict with what these products would score of the window."""
    return replace(verdict, compat=compat_scores(window, prepared, products)) if products else verdict


def estimated(
    verdict: Verdict, window: Window, prepared: Prepared, segments: Mapping[str, Window]
) -> Verdict:
    """The verdict with how well the model does, where the reference knows what its scores are worth."""
    own = prepared.estimator
    return verdict if own is None else replace(verdict, estimate=estimates(own, window, segments))


def completed(verdict: Verdict, complete: Callable[[Verdict], Verdict]) -> Verdict:
    """The verdict with what is only shown beside it, or without it where that goes wrong. Raises nothing."""
    try:
        return complete(verdict)
    except Exception:
        # boundary: a verdict pages without what is shown beside it too
        metrics.INTERNAL_ERRORS_TOTAL.labels("show").inc()
        log.exception("show_raised", model=verdict.model, window=verdict.window)
        return verdict


def commands(diagnosis: Mapping[str, Any], plan: ModelPlan) -> Iterator[str]:
    """Lines for a shell: the records of each listed partition, then a replay from onset or start on, with what came late."""
    for one in diagnosis["records"]:
        count = one["last"] - one["first"] + 1
        topic = shlex.quote(one["topic"])
        yield f"kcat -b BROKER -C -t {topic} -p {one['partition']} -o {one['first']} -c {count}"
    span = diagnosis["since"]
    since, until = span.get("onset", span["start"]), span["end"] + plan.lateness
    source = shlex.quote(plan.source)
    yield f"driftline replay -c CONFIG --source {source} --from {rfc3339(since)} --to {rfc3339(until)}"
