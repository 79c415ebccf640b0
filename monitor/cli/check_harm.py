"""Whether anything will tell of harm, where drift pages for nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.cli.check_line import Line, doubtful, ok
from monitor.judge.catalogue import ESTIMATED
from monitor.plan import ModelPlan
from monitor.reference.profile import Reference


def check_harm(plan: ModelPlan, reference: Reference | None) -> Iterator[Line]:
    """A line for a model with `page_on: harm`. Without labels and without an estimate its drifts are tickets for ever."""
    from monitor.labels.estimating import estimator_of

    if not plan.page_on_harm:
        return
    limits = [rule for rule in plan.harm if rule.score in ESTIMATED and not (rule.feature or rule.quorum)]
    is_estimated = bool(limits) and reference is not None and estimator_of(reference, plan) is not None
    subject, texts = f"harm of {plan.name}", ", ".join(rule.text for rule in limits)
    if is_estimated:
        by = "by labels, or by the estimate before they come" if plan.join else "by the estimate"
        yield ok(subject, f"a drift pages where {texts}, {by}")
    elif plan.join is not None:
        yield ok(subject, "a drift pages where labels say so; nothing is estimated before they come")
    else:
        yield doubtful(
            subject,
            "no drift will ever page: there are no labels, and the reference does not know what scores are worth; "
            "build it with --label COLUMN, or say where labels come from",
        )
