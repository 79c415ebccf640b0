"""The picture of one model, from what is known of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from monitor.judgement import Judgement
from monitor.verdict import State
from monitor.view import ModelView

SHOWN = 200
"""Verdict records and incidents in a view."""
BLIND_AFTER = 24 * 3_600_000


def shown(
    judgement: Judgement,
    *,
    incidents: Iterable[Mapping[str, Any]],
    retrains: tuple[Mapping[str, Any], ...],
    watermark: int,
) -> ModelView:
    """A new view; `incidents` and `retrains` are the bodies of the ledger."""
    plan, labelled = judgement.plan, judgement.labelled
    ordered = sorted(incidents, key=lambda body: (body["state"] != "firing", -int(body["opened"])))
    now = max((verdict.end for verdict in judgement.latest.values()), default=0)
    begin = now - plan.budget.period
    judged = [
        kept
        for history in judgement.history.values()
        for kept in history
        if kept.end > begin and kept.state is not State.UNKNOWN
    ]
    sent = [body for body in ordered if body["severity"] == "critical" and int(body["opened"]) > begin]
    return ModelView(
        plan=plan,
        reference=judgement.reference,
        reigns=judgement.reigns.all if plan.registered else (),
        latest=dict(judgement.latest),
        windows=dict(judgement.windows),
        alarms=dict(judgement.looks.alarms),
        performance={name: tuple(own) for name, own in labelled.history.items()} if labelled else {},
        provisional=labelled.provisional if labelled else {},
        delays=labelled.delays if labelled else None,
        waiting=labelled.shown() if labelled else {},
        consistency={name: tuple(history) for name, history in judgement.consistency.history.items()}
        if judgement.consistency is not None
        else {},
        store=judgement.consistency.shown() if judgement.consistency is not None else {},
        history=tuple(kept for history in judgement.history.values() for kept in list(history)[-SHOWN:]),
        incidents=tuple(ordered[:SHOWN]),
        closed=dict(judgement.closed),
        skipped=dict(judgement.skipped),
        pages_sent=len(sent),
        early_sent=sum(bool(body["early"]) for body in sent),
        pages_total=judgement.pages,
        early_total=judgement.early_pages,
        retrains=retrains,
        pages_expected=sum(kept.alpha + kept.early_alpha for kept in judged),
        early_expected=sum(kept.early_alpha for kept in judged),
        blind_since=_blind_since(judgement),
        watermark=watermark,
    )


def _blind_since(judgement: Judgement) -> int:
    """End of the last window before an unbroken run of unknown verdicts of 24 h or more, else -1."""
    since = -1
    for history in judgement.history.values():
        run = []
        for kept in reversed(history):
            if kept.state is not State.UNKNOWN:
                break
            run.append(kept)
        if run and run[0].end - run[-1].start >= BLIND_AFTER:
            since = max(since, run[-1].start)
    return since
