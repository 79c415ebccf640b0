"""A verdict with what is shown of it and has no vote, as the diagnosis of a drift. It never costs the verdict: what
goes wrong here is counted and left out."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from monitor import metrics
from monitor.incident.text import rfc3339
from monitor.judge.compat import compat_scores
from monitor.judge.diagnose import NONE, diagnose
from monitor.judge.located import located
from monitor.judge.pairs import told_pairs
from monitor.judge.prepare import Prepared
from monitor.plan import ModelPlan
from monitor.sample import Sample
from monitor.verdict import State, Verdict, Window

log = structlog.get_logger(__name__)


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


def compared(verdict: Verdict, window: Window, prepared: Prepared, products: Sequence[str]) -> Verdict:
    """The verdict with what these products would score of the window."""
    return replace(verdict, compat=compat_scores(window, prepared, products)) if products else verdict


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
