"""Retraining requests on the wire: Standard Webhooks, CloudEvents, and every way a target can answer."""

from __future__ import annotations

import base64
import itertools
import json
import time
from dataclasses import replace
from email.utils import formatdate

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from monitor.deliver.backoff import WEBHOOK
from monitor.deliver.receiver import Answer
from monitor.deliver.signing import signature_headers, verify
from monitor.deliver.watch import Watch
from monitor.errors import UsageError
from monitor.secret import Secret
from tests.incident.cases import ROTATED, SECRET, routes, verdict


def test_a_request_arrives_signed_and_is_done(receiver, outbox):
    """One drifting window: one POST, accepted, no intent left, the outcome on record."""
    box = outbox(routes(target=receiver.url))
    box.judge(verdict(0))
    loop = box.webhook()
    loop.tick()
    (got,) = receiver.requests
    (identity,) = box.entries("outcome")
    assert got.path == "/hooks/retrain"
    assert got.headers["webhook-id"] == got.headers["idempotency-key"] == identity
    assert got.headers["content-type"] == "application/cloudevents+json; charset=UTF-8"
    assert got.headers["x-driftline-model"] == "flights"
    assert got.headers["user-agent"].startswith("driftline/")
    assert got.is_signed(SECRET, now_ms=box.clock.now_ms())
    assert box.outcomes() == [("retrain", "sent")]
    assert box.entries("intent") == {}
    loop.tick()
    assert len(receiver.requests) == 1


def test_standardwebhooks_accepts_the_signature(receiver, outbox):
    """The reference implementation of the receivers verifies what we sign, and nothing altered."""
    box = outbox(routes(target=receiver.url))
    box.clock.advance(time.time() - box.clock.now_ms() / 1000)  # the verifier reads the real clock
    box.judge(verdict(0))
    box.webhook().tick()
    (got,) = receiver.requests
    assert Verifier(SECRET).verify(got.body, dict(got.headers))["type"] == "driftline.retrain.requested.v1"
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(got.body.replace(b"flights", b"flughts"), dict(got.headers))


def test_both_secrets_sign_during_rotation(receiver, outbox):
    """A receiver with either the new or the old secret accepts the request."""
    alerts = routes(target=receiver.url)
    target = replace(alerts.targets["pipeline"], secrets=(Secret(ROTATED), Secret(SECRET)))
    box = outbox(replace(alerts, targets={"pipeline": target}))
    box.judge(verdict(0))
    box.webhook().tick()
    (got,) = receiver.requests
    assert len(got.headers["webhook-signature"].split()) == 2
    now = box.clock.now_ms()
    assert got.is_signed(SECRET, now_ms=now)
    assert got.is_signed(ROTATED, now_ms=now)
    assert not got.is_signed("whsec_" + base64.b64encode(b"x" * 32).decode(), now_ms=now)


def test_the_body_is_a_cloudevent(receiver, outbox):
    """The cloudevents package parses it; the data say what drifted, where and against what."""
    box = outbox(routes(target=receiver.url))
    box.judge(verdict(0))
    box.webhook().tick()
    (got,) = receiver.requests
    event = from_structured(HTTPMessage(dict(got.headers), got.body), JSONFormat())
    assert event.get_type() == "driftline.retrain.requested.v1"
    assert event.get_source() == "https://driftline.example/prod"
    assert event.get_subject() == "flights"
    assert event.get_id() == got.headers["webhook-id"]
    data = event.get_data()
    assert data["features"][0]["name"] == "dep_delay"
    assert data["kafka"] == {"topic": "predictions", "from": {"0": 812, "1": 7}, "to": {"0": 944, "1": 19}}
    assert data["window"]["records"] == 812
    assert data["model_version"] == "7"
    assert len(got.body) < 20_000


def test_retries_keep_the_id_and_the_body(receiver, outbox):
    """500 three times: the schedule of Standard Webhooks, one id, one body, fresh timestamps."""
    box = outbox(routes(target=receiver.url))
    receiver.answer(Answer(500), Answer(502), Answer(503))
    box.judge(verdict(0))
    box.pump(box.webhook(), seconds=3600)
    assert [got.headers["webhook-id"] for got in receiver.requests] == [
        next(iter(box.entries("outcome")))
    ] * 4
    assert len({got.body for got in receiver.requests}) == 1
    times = [int(got.headers["webhook-timestamp"]) for got in receiver.requests]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert [wait * 0.8 - 1 <= gap <= wait + 2 for wait, gap in zip((5, 300, 1800), gaps, strict=True)] == [
        True
    ] * 3
    assert box.outcomes() == [("retrain", "sent")]


def test_it_gives_up_after_the_schedule(receiver, outbox):
    """Ten attempts over some days, then the request is dead and the outbox empty."""
    box = outbox(routes(target=receiver.url))
    receiver.answer_always(Answer(500, b"broken"))
    box.judge(verdict(0))
    loop = box.webhook()
    for _ in range(200):
        loop.tick()
        box.clock.advance(3600)
    assert len(receiver.requests) == WEBHOOK.attempts
    assert box.outcomes() == [("retrain", "dead")]
    assert box.entries("intent") == {}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(receiver, outbox, status, form):
    """Seconds or HTTP-date: no attempt before the time that the receiver asked for."""
    box = outbox(routes(target=receiver.url))
    asked = "120" if form == "seconds" else formatdate(box.clock.now_ms() / 1000 + 120, usegmt=True)
    receiver.answer(Answer(status, headers={"Retry-After": asked}))
    box.judge(verdict(0))
    loop = box.webhook()
    box.pump(loop, seconds=118)
    assert len(receiver.requests) == 1
    box.pump(loop, seconds=10)
    assert len(receiver.requests) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(receiver, outbox, status):
    """The location of a redirect is never asked; the request is tried again later."""
    box = outbox(routes(target=receiver.url))
    receiver.answer(Answer(status, headers={"Location": f"{receiver.url}/elsewhere"}))
    box.judge(verdict(0))
    box.webhook().tick()
    assert [got.path for got in receiver.requests] == ["/hooks/retrain"]
    assert box.outcomes() == [("retrain", "retry")]


def test_gone_disables_the_target_for_good(receiver, outbox):
    """After 410 nothing is sent, also after a restart, until the target has another URL."""
    box = outbox(routes(target=receiver.url))
    receiver.answer(Answer(410, b"gone"))
    box.judge(verdict(0))
    box.webhook().tick()
    box.restart()
    box.judge(verdict(1, "ok"), verdict(2, "ok"), verdict(3))
    box.webhook().tick()
    assert len(receiver.requests) == 1
    assert box.outcomes() == [("retrain", "dead")] * 2
    target = replace(box.alerts.targets["pipeline"], url=f"{receiver.url}/new")
    box.alerts = replace(box.alerts, targets={"pipeline": target})
    box.judge(verdict(4, "ok"), verdict(5, "ok"), verdict(6))
    box.webhook().tick()
    assert [got.path for got in receiver.requests] == ["/hooks/retrain", "/new"]


def test_success_after_our_timeout_is_sent_again_with_the_same_id(receiver, outbox):
    """The outcome is unknown when the answer comes too late; the receiver deduplicates by the id."""
    alerts = routes(target=receiver.url)
    http = replace(alerts.targets["pipeline"].http, timeout=0.2)
    box = outbox(replace(alerts, targets={"pipeline": replace(alerts.targets["pipeline"], http=http)}))
    receiver.answer(Answer(act=lambda connection: time.sleep(0.6)))
    box.judge(verdict(0))
    loop = box.webhook()
    loop.tick()
    (outcome,) = box.entries("outcome").values()
    assert (outcome["state"], outcome["reason"]) == ("retry", "contextDeadlineExceeded")
    box.pump(loop, seconds=10)
    first, second = receiver.wait_for(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_a_reset_in_the_body_is_tried_again(receiver, outbox):
    """A connection that dies in the middle of the answer counts as no answer."""
    box = outbox(routes(target=receiver.url))
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this"
    receiver.answer(Answer(act=lambda connection: connection.wfile.write(cut)))
    box.judge(verdict(0))
    loop = box.webhook()
    loop.tick()
    assert box.outcomes() == [("retrain", "retry")]
    box.pump(loop, seconds=10)
    assert box.outcomes() == [("retrain", "sent")]


def test_a_crash_between_send_and_outcome_sends_again(receiver, outbox):
    """Killed after the request left: the next process sends the same id once more, then it is done."""
    from monitor.state.simulated import SimulatedCrash

    box = outbox(routes(target=receiver.url))
    box.judge(verdict(0))
    box.log.crash_at("append.before")
    with pytest.raises(SimulatedCrash):
        box.webhook().tick()
    box.restart()
    box.pump(box.webhook(), seconds=2)
    assert len({got.headers["webhook-id"] for got in receiver.wait_for(2)}) == 1
    assert box.outcomes() == [("retrain", "sent")]
    (outcome,) = box.entries("outcome").values()
    assert outcome["attempt"] == 1


@pytest.mark.parametrize("point", ["claim.before", "claim.after", "append.inside", "append.after"])
def test_any_crash_delivers_at_least_once(receiver, outbox, point):
    """Wherever the process dies around a send, the request arrives and no id but its own does."""
    from monitor.state.simulated import SimulatedCrash

    box = outbox(routes(target=receiver.url))
    box.judge(verdict(0))
    (identity,) = box.entries("intent")
    box.log.crash_at(point)
    with pytest.raises(SimulatedCrash):
        box.webhook().tick()
    box.restart()
    box.pump(box.webhook(), seconds=2)
    assert {got.headers["webhook-id"] for got in receiver.requests} == {identity}
    assert box.outcomes() == [("retrain", "sent")]


def test_another_owner_of_the_model_keeps_us_quiet(receiver, outbox):
    """Attempts that were claimed by somebody else are not made; we look again much later."""
    box = outbox(routes(target=receiver.url))
    box.judge(verdict(0))
    (identity,) = box.entries("intent")
    for attempt in range(6):
        box.log.claim("flights", identity, attempt)
    loop = box.webhook()
    box.pump(loop, seconds=29)
    assert receiver.requests == []
    box.pump(loop, seconds=70)
    assert len(receiver.requests) == 1


def test_two_processes_share_one_attempt(receiver, outbox):
    """A zombie that still delivers makes no second request: the claim decides who sends."""
    box = outbox(routes(target=receiver.url))
    box.judge(verdict(0))
    mine = box.webhook()
    box.watch = Watch(box.log, box.clock, lambda: ("flights",))
    zombie = box.webhook()
    mine.watch.ledgers()
    zombie.watch.ledgers()  # both have seen the intent
    mine.tick()
    zombie.tick()
    zombie.tick()
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "secret", ["whsec_short", "not base64!", "whsec_" + base64.b64encode(b"x" * 65).decode()]
)
def test_bad_secrets_are_named_but_not_shown(secret):
    """A secret that cannot be one is a usage error whose text does not hold it."""
    with pytest.raises(UsageError) as raised:
        signature_headers("id", b"{}", secrets=[secret], now_ms=0)
    assert secret not in str(raised.value)


def test_old_signatures_do_not_verify():
    """A replayed request is refused once its timestamp is five minutes old."""
    headers = signature_headers("rt_1", b"{}", secrets=[SECRET], now_ms=1_000_000)
    assert verify(headers, b"{}", secret=SECRET, now_ms=1_299_000)
    assert not verify(headers, b"{}", secret=SECRET, now_ms=1_301_000)


def test_a_rotated_secret_file_is_read_at_each_send(receiver, outbox, tmp_path):
    """A file that changes between two attempts needs no restart."""
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    alerts = routes(target=receiver.url)
    target = replace(alerts.targets["pipeline"], secrets=(Secret(file=str(file)),))
    box = outbox(replace(alerts, targets={"pipeline": target}))
    receiver.answer(Answer(500))
    box.judge(verdict(0))
    loop = box.webhook()
    loop.tick()
    file.write_text(ROTATED)
    box.pump(loop, seconds=10)
    first, second = receiver.requests
    now = box.clock.now_ms()
    assert first.is_signed(SECRET, now_ms=now)
    assert second.is_signed(ROTATED, now_ms=now)


def test_a_missing_secret_file_is_tried_again(receiver, outbox, tmp_path):
    """Nothing leaves unsigned when the secret cannot be read."""
    alerts = routes(target=receiver.url)
    target = replace(alerts.targets["pipeline"], secrets=(Secret(file=str(tmp_path / "absent")),))
    box = outbox(replace(alerts, targets={"pipeline": target}))
    box.judge(verdict(0))
    box.webhook().tick()
    assert receiver.requests == []
    assert box.outcomes() == [("retrain", "retry")]


def test_model_names_cannot_break_headers(receiver, outbox):
    """A name with line breaks or other scripts is escaped in the header, whole in the body."""
    from monitor.deliver.event import event_of
    from monitor.incident.model import Incident

    box = outbox(routes(target=receiver.url))
    box.judge(verdict(0))
    incident = Incident.from_json(next(iter(box.entries("incident").values())))
    odd = replace(incident, model="flüge\r\nX-Evil: 1")
    event = event_of("rt_1", odd, box.alerts, created=0)
    box.target().ask(event)
    (got,) = receiver.requests
    assert "x-evil" not in got.headers
    assert json.loads(got.body)["subject"] == "flüge\r\nX-Evil: 1"


def test_own_headers_and_token(receiver, outbox):
    """The operator's headers are sent, but cannot replace the signature, the type or the token."""
    alerts = routes(target=receiver.url)
    extra = {"X-Team": "ml", "content-type": "text/plain", "Webhook-Id": "forged"}
    target = replace(alerts.targets["pipeline"], headers=extra, token=Secret("t0ken"))
    box = outbox(replace(alerts, targets={"pipeline": target}))
    box.judge(verdict(0))
    box.webhook().tick()
    (got,) = receiver.requests
    assert got.headers["x-team"] == "ml"
    assert got.headers["authorization"] == "Bearer t0ken"
    assert got.headers["content-type"].startswith("application/cloudevents+json")
    assert got.is_signed(SECRET, now_ms=box.clock.now_ms())
