"""Limits on performance: how long they have held is read from the windows before, so a restart loses nothing."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace

import numpy as np

from monitor.incident.model import latest_incidents
from monitor.incident.track import stand
from monitor.judge.catalogue import PERFORMANCE
from monitor.judge.limits import rules_that_hold
from monitor.judge.record import from_json, to_json
from monitor.labelled import CURSOR, HISTORY, KIND, Labelled, spanned
from monitor.labels.figures import CATALOGUE
from monitor.labels.runs import kept, run
from monitor.names import Source
from monitor.plan import RawRule, WindowSpec
from monitor.state.log import Ledger, Progress
from monitor.verdict import State, Verdict
from monitor.window.completeness import Patience
from monitor.window.heard import Heard
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


def test_a_day_of_harm_across_twenty_restarts(monkeypatch):
    """Restarted before each of 40 windows, with everything read anew, the limit opens one incident, by the 24th bad
    window and no other, as it does without any restart."""
    stored, opened = sketches(monkeypatch), []
    for restarts in (False, True):
        entries: dict[str, dict[str, dict]] = {}
        incidents, found, labelled = {}, [], None
        for hour in range(HOURS):
            if labelled is None or restarts:
                labelled = Labelled(HOURLY, patience=Patience())
                labelled.restore(Ledger("m", 0, entries))
                labelled.observe(stored)
                incidents = latest_incidents(entries.get("incident", {}))
            end = BEGIN + (hour + 1) * HOUR
            due = labelled.due(
                lambda now=incidents: now, judged={"1h": end}, heard=heard_until(end + WAIT), now=end + WAIT
            )
            one = next(due)
            assert one.verdict.end == end
            for entry in labelled.entries(one):
                entries.setdefault(entry.kind, {})[entry.id] = json.loads(json.dumps(entry.body))
            for transition in one.transitions:
                body = json.loads(json.dumps(transition.incident.to_json()))
                entries.setdefault("incident", {})[transition.incident.id] = body
                found.append((str(transition.kind), end))
            incidents = stand(incidents, one.transitions)
            labelled.accept(one)
        opened.append([item for item in found if item[0] == "open"])
        assert entries[CURSOR]["1h"]["end"] == BEGIN + HOURS * HOUR
        assert len(entries[KIND]) == HOURS <= HISTORY
    assert opened[0] == opened[1] == [("open", BEGIN + (BAD + 24) * HOUR)]


def test_every_figure_can_be_a_limit():
    """What the configuration knows is what there is."""
    assert set(PERFORMANCE) == {*CATALOGUE, "label_coverage"}


def test_a_limit_by_time_is_as_many_windows_as_last_so_long(monkeypatch):
    """24 tumbling hours; of windows of a day that slide by the hour the first is enough."""

    spans = (
        WindowSpec("1h", HOUR, HOUR),
        WindowSpec("1d", 24 * HOUR, HOUR),
        WindowSpec("2h", 2 * HOUR, HOUR),
    )
    assert [spanned(HOURLY.harm, spec)[0].windows for spec in spans] == [24, 1, 23]
    np.testing.assert_equal(spanned((replace(RULE, windows=3),), spans[0])[0].windows, 3)


def test_a_limit_may_hold_for_longer_than_windows_are_remembered():
    """24 hours are 288 windows of five minutes, and 200 of them are remembered: each record says how long by then."""
    rule = replace(RULE, windows=288)
    history, held = deque(maxlen=HISTORY), []
    for _ in range(300):
        scores = {"": {"accuracy": 0.5}}
        runs = {rule.name: run(rule, scores, list(history))}
        names = rules_that_hold([rule], scores, before=list(history), runs=runs)
        one = Verdict(
            model="m", window="5m", start=0, end=1, revision=0, state=State.OK, reason=None, detail="", rows=1,
            coverage=1.0, p=1.0, statistic=0.0, alpha=0.0, proven=False, reference="", reference_windows=0,
            windows_needed=0, scores=scores, rules=names, outcomes=kept([rule], runs),
        )  # fmt: skip
        history.append(from_json(json.loads(json.dumps(to_json(one)))))
        held.append(bool(names))
    assert held == [False] * 287 + [True] * 13
    other = replace(rule, limit=0.6)  # after a reload: what is remembered is counted
    assert run(other, scores, list(history)) == HISTORY + 1
    assert run(replace(rule, limit=0.4), scores, list(history)) == 0
