"""PagerDuty Events v2: what is sent, and what each answer means."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from monitor.clock import ManualClock
from monitor.deliver.pagerduty import SIZE_LIMIT, TokenBucket, dedup_key, encode, event_of
from monitor.deliver.receiver import Answer
from monitor.incident.model import Incident
from tests.incident.cases import routes, verdict, voting_test

ACCEPTED = Answer(202, b'{"status":"success","message":"Event processed","dedup_key":"x"}')


def events(receiver):
    return [got.json() for got in receiver.requests]


def assert_contract(event):
    """What the Events API v2 requires of every event."""
    assert len(event["routing_key"]) == 32
    assert event["event_action"] in {"trigger", "acknowledge", "resolve"}
    assert 0 < len(event["dedup_key"]) <= 255
    if event["event_action"] == "trigger":
        payload = event["payload"]
        assert 0 < len(payload["summary"]) <= 1024
        assert payload["source"]
        assert payload["severity"] in {"critical", "error", "warning", "info"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", payload["timestamp"])


def test_trigger_and_resolve_share_one_dedup_key(receiver, outbox):
    """An incident is one PagerDuty alert: triggered when it opens, resolved when it closes."""
    receiver.answer_always(ACCEPTED)
    box = outbox(routes(pagerduty=receiver.url))
    box.judge(verdict(0), verdict(1), verdict(2, "ok"), verdict(3, "ok"))
    box.pump(box.pagerduty(), seconds=5)
    sent = events(receiver)
    for event in sent:
        assert_contract(event)
    (incident,) = box.entries("incident")
    assert [event["event_action"] for event in sent] == ["trigger", "resolve"]
    assert {event["dedup_key"] for event in sent} == {dedup_key(incident)}
    assert "flights drifted: missing(dep_delay) 0.51 > " in sent[0]["payload"]["summary"]
    assert sent[0]["payload"]["component"] == "flights@7"
    assert sent[0]["links"] == [{"href": "https://runbooks.example/drift", "text": "Runbook"}]
    assert box.outcomes() == [("trigger", "sent"), ("resolve", "sent")]


def test_400_is_never_retried(receiver, outbox):
    """An event that PagerDuty calls invalid is dead at once, with its answer on record."""
    receiver.answer(Answer(400, b'{"status":"invalid event","errors":["bad key"]}'))
    box = outbox(routes(pagerduty=receiver.url))
    box.judge(verdict(0))
    box.pump(box.pagerduty(), seconds=7200)
    assert len(receiver.requests) == 1
    (outcome,) = box.entries("outcome").values()
    assert (outcome["state"], outcome["reason"]) == ("dead", "clientError")
    assert "bad key" in outcome["detail"]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(429, "rateLimited"), (500, "serverError"), (408, "clientError"), (503, "serverError")],
)
def test_temporary_answers_wait_minutes(receiver, outbox, status, reason):
    """429, 408 and 5xx are tried again, not sooner than half a minute later, under the same key."""
    receiver.answer(Answer(status))
    receiver.answer_always(ACCEPTED)
    box = outbox(routes(pagerduty=receiver.url))
    box.judge(verdict(0))
    loop = box.pagerduty()
    box.pump(loop, seconds=25)
    assert len(receiver.requests) == 1
    (outcome,) = box.entries("outcome").values()
    assert (outcome["state"], outcome["reason"]) == ("retry", reason)
    box.pump(loop, seconds=60)
    assert len({event["dedup_key"] for event in events(receiver)}) == 1
    assert box.outcomes() == [("trigger", "sent")]


def test_retry_after_is_honoured(receiver, outbox):
    """A 429 that names a time is not disturbed before it."""
    receiver.answer(Answer(429, headers={"Retry-After": "600"}))
    box = outbox(routes(pagerduty=receiver.url))
    box.judge(verdict(0))
    box.pump(box.pagerduty(), seconds=590)
    assert len(receiver.requests) == 1


def test_a_resolve_never_overtakes_its_trigger(receiver, outbox):
    """While the trigger is being retried its resolve waits; both arrive, in order."""
    receiver.answer(Answer(500), Answer(500))
    receiver.answer_always(ACCEPTED)
    box = outbox(routes(pagerduty=receiver.url))
    loop = box.pagerduty()
    box.judge(verdict(0))
    loop.tick()
    box.judge(verdict(1, "ok"), verdict(2, "ok"))
    box.pump(loop, seconds=600)
    assert [event["event_action"] for event in events(receiver)] == ["trigger"] * 3 + ["resolve"]


def test_an_unreachable_receiver_is_tried_again(outbox):
    """A refused connection is a retry whose text names the host, not the path."""
    box = outbox(routes(pagerduty="http://127.0.0.1:1/v2/enqueue-secret"))
    box.judge(verdict(0))
    box.pagerduty().tick()
    (outcome,) = box.entries("outcome").values()
    assert (outcome["state"], outcome["reason"]) == ("retry", "other")
    assert "enqueue-secret" not in outcome["detail"]


def test_a_page_is_given_up_after_a_day(receiver, outbox):
    """Nobody is woken today for what PagerDuty could not take yesterday."""
    receiver.answer_always(Answer(503))
    box = outbox(routes(pagerduty=receiver.url))
    box.judge(verdict(0))
    loop = box.pagerduty()
    for _ in range(200):
        loop.tick()
        box.clock.advance(600)
    assert box.outcomes() == [("trigger", "dead")]


def test_the_rate_stays_under_the_limit(receiver, outbox):
    """A hundred events leave at once, the next ones as tokens come: PagerDuty drops what is faster."""
    clock = ManualClock()
    bucket = TokenBucket(100, clock)
    for _ in range(100):
        assert bucket.ready_in() == 0
        bucket.take()
    assert bucket.ready_in() == pytest.approx(0.6)
    clock.advance(0.61)
    assert bucket.ready_in() == 0


def test_details_give_way_to_the_size_limit():
    """An event above 512 KB keeps everything but its details."""
    event = {
        "event_action": "trigger",
        "payload": {"summary": "s", "custom_details": {"x": "y" * SIZE_LIMIT}},
    }
    body = encode(event)
    assert len(body) < 1000
    assert "left out" in json.loads(body)["payload"]["custom_details"]["error"]


def test_a_summary_is_cut_at_1024(outbox):
    """A feature with a very long name does not make the event invalid."""
    box = outbox(routes(pagerduty="http://127.0.0.1:1"))
    box.judge(verdict(0, tests=[voting_test("f" * 3000)]))
    incident = Incident.from_json(next(iter(box.entries("incident").values())))
    event = event_of(incident, "trigger", box.alerts)
    assert len(event["payload"]["summary"]) == 1024


def test_many_features_are_one_page(receiver, outbox):
    """Two hundred drifting features are one event with the worst of them in its details."""
    receiver.answer_always(ACCEPTED)
    box = outbox(routes(pagerduty=receiver.url))
    box.judge(verdict(0, tests=[voting_test(f"f{n}", x=300 - n) for n in range(200)]))
    box.pump(box.pagerduty(), seconds=5)
    (event,) = events(receiver)
    assert event["payload"]["summary"].endswith("and 199 more")
    assert len(event["payload"]["custom_details"]["tests"]) == 20


def test_the_routing_key_is_in_no_outcome(receiver, outbox):
    """Neither the ledger nor an answer's text on record shows the key."""
    receiver.answer_always(Answer(500))
    box = outbox(routes(pagerduty=receiver.url))
    box.judge(verdict(0))
    box.pagerduty().tick()
    assert "k" * 32 not in json.dumps([box.entries("outcome"), box.entries("intent")])
    assert replace(box.alerts).pagerduty.routing_key.reveal() not in repr(box.alerts)
