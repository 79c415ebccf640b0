"""Rises of errors are found by river's detectors, and by whoever runs them over the same records."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from monitor.incident.text import annotate
from monitor.judge.catalogue import OF_ERRORS
from monitor.judge.record import from_json, to_json
from monitor.labelled import KIND
from monitor.labels.concept import EPOCH, Concept, told
from monitor.plan import ConceptPlan, JoinPlan, WindowSpec
from monitor.verdict import State, Verdict
from tests.labels.hourly import BAD, BEGIN, HOUR, HOURLY, HOURS, followed, sketches
from tests.labels.test_outcomes import PLAN

SPEC = WindowSpec("1h", HOUR, HOUR)
ROWS = 400


def plan_with(*names, kind="score"):
    join = JoinPlan("labels", kind, HOUR, b"8 bytes!", ("1",))
    return replace(PLAN, windows=(SPEC,), join=join, concept=ConceptPlan(names), clear_after=2)


def hours(rates, *, rows=ROWS, seed=1):
    """Windows of these shares of wrong rows, the segments k=a and k=b half of each; in k=a alone they change."""
    rng, found = np.random.default_rng(seed), []
    for at, rate in enumerate(rates):
        wrong = int(rng.binomial(rows, rate))
        usual = round(rows * rates[0] / 2)
        scores = {
            name: {"accuracy": 1 - own / (rows / 2), "labels": rows / 2}
            for name, own in (("k=a", wrong - usual), ("k=b", usual))
        }
        found.append(
            Verdict(
                model="m", window="1h", start=BEGIN + at * HOUR, end=BEGIN + (at + 1) * HOUR, revision=0, state=State.OK,
                reason=None, detail="", rows=rows, coverage=1.0, p=1.0, statistic=0.0, alpha=0.0, proven=False,
                reference="", reference_windows=0, windows_needed=0, scores=scores,
                outcomes={"errors": [float(wrong), rows]},
            )
        )  # fmt: skip
    return found


def watched(plan, windows, *, restarts=False):
    """What stands after each window, and all of them with it; with `restarts` now and then from their JSON alone."""
    concept, history, found = Concept(), [], []
    for one in windows:
        if restarts and one.end // HOUR % 9 == 0:
            concept = Concept()
            history = [from_json(json.loads(json.dumps(to_json(before)))) for before in history]
        changes = concept.changes(one, history[-200:], plan=plan, spec=SPEC)
        body = {name: own._asdict() for name, own in changes.items()}
        history.append(replace(one, outcomes={**one.outcomes, "changes": body}))
        found.append(changes)
    return found, history


@pytest.mark.parametrize("name", OF_ERRORS)
def test_a_rise_is_found_and_dated(name):
    """Errors of one in twenty become two in five: every detector sees it within a few hours, since the right hour."""
    windows = hours([0.05] * 40 + [0.4] * 12)
    found, _ = watched(plan_with(name), windows)
    first = next(at for at, changes in enumerate(found[40:], 40) if changes)
    assert first <= 43
    change = found[first][name]
    assert change.found == windows[first].end
    assert change.since == windows[40].start
    assert change.before == pytest.approx(0.05, abs=0.01)
    assert change.after == pytest.approx(0.4, abs=0.06)
    assert found[-1][name].calm == 0


def test_what_gets_better_is_no_incident_and_ends_one():
    """A fall is none; after a rise, as many calm windows as end an incident are."""
    found, _ = watched(plan_with("adwin"), hours([0.25] * 30 + [0.05] * 10))
    assert not any(found)
    found, _ = watched(plan_with("adwin"), hours([0.05] * 30 + [0.25] * 4 + [0.05] * 6))
    assert found[33]["adwin"].calm == 0
    assert found[-1] == {}


def test_restarts_change_nothing():
    """Over two ends of an epoch: what stands is a function of the records."""
    rates = [0.08] * (EPOCH + 20) + [0.16] * 8 + [0.08] * EPOCH + [0.2] * 5
    plan = plan_with("adwin", "page_hinkley", "fhddm")
    windows = hours(rates, rows=120)
    once, again = watched(plan, windows), watched(plan, windows, restarts=True)
    assert once[0] == again[0]
    assert any(once[0])


def test_numbers_are_watched_by_their_mean_error():
    """One value of each window; before and after in units of the prediction's scale."""
    rng = np.random.default_rng(5)
    windows = [
        replace(one, outcomes={"errors": [100 * float(rng.normal(0.3 + 0.8 * (at >= 60), 0.02)), 100]})
        for at, one in enumerate(hours([0.1] * 100, rows=100))
    ]
    found, history = watched(plan_with("adwin", kind="number"), windows)
    change = found[-1]["adwin"]
    assert change.since == windows[60].start
    assert change.before == pytest.approx(0.3, abs=0.02)
    assert "most in" not in told(found[-1], history, "number", str)


def test_windows_without_labels_say_nothing():
    """No rows to feed, and nothing that stands is over by them."""
    quiet = [replace(one, outcomes={"errors": [0.0, 0]}) for one in hours([0.1] * 5)]
    assert not any(watched(plan_with("adwin"), quiet)[0])
    assert watched(plan_with("adwin"), [])[0] == []


def test_the_text_names_the_segment():
    """Where errors rose beyond chance, and where they did not."""
    found, history = watched(plan_with("adwin"), hours([0.05] * 30 + [0.25] * 6))
    text = told(found[-1], history, "score", str)
    assert text.startswith("adwin: errors rose from 0.0")
    assert "most in k=a (by 0.3" in text
    assert "k=b" not in text


def test_from_labels_to_an_incident_across_restarts(monkeypatch):
    """Restarted before each of 40 windows, with everything read anew, a rise opens one incident in the same window as
    without any restart, with its rule and since when."""
    plan = replace(HOURLY, harm=(), concept=ConceptPlan(("adwin", "ddm"), "page"))
    stored = sketches(monkeypatch)
    whole, cut = (followed(plan, stored, restarts=restarts) for restarts in (False, True))
    assert whole.opened == cut.opened
    assert len(whole.entries[KIND]) == len(cut.entries[KIND]) == HOURS
    assert sorted(rule for rule, _ in cut.opened) == ["concept/adwin", "concept/ddm"]
    assert all(BEGIN + (BAD + 1) * HOUR <= end <= BEGIN + (BAD + 12) * HOUR for _, end in cut.opened)
    for rule in ("concept/adwin", "concept/ddm"):
        incident = cut.incidents[rule]
        assert incident.firing
        assert abs(incident.onset - (BEGIN + BAD * HOUR)) <= HOUR
        texts = annotate(incident, external_url="http://x")
        assert "finds that errors rose" in texts["summary"]
        assert "errors rose from" in texts["description"]
