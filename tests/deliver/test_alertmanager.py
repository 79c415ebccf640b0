"""Alertmanager as Prometheus speaks it: what is posted, how often, and what each answer means."""

from __future__ import annotations

import itertools
import json
import threading
import time
import uuid
from dataclasses import replace
from datetime import datetime

import pytest

from monitor.clock import SystemClock
from monitor.deliver.alertmanager import post_alerts
from monitor.deliver.alerts import Alert, standing_alerts
from monitor.deliver.attempt import Outcome
from monitor.deliver.plan import AlertmanagerPlan, HttpPlan
from monitor.deliver.receiver import Answer, Receiver
from monitor.deliver.start import run_integrations
from monitor.http import request
from monitor.incident.model import Incident
from tests.deliver.outbox import Outbox
from tests.incident.cases import LOOPBACK, plan, raw_rule, routes, verdict, voting_test

MINUTE = 60.0


def posted(receiver):
    """The alerts of each request."""
    return [got.json() for got in receiver.requests]


def ms(text):
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def test_one_alert_with_the_one_identity(receiver, outbox):
    """The labels are those of the incident's identity; everything that changes is an annotation."""
    box = outbox(routes(alertmanager=receiver.url))
    box.judge(verdict(0))
    box.member().tick()
    (got,) = receiver.requests
    assert got.path == "/api/v2/alerts"
    assert got.headers["content-type"] == "application/json"
    (alert,) = got.json()
    assert alert["labels"] == {"alertname": "ModelDrift", "model": "flights", "severity": "critical"}
    annotations = alert["annotations"]
    assert annotations["summary"].startswith("flights drifted: missing(dep_delay) 0.51 > ")
    assert annotations["features"] == "missing(dep_delay)"
    assert annotations["offsets"] == "predictions/0: 812-944, predictions/1: 7-19"
    assert annotations["onset"] == "2013-02-09T00:00:00.000Z"
    assert annotations["version"] == "7"
    assert annotations["window"] == "1h"
    assert annotations["runbook_url"] == "https://runbooks.example/drift"
    assert all(isinstance(value, str) and value for value in annotations.values())
    assert alert["generatorURL"] == "https://driftline.example/#model-flights"
    assert ms(alert["endsAt"]) - box.clock.now_ms() == 4 * 60_000
    assert ms(alert["startsAt"]) == box.clock.now_ms()


def test_firing_alerts_are_told_every_resend(receiver, outbox):
    """Once a minute, same startsAt, and each send is valid until after the next three."""
    box = outbox(routes(alertmanager=receiver.url))
    box.judge(verdict(0))
    box.pump(box.member(), seconds=5 * MINUTE + 5)
    sent = posted(receiver)
    assert len(sent) == 6
    assert len({alert["startsAt"] for (alert,) in sent}) == 1
    ends = [ms(alert["endsAt"]) for (alert,) in sent]
    gaps = [later - earlier for earlier, later in itertools.pairwise(ends)]
    assert all(60_000 <= gap <= 62_000 for gap in gaps)


def test_changes_are_told_at_once(receiver, outbox):
    """A new annotation or a resolve does not wait for the next resend."""
    box = outbox(routes(alertmanager=receiver.url))
    member = box.member()
    box.judge(verdict(0))
    box.pump(member, seconds=3)
    box.judge(verdict(1, rows=900))
    box.pump(member, seconds=3)
    box.judge(verdict(2, "ok"), verdict(3, "ok"))
    box.pump(member, seconds=3)
    sent = posted(receiver)
    assert [alert["annotations"]["rows"] for (alert,) in sent] == ["812", "900", "900"]
    assert ms(sent[2][0]["endsAt"]) <= box.clock.now_ms()


def test_resolved_alerts_are_told_for_fifteen_minutes(receiver, outbox):
    """A resolve is repeated with its one end, then forgotten; an idle member is left alone."""
    box = outbox(routes(alertmanager=receiver.url))
    member = box.member()
    box.judge(verdict(0), verdict(1, "ok"), verdict(2, "ok"))
    box.pump(member, seconds=20 * MINUTE)
    sent = posted(receiver)
    assert 14 <= len([alerts for alerts in sent if alerts]) <= 16
    assert len({alert["endsAt"] for alerts in sent for alert in alerts}) == 1
    before = len(receiver.requests)
    box.pump(member, seconds=20 * MINUTE)
    assert len(receiver.requests) == before


def test_a_restart_continues_the_same_alert(receiver, outbox):
    """startsAt comes from the ledger; shutdown resolves nothing and start tells at once."""
    box = outbox(routes(alertmanager=receiver.url))
    box.judge(verdict(0))
    box.member().tick()
    box.restart()
    box.clock.advance(100)
    box.member().tick()
    (first,), (second,) = posted(receiver)
    assert first["startsAt"] == second["startsAt"]
    assert ms(second["endsAt"]) > box.clock.now_ms()


def test_a_change_of_severity_resolves_one_label_set_and_fires_the_other(receiver, outbox):
    """Both are told in one request: the page that ended and the ticket that stands."""
    box = outbox(routes(alertmanager=receiver.url), model_plan=plan(raw_rules=(raw_rule(action="page"),)))
    box.judge(verdict(0, "ok", rules=("limit",)))
    box.clock.advance(10)
    box.model_plan = plan(raw_rules=(raw_rule(),))
    box.judge(verdict(1, "ok", rules=("limit",)))
    box.member().tick()
    (alerts,) = posted(receiver)
    ends = {alert["labels"]["severity"]: ms(alert["endsAt"]) - box.clock.now_ms() for alert in alerts}
    assert ends["critical"] <= 0 < ends["warning"]
    assert {alert["labels"]["rule"] for alert in alerts} == {"limit"}


def test_a_new_incident_is_not_ended_by_the_resolve_of_the_last():
    """Two incidents with one label set: the one that fires speaks."""
    alerts = AlertmanagerPlan(urls=("http://127.0.0.1:1",))
    box = Outbox(routes(), SystemClock())
    box.judge(verdict(0), verdict(1, "ok"), verdict(2, "ok"), verdict(3))
    standing = standing_alerts(
        box.watch.ledgers().values(), alerts, external_url="http://x", now=box.clock.now_ms()
    )
    assert [(alert.labels["severity"], alert.ends) for alert in standing] == [("critical", -1)]


def test_raw_rules_of_one_severity_are_told_apart():
    """Two tickets of one model have different labels, or the end of one would end the other."""
    box = Outbox(routes(), SystemClock(), model_plan=plan(raw_rules=(raw_rule("a"), raw_rule("b"))))
    box.judge(verdict(0, "ok", rules=("a", "b")))
    alerts = AlertmanagerPlan(
        urls=(), labels={"cluster": "prod", "model": "mine", "bad-name": "x", "empty": ""}
    )
    standing = standing_alerts(box.watch.ledgers().values(), alerts, external_url="http://x", now=0)
    assert [dict(alert.labels) for alert in standing] == [
        {
            "alertname": "ModelDrift",
            "cluster": "prod",
            "model": "flights",
            "rule": rule,
            "severity": "warning",
        }
        for rule in ("a", "b")
    ]


def test_a_refused_alert_does_not_hold_back_the_others(receiver, outbox):
    """400: the batch is told once more one by one, the offender is dropped and never sent as it is."""
    rules = tuple(raw_rule(name) for name in ("a", "b", "c"))
    box = outbox(routes(alertmanager=receiver.url), model_plan=plan(raw_rules=rules))
    member = box.member()
    box.judge(verdict(0, "ok", rules=("a", "b", "c")))
    receiver.answer(Answer(400, b'"start time must be before end time"'), Answer(), Answer(400), Answer())
    box.pump(member, seconds=2 * MINUTE + 5)
    rules_told = [[alert["labels"]["rule"] for alert in alerts] for alerts in posted(receiver)]
    assert rules_told == [["a", "b", "c"], ["a"], ["b"], ["c"], ["a", "c"], ["a", "c"]]
    box.judge(verdict(1, "ok", rules=("a", "b", "c"), rows=900))
    box.pump(member, seconds=2)
    assert [alert["labels"]["rule"] for alert in posted(receiver)[-1]] == ["a", "b", "c"]


@pytest.mark.parametrize("status", [401, 404, 415, 500, 503])
def test_failures_of_the_member_back_off_within_the_resend(receiver, outbox, status):
    """The member is asked again, ever more slowly but at least once a minute, with what stands by then."""
    box = outbox(routes(alertmanager=receiver.url))
    member = box.member()
    receiver.answer(*[Answer(status)] * 8)
    box.judge(verdict(0))
    box.pump(member, seconds=10 * MINUTE)
    times = [ms(alerts[0]["endsAt"]) for alerts in posted(receiver)]
    gaps = [(later - earlier) / 1000 for earlier, later in itertools.pairwise(times)]
    assert len(times) > 8
    assert max(gaps) <= 62
    assert len(posted(receiver)[0]) == 1


def test_a_member_that_was_away_gets_one_request_not_a_backlog(outbox):
    """Half an hour without the member: when it comes back it is told what stands, once."""
    with Receiver() as gone:
        url = gone.url
    box = outbox(routes(alertmanager=url))
    member = box.member()
    box.judge(verdict(0))
    for number in range(1, 20):
        box.judge(verdict(number, rows=812 + number))
        box.pump(member, seconds=90)
    with Receiver(port=int(url.rsplit(":", 1)[1])) as back:
        box.pump(member, seconds=62)
        (alerts,) = posted(back)[:1]
        assert [alert["annotations"]["rows"] for alert in alerts] == ["831"]
        assert len(back.requests) <= 2


def test_members_are_independent(receiver, outbox):
    """One replica down does not keep the other from hearing."""
    box = outbox(routes(alertmanager=f"http://127.0.0.1:1,{receiver.url}"))
    box.judge(verdict(0))
    box.member(0).tick()
    box.member(1).tick()
    assert len(receiver.requests) == 1


def test_a_hanging_member_ends_at_the_timeout(receiver, outbox):
    """A member that accepts and never answers costs its own thread the timeout, no more."""
    alerts = routes(alertmanager=receiver.url)
    http = HttpPlan(timeout=0.2, allow_private=("127.0.0.0/8",), insecure_http=True)
    box = outbox(replace(alerts, alertmanager=replace(alerts.alertmanager, http=http)))
    receiver.answer(Answer(act=lambda connection: time.sleep(0.5)))
    box.judge(verdict(0))
    box.pump(box.member(), seconds=20)
    assert len(receiver.requests) == 2


def test_large_numbers_go_in_batches(receiver):
    """256 alerts per request, as Prometheus does."""
    rules = tuple(raw_rule(f"r{n:03d}") for n in range(300))
    box = Outbox(routes(alertmanager=receiver.url), SystemClock(), model_plan=plan(raw_rules=rules))
    box.judge(verdict(0, "ok", rules=tuple(rule.name for rule in rules)))
    box.member().tick()
    assert [len(alerts) for alerts in posted(receiver)] == [256, 44]


def test_credentials(receiver, outbox):
    """Basic or bearer, read when they are used."""
    from monitor.secret import Secret

    alerts = routes(alertmanager=receiver.url)
    box = outbox(
        replace(alerts, alertmanager=replace(alerts.alertmanager, username="u", password=Secret("p")))
    )
    box.judge(verdict(0))
    box.member().tick()
    assert receiver.requests[0].headers["authorization"] == "Basic dTpw"


def test_threads_start_and_stop(receiver):
    """run_integrations delivers on its own threads and ends when it is told to; nothing is resolved."""
    alerts = routes(alertmanager=receiver.url, pagerduty=f"{receiver.url}/v2/enqueue", target=receiver.url)
    box = Outbox(alerts, SystemClock())
    box.judge(verdict(0))
    stop = threading.Event()
    threads = run_integrations(alerts, box.log, SystemClock(), lambda: ("flights",), stop)
    receiver.wait_for(3)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert [thread.name for thread in threads] == [
        "deliver-alertmanager-0", "deliver-pagerduty-1", "deliver-pipeline-2", "deliver-strays-3",
    ]  # fmt: skip
    paths = {got.path for got in receiver.requests}
    assert paths == {"/api/v2/alerts", "/v2/enqueue", "/hooks/retrain"}
    told = [got.json()[0] for got in receiver.requests if got.path == "/api/v2/alerts"]
    assert all(ms(alert["endsAt"]) > SystemClock().now_ms() for alert in told)


# Against a real Alertmanager


def stored(url: str, model: str) -> list[dict]:
    answer = request("GET", f"{url}/api/v2/alerts?filter=model%3D%22{model}%22", plan=LOOPBACK)
    assert answer.status == 200
    return json.loads(answer.body)


def box_for(url: str, model: str, **changes) -> Outbox:
    """An outbox whose model has a name of its own, as one Alertmanager serves all tests."""
    box = Outbox(routes(alertmanager=url), SystemClock(), **changes)

    def renamed(*verdicts):
        Outbox.judge(box, *(replace(one, model=model) for one in verdicts))

    box.judge = renamed
    return box


def test_a_real_alertmanager_fires_and_resolves(alertmanager):
    """Told twice it holds one alert with our startsAt; told the resolve it no longer shows it."""
    model = f"m{uuid.uuid4().hex}"
    box = box_for(alertmanager.url, model)
    box.judge(verdict(0))
    member = box.member()
    member.tick()
    (alert,) = stored(alertmanager.url, model)
    assert alert["status"]["state"] == "active"
    assert alert["labels"] == {"alertname": "ModelDrift", "model": model, "severity": "critical"}
    (body,) = box.entries("incident").values()
    assert ms(alert["startsAt"]) == Incident.from_json(body).spans["critical"].starts
    box.judge(verdict(1, rows=900))
    box.member().tick()
    (again,) = stored(alertmanager.url, model)
    assert (again["fingerprint"], again["annotations"]["rows"]) == (alert["fingerprint"], "900")
    box.judge(verdict(2, "ok"), verdict(3, "ok"))
    box.member().tick()
    assert stored(alertmanager.url, model) == []


def test_a_real_alertmanager_takes_the_valid_alerts_of_a_bad_batch(alertmanager):
    """A batch with one impossible alert: the others arrive, the impossible one is refused for good."""
    model = f"m{uuid.uuid4().hex}"
    box = box_for(alertmanager.url, model, model_plan=plan(raw_rules=(raw_rule("a"), raw_rule("b"))))
    box.judge(verdict(0, "ok", rules=("a", "b")))
    member = box.member()
    first, second = member._standing()
    assert member._tell([replace(first, url="not a url"), second]).outcome is Outcome.SENT
    assert [alert["labels"]["rule"] for alert in stored(alertmanager.url, model)] == ["b"]
    assert len(member._refused) == 1


def test_a_real_alertmanager_expires_what_is_no_longer_told(alertmanager):
    """A dead daemon's alerts end by themselves: endsAt lies four resends ahead, not for ever."""
    model = f"m{uuid.uuid4().hex}"
    plan_ = AlertmanagerPlan(urls=(alertmanager.url,), http=LOOPBACK, resend=60_000)
    now = SystemClock().now_ms()
    alert = Alert(
        {"alertname": "ModelDrift", "model": model, "severity": "critical"},
        {"summary": "s"},
        now,
        url="http://x/",
    )
    assert post_alerts(alertmanager.url, [alert], plan_, now=now).outcome is Outcome.SENT
    (shown,) = stored(alertmanager.url, model)
    assert ms(shown["endsAt"]) == now + 240_000


def test_odd_texts_are_accepted_by_a_real_alertmanager(alertmanager):
    """Quotes, line breaks, other scripts and very long names in model and features do no harm."""
    model = f"m{uuid.uuid4().hex}"
    box = box_for(alertmanager.url, model)
    box.judge(verdict(0, tests=[voting_test('<b>"ü\n</b>' * 100)]))
    member = box.member()
    member.tick()
    (alert,) = stored(alertmanager.url, model)
    assert '<b>"ü\n</b>' in alert["annotations"]["features"]
