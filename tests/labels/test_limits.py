"""Limits on performance: how long they have held is read from the windows before, so a restart loses nothing."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace

import numpy as np

from monitor.judge.catalogue import PERFORMANCE
from monitor.judge.limits import rules_that_hold
from monitor.judge.record import from_json, to_json
from monitor.labelled import CURSOR, HISTORY, KIND
from monitor.labels.figures import CATALOGUE
from monitor.labels.runs import kept, run, spanned
from monitor.plan import WindowSpec
from monitor.verdict import State, Verdict
from tests.labels.hourly import BAD, BEGIN, HOUR, HOURLY, HOURS, RULE, followed, sketches


def test_a_day_of_harm_across_twenty_restarts(monkeypatch):
    """Restarted before each of 40 windows, with everything read anew, the limit opens one incident, by the 24th bad
    window and no other, as it does without any restart."""
    stored = sketches(monkeypatch)
    for restarts in (False, True):
        found = followed(HOURLY, stored, restarts=restarts)
        assert found.opened == [("harm", BEGIN + (BAD + 24) * HOUR)]
        assert found.entries[CURSOR]["1h"]["end"] == BEGIN + HOURS * HOUR
        assert len(found.entries[KIND]) == HOURS <= HISTORY


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
