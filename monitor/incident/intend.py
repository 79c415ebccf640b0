"""From incident transitions to the outbox. Step 11; pure.

The entries are appended in one call, together with the verdict they follow from, before anything
is sent. Alertmanager needs no intents: it is level-triggered and is told from the incidents
themselves (`monitor.deliver.alertmanager`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from monitor.deliver.plan import AlertsPlan
from monitor.errors import UsageError
from monitor.incident.model import Incident, Severity, Span
from monitor.incident.track import Kind, Transition, supersede
from monitor.names import content_id
from monitor.plan import ModelPlan
from monitor.retrain.guards import Guard
from monitor.retrain.rules import ask, expire
from monitor.state.log import Entry, Ledger

PAGERDUTY = "pagerduty"
"""Name of the integration in intents and metrics."""

CHANGES = "incidents"
"""Id of the clock entry that counts the changes of a model's incidents. Delivery looks at it every
second, and reads the incidents themselves (20 ms for 200 of them) only when it has changed."""


@dataclass(frozen=True, slots=True)
class Intentions:
    """What must become durable, and which guards held retraining back (for the counter)."""

    entries: tuple[Entry, ...]
    suppressed: tuple[Guard, ...] = ()
    pages: int = 0
    """How many of the transitions are pages."""


def intend(
    transitions: Sequence[Transition],
    ledger: Ledger,
    *,
    plan: ModelPlan,
    alerts: AlertsPlan,
    now: int,
    held: Guard | None = None,
) -> Intentions:
    """Entries for `transitions`. `now` is wall time, ms; `held` keeps retraining back whatever happens.

    What other threads wrote meanwhile (spans, acknowledgement) is taken from `ledger`, not from
    the transitions.
    """
    entries: list[Entry] = []
    suppressed: list[Guard] = []
    for transition in transitions:
        stored = ledger.of("incident").get(transition.incident.id)
        before = None if stored is None else Incident.from_json(stored)
        incident = _stamped(transition.incident, before, now=now)
        entries.append(Entry("incident", incident.id, incident.to_json()))
        entries += _page(transition.kind, before, incident, alerts=alerts, now=now)
        if transition.kind is Kind.RESOLVE:
            entries += expire(incident, ledger, now=now)
            continue
        asked = ask(incident, ledger, plan=plan, now=now, held=held)
        entries += asked.entries
        suppressed += [asked.suppressed] if asked.suppressed else []
        ledger = _with(ledger, asked.entries)
    if entries:
        entries.append(_change(ledger))
    pages = sum(transition.pages for transition in transitions)
    return Intentions(tuple(entries), tuple(suppressed), pages)


def dismiss(ledger: Ledger, why: str, *, alerts: AlertsPlan, now: int) -> tuple[Entry, ...]:
    """Close every open incident of a model that nobody judges any more; nothing where there is none."""
    incidents = {name: Incident.from_json(body) for name, body in ledger.of("incident").items()}
    entries: list[Entry] = []
    for transition in supersede(incidents, why):
        before = incidents[transition.incident.id]
        incident = _stamped(transition.incident, before, now=now)
        entries.append(Entry("incident", incident.id, incident.to_json()))
        entries += _page(transition.kind, before, incident, alerts=alerts, now=now)
        entries += expire(incident, ledger, now=now)
    return (*entries, _change(ledger)) if entries else ()


def delivery_id(incident: str, integration: str, transition: str) -> str:
    """The same on every retry and every replica; what receivers deduplicate by."""
    return content_id(incident, integration, transition)


def acknowledge(ledger: Ledger, incident: str, *, by: str, alerts: AlertsPlan, now: int) -> tuple[Entry, ...]:
    """Note who looks after an open incident, and tell PagerDuty where it was paged.

    Raises UsageError when there is no such incident or it is over. A second acknowledgement
    replaces the name, and tells nobody.
    """
    body = ledger.of("incident").get(incident)
    if body is None:
        raise UsageError(f"no such incident - {incident} - one of `driftline incident list`")
    before = Incident.from_json(body)
    if not before.firing:
        raise UsageError(f"the incident is resolved - {incident} - only an open one can be acknowledged")
    after = replace(before, acked_by=by, acked_at=now, revision=before.revision + 1)
    entries = [Entry("incident", incident, after.to_json()), _change(ledger)]
    if not before.acked_by and _is_paged(before, alerts):
        entries.append(_intent(after, "acknowledge", "acknowledge", now=now))
    return tuple(entries)


def changes(ledger: Ledger) -> int:
    """How often the incidents of a model have changed; equal counts, equal incidents."""
    return int(ledger.of("clock").get(CHANGES, {}).get("count", 0))


def _change(ledger: Ledger) -> Entry:
    return Entry("clock", CHANGES, {"count": changes(ledger) + 1})


def _stamped(incident: Incident, before: Incident | None, *, now: int) -> Incident:
    """With the wall times for which each severity has stood. One severity stands at a time."""
    spans = dict(before.spans) if before else {}
    current = str(incident.severity) if incident.firing and incident.severity is not Severity.NONE else ""
    for name, span in spans.items():
        if name != current and span.ends < 0:
            spans[name] = Span(span.starts, max(now, span.starts))
    if current and (current not in spans or spans[current].ends >= 0):
        spans[current] = Span(now)
    if before is None:
        return replace(incident, spans=spans)
    return replace(incident, spans=spans, acked_by=before.acked_by, acked_at=before.acked_at)


def _page(
    kind: Kind, before: Incident | None, after: Incident, *, alerts: AlertsPlan, now: int
) -> tuple[Entry, ...]:
    """The trigger or resolve that PagerDuty needs after this transition, if any."""
    was = before is not None and _is_paged(before, alerts)
    wanted = _is_paged(after, alerts)
    if was == wanted:
        return ()
    # A rise may follow a fall; each needs an id of its own, opening and resolving happen once.
    transition = str(kind) if kind in {Kind.OPEN, Kind.RESOLVE} else f"{kind}.{after.revision}"
    return (_intent(after, "trigger" if wanted else "resolve", transition, now=now),)


def _is_paged(incident: Incident, alerts: AlertsPlan) -> bool:
    severities = alerts.pagerduty.severities if alerts.pagerduty else ()
    return any(name in severities and span.ends < 0 for name, span in incident.spans.items())


def _intent(incident: Incident, action: str, transition: str, *, now: int) -> Entry:
    body = {
        "integration": PAGERDUTY,
        "action": action,
        "incident": incident.to_json(),
        "created": now,
        "sequence": incident.revision,
    }
    return Entry("intent", delivery_id(incident.id, PAGERDUTY, transition), body)


def _with(ledger: Ledger, entries: Sequence[Entry]) -> Ledger:
    """`ledger` as it will be once `entries` are in it, so that two incidents share one set of guards."""
    if not entries:
        return ledger
    changed = {kind: dict(bodies) for kind, bodies in ledger.entries.items()}
    for entry in entries:
        changed.setdefault(entry.kind, {})[entry.id] = entry.body or {}
    return Ledger(ledger.model, ledger.term, changed)
