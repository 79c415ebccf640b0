"""What people read about an incident."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.incident.model import DRIFT, Incident, finite
from monitor.incident.text import annotate, description, model_url, number, offsets, rfc3339, summary
from monitor.incident.track import stand, supersede, track
from monitor.names import Source
from tests.incident.cases import START, plan, raw_rule, verdict, voting_test


def opened(one=None, *, rule: str = DRIFT, **changes) -> Incident:
    raw = (raw_rule(),) if rule != DRIFT else ()
    incidents = stand({}, track({}, one or verdict(0), plan(raw_rules=raw)))
    return replace(incidents[rule], **changes)


def test_the_summary_names_model_cause_and_numbers():
    """One line that can be read at three in the morning."""
    one = verdict(0, tests=[voting_test(), voting_test("carrier", "g", x=3.0)])
    assert summary(opened(one)) == "flights drifted: missing(dep_delay) 0.51 > 0.02429 and 1 more"
    assert summary(opened(segment="JFK")).startswith("flights (JFK) drifted: ")


def test_what_was_seen_early_says_so():
    """The window is still open, and the offsets are those since the change began."""
    test = replace(voting_test("age", "early"), effect=0.412)
    since = {Source("predictions", 0): (900, 944)}
    one = replace(verdict(0, tests=[test]), early=True, onset=START + 60_000, since=since)
    incident = opened(one)
    assert summary(incident) == "flights drifts, seen before its window closed: age with PSI 0.412"
    assert "Window 1h, still open, from 2013-02-09T00:00:00.000Z to" in description(incident)
    texts = annotate(incident, external_url="http://x")
    assert (texts["onset"], texts["offsets"]) == ("2013-02-09T00:01:00.000Z", "predictions/0: 900-944")


def test_the_summary_of_a_raw_rule_says_its_limit():
    """A ticket says which rule of the operator's own holds, and the value now."""
    one = verdict(0, "ok", rules=("limit",))
    assert summary(opened(one, rule="limit")) == "flights: rule limit holds: psi(age) > 0.25 (now 0.31)"


def test_the_description_holds_the_evidence():
    """Window, rows, reference and tests; what is not proven or revised is said."""
    text = description(opened(replace(verdict(0, revision=1), proven=False)))
    assert "Window 1h from 2013-02-09T00:00:00.000Z to 2013-02-09T01:00:00.000Z (revised)" in text
    assert "812 rows, reference january." in text
    assert "Named: missing(dep_delay) 0.51 > 0.02429." in text
    assert "Budget not proven" in text


def test_the_first_cause_is_told_with_kind_share_and_onset():
    """Summary and description say what kind of change it was; a rule of the operator's own has no diagnosis."""
    found = {"feature": "dep_delay", "kind": "missing", "title": "missing values", "share": 0.82,
             "text": "42 % missing, 0.1 % in the reference"}  # fmt: skip
    diagnosis = {"features": [found | {"x": 9.0, "figures": {}}], "commands": ["kcat"]}
    one = replace(verdict(0), diagnosis=diagnosis)
    incident = opened(one)
    assert incident.evidence["diagnosis"] == {"causes": [found], "commands": ["kcat"]}
    assert summary(incident) == "flights drifted: missing(dep_delay) 0.51 > 0.02429, missing values"
    sentence = (
        "First cause: dep_delay, missing values: 42 % missing, 0.1 % in the reference (82 % of the excess), "
        "since 2013-02-09T00:00:00.000Z."
    )
    assert sentence in description(incident)
    assert annotate(incident, external_url="http://x")["diagnosis"] == sentence
    there = opened(replace(one, diagnosis=diagnosis | {"where": {"text": "carrier = EV: 92 % of it"}}))
    assert description(there).count(f"{sentence} Where: carrier = EV: 92 % of it.") == 1
    assert "First cause" not in description(opened(replace(one, rules=("limit",)), rule="limit"))


def test_a_closed_incident_says_why():
    """The reason of a superseded incident is in its description."""
    (closed,) = supersede({DRIFT: opened()}, "new reference")
    assert description(closed.incident).endswith("Closed: new reference.")


def test_an_incident_without_evidence_is_still_a_sentence():
    """Texts never fail, whatever an older driftline left out of the evidence."""
    bare = opened(evidence={}, reference="", runbook="")
    assert summary(bare) == "flights drifted: missing(dep_delay)"
    assert "reference none" in description(bare)
    assert "runbook_url" not in annotate(bare, external_url="http://x")


def test_scores_that_could_not_be_computed_are_left_out():
    """NaN and infinity are null in JSON and absent in texts."""
    one = verdict(0, tests=[replace(voting_test(), score=float("nan"), threshold=float("inf"))])
    incident = opened(one)
    assert incident.evidence["tests"][0]["score"] is None
    assert summary(incident) == "flights drifted: missing(dep_delay)"
    assert (number(None), finite(float("inf"))) == ("", None)


def test_many_partitions_are_cut():
    """Twenty offset ranges are shown, the rest counted."""
    text = offsets({f"t/{n:02d}": [0, n] for n in range(25)})
    assert text.endswith("t/19: 0-19 and 5 more")


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (START, "2013-02-09T00:00:00.000Z"),
        (START + 7, "2013-02-09T00:00:00.007Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (10**18, "1000000000000000000"),
    ],
)
def test_times_are_rfc3339_with_milliseconds(ms, text):
    """UTC with Z; a time no calendar has stays a number."""
    assert rfc3339(ms) == text


def test_links_are_absolute_and_escaped():
    """Alertmanager refuses an alert whose generatorURL is no URI."""
    assert model_url("https://d.example/", 'a b/"ü') == "https://d.example/#model-a%20b%2F%22%C3%BC"
