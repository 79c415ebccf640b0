"""Retraining targets of every preset against a peer that demands what the API's own schema demands."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from monitor import metrics
from monitor.deliver.follow import Follower
from monitor.deliver.presets.catalogue import PRESETS
from monitor.deliver.receiver import Answer
from monitor.plan import RetrainPlan
from monitor.retrain.guards import DAY
from monitor.secret import Secret
from tests.deliver.pipelines import OVER, PIPELINES, serve, write
from tests.incident.cases import HOUR, plan, routes, verdict

PLAIN = sorted(name for name in PIPELINES if not PRESETS[name].deduplicates)
EXACT = sorted(name for name in PIPELINES if PRESETS[name].deduplicates)
FOLLOWED = sorted(name for name in PIPELINES if PRESETS[name].follow)


@pytest.fixture
def scene(receiver, outbox):
    """A pipeline of a preset, and an outbox whose target it is."""

    def make(preset: str, **retrain):
        pipeline = PIPELINES[preset]()
        serve(receiver, pipeline)
        alerts = replace(routes(), targets={"pipeline": pipeline.plan(receiver.url)})
        given = {"mode": "auto", "target": "pipeline", "cooldown": 0, "max_per_day": 1, **retrain}
        return pipeline, outbox(alerts, model_plan=plan(clear_after=1, retrain=RetrainPlan(**given)))

    return make


def event_in(body) -> dict:
    """The CloudEvent, wherever the API has room for it."""
    places = (
        body.get("conf"), body.get("client_payload"), body.get("inputs"), body.get("parameters"),
        body.get("runtime_config", {}).get("parameters"),
    )  # fmt: skip
    found = next((place["driftline"] for place in places if place), None)
    pairs = body.get("submitOptions", {}).get("parameters", ())
    found = found or next(
        (one.removeprefix("driftline=") for one in pairs if one.startswith("driftline=")), body
    )
    return json.loads(found) if isinstance(found, str) else found


@pytest.mark.parametrize("preset", sorted(PIPELINES))
def test_one_request_starts_one_run_with_the_evidence(scene, preset):
    """What the API demands is there; the run is given verdict, window, diagnosis and the offsets to train from."""
    pipeline, box = scene(preset)
    box.judge(verdict(0))
    box.webhook().tick()
    assert box.outcomes() == [("retrain", "sent")]
    (start,) = pipeline.starts
    data = event_in(start)["data"]
    assert data["kafka"] == {"topic": "predictions", "from": {"0": 812, "1": 7}, "to": {"0": 944, "1": 19}}
    assert (data["verdict"]["state"], data["window"]["records"]) == ("drift", 812)
    assert {"diagnosis", "since", "features", "incident", "onset"} <= data.keys()


@pytest.mark.parametrize("preset", FOLLOWED)
def test_a_run_is_followed_until_it_is_over(scene, preset):
    """Its id, page and state are in the outcome; while it goes on nothing else is asked for."""
    pipeline, box = scene(preset, max_per_day=99)
    box.judge(verdict(0))
    box.webhook().tick()
    follower = Follower(box.target(), box.watch, box.clock)
    follower.tick()
    ((request, outcome),) = box.entries("outcome").items()
    assert outcome["run"]["id"]
    assert outcome["run"]["url"].startswith("http")
    assert outcome["run"]["state"].lower() in {"running", "in_progress"}
    box.judge(verdict(1, "ok"), verdict(2))
    assert box.entries("clock")["retrain"]["suppressed"] == {"already_running": 1}
    pipeline.state = OVER.get(preset, "succeeded")
    follower.tick()
    after = box.entries("outcome")[request]["run"]
    assert after == {**outcome["run"], "state": after["state"], "over": True}
    box.judge(verdict(3))
    assert len(box.entries("intent")) == 1


@pytest.mark.parametrize("preset", EXACT)
def test_asked_twice_it_starts_one_run(scene, receiver, preset):
    """The answer got lost: the second request is answered as a duplicate, which is delivered, under the same run."""
    pipeline, box = scene(preset)
    lose(receiver, pipeline)
    box.judge(verdict(0))
    loop = box.webhook()
    loop.tick()
    assert box.outcomes() == [("retrain", "retry")]
    box.pump(loop, seconds=10)
    assert box.outcomes() == [("retrain", "sent")]
    assert len(pipeline.starts) == 1
    (outcome,) = box.entries("outcome").values()
    assert outcome["run"]["id"] in json.dumps([*pipeline.starts, "run-1"])


def lose(receiver, pipeline, times: int = 1) -> None:
    """The pipeline acts on the next requests that start a run, and the sender never hears of it."""
    left = [times]

    def act(connection):
        before = len(pipeline.starts)
        answer = pipeline.answer(connection.received)
        if len(pipeline.starts) > before and left[0]:
            left[0] -= 1
            connection.close_connection = True
            return
        write(connection, answer)

    receiver.answer_always(Answer(act=act))


@pytest.mark.parametrize("preset", PLAIN)
@pytest.mark.parametrize("per_day", [1, 2])
def test_where_nothing_is_deduplicated_a_day_has_its_maximum(scene, receiver, preset, per_day):
    """Every answer gets lost: the request is made again, but in no day more often than is permitted."""
    pipeline, box = scene(preset, max_per_day=per_day)
    lose(receiver, pipeline, times=99)
    box.judge(verdict(0))
    loop, times = box.webhook(), []
    for _ in range(4 * 24 * 6):
        before = len(pipeline.starts)
        loop.tick()
        times += [box.clock.now_ms()] * (len(pipeline.starts) - before)
        box.clock.advance(600)
    assert 3 * per_day <= len(times)
    assert all(sum(0 <= later - start < DAY for later in times) <= per_day for start in times)


@pytest.mark.parametrize("answer", [Answer(404), Answer(401), Answer(429), Answer(422, b"no such input")])
@pytest.mark.parametrize("preset", ["kfp2", "github-dispatch"])
def test_what_was_refused_costs_nothing_of_the_day(scene, receiver, preset, answer):
    """It has certainly started nothing, so that it is made again as soon as its time comes."""
    pipeline, box = scene(preset)
    receiver.answer(answer)
    box.judge(verdict(0))
    loop = box.webhook()
    loop.tick()
    assert box.outcomes() == [("retrain", "retry")]
    box.pump(loop, seconds=10)
    assert (box.outcomes(), len(pipeline.starts)) == ([("retrain", "sent")], 1)


def test_a_target_that_is_away_costs_nothing_of_the_day(scene):
    """Nobody took the connection, so nothing can have been started."""
    pipeline, box = scene("kfp2")
    gone = replace(box.alerts.targets["pipeline"], url="http://127.0.0.1:1/pipeline")
    here, box.alerts = box.alerts, replace(box.alerts, targets={"pipeline": gone})
    box.judge(verdict(0))
    box.webhook().tick()
    box.alerts = here
    box.pump(box.webhook(), seconds=10)
    assert (box.outcomes(), len(pipeline.starts)) == ([("retrain", "sent")], 1)


@pytest.mark.parametrize("point", ["claim.before", "claim.after", "append.before", "append.after"])
@pytest.mark.parametrize("preset", ["github-workflow", "airflow3"])
def test_any_crash_keeps_the_promise(scene, preset, point):
    """Wherever the process dies around a send: one run where ids are told apart, else at most one a day."""
    from monitor.state.simulated import SimulatedCrash

    pipeline, box = scene(preset)
    box.judge(verdict(0))
    box.log.crash_at(point)
    with pytest.raises(SimulatedCrash):
        box.webhook().tick()
    box.restart()
    loop = box.webhook()
    box.pump(loop, seconds=20 * 3600, stride=20.0)
    assert len(pipeline.starts) <= 1
    box.pump(loop, seconds=6 * 3600, stride=20.0)
    assert box.outcomes() == [("retrain", "sent")]
    assert len(pipeline.starts) == (2 if preset == "github-workflow" and point == "append.before" else 1)


def test_a_token_is_kept_and_asked_for_once_when_it_is_forgotten(scene, receiver):
    """One login for many requests; 401 makes one more; a password that is wrong is not tried twice at once."""
    pipeline, box = scene("airflow3", max_per_day=99)
    target = box.target()
    loop = box.deliverer(target)
    box.judge(verdict(0))
    loop.tick()
    assert target.look("driftline__x").state == "running"
    assert pipeline.logins == 1
    pipeline.token = "another"
    assert target.look("driftline__x").state == "running"
    assert pipeline.logins == 2
    wrong = replace(box.alerts.targets["pipeline"], password=Secret("wrong"))
    box.alerts = replace(box.alerts, targets={"pipeline": wrong})
    before = len(receiver.requests)
    attempt = box.target().probe()
    assert (attempt.reason, "no token" in attempt.detail) == ("authError", True)
    assert [got.path for got in receiver.requests[before:]] == ["/auth/token"]


def test_prefect_is_asked_for_the_deployment_each_time(scene):
    """One that was made anew has another id, and a first step that fails has started nothing."""
    pipeline, box = scene("prefect3")
    pipeline.deployment = "2f9a4c1e-0000-4000-8000-000000000002"
    box.judge(verdict(0))
    box.webhook().tick()
    assert box.outcomes() == [("retrain", "sent")]
    assert pipeline.starts[0]["parameters"]["epochs"] == 20


@pytest.mark.parametrize("preset", sorted(PIPELINES))
def test_looking_at_a_target_starts_nothing(scene, preset):
    """What check and alert test ask succeeds where a request would, and fails where the credentials do."""
    from monitor.deliver.trial import try_routes
    from monitor.incident.model import Severity

    pipeline, box = scene(preset)
    (trial,) = try_routes(box.alerts, box.clock, chosen="", severity=Severity.WARNING, hold=0)
    assert (trial.ok, trial.action, pipeline.starts) == (True, "look", [])
    pipeline.token = "another"
    if PRESETS[preset].probe and preset != "airflow3":
        (trial,) = try_routes(box.alerts, box.clock, chosen="", severity=Severity.WARNING, hold=0)
        assert not trial.ok


def test_gone_disables_any_target(scene, receiver):
    """410 ends it, whatever it is."""
    pipeline, box = scene("github-dispatch", max_per_day=99)
    receiver.answer(Answer(410))
    box.judge(verdict(0))
    loop = box.webhook()
    loop.tick()
    box.judge(verdict(1, "ok"), verdict(2))
    loop.tick()
    assert box.outcomes() == [("retrain", "dead")] * 2
    assert pipeline.starts == []
    failed = metrics.NOTIFICATIONS_FAILED_TOTAL.labels("pipeline", "clientError")
    before = failed._value.get()
    box.judge(verdict(3, "ok"), verdict(4))
    loop.tick()
    assert failed._value.get() == before + 1


def test_a_run_that_cannot_be_seen_holds_nothing_back(scene, receiver):
    """A token that may start runs but not see them: the cool-down is what is left."""
    _pipeline, box = scene("airflow3", max_per_day=99)
    box.judge(verdict(0))
    box.webhook().tick()
    follower = Follower(box.target(), box.watch, box.clock)
    receiver.answer_always(Answer(503))
    follower.tick()
    box.judge(verdict(1, "ok"), verdict(2))
    assert box.entries("clock")["retrain"]["suppressed"] == {"already_running": 1}
    receiver.answer_always(Answer(403))
    follower.tick()
    box.judge(verdict(3))
    assert len(box.entries("intent")) == 1


def test_a_run_is_believed_for_a_week(scene):
    """A target that answers nothing any more does not hold retraining back for ever."""
    _pipeline, box = scene("airflow3", max_per_day=99)
    box.judge(verdict(0))
    box.webhook().tick()
    box.clock.advance(6.9 * 24 * 3600)
    box.judge(verdict(1, "ok"), verdict(2))
    assert not box.entries("intent")
    box.clock.advance(0.2 * 24 * 3600)
    box.judge(verdict(3))
    assert len(box.entries("intent")) == 1


def test_what_a_target_says_of_a_run_is_no_link_to_anywhere(scene, receiver):
    """Only an address of the web becomes a link, and nothing is kept at any length."""
    _pipeline, box = scene("github-workflow")
    odd = {"workflow_run_id": "9" * 9000, "html_url": "javascript:alert(1)"}
    receiver.answer(Answer(200, json.dumps(odd).encode()))
    box.judge(verdict(0))
    box.webhook().tick()
    (outcome,) = box.entries("outcome").values()
    assert (outcome["run"]["url"], len(outcome["run"]["id"])) == ("", 500)


def test_a_slow_answer_counts_as_lost(scene, receiver):
    """The time-out is ours: the run may have been started."""
    pipeline, box = scene("kfp2")
    http = replace(box.alerts.targets["pipeline"].http, timeout=0.2)
    box.alerts = replace(box.alerts, targets={"pipeline": replace(box.alerts.targets["pipeline"], http=http)})
    receiver.answer(Answer(act=lambda connection: time.sleep(0.6)))
    box.judge(verdict(0))
    box.pump(box.webhook(), seconds=HOUR / 1000)
    assert (len(receiver.requests), pipeline.starts) == (1, [])
    assert box.outcomes() == [("retrain", "retry")]
