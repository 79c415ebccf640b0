"""From incident transitions to the outbox."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.errors import UsageError
from monitor.incident.forget import KEPT, RETENTION, forget
from monitor.incident.intend import acknowledge, delivery_id, intend
from monitor.incident.model import Incident, Span
from monitor.incident.track import Kind, track
from monitor.state.log import Entry
from tests.incident.cases import (
    DAY,
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

PAGED = routes(pagerduty="https://events.example/enqueue")


def actions(ledger):
    """(action, incident) of the outbox in the order of decision."""
    bodies = sorted(ledger.of("intent").values(), key=lambda body: (body["created"], body["sequence"]))
    return [(body["action"], body["incident"]["id"]) for body in bodies]


def only(bodies):
    (body,) = bodies.values()
    return body


def test_opening_and_resolving_page_once_each():
    """An incident that opens, goes on and resolves makes one trigger and one resolve, ids by content."""
    states = ["drift", "drift", "ok", "ok"]
    ledger, kinds = live(empty_ledger(), [verdict(i, s) for i, s in enumerate(states)], plan(), PAGED)
    incident = next(iter(ledger.of("incident")))
    assert [kind for _, kind in kinds] == [Kind.OPEN, Kind.UPDATE, Kind.UPDATE, Kind.RESOLVE]
    assert actions(ledger) == [("trigger", incident), ("resolve", incident)]
    assert set(ledger.of("intent")) == {
        delivery_id(incident, "pagerduty", "open"),
        delivery_id(incident, "pagerduty", "resolve"),
    }


def test_severities_that_are_not_routed_page_nobody():
    """A warning does not reach PagerDuty unless its severity is routed there."""
    one = [verdict(0, "ok", rules=("limit",))]
    raw = plan(raw_rules=(raw_rule(),))
    assert actions(live(empty_ledger(), one, raw, PAGED)[0]) == []
    both = routes(pagerduty="https://events.example", severities=("critical", "warning"))
    assert len(actions(live(empty_ledger(), one, raw, both)[0])) == 1


def test_a_rise_after_a_fall_has_an_id_of_its_own():
    """Every change of severity that pages or unpages is another delivery."""
    ledger = empty_ledger()
    for number, action in enumerate(["page", "ticket", "page"]):
        ledger, _ = live(
            ledger,
            [verdict(number, "ok", rules=("limit",))],
            plan(raw_rules=(raw_rule(action=action),)),
            PAGED,
            now=START + number,
        )
    assert [action for action, _ in actions(ledger)] == ["trigger", "resolve", "trigger"]


def test_spans_are_wall_time_of_each_severity():
    """One severity stands at a time; a severity that comes back starts anew."""
    ledger = empty_ledger()
    for number, action in enumerate(["page", "ticket"]):
        ledger, _ = live(
            ledger,
            [verdict(number, "ok", rules=("limit",))],
            plan(raw_rules=(raw_rule(action=action),)),
            routes(),
            now=5_000 + number * 100,
        )
    incident = Incident.from_json(only(ledger.of("incident")))
    assert incident.spans == {"critical": Span(5_000, 5_100), "warning": Span(5_100)}


def test_a_clock_that_goes_back_gives_no_negative_span():
    """endsAt before startsAt would be refused by Alertmanager."""
    ledger, _ = live(empty_ledger(), [verdict(0)], plan(), routes(), now=10_000)
    ledger, _ = live(ledger, [verdict(1, "ok")], plan(clear_after=1), routes(), now=9_000)
    assert Incident.from_json(only(ledger.of("incident"))).spans["critical"] == Span(10_000, 10_000)


def test_acknowledgement_survives_later_windows():
    """Who acknowledged is kept although the evaluate loop knows nothing of it, and PagerDuty is told once."""
    ledger, _ = live(empty_ledger(), [verdict(0)], plan(), PAGED)
    identity = next(iter(ledger.of("incident")))
    ledger = with_entries(ledger, acknowledge(ledger, identity, by="ada", alerts=PAGED, now=START + 1))
    ledger = with_entries(ledger, acknowledge(ledger, identity, by="bob", alerts=PAGED, now=START + 2))
    stale = {"drift": replace(Incident.from_json(only(ledger.of("incident"))), acked_by="", acked_at=-1)}
    transitions = track(stale, verdict(1), plan())
    entries = intend(transitions, ledger, plan=plan(), alerts=PAGED, now=START + HOUR).entries
    ledger = with_entries(ledger, entries)
    assert only(ledger.of("incident"))["acked_by"] == "bob"
    assert [action for action, _ in actions(ledger)] == ["trigger", "acknowledge"]


@pytest.mark.parametrize("states", [[], ["drift", "ok", "ok"]])
def test_only_open_incidents_are_acknowledged(states):
    """An unknown or resolved incident is a usage error that says what would be right."""
    ledger, _ = live(empty_ledger(), [verdict(i, s) for i, s in enumerate(states)], plan(), PAGED)
    identity = next(iter(ledger.of("incident")), "nothing")
    with pytest.raises(UsageError, match=identity):
        acknowledge(ledger, identity, by="ada", alerts=PAGED, now=START)


def test_pages_are_counted():
    """Opening at critical is a page; updates and resolves are none."""
    transitions = track({}, verdict(0), plan())
    assert intend(transitions, empty_ledger(), plan=plan(), alerts=PAGED, now=START).pages == 1


def test_forget_removes_only_what_is_finished_and_old():
    """Open incidents, undelivered intents, their claims and undecided suggestions stay for ever."""
    ended = {"spans": {"critical": {"starts": 0, "ends": 1}}}
    many = {f"i{n:03d}": {"state": "resolved", **ended} for n in range(KEPT + 1)}
    entries = [Entry("incident", name, body) for name, body in many.items()]
    entries += [
        Entry("incident", "open", {"state": "firing", **ended}),
        Entry("intent", "waiting", {"integration": "pagerduty"}),
        Entry("outcome", "waiting", {"state": "retry", "at": 0}),
        Entry("outcome", "gone", {"state": "sent", "at": 0}),
        Entry("claim", "waiting/0", {"intent": "waiting", "at": 0}),
        Entry("claim", "gone/0", {"intent": "gone", "at": 0}),
        Entry("retrain", "asked", {"state": "suggested", "created": 0, "decided_at": -1}),
        Entry("retrain", "done", {"state": "requested", "created": 0, "decided_at": 0}),
    ]
    ledger = with_entries(empty_ledger(), entries)
    assert forget(ledger, RETENTION) == ()
    removed = {(entry.kind, entry.id) for entry in forget(ledger, RETENTION + DAY)}
    assert {kind for kind, _ in removed} == {"incident", "outcome", "claim", "retrain"}
    assert removed - {(kind, name) for kind, name in removed if kind == "incident"} == {
        ("outcome", "gone"),
        ("claim", "gone/0"),
        ("retrain", "done"),
    }
    assert len(removed) == 4


def test_an_incident_that_nobody_was_told_of_is_as_old_as_its_end():
    """It has no wall times, and does not go before those that are older: here two of these do, and then the oldest of those."""
    told = {f"i{n:03d}": {"spans": {"critical": {"starts": 0, "ends": n}}} for n in range(KEPT)}
    quiet = {f"q{n}": {"spans": {}, "updated": DAY + n} for n in range(2)}
    entries = [
        Entry("incident", name, {"state": "resolved", **body}) for name, body in (told | quiet).items()
    ]
    ledger = with_entries(empty_ledger(), entries)
    assert {entry.id for entry in forget(ledger, RETENTION + DAY)} == {"i000", "i001"}
    assert forget(ledger, RETENTION) == ()
