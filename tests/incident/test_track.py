"""From verdicts to incident transitions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.incident.model import DRIFT, Closed, Incident, Severity, Status, incident_id, latest_incidents
from monitor.incident.track import Kind, stand, supersede, track
from monitor.plan import ModelPlan, WindowSpec
from monitor.verdict import Verdict
from tests.incident.cases import HOUR, START, plan, raw_rule, verdict, voting_test


def run(verdicts: list[Verdict], model_plan: ModelPlan | None = None):
    """Kinds of transitions per verdict, and how the incidents stand at the end."""
    incidents: dict[str, Incident] = {}
    kinds = []
    for one in verdicts:
        transitions = track(incidents, one, model_plan or plan())
        incidents = stand(incidents, transitions)
        kinds.append([transition.kind for transition in transitions])
    return kinds, incidents


def test_drift_opens_a_critical_incident_with_its_cause():
    """The first drifting window opens one incident; its id follows from key and window end alone."""
    tests = [voting_test(), voting_test("carrier", "g", x=3.0), voting_test("age", "psi", x=0.5)]
    kinds, incidents = run([verdict(0, tests=tests)])
    incident = incidents[DRIFT]
    assert kinds == [[Kind.OPEN]]
    assert incident.id == incident_id("flights", "", DRIFT, START + HOUR)
    assert (incident.severity, incident.state) == (Severity.CRITICAL, Status.FIRING)
    assert incident.cause == "missing(dep_delay)"
    assert incident.causes == ("missing(dep_delay)", "g(carrier)")
    assert (incident.onset, incident.opened, incident.last) == (START, START + HOUR, START + HOUR)
    assert incident.evidence["offsets"] == {"predictions/0": [812, 944], "predictions/1": [7, 19]}


def test_ok_windows_resolve_it_only_in_a_row():
    """Two ok windows in a row resolve; a warn in between starts the count anew, an unknown does not."""
    states = ["drift", "ok", "warn", "ok", "unknown", "ok"]
    kinds, incidents = run([verdict(i, state) for i, state in enumerate(states)])
    assert kinds == [[Kind.OPEN], [Kind.UPDATE], [Kind.UPDATE], [Kind.UPDATE], [], [Kind.RESOLVE]]
    assert incidents[DRIFT].closed_because == Closed.RECOVERED


@pytest.mark.parametrize("state", ["ok", "warn", "unknown"])
def test_nothing_but_drift_opens(state):
    """ok, warn and unknown windows open nothing."""
    assert run([verdict(0, state)])[0] == [[]]


def test_low_coverage_never_opens():
    """A window that lacks partitions does not page for drift."""
    assert run([verdict(0, coverage=0.5)])[0] == [[]]


def test_sliding_windows_clear_when_none_shares_rows_with_the_drift():
    """A window of four steps needs four ok windows, though `clear_after` is two."""
    sliding = replace(plan(), windows=(WindowSpec("1h", HOUR, HOUR // 4),))
    kinds, _incidents = run([verdict(0), *[verdict(end, "ok") for end in range(1, 5)]], sliding)
    assert kinds == [[Kind.OPEN], *[[Kind.UPDATE]] * 3, [Kind.RESOLVE]]


def test_longer_windows_speak_for_short_ones_that_are_always_unknown():
    """An incident that a family without enough rows opened still ends, once a longer one is ok."""
    both = replace(plan(), windows=(WindowSpec("1h", HOUR, HOUR), WindowSpec("1d", 4 * HOUR, 4 * HOUR)))
    later = [item for end in range(1, 13) for item in ((verdict(end, "unknown"),) if end % 4 else
             (verdict(end, "unknown"), verdict(end, "ok", window="1d")))]  # fmt: skip
    kinds, incidents = run([verdict(0), *later], both)
    assert kinds[-1] == [Kind.RESOLVE]
    assert [Kind.RESOLVE] not in kinds[:-1]
    assert not incidents[DRIFT].firing


def test_one_incident_for_all_window_families():
    """It stays open while any family that drifted has not recovered."""
    verdicts = [
        verdict(0),
        verdict(0, window="1d"),
        verdict(1, "ok"),
        verdict(2, "ok"),
        verdict(2, "ok", window="1d"),
        verdict(3, "ok", window="1d"),
    ]
    kinds, _incidents = run(verdicts)
    assert kinds == [[Kind.OPEN], *[[Kind.UPDATE]] * 4, [Kind.RESOLVE]]


def test_a_family_that_never_drifted_does_not_hold_it_open():
    """Only families with a drifting window in this incident must recover."""
    kinds, _incidents = run([verdict(0), verdict(0, "warn", window="1d"), verdict(1, "ok"), verdict(2, "ok")])
    assert kinds[-1] == [Kind.RESOLVE]


def test_raw_rules_have_incidents_of_their_own():
    """ticket is a warning, page critical, retrain no alert; they hold whatever the verdict's state."""
    rules = tuple(raw_rule(action, action=action) for action in ("ticket", "page", "retrain"))
    kinds, incidents = run([verdict(0, "ok", rules=("ticket", "page", "retrain"))], plan(raw_rules=rules))
    assert kinds == [[Kind.OPEN] * 3]
    assert {rule: incident.severity for rule, incident in incidents.items()} == {
        "ticket": Severity.WARNING,
        "page": Severity.CRITICAL,
        "retrain": Severity.NONE,
    }
    assert incidents["page"].cause == "psi(age)"
    assert incidents["page"].evidence["rule"] == {"when": "psi(age) > 0.25", "score": 0.31, "limit": 0.25}


def test_a_raw_rule_recovers_while_the_verdict_still_drifts():
    """A raw limit that no longer holds is ok by its own measure."""
    rules = (raw_rule(),)
    verdicts = [verdict(0, rules=("limit",)), verdict(1), verdict(2)]
    _kinds, incidents = run(verdicts, plan(raw_rules=rules))
    assert incidents["limit"].state is Status.RESOLVED
    assert incidents[DRIFT].state is Status.FIRING


def test_a_changed_action_rises_and_falls():
    """An open ticket becomes a page when the configuration says so, and back."""
    one = verdict(0, "ok", rules=("limit",))
    opened = stand({}, track({}, one, plan(raw_rules=(raw_rule(),))))
    later = replace(one, end=one.end + HOUR, start=one.start + HOUR)
    rise = track(opened, later, plan(raw_rules=(raw_rule(action="page"),)))
    assert [(item.kind, item.pages) for item in rise] == [(Kind.RISE, True)]
    last = replace(later, end=later.end + HOUR, start=later.start + HOUR)
    fall = track(stand(opened, rise), last, plan(raw_rules=(raw_rule(),)))
    assert [(item.kind, item.pages) for item in fall] == [(Kind.FALL, False)]


def test_a_removed_rule_closes_its_incident():
    """An incident whose rule the configuration no longer has is superseded."""
    opened = stand({}, track({}, verdict(0, "ok", rules=("limit",)), plan(raw_rules=(raw_rule(),))))
    (transition,) = track(opened, verdict(1, "ok"), plan())
    assert transition.kind is Kind.RESOLVE
    assert transition.incident.closed_because == Closed.SUPERSEDED


def test_a_correction_to_ok_of_the_only_drifting_window_closes():
    """A late correction may close what rested on that window alone."""
    kinds, incidents = run([verdict(0), verdict(0, "ok", revision=1)])
    assert kinds == [[Kind.OPEN], [Kind.RESOLVE]]
    assert incidents[DRIFT].state is Status.RESOLVED


def test_a_correction_annotates_an_open_incident():
    """A revised drifting window changes the evidence and pages nobody."""
    kinds, incidents = run([verdict(0), verdict(1), verdict(1, rows=900, revision=1)])
    assert kinds[-1] == [Kind.UPDATE]
    assert incidents[DRIFT].evidence["rows"] == 900
    assert incidents[DRIFT].streaks["1h"].drifting == 2


def test_a_correction_never_pages_twice_for_a_window():
    """A window that an earlier incident has taken into account opens no other, however often revised."""
    verdicts = [
        verdict(0),
        verdict(1, "ok"),
        verdict(2, "ok"),
        verdict(0, revision=1),
        verdict(2, revision=1),
    ]
    kinds, _incidents = run(verdicts)
    assert kinds == [[Kind.OPEN], [Kind.UPDATE], [Kind.RESOLVE], [], []]


def test_a_correction_may_open_for_a_window_that_had_not_paged():
    """A window that was unknown at its close and drifts once complete does page."""
    kinds, _incidents = run([verdict(0, "unknown"), verdict(0, revision=1)])
    assert kinds == [[], [Kind.OPEN]]


def test_a_new_reference_supersedes():
    """Drift against another reference is another incident."""
    kinds, incidents = run([verdict(0), verdict(1, reference="february")])
    assert kinds[-1] == [Kind.RESOLVE, Kind.OPEN]
    assert incidents[DRIFT].opened == START + 2 * HOUR


def test_a_new_version_supersedes_once():
    """A version never seen in the incident replaces it; two versions that take turns do not flap."""
    versions = [{"7": 9}, {"7": 5, "8": 4}, {"8": 9}, {"9": 9}, {"8": 9}, {"9": 9}]
    kinds, _incidents = run([verdict(i, versions=v) for i, v in enumerate(versions)])
    assert kinds == [
        [Kind.OPEN],
        [Kind.UPDATE],
        [Kind.UPDATE],
        [Kind.RESOLVE, Kind.OPEN],
        [Kind.UPDATE],
        [Kind.UPDATE],
    ]


def test_supersede_closes_only_what_is_open():
    """Closing everything for a new reference leaves resolved incidents alone."""
    _kinds, incidents = run([verdict(0)])
    (transition,) = supersede(incidents, "new reference")
    assert transition.incident.note == "new reference"
    assert supersede(stand(incidents, (transition,)), "again") == ()


def test_json_round_trip():
    """An incident survives its ledger entry unchanged, and unknown keys of a newer version."""
    _kinds, incidents = run([verdict(0), verdict(1, "ok")])
    incident = incidents[DRIFT]
    assert Incident.from_json({**incident.to_json(), "added_later": 1}) == incident
    assert latest_incidents({incident.id: incident.to_json()}) == incidents


STATES = st.sampled_from(["ok", "warn", "drift", "unknown"])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["1h", "1d"]),
            STATES,
            st.booleans(),
            st.integers(0, 3),
            st.sampled_from(["january", "january", "january", "february"]),
            st.sampled_from(["7", "7", "8"]),
        ),
        max_size=40,
    ),
    st.integers(1, 3),
)
def test_no_flapping(steps, clear_after):
    """Over any verdicts: one open incident per rule, opens and resolves alternate, ids are fixed and new."""
    model_plan = plan(clear_after=clear_after, raw_rules=(raw_rule(action="page"),))
    incidents: dict[str, Incident] = {}
    opened: dict[str, list[str]] = {}
    closed: dict[str, list[str]] = {}
    pages = criticals = 0
    ends = {"1h": 0, "1d": 0}
    for window, state, holds, back, reference, version in steps:
        ends[window] += back == 0
        number = max(ends[window] - back, 0)
        one = verdict(
            number, state, window=window, revision=int(back > 0), rules=("limit",) if holds else (),
            reference=reference, versions={version: 100},
        )  # fmt: skip
        before = incidents
        transitions = track(before, one, model_plan)
        for item in transitions:
            rule, identity = item.incident.rule, item.incident.id
            if item.kind is Kind.OPEN:
                assert len(opened.get(rule, [])) == len(closed.get(rule, []))
                assert identity not in opened.get(rule, [])
                opened.setdefault(rule, []).append(identity)
                criticals += item.incident.severity is Severity.CRITICAL
            else:
                assert identity == opened[rule][-1]
            if item.kind is Kind.RESOLVE:
                closed.setdefault(rule, []).append(identity)
                assert item.incident.state is Status.RESOLVED
            pages += item.pages
        assert not (transitions and one.state == "unknown" and one.reference == "january" and not before)
        incidents = stand(incidents, transitions)
    assert pages == criticals
    for rule, identities in opened.items():
        assert len(identities) - len(closed.get(rule, [])) in {0, 1}


@settings(max_examples=100, deadline=None)
@given(st.lists(STATES, max_size=30))
def test_every_window_is_idempotent(states):
    """Seeing the same verdict again, as a correction that changes nothing, pages nobody."""
    incidents: dict[str, Incident] = {}
    for number, state in enumerate(states):
        one = verdict(number, state)
        incidents = stand(incidents, track(incidents, one, plan()))
        again = track(incidents, replace(one, revision=1), plan())
        assert not any(item.pages for item in again)


def test_the_evidence_of_a_raw_rule_is_what_its_limit_was_compared_with():
    """A limit on a ratio is about the ratio itself, not about its difference to the reference."""
    rule = replace(raw_rule(), score="missing", limit=0.5)
    scores = {"age": {"missing": 0.48, "missing_ratio": 0.52}}
    one = replace(verdict(0, "ok", rules=("limit",)), scores=scores)
    (opened,) = track({}, one, plan(raw_rules=(rule,)))
    assert opened.incident.evidence["rule"]["score"] == 0.52


def early(number: int, minute: int, **more) -> Verdict:
    """An alarm in the middle of hour `number`."""
    closed = verdict(number, tests=[voting_test("age", "early")], **more)
    return replace(closed, early=True, end=closed.start + minute * 60_000, onset=closed.start + 60_000)


def test_an_early_alarm_opens_an_incident_and_its_window_goes_on_with_it():
    """One page: with the id of the look, dated by its onset; the verdict of the closed window gives the cause."""
    kinds, incidents = run([early(0, 20), verdict(0), verdict(1)])
    incident = incidents[DRIFT]
    assert kinds == [[Kind.OPEN], [Kind.UPDATE], [Kind.UPDATE]]
    assert incident.id == incident_id("flights", "", DRIFT, START + 20 * 60_000)
    assert (incident.early, incident.onset, incident.opened) == (True, START + 60_000, START + 20 * 60_000)
    assert (incident.cause, incident.evidence["kind"]) == ("missing(dep_delay)", "closed")
    assert incident.streaks["1h"].drifting == 2


def test_an_early_alarm_says_nothing_new_of_an_open_incident():
    """Nor of rules of the operator's own; one of another reference is another incident."""
    model_plan = plan(raw_rules=(raw_rule(),))
    kinds, _ = run([verdict(0), early(1, 20), early(2, 20, reference="february")], model_plan)
    assert kinds == [[Kind.OPEN], [], [Kind.RESOLVE, Kind.OPEN]]


def test_a_window_that_alarmed_and_was_ordinary_when_it_closed_ends_as_any_other():
    """It is the first ok window of two; a late correction of it opens nothing."""
    kinds, incidents = run([early(0, 20), verdict(0, "ok"), verdict(1, "ok"), verdict(0, revision=1)])
    assert kinds == [[Kind.OPEN], [Kind.UPDATE], [Kind.RESOLVE], []]
    assert incidents[DRIFT].state is Status.RESOLVED
    assert incidents[DRIFT].cause == "early(age)"
