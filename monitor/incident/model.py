"""An incident: one episode of drift of a model, with one identity for life."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from monitor.judge.limits import measured
from monitor.names import content_id
from monitor.plan import RawRule
from monitor.verdict import State, Test, Verdict

DRIFT = "drift"
"""The rule of the judge's budgeted verdict; raw rules have the names that the operator gave them."""

EARLY, CLOSED = "early", "closed"
"""Kinds of evidence: of a look at a window that was still open, or of one that had closed."""
EXPLAINED = 3
"""Features whose kind of change goes into the evidence; the verdict has them all."""
CAUSES_KEPT = 20
"""Named tests kept in the evidence: 20 lines are what a person reads, and 20 × 200 bytes keeps
a retraining request well under the 20 kB that Standard Webhooks recommends."""


class Severity(enum.StrEnum):
    CRITICAL = "critical"
    WARNING = "warning"
    NONE = "none"
    """A raw rule that only asks for retraining: tracked, but never an alert."""


class Status(enum.StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"


class Closed(enum.StrEnum):
    """Why an incident is resolved; "" in an open one."""

    RECOVERED = "recovered"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Streak:
    """The newest run of one window family inside an incident.

    `end` is the end of the newest window that counted; unknown windows do not count.
    """

    drifting: int
    clear: int
    end: int


@dataclass(frozen=True, slots=True)
class Span:
    """Wall time for which an alert of one severity has stood, ms; `ends` is -1 while it stands."""

    starts: int
    ends: int = -1


@dataclass(frozen=True, slots=True)
class Incident:
    """Keyed by (model, segment, rule); at most one is open per key. `opened … updated` are event times, ms.

    opened    end of the window that opened it; part of the id
    onset     since when there was a change, as far as counts tell, or the start of that window
    early     a look at a window that was still open opened it
    last      end of the newest drifting window
    updated   end of the newest window that was taken into account
    spans     severity → wall time its alert has stood; written by `intend`, never by `track`,
              because Alertmanager shows wall times while verdicts know event time only
    """

    id: str
    model: str
    segment: str
    rule: str
    severity: Severity
    state: Status
    opened: int
    onset: int
    last: int
    updated: int
    window: str
    """Name of the window family that drifted last."""
    cause: str
    """The first named test, "missing(dep_delay)": of the window that opened it, once that has closed."""
    causes: tuple[str, ...] = ()
    streaks: Mapping[str, Streak] = field(default_factory=dict)
    """Window families that have drifted in this incident."""
    reference: str = ""
    versions: tuple[str, ...] = ()
    """Model versions seen in it, and in the one that it superseded, the opening one first."""
    early: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """Key numbers of the newest drifting verdict, JSON-able."""
    closed_because: str = ""
    note: str = ""
    """Why it was superseded, in words."""
    runbook: str = ""
    acked_by: str = ""
    acked_at: int = -1
    revision: int = 0
    """Grows with every change."""
    spans: Mapping[str, Span] = field(default_factory=dict)

    @property
    def firing(self) -> bool:
        return self.state is Status.FIRING

    def to_json(self) -> dict[str, Any]:
        """The body of its ledger entry; also what the API shows."""
        body = {item.name: getattr(self, item.name) for item in fields(self)}
        body |= {
            "severity": str(self.severity),
            "state": str(self.state),
            "causes": list(self.causes),
            "versions": list(self.versions),
            "evidence": dict(self.evidence),
            "streaks": {
                name: {"drifting": run.drifting, "clear": run.clear, "end": run.end}
                for name, run in self.streaks.items()
            },
            "spans": {name: {"starts": span.starts, "ends": span.ends} for name, span in self.spans.items()},
        }
        return body

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Unknown keys of a newer driftline are ignored; missing ones take their defaults."""
        known = {item.name for item in fields(cls)}
        values = {name: value for name, value in body.items() if name in known}
        values |= {
            "severity": Severity(body["severity"]),
            "state": Status(body["state"]),
            "causes": tuple(body.get("causes", ())),
            "versions": tuple(body.get("versions", ())),
            "streaks": {name: Streak(**run) for name, run in body.get("streaks", {}).items()},
            "spans": {name: Span(**span) for name, span in body.get("spans", {}).items()},
        }
        return cls(**values)


def incident_id(model: str, segment: str, rule: str, end: int) -> str:
    """`end` is the end of the first window that opened it."""
    return content_id(model, segment, rule, end)


def latest_incidents(bodies: Mapping[str, Mapping[str, Any]], *, segment: str = "") -> dict[str, Incident]:
    """Rule → newest incident, open or resolved: what `track` takes. `bodies`: `Ledger.of("incident")`.

    An open one stands before any resolved one, whatever their times.
    """
    newest: dict[str, Incident] = {}
    for body in bodies.values():
        incident = Incident.from_json(body)
        other = newest.get(incident.rule)
        if incident.segment == segment and (other is None or _newness(incident) > _newness(other)):
            newest[incident.rule] = incident
    return newest


def _newness(incident: Incident) -> tuple[bool, int, int]:
    return incident.firing, incident.opened, incident.revision


def cause_of(test: Test, segment: str = "") -> str:
    return f"{test.test}({test.feature})" + (f" in {segment}" if segment else "")


def causes_of(verdict: Verdict) -> tuple[tuple[str, Test], ...]:
    """What a verdict names, most telling first: (segment, test). Of segments only where the whole names nothing:
    what moves everywhere moves in each of them."""
    if verdict.named:
        return tuple(("", test) for test in verdict.named)
    drifting = [one for one in verdict.segments if one.state is State.DRIFT]
    found = [(one.segment, test) for one in drifting for test in one.named]
    return tuple(sorted(found, key=lambda item: -item[1].x)) or tuple(
        ("", test) for test in verdict.tests[:1]
    )


def evidence_of(verdict: Verdict, rule: RawRule | None = None) -> dict[str, Any]:
    """The key numbers of a verdict as JSON, no NaN. `rule`: the raw limit that holds.

    Names of categories are in it as far as the verdict's diagnosis may tell them, and no other value of a row.
    """
    named = causes_of(verdict)
    return {
        "rule": None if rule is None else _rule_json(rule, verdict),
        "window": {
            "name": verdict.window,
            "start": verdict.start,
            "end": verdict.end,
            "revision": verdict.revision,
        },
        "state": str(verdict.state),
        "kind": EARLY if verdict.early else CLOSED,
        "detail": verdict.detail,
        "rows": verdict.rows,
        "coverage": finite(verdict.coverage),
        "p": finite(verdict.p),
        "statistic": finite(verdict.statistic),
        "alpha": finite(verdict.alpha),
        "proven": verdict.proven,
        "tests": [_test_json(test, segment) for segment, test in named[:CAUSES_KEPT]],
        "named": len(verdict.named) or sum(bool(segment) for segment, _ in named),
        "segments": _segments_json(verdict),
        "diagnosis": _diagnosis_json(verdict.diagnosis),
        "versions": dict(verdict.versions),
        "offsets": {str(source): [first, last] for source, (first, last) in verdict.offsets.items()},
        "since": {str(source): [first, last] for source, (first, last) in verdict.since.items()},
    }


def _diagnosis_json(diagnosis: Mapping[str, Any]) -> dict[str, Any]:
    if not diagnosis:
        return {}
    shown = ("segment", "feature", "kind", "title", "text", "share")
    causes = [{name: one[name] for name in shown if name in one} for one in diagnosis["features"][:EXPLAINED]]
    found = {"causes": causes, "commands": list(diagnosis.get("commands", ()))}
    return found | ({"where": diagnosis["where"]["text"]} if "where" in diagnosis else {})


def finite(value: float) -> float | None:
    """JSON has no NaN and no infinity; they become null."""
    return float(value) if math.isfinite(value) else None


def _rule_json(rule: RawRule, verdict: Verdict) -> dict[str, Any]:
    if change := verdict.outcomes.get("changes", {}).get(rule.score):
        when = f"{rule.score} finds that errors rose"
        return {"when": when, "score": finite(change["after"]), "limit": finite(change["before"])}
    value = measured(rule, verdict.scores)
    return {
        "when": rule.text,
        "score": None if value is None else finite(value),
        "limit": finite(rule.limit),
    }


def _segments_json(verdict: Verdict) -> list[dict[str, Any]]:
    """The segments that drifted, those that moved furthest first."""
    drifting = [one for one in verdict.segments if one.state is State.DRIFT]
    return [
        {
            "segment": one.segment,
            "rows": one.rows,
            "statistic": finite(one.statistic),
            "cause": cause_of(one.tests[0]) if one.tests else "",
        }
        for one in sorted(drifting, key=lambda one: -one.statistic)[:CAUSES_KEPT]
    ]


def _test_json(test: Test, segment: str) -> dict[str, Any]:
    return {
        **({"segment": segment} if segment else {}),
        "feature": test.feature,
        "test": test.test,
        "score": finite(test.score),
        "threshold": finite(test.threshold),
        "x": finite(test.x),
        "p": finite(test.p),
        "n": finite(test.n),
        "m": finite(test.m),
        "tolerance": finite(test.tolerance),
        "effect": finite(test.effect),
    }
