"""From verdicts to incident transitions. Step 10; pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from monitor.incident.model import (
    CAUSES_KEPT,
    DRIFT,
    EARLY,
    Closed,
    Incident,
    Severity,
    Status,
    Streak,
    cause_of,
    causes_of,
    evidence_of,
    incident_id,
)
from monitor.incident.severity import harms, severity_of
from monitor.judge.limits import broken
from monitor.plan import ModelPlan, RawRule
from monitor.verdict import State, Verdict

SEVERITIES = {"page": Severity.CRITICAL, "ticket": Severity.WARNING, "retrain": Severity.NONE}
"""Action of a raw rule → severity of its incident."""


class Kind(enum.StrEnum):
    OPEN = "open"
    UPDATE = "update"
    """Nothing that anybody is told about edge-wise: evidence, streaks, an acknowledgement."""
    RISE = "rise"
    FALL = "fall"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of one incident; `incident` is how it stands afterwards."""

    kind: Kind
    incident: Incident

    @property
    def pages(self) -> bool:
        """True for what the budget counts: opening at critical, or rising to it."""
        return self.kind in {Kind.OPEN, Kind.RISE} and self.incident.severity is Severity.CRITICAL


def track(
    incidents: Mapping[str, Incident],
    verdict: Verdict,
    plan: ModelPlan,
    *,
    segment: str = "",
    outgoing: bool = False,
) -> tuple[Transition, ...]:
    """What `verdict` does to the incidents of its model (and segment).

    `incidents` maps rule → newest incident of that rule as `latest_incidents` gives it. Resolved
    ones matter: they keep a late correction from paging a second time for the same window.

    An incident stays open while any window family that drifted in it has not had
    `plan.clear_after` consecutive ok windows. A warn window breaks that run, an unknown one
    neither breaks nor counts. An early alarm opens one of the budget, and does nothing to one that is open:
    its windows will tell. Call it once per verdict, in the order of window ends per family.
    `outgoing`: of a version that another one took the place of in this window. What is left of its rows need not be
    a fair part of the traffic, so it ends what is open of it and opens nothing.
    """
    transitions: list[Transition] = []
    for rule, told in _rules(plan).items():
        incident = incidents.get(rule)
        standing = incident.severity if incident is not None and incident.firing else None
        of = partial(
            severity_of,
            rule,
            told,
            state=_state(verdict, rule),
            verdict=verdict,
            plan=plan,
            incidents=incidents,
        )
        if verdict.early and (rule != DRIFT or _is_known(incident, verdict)):
            continue
        if outgoing and (incident is None or not incident.firing or _outlived(incident, verdict)):
            continue
        if incident is not None and incident.firing:
            why = _outlived(incident, verdict)
            if not why:
                transitions += _continue(incident, verdict, plan, severity=of(standing=standing))
                continue
            closed = _close(incident, Closed.SUPERSEDED, note=why)
            transitions.append(Transition(Kind.RESOLVE, closed))
            incident = closed
        if _opens(incident, verdict, rule):
            opened = _open(incident, verdict, plan, rule, of(standing=None), segment)
            transitions.append(Transition(Kind.OPEN, opened))
    transitions = [_harmful(one, verdict, plan, incidents) for one in transitions]
    return (*transitions, *_orphans(incidents, plan))


def _harmful(
    transition: Transition, verdict: Verdict, plan: ModelPlan, incidents: Mapping[str, Incident]
) -> Transition:
    """With what harm a drift does, where pages are sent for that."""
    own = transition.incident
    if own.rule != DRIFT or not plan.page_on_harm or own.last != verdict.end:
        return transition
    evidence = {**own.evidence, "harm": list(harms(verdict, plan, incidents))}
    return replace(transition, incident=replace(own, evidence=evidence))


def supersede(incidents: Mapping[str, Incident], why: str) -> tuple[Transition, ...]:
    """Close every open incident: a new reference or model version has come."""
    return tuple(
        Transition(Kind.RESOLVE, _close(incident, Closed.SUPERSEDED, note=why))
        for incident in incidents.values()
        if incident.firing
    )


def stand(incidents: Mapping[str, Incident], transitions: tuple[Transition, ...]) -> dict[str, Incident]:
    """How `incidents` stand after `transitions`; what the next call of `track` takes."""
    return {**incidents, **{item.incident.rule: item.incident for item in transitions}}


def _rules(plan: ModelPlan) -> dict[str, Severity]:
    raw = {rule.name: SEVERITIES[rule.action] for rule in plan.raw_rules}
    return {DRIFT: Severity.WARNING if plan.borrowed else Severity.CRITICAL, **raw}


def _state(verdict: Verdict, rule: str) -> State:
    """How this window stands for one rule. A raw limit that does not hold is ok, whatever else drifts."""
    if verdict.state is State.UNKNOWN or rule == DRIFT:
        return verdict.state
    return State.DRIFT if rule in verdict.rules else State.OK


def _is_known(incident: Incident | None, verdict: Verdict) -> bool:
    """Whether an early alarm says nothing new: the incident is open, and its windows will tell of it."""
    return incident is not None and incident.firing and not _outlived(incident, verdict)


def _outlived(incident: Incident, verdict: Verdict) -> str:
    """Why this verdict speaks about another world than the incident; "" when it does not.

    A version counts as new only when it was never seen during the incident: two versions that
    take turns window by window would otherwise page at every turn.
    """
    if verdict.state is State.UNKNOWN or verdict.end <= incident.updated:
        return ""
    if verdict.reference and incident.reference and verdict.reference != incident.reference:
        return "the reference was replaced"
    if verdict.versions and incident.versions and not set(verdict.versions) & set(incident.versions):
        return f"model version {_versions(verdict)[0]} replaced {incident.versions[0]}"
    return ""


def _opens(previous: Incident | None, verdict: Verdict, rule: str) -> bool:
    """A window that an earlier incident of this key has taken into account never opens another."""
    if _state(verdict, rule) is not State.DRIFT or verdict.coverage < 1:
        return False
    if previous is None or previous.closed_because == Closed.SUPERSEDED:
        return previous is None or verdict.end > previous.last
    return verdict.end > (previous.updated if verdict.revision else previous.last)


def _open(
    previous: Incident | None,
    verdict: Verdict,
    plan: ModelPlan,
    rule: str,
    severity: Severity,
    segment: str,
) -> Incident:
    inherited: tuple[str, ...] = ()
    if previous is not None and previous.closed_because == Closed.SUPERSEDED:
        inherited = previous.versions
    causes = _causes(verdict, plan, rule)
    return Incident(
        id=incident_id(verdict.model, segment, rule, verdict.end),
        model=verdict.model,
        segment=segment,
        rule=rule,
        severity=severity,
        state=Status.FIRING,
        opened=verdict.end,
        onset=verdict.changed_from,
        early=verdict.early,
        last=verdict.end,
        updated=verdict.end,
        window=verdict.window,
        cause=causes[0],
        causes=causes,
        streaks={verdict.window: Streak(drifting=int(not verdict.early), clear=0, end=verdict.end)},
        reference=verdict.reference,
        versions=_merged(_versions(verdict), inherited),
        evidence=evidence_of(verdict, _raw_rule(plan, rule)),
        runbook=plan.runbook,
    )


def _continue(
    incident: Incident, verdict: Verdict, plan: ModelPlan, *, severity: Severity
) -> tuple[Transition, ...]:
    kind = Kind.UPDATE
    if severity is not incident.severity:
        kind = Kind.RISE if _rank(severity) > _rank(incident.severity) else Kind.FALL
    state = _state(verdict, incident.rule)
    if state is State.UNKNOWN:
        return () if kind is Kind.UPDATE else (Transition(kind, _changed(incident, severity=severity)),)
    streaks = _streaks(incident, verdict, state, plan)
    changed = _changed(
        incident,
        severity=severity,
        streaks=streaks,
        updated=max(incident.updated, verdict.end),
        versions=_merged(incident.versions, _versions(verdict)),
        runbook=plan.runbook,
    )
    if state is State.DRIFT:
        changed = _drifted(changed, verdict, plan)
    if _is_over(incident, changed, verdict, state, plan):
        return (Transition(Kind.RESOLVE, _close(changed, Closed.RECOVERED)),)
    return (Transition(kind, changed),)


def _drifted(incident: Incident, verdict: Verdict, plan: ModelPlan) -> Incident:
    """A further drifting window; an older one, corrected late, may only move the bounds."""
    if verdict.end < incident.last:
        return replace(incident, onset=min(incident.onset, verdict.changed_from))
    causes = _causes(verdict, plan, incident.rule)
    return replace(
        incident,
        last=verdict.end,
        window=verdict.window,
        cause=causes[0] if incident.evidence.get("kind") == EARLY else incident.cause,
        causes=_merged(incident.causes, causes)[:CAUSES_KEPT],
        evidence=evidence_of(verdict, _raw_rule(plan, incident.rule)),
    )


def _streaks(incident: Incident, verdict: Verdict, state: State, plan: ModelPlan) -> dict[str, Streak]:
    """Runs after this window. Families that the configuration no longer has are forgotten."""
    names = {spec.name for spec in plan.windows} | {verdict.window}
    streaks = {name: run for name, run in incident.streaks.items() if name in names}
    run = streaks.get(verdict.window)
    if run is None:
        if state is State.DRIFT:
            streaks[verdict.window] = Streak(drifting=1, clear=0, end=verdict.end)
    elif verdict.end > run.end:
        streaks[verdict.window] = Streak(
            drifting=run.drifting + 1 if state is State.DRIFT else 0,
            clear=run.clear + 1 if state is State.OK else 0,
            end=verdict.end,
        )
    elif verdict.end == run.end:
        streaks[verdict.window] = Streak(
            drifting=max(run.drifting, 1) if state is State.DRIFT else 0,
            clear=max(run.clear, 1) if state is State.OK else 0,
            end=verdict.end,
        )
    return streaks


def _is_over(before: Incident, after: Incident, verdict: Verdict, state: State, plan: ModelPlan) -> bool:
    if state is not State.OK:
        return False
    if verdict.end == before.opened == before.last and verdict.window == before.window:
        return True  # the only window that ever drifted was corrected to ok
    drifted = [name for name, run in after.streaks.items() if run.clear < _clear_windows(plan, name)]
    return not drifted or _is_covered(drifted, after, verdict, plan)


def _is_covered(drifted: list[str], incident: Incident, verdict: Verdict, plan: ModelPlan) -> bool:
    """Whether longer windows have been free of drift for long enough to speak for these families.

    A family of short windows may be `unknown` for ever, for want of rows; without this an incident
    that it opened would never end.
    """
    sizes = {spec.name: spec.size for spec in plan.windows}
    size = sizes.get(verdict.window, 0)
    quiet = verdict.end - incident.last
    return quiet >= (plan.clear_after + 1) * size and size > max(sizes.get(name, 0) for name in drifted)


def _clear_windows(plan: ModelPlan, window: str) -> int:
    """Ok windows that end an episode: sliding windows share rows, and one that shares rows with the
    last drifting window says little of recovery."""
    overlap = [-(-spec.size // spec.step) for spec in plan.windows if spec.name == window]
    return max(plan.clear_after, *overlap, 1)


def _orphans(incidents: Mapping[str, Incident], plan: ModelPlan) -> tuple[Transition, ...]:
    """Open incidents of rules that the configuration no longer has."""
    rules = {*_rules(plan), *(rule.name for rule in plan.limits)}
    orphans = {rule: incident for rule, incident in incidents.items() if rule not in rules}
    return supersede(orphans, "the rule was removed from the configuration")


def _raw_rule(plan: ModelPlan, name: str) -> RawRule | None:
    return next((rule for rule in plan.raw_rules if rule.name == name), None)


def _causes(verdict: Verdict, plan: ModelPlan, rule: str) -> tuple[str, ...]:
    raw = _raw_rule(plan, rule)
    if raw is not None:
        names = broken(raw, verdict.scores)[:CAUSES_KEPT] if raw.quorum else ()
        return tuple(f"{raw.score}({name})" for name in names) or (raw.subject,)
    named = causes_of(verdict)[:CAUSES_KEPT]
    return tuple(cause_of(test, where) for where, test in named) or ("unnamed",)


def _versions(verdict: Verdict) -> tuple[str, ...]:
    """Model versions in the window, the one with most rows first."""
    return tuple(sorted(verdict.versions, key=lambda name: (-verdict.versions[name], name)))


def _merged(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(first + second))


def _rank(severity: Severity) -> int:
    return (Severity.NONE, Severity.WARNING, Severity.CRITICAL).index(severity)


def _changed(incident: Incident, **changes: object) -> Incident:
    return replace(incident, revision=incident.revision + 1, **changes)  # type: ignore[arg-type]


def _close(incident: Incident, because: Closed, *, note: str = "") -> Incident:
    return _changed(incident, state=Status.RESOLVED, closed_because=str(because), note=note)
