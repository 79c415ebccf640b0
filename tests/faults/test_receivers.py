"""Receivers that are away, refuse, hang, or answer in the middle of things: rows 45 to 47."""

from __future__ import annotations

import time
from contextlib import suppress
from email.utils import formatdate

import pytest

from monitor.deliver.receiver import Answer, Receiver
from tests.daemon.ask import get, until
from tests.daemon.build import MODEL, merged, stream, with_retraining
from tests.faults.world import (
    BRISK,
    Watcher,
    alerts_of,
    await_read,
    counted,
    ends_well,
    is_exact,
    ledger_of,
    ms,
    resident,
)

REFUSED = "hard-limit"
RULE = {"when": "missing(amount) > 0.3", "do": "ticket"}
KEY = "0123456789abcdef0123456789abcdef"


def refuse_one(receiver):
    """An Alertmanager that takes no batch with an alert of one rule in it."""

    def answer(connection):
        is_bad = any(a["labels"].get("rule") == REFUSED for a in connection.received.json())
        connection.send_response(400 if is_bad else 200)
        connection.send_header("Content-Length", "0")
        connection.end_headers()

    return Answer(act=answer)


def trickle(connection):
    """One byte at a time, for longer than anybody waits."""
    with suppress(OSError):
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 400:
            connection.wfile.write(bytes([byte]))
            connection.wfile.flush()
            time.sleep(0.01)


def flood(connection):
    """A hundred megabytes where two bytes were asked for."""
    with suppress(OSError):
        connection.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
        for _ in range(1600):
            connection.wfile.write(b"x" * 65_536)


def late(connection):
    """200, but behind the time-out: the sender cannot know."""
    time.sleep(0.8)
    with suppress(OSError):
        connection.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def reset(connection):
    """The connection dies in the middle of the answer."""
    connection.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")


@pytest.mark.slow
def test_row_45_alertmanager_is_down_refuses_one_alert_hangs_or_trickles(make):
    """Of two members one is always told, whatever the other does; that one is told what stands, all but what it
    refuses, as soon as it can take it: once a resend, and never a backlog. Each alert outlives the next resends."""
    with Watcher() as good, Receiver() as gone:
        port, url = gone.port, gone.url
        gone.stop()
        scene = make(
            alerts={"alertmanager": {"urls": [url, good.url], "timeout": "300ms"}},
            models={MODEL: {"rules": {REFUSED: RULE}}},
        )
        sent = stream(range(4), drifting=(2, 3))
        scene.send(sent)
        with scene.process(module=BRISK) as life:
            until(lambda: len(alerts_of(good.requests)) > 3, "the member that is there to be told")
            with Watcher(port=port) as odd:
                odd.answer_always(refuse_one(odd))
                odd.wait_for(4)
                for mood in (Answer(503), Answer(act=lambda _: time.sleep(1)), Answer(act=trickle)):
                    odd.answer_always(mood)
                    odd.wait_for(len(odd.requests) + 2)
                odd.answer_always(refuse_one(odd))
                before, since = len(odd.requests), time.time()
                odd.wait_for(before + 3)
                await_read(life, sent)
                assert len(odd.requests) - before <= time.time() - since + 2
                for reason in ("other", "serverError", "contextDeadlineExceeded"):
                    assert counted(life, "notifications_failed_total", "alertmanager", reason) > 0
                assert life.end() == 0, life.output
    assert {alert["labels"].get("rule") for alert in odd.requests[-1].json()} == {None}
    assert {alert["labels"].get("rule") for alert in good.requests[-1].json()} == {None, REFUSED}
    for one in (good, odd):
        for at, request in zip(one.times, one.requests, strict=True):
            assert all(ms(alert["endsAt"]) > 1000 * at + 2000 for alert in request.json())
    is_exact(scene, sent)


@pytest.mark.slow
def test_row_46_pagerduty_says_429_400_500_or_speaks_no_tls(make, receiver):
    """What it cannot take now it gets later under the same key, not before the time it asks for, and minutes later
    where it asks for none; what it calls invalid is dead at once, on record and in the metrics that alert."""
    pages = {"routing_key": KEY, "allow_private": ["127.0.0.0/8"], "severity": ["critical"]}
    with Watcher() as pager:
        pager.answer_always(Answer(202))
        scene = make(alerts={"pagerduty": {**pages, "url": pager.url.replace("http:", "https:")}})
        sent = stream(range(8), drifting=(2, 3, 6, 7))
        first = len(sent) * 6 // 8
        scene.send(sent[:first])
        with scene.process(module=BRISK) as life:
            failed = "notifications_failed_total", "pagerduty"
            until(lambda: counted(life, *failed, "other"), "the handshake to end badly")
            pager.answer(Answer(429, headers={"Retry-After": "2"}), Answer(500), Answer(202), Answer(400))
            scene.configure(alerts={"pagerduty": {"url": pager.url}})
            assert get(f"{life.url}/-/reload", method="POST")[0] == 200
            pager.wait_for(4, timeout=30)
            until(lambda: counted(life, "outbox_pending", "pagerduty") == 0, "the outbox to be empty")
            assert [counted(life, *failed, why) for why in ("rateLimited", "serverError", "clientError")] == [
                1
            ] * 3
            ends_well(life, sent[:first])
        actions = [request.json()["event_action"] for request in pager.requests]
        assert actions == ["trigger"] * 3 + ["resolve"]
        assert len({request.json()["dedup_key"] for request in pager.requests}) == 1
        assert pager.times[1] - pager.times[0] >= 2
        outcomes = ledger_of(scene, "outcome").values()
        assert sorted(body["state"] for body in outcomes if body["integration"] == "pagerduty") == [
            "dead",
            "sent",
        ]
        pager.answer(Answer(429))
        scene.send(sent[first:])
        with scene.process() as life:
            pager.wait_for(5, timeout=30)
            until(lambda: counted(life, *failed, "rateLimited"), "the answer to be counted")
            ends_well(life, sent)
    assert len(pager.requests) == 5
    (waiting,) = (body for body in ledger_of(scene, "outcome").values() if body["state"] == "retry")
    assert 30_000 <= waiting["next"] - waiting["at"] <= 60_000
    is_exact(scene, sent)


ODD = (
    Answer(act=late),
    Answer(302, headers={"Location": "/elsewhere"}),
    *[Answer(500)] * 3,
    Answer(act=reset),
    Answer(429, headers={"Retry-After": "1"}),
)


@pytest.mark.slow(30)
def test_row_47_a_webhook_answers_in_every_odd_way(make):
    """One request under one id until it is taken: after a time-out, a redirect that is not followed, failures, a
    connection that breaks and times that were asked for. A hundred megabytes are not read. 410 ends the target."""
    with Watcher() as hooks:
        changes = merged(
            with_retraining(hooks),
            {
                "models": {MODEL: {"retrain": {"cooldown": "0s", "max_per_day": 1000}}},
                "targets": {"pipeline": {"timeout": "500ms"}},
            },
        )
        scene = make(**changes)
        sent = stream(range(12), drifting=(2, 3, 6, 7, 10, 11))
        hooks.answer(*ODD)
        with scene.process(module=BRISK) as life:
            scene.send(sent[: len(sent) // 3])
            hooks.wait_for(len(ODD), timeout=120)
            hooks.answer(
                Answer(503, headers={"Retry-After": formatdate(time.time() + 4, usegmt=True)}),
                Answer(act=flood),
            )
            before = resident(life.process.pid)
            hooks.wait_for(len(ODD) + 2, timeout=30)
            until(lambda: counted(life, "outbox_pending", "pipeline") == 0, "the request to be taken")
            assert resident(life.process.pid) - before < 32 << 20
            hooks.answer(Answer(410))
            for third in (2, 3):
                scene.send(sent[(third - 1) * len(sent) // 3 : third * len(sent) // 3])
                await_read(life, sent[: third * len(sent) // 3])
                until(lambda: counted(life, "outbox_pending", "pipeline") == 0, "the outbox to be empty")
            assert life.end() == 0, life.output
    requests = [request for request in hooks.requests if request.path == "/hooks/retrain"]
    assert requests == hooks.requests
    ids = [request.headers["webhook-id"] for request in requests]
    assert [ids.count(one) for one in dict.fromkeys(ids)] == [len(ODD) + 2, 1]
    assert len({request.body for request in requests}) == 2
    gaps = [after - before for before, after in zip(hooks.times, hooks.times[1:], strict=False)]
    assert gaps[len(ODD) - 1] >= 1
    assert gaps[len(ODD)] >= 1.5
    outcomes = [body["state"] for body in ledger_of(scene, "outcome").values() if body["action"] == "retrain"]
    assert sorted(outcomes) == ["dead", "dead", "sent"]
    is_exact(scene, sent)
