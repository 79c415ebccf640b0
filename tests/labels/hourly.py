"""Forty hours of predictions and labels, and how they are measured by daemons that are restarted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from monitor.incident.model import Incident, latest_incidents
from monitor.incident.track import stand
from monitor.labelled import Labelled
from monitor.names import Source
from monitor.plan import ModelPlan, RawRule, WindowSpec
from monitor.sketch import Sketch
from monitor.state.log import Ledger, Progress
from monitor.verdict import Verdict
from monitor.window.completeness import Patience
from monitor.window.heard import Heard
from tests.incident.cases import verdict as judged_as
from tests.labels.test_outcomes import LABELS, PLAN, WAIT, sketches_of

HOUR = 3_600_000
BEGIN = 1_760_000_400_000 // HOUR * HOUR
BAD, HOURS, ROWS = 7, 40, 60
"""The first hour of bad answers, all hours, and predictions of each."""
RULE = RawRule("harm", "accuracy", "", "<", 0.92, -24 * HOUR, "retrain")
HOURLY = replace(PLAN, windows=(WindowSpec("1h", HOUR, HOUR),), harm=(RULE,), segments=(), min_records=10)


def logs():
    """Both topics: of the labels of an hour 2 in 60 are wrong, 9 from BAD on."""
    predictions, labels = [], []
    for hour in range(HOURS):
        for row in range(ROWS):
            at = BEGIN + hour * HOUR + row * HOUR // ROWS
            score, wrong = 0.1 + 0.8 * (row % 2), row < (9 if hour >= BAD else 2)
            predictions.append((at, {"id": f"{hour}-{row}", "score": score, "v": "1"}))
            labels.append((at + 60_000, {"ref": {"id": f"{hour}-{row}"}, "label": int((row % 2) != wrong)}))
    return predictions, labels


def heard_until(mark):
    heard = Heard("m", (Source("l", 0),), config=None)
    heard.take([Progress(Source("l", 0), 0, 0, mark, idle=False, paused="", observed=mark)])
    return heard


def sketches(monkeypatch):
    """By topic, of a whole log each."""
    monkeypatch.setattr("tests.labels.test_outcomes.PLAN", HOURLY)
    monkeypatch.setattr("tests.labels.test_outcomes.LABELS", replace(LABELS, windows=HOURLY.windows))
    return [
        sketch
        for topic, log in zip("pl", logs(), strict=True)
        for part in sketches_of(Source(topic, 0), log, range(ROWS, len(log) + 1, ROWS))
        for sketch in part
    ]


class Followed(NamedTuple):
    """opened: (rule, end of the window) of each incident. entries: what is durable, by kind and id."""

    opened: list[tuple[str, int]]
    entries: dict[str, dict[str, dict[str, Any]]]
    incidents: dict[str, Incident]


def said(_name: str, end: int) -> Verdict:
    """The judge's verdict on an hour: where its records are, 100 offsets of each of two partitions."""
    hour = (end - BEGIN) // HOUR - 1
    found = judged_as(state="ok", model="m")
    offsets = {Source("p", at): (100 * hour + at, 100 * hour + at + 99) for at in range(2)}
    return replace(found, start=end - HOUR, end=end, offsets=offsets)


def followed(plan: ModelPlan, stored: Sequence[Sketch], *, restarts: bool) -> Followed:
    """Every hour is measured as soon as its labels are in; with `restarts` by a new process, which reads everything anew."""
    entries: dict[str, dict[str, dict[str, Any]]] = {}
    incidents: dict[str, Incident] = {}
    opened, labelled = [], None
    for hour in range(HOURS):
        if labelled is None or restarts:
            labelled = Labelled(plan, patience=Patience())
            labelled.restore(Ledger("m", 0, entries))
            labelled.observe(stored)
            incidents = latest_incidents(entries.get("incident", {}))
        end = BEGIN + (hour + 1) * HOUR
        due = labelled.due(
            lambda now=incidents: now, judged={"1h": end}, heard=heard_until(end + WAIT), now=end + WAIT, said=said
        )  # fmt: skip
        one = next(due)
        assert one.verdict.end == end
        for entry in labelled.entries(one):
            entries.setdefault(entry.kind, {})[entry.id] = json.loads(json.dumps(entry.body))
        for transition in one.transitions:
            incident = transition.incident
            entries.setdefault("incident", {})[incident.id] = json.loads(json.dumps(incident.to_json()))
            if str(transition.kind) == "open":
                opened.append((incident.rule, end))
        incidents = stand(incidents, one.transitions)
        labelled.accept(one)
    return Followed(opened, entries, incidents)
