"""A process that is killed, stopped or started twice leaves exact counts and alerts of one id."""

from __future__ import annotations

import json
import random
import signal
import time

import pytest

from monitor.deliver.receiver import Answer
from monitor.failpoint import POINTS
from tests.daemon.ask import get, until
from tests.daemon.build import MODEL, await_done, shuffled, stream, with_retraining
from tests.daemon.recount import differences, recount, stored_verdicts

DRIFTING = range(3, 7)


def is_finished(life, sent):
    """The whole log is durable, judged and told; asked over HTTP, as an operator would."""

    def looked():
        assert life.process.poll() is None, life.output
        status, text = get(f"{life.url}/api/v1/partitions")
        if status != 200 or text.count('"idle":true') + text.count('"idle": true') < 3:
            return False
        partitions = json.loads(text)["data"]
        return sum(p["applied"] for p in partitions) == len(sent) and not pending(life)

    return looked


def pending(life):
    lines = get(f"{life.url}/metrics")[1].splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("driftline_outbox_pending{"))


def finish(scene, sent, receiver):
    """A last, undisturbed life; then state, verdicts and deliveries are compared with the log."""
    with scene.process() as life:
        until(is_finished(life, sent), "the log to be finished")
        until(lambda: _judged(life) >= len(recount(sent).ends), "the last window")
        until(lambda: not pending(life) and alerts(receiver), "alerts to be sent")
        assert life.end() == 0, life.output
    state = scene.found()
    try:
        assert differences(state, recount(sent), stored_verdicts(state)) == []
        ledger = state.ledger(MODEL, kinds=None)
        incidents = set(ledger.of("incident"))
        assert incidents
        assert alerts(receiver) == incidents
        requests = {
            request.headers["webhook-id"] for request in receiver.requests if request.path == "/hooks/retrain"
        }
        assert requests == {f"rt_{incident}" for incident in incidents}
    finally:
        state.close()


def _judged(life):
    return len(json.loads(get(f"{life.url}/api/v1/models/{MODEL}/verdicts")[1])["data"])


def alerts(receiver):
    """Incidents of all alerts that arrived."""
    return {
        alert["annotations"]["incident"]
        for request in list(receiver.requests)
        if request.path.endswith("/alerts")
        for alert in request.json()
    }


def killed_at(scene, point):
    with scene.process(point=point) as life:
        assert life.process.wait(90) == -signal.SIGKILL, life.output


def scene_of(make, receiver):
    scene = make(**with_retraining(receiver))
    sent = shuffled(stream(range(9), drifting=DRIFTING), seed=3)
    scene.send(sent)
    return scene, sent


@pytest.mark.slow(30)
def test_killed_inside_a_checkpoint_an_append_and_a_send(make, receiver):
    """Three lives that end in the middle of their writes, one after the other: counts and ids are exact."""
    scene, sent = scene_of(make, receiver)
    for point in ("checkpoint.inside:2", "append.inside:3", "send.inside:1"):
        killed_at(scene, point)
    finish(scene, sent, receiver)


@pytest.mark.night
@pytest.mark.parametrize("kind", ["checkpoint", "append", "claim", "send"])
def test_killed_at_every_named_point(make, receiver, kind):
    """Each fail-point of one kind in turn, then a life that finishes."""
    scene, sent = scene_of(make, receiver)
    for point in POINTS:
        if point.startswith(kind):
            # What is left to do shrinks with every life: the points of a send are passed once each.
            killed_at(scene, f"{point}:{2 if kind == 'append' else 1}")
    finish(scene, sent, receiver)


@pytest.mark.night
def test_killed_at_random_times(make, receiver):
    """Eight lives of random length, the log growing meanwhile."""
    scene = make(**with_retraining(receiver))
    sent = shuffled(stream(range(9), drifting=DRIFTING), seed=3)
    lengths = random.Random(5)
    for life_number in range(8):
        scene.send(sent[life_number * len(sent) // 8 : (life_number + 1) * len(sent) // 8])
        with scene.process() as life:
            assert life.url
            time.sleep(lengths.uniform(0.0, 5.0))
            life.signal(signal.SIGKILL)
            assert life.process.wait(20) == -signal.SIGKILL
    finish(scene, sent, receiver)


def test_sigterm_ends_well_and_a_second_process_is_refused_meanwhile(make):
    """A state directory has one owner, and says so; SIGTERM leaves the owner with status 0 and a durable state."""
    scene = make()
    sent = stream(range(3))
    scene.send(sent)
    with scene.process() as life:
        until(is_finished(life, sent), "the log to be read")
        with scene.process() as second:
            assert second.process.wait(60) == 1
            assert "in use by process" in second.output
            assert "Traceback" not in second.output
        begin = time.monotonic()
        assert life.end() == 0, life.output
        assert time.monotonic() - begin < 20
        assert "Traceback" not in life.output
    state = scene.found()
    assert sum(sketch.rows for sketch in state.changes([MODEL], 0)[1]) == len(sent)
    state.close()


@pytest.mark.slow(25)
def test_lost_state_is_never_begun_anew_in_silence(make):
    """With committed offsets and without state `run` ends and says what to do; with --accept-data-loss it begins
    at the start of the topic."""
    scene = make()
    sent = stream(range(3))
    scene.send(sent)
    with scene.daemon() as daemon:
        await_done(daemon, len(sent))
    (scene.folder / "state").rename(scene.folder / "elsewhere")
    with scene.process() as life:
        assert life.process.wait(60) == 1
        assert "input was consumed before, but its state is gone" in life.output
        assert "--accept-data-loss" in life.output
        assert "Traceback" not in life.output
    with scene.process("--accept-data-loss") as life:
        until(is_finished(life, sent), "the log to be read again")
        assert life.end() == 0
    state = scene.found()
    assert differences(state, recount(sent), None) == []
    state.close()


@pytest.mark.slow
def test_a_second_sigterm_ends_at_once(make, receiver):
    """A stop that waits for a receiver that hangs says that it is not ready, and is cut short by a second signal;
    the next start sends the alert under the same id and counts exactly."""
    scene, sent = scene_of(make, receiver)
    receiver.answer_always(Answer(act=lambda _connection: time.sleep(9)))
    with scene.process() as life:
        url = life.url
        receiver.wait_for(1, timeout=60)
        life.signal(signal.SIGTERM)
        until(lambda: get(f"{url}/-/ready") == (503, "Service Unavailable\nstopping\n"), "not to be ready")
        life.signal(signal.SIGTERM)
        assert life.process.wait(5) == 1
    receiver.answer_always(Answer())
    finish(scene, sent, receiver)
