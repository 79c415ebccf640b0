"""The alerts that stand, derived from incidents. Pure; Alertmanager is told them again and again."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.deliver.plan import AlertmanagerPlan
from monitor.incident.model import DRIFT, Incident, Span
from monitor.incident.text import annotate, model_url, rfc3339
from monitor.state.log import Ledger

LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
"""What every Alertmanager accepts; newer ones take any UTF-8, older ones answer 400."""

ALERTNAME = "ModelDrift"


@dataclass(frozen=True, slots=True)
class Alert:
    """One label set. `ends` is -1 while it fires, else the wall time, ms, at which it was resolved."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts: int
    ends: int = -1
    url: str = field(default="", compare=False)

    @property
    def identity(self) -> tuple[tuple[str, str], ...]:
        """Alertmanager identifies alerts by their labels alone."""
        return tuple(sorted(self.labels.items()))

    @property
    def content(self) -> Hashable:
        """Everything that is told of it except until when it is valid."""
        return self.identity, tuple(sorted(self.annotations.items())), self.starts, self.ends

    def to_json(self, *, now: int, valid_for: int) -> dict[str, Any]:
        """As POST /api/v2/alerts takes it; a firing alert expires by itself after `valid_for` ms."""
        ends = now + valid_for if self.ends < 0 else self.ends
        return {
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "startsAt": rfc3339(self.starts),
            "endsAt": rfc3339(max(ends, self.starts)),
            "generatorURL": self.url,
        }


def standing_alerts(
    ledgers: Iterable[Ledger], plan: AlertmanagerPlan, *, external_url: str, now: int
) -> list[Alert]:
    """All alerts to tell: firing ones, and those resolved less than `plan.resolved_for` ago.

    Two incidents, one after the other, may share a label set; then the one that fires, or the one
    that ended last, speaks for it. Otherwise the resolve of the first would end the second.
    """
    chosen: dict[tuple[tuple[str, str], ...], Alert] = {}
    for ledger in ledgers:
        for body in ledger.of("incident").values():
            if not any(_is_told(Span(**span), plan, now) for span in body["spans"].values()):
                continue  # most are long over; parsing them all every second is most of the cost
            for alert in _alerts(Incident.from_json(body), plan, external_url=external_url, now=now):
                other = chosen.get(alert.identity)
                if other is None or _rank(alert) > _rank(other):
                    chosen[alert.identity] = alert
    return [chosen[identity] for identity in sorted(chosen)]


def labels_of(incident: Incident, severity: str, extra: Mapping[str, str]) -> dict[str, str]:
    """{alertname, model, segment?, severity} and the operator's own, which cannot replace these.

    A raw rule adds its name: without it the ticket of one rule would end the ticket of another.
    """
    labels = {name: value for name, value in extra.items() if LABEL_NAME.match(name)}
    labels |= {"alertname": ALERTNAME, "model": incident.model, "severity": severity}
    if incident.segment:
        labels["segment"] = incident.segment
    if incident.rule != DRIFT:
        labels["rule"] = incident.rule
    return {name: value for name, value in labels.items() if value}


def _alerts(incident: Incident, plan: AlertmanagerPlan, *, external_url: str, now: int) -> Iterator[Alert]:
    for severity, span in incident.spans.items():
        if _is_told(span, plan, now):
            yield Alert(
                labels=labels_of(incident, severity, plan.labels),
                annotations=annotate(incident, external_url=external_url),
                starts=span.starts,
                ends=span.ends,
                url=model_url(external_url, incident.model),
            )


def _is_told(span: Span, plan: AlertmanagerPlan, now: int) -> bool:
    return span.ends < 0 or now - span.ends < plan.resolved_for


def _rank(alert: Alert) -> tuple[bool, int, int]:
    return alert.ends < 0, alert.ends, alert.starts
