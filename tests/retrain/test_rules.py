"""When retraining is requested, and when it is held back."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.errors import UsageError
from monitor.incident.forget import RETENTION, forget
from monitor.incident.model import Incident
from monitor.plan import RetrainPlan
from monitor.retrain.guards import DAY, Guard, RetrainClock, check_guards, in_flight
from monitor.retrain.rules import approve, ask, reject, request_id, requests
from monitor.state.log import Entry
from tests.incident.cases import (
    HOUR,
    START,
    empty_ledger,
    live,
    plan,
    raw_rule,
    routes,
    verdict,
    with_entries,
)


def auto(**changes):
    return plan(retrain=RetrainPlan(**{"mode": "auto", "target": "pipeline", **changes}))


def drifting(count: int, first: int = 0):
    return [verdict(number) for number in range(first, first + count)]


def run(verdicts, model_plan, ledger=None, now=START):
    return live(ledger or empty_ledger(), verdicts, model_plan, routes(), now=now)[0]


def sent(ledger, request):
    """The ledger after the request was delivered."""
    outcome = Entry("outcome", request, {"state": "sent", "at": START})
    return with_entries(ledger, [outcome, Entry("intent", request, None)])


def test_off_asks_nothing():
    """Without a mode there is neither request nor suggestion nor guard."""
    ledger = run(drifting(3), auto(mode="off"))
    assert not ledger.of("retrain")
    assert not ledger.of("intent")
    assert "retrain" not in ledger.of("clock")


def test_auto_asks_once_after_enough_windows():
    """The request comes with the third drifting window in a row, under the incident's id, once."""
    model_plan = auto(windows=3)
    assert not run(drifting(2), model_plan).of("intent")
    ledger = run(drifting(6), model_plan)
    (incident,) = ledger.of("incident")
    assert list(ledger.of("intent")) == [request_id(incident)] == [f"rt_{incident}"]
    assert ledger.of("retrain")[f"rt_{incident}"]["state"] == "requested"
    assert ledger.of("clock")["retrain"]["requests"] == [START + 2 * HOUR]


@pytest.mark.parametrize("between", ["ok", "warn"])
def test_windows_must_follow_one_another(between):
    """A window that does not drift starts the count anew."""
    verdicts = [verdict(0), verdict(1, between), verdict(2)]
    assert not run(verdicts, auto(windows=2)).of("intent")


def test_a_resolving_window_asks_nothing():
    """Neither an ok window of a drifting incident nor its resolve makes a request."""
    ledger = run([verdict(0), verdict(1, "ok"), verdict(2, "ok")], auto(windows=2))
    assert not ledger.of("intent")


def test_suggestion_waits_for_a_person():
    """suggest makes no intent; approve makes exactly one, and cannot be repeated."""
    ledger = run(drifting(3), auto(mode="suggest"))
    (request,) = ledger.of("retrain")
    assert not ledger.of("intent")
    ledger = with_entries(ledger, approve(ledger, request, by="ada", now=START + 5))
    assert list(ledger.of("intent")) == [request]
    assert ledger.of("intent")[request]["integration"] == "pipeline"
    assert ledger.of("retrain")[request]["decided_by"] == "ada"
    with pytest.raises(UsageError, match="requested already"):
        approve(ledger, request, by="bob", now=START + 6)


def test_what_is_approved_goes_where_the_model_sends_it_by_then():
    """A target that was renamed meanwhile is the new one; without any there is no request that nobody would deliver."""
    ledger = run(drifting(3), auto(mode="suggest", target=""))
    (request,) = ledger.of("retrain")
    for target in (None, ""):
        with pytest.raises(
            UsageError, match=r"nobody would get the request.*models\.flights\.retrain\.target"
        ):
            approve(ledger, request, by="ada", now=START, target=target)
    ledger = with_entries(ledger, approve(ledger, request, by="ada", now=START, target="airflow"))
    assert ledger.of("intent")[request]["integration"] == "airflow"
    assert ledger.of("retrain")[request]["target"] == "airflow"


def test_rejected_stays_rejected():
    """The incident does not ask again after a no."""
    ledger = run(drifting(1), auto(mode="suggest"))
    (request,) = ledger.of("retrain")
    ledger = with_entries(ledger, reject(ledger, request, by="ada", now=START))
    ledger = run(drifting(3, 1), auto(mode="suggest"), ledger)
    assert [body["state"] for body in ledger.of("retrain").values()] == ["rejected"]
    with pytest.raises(UsageError, match="no such"):
        reject(ledger, "rt_unknown", by="ada", now=START)


def test_a_decision_stands_for_as_long_as_its_incident():
    """A drift of two months: who said no is not asked again after one, and who said yes has one request, not two; when it
    is over both are forgotten."""
    later = 2 * RETENTION
    for decide, state in ((reject, "rejected"), (approve, "requested")):
        ledger = run(drifting(1), auto(mode="suggest"))
        (request,) = ledger.of("retrain")
        ledger = with_entries(ledger, decide(ledger, request, by="ada", now=START))
        if decide is approve:
            ledger = sent(ledger, request)
        ledger = with_entries(ledger, forget(ledger, START + later))
        ledger = run(drifting(3, 1), auto(mode="suggest", cooldown=0), ledger, now=START + later)
        assert [body["state"] for body in ledger.of("retrain").values()] == [state]
        assert not in_flight(ledger, START + later)
        ledger = run([verdict(4, "ok"), verdict(5, "ok")], auto(mode="suggest"), ledger, now=START + later)
        assert {entry.kind for entry in forget(ledger, START + later)} >= {"retrain"}


def test_suggestion_expires_with_its_incident():
    """Nobody can approve what is over."""
    ledger = run([verdict(0), verdict(1, "ok"), verdict(2, "ok")], auto(mode="suggest"))
    (request,) = ledger.of("retrain")
    assert ledger.of("retrain")[request]["state"] == "expired"
    with pytest.raises(UsageError, match="expired"):
        approve(ledger, request, by="ada", now=START)


def test_cooldown_holds_the_next_incident_back_and_then_lets_it_through():
    """Within the cool-down a second incident is counted as suppressed; afterwards it asks."""
    model_plan = auto(cooldown=10 * HOUR, max_per_day=9)
    first = run([verdict(0), verdict(1, "ok"), verdict(2, "ok")], model_plan)
    (request,) = first.of("intent")
    second = run(drifting(3, 3), model_plan, sent(first, request), now=START + 3 * HOUR)
    assert not second.of("intent")
    assert second.of("clock")["retrain"]["suppressed"] == {"cooldown": 3}
    third = run(drifting(1, 6), model_plan, second, now=START + 10 * HOUR)
    assert len(third.of("intent")) == 1


def test_only_one_request_at_a_time():
    """While one request is undelivered another is held back as already running."""
    model_plan = auto(cooldown=0, max_per_day=9)
    first = run([verdict(0), verdict(1, "ok"), verdict(2, "ok")], model_plan)
    second = run(drifting(1, 3), model_plan, first, now=START + 3 * HOUR)
    assert len(second.of("intent")) == 1
    assert second.of("clock")["retrain"]["suppressed"] == {"already_running": 1}


def test_min_records_and_holds():
    """Thin windows and the operator's own hold are reasons of their own."""
    incident = Incident.from_json(next(iter(run(drifting(1), auto()).of("incident").values())))
    thin = RetrainPlan(mode="auto", min_records=10_000)
    assert check_guards(incident, empty_ledger(), plan=thin, now=START) is Guard.MIN_RECORDS
    held = ask(incident, empty_ledger(), plan=auto(), now=START, held=Guard.HEALTH)
    assert held.suppressed is Guard.HEALTH
    assert [entry.kind for entry in held.entries] == ["clock"]


@pytest.mark.parametrize(("setting", "reason"), [("paused", "paused"), ("dry_run", "dry_run")])
def test_held_back_by_a_setting(setting, reason):
    """Nothing is asked, suggested or remembered as a request, and each window that would ask is counted."""
    for mode in ("auto", "suggest"):
        ledger = run(drifting(2), auto(mode=mode, **{setting: True}))
        assert not ledger.of("intent")
        assert not ledger.of("retrain")
        assert ledger.of("clock")["retrain"] == {"requests": [], "suppressed": {reason: 2}}


def test_a_dry_run_counts_only_what_would_be_asked():
    """Other guards come first, as they would without it."""
    ledger = run(drifting(2), auto(dry_run=True, min_records=10_000))
    assert ledger.of("clock")["retrain"]["suppressed"] == {"min_records": 2}


def test_a_raw_rule_asks_without_an_alert():
    """`do: retrain` requests at once, and its incident has no alert of any severity."""
    model_plan = plan(
        raw_rules=(raw_rule(action="retrain"), raw_rule("other")),
        retrain=RetrainPlan(mode="auto", windows=9, target="pipeline"),
    )
    ledger = run([verdict(0, "ok", rules=("limit", "other"))], model_plan)
    (request,) = ledger.of("intent")
    incident = ledger.of("incident")[request.removeprefix("rt_")]
    assert (incident["rule"], incident["severity"], incident["spans"]) == ("limit", "none", {})


def test_a_late_correction_of_an_old_window_does_not_ask():
    """Only the newest window of a run counts towards a request."""
    ledger = run([verdict(0), verdict(1), verdict(2, "warn"), verdict(0, revision=1)], auto(windows=3))
    assert not ledger.of("intent")


def test_requests_show_what_became_of_them():
    """The list joins each request with the outcome of its delivery."""
    ledger = run(drifting(1), auto())
    (request,) = ledger.of("intent")
    assert requests(ledger)[0]["state"] == "requested"
    (shown,) = requests(sent(ledger, request))
    assert (shown["id"], shown["state"], shown["target"]) == (request, "sent", "pipeline")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["drift", "ok"]), min_size=10, max_size=120), st.integers(1, 3))
def test_flapping_drift_never_storms(states, per_day):
    """However drift flaps: never two requests within a cool-down, nor more than the maximum in any day."""
    cooldown = 5 * HOUR
    model_plan = auto(cooldown=cooldown, max_per_day=per_day)
    ledger, times = empty_ledger(), []
    for number, state in enumerate(states):
        now = START + number * HOUR
        ledger = run([verdict(number, state)], model_plan, ledger, now=now)
        for request in list(ledger.of("intent")):
            times.append(now)
            ledger = sent(ledger, request)
    assert all(later - earlier >= cooldown for earlier, later in itertools.pairwise(times))
    assert all(sum(0 <= time - start < DAY for time in times) <= per_day for start in times)
    assert len(ledger.of("retrain")) == len(times)


def test_the_clock_survives_the_ledger():
    """What the guards remember is an entry, and it forgets requests older than a day."""
    clock = RetrainClock().requested(0).held_back(Guard.COOLDOWN).requested(2 * DAY)
    ledger = with_entries(empty_ledger(), [clock.entry()])
    assert RetrainClock.of(ledger) == RetrainClock((2 * DAY,), {"cooldown": 1})
