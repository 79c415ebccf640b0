"""Pipelines that are asked to run, and everything that may go wrong meanwhile: rows 48 to 50."""

from __future__ import annotations

import os
import random
import signal
from dataclasses import replace

import pytest

from monitor.clock import ManualClock
from monitor.deliver.follow import Follower
from monitor.deliver.receiver import Answer
from monitor.deliver.watch import Watch
from monitor.plan import RetrainPlan
from monitor.retrain.guards import DAY
from monitor.state.simulated import SimulatedCrash
from tests.daemon.ask import until
from tests.daemon.build import MODEL, RETRAIN, stream
from tests.daemon.test_kill import killed_at
from tests.deliver.outbox import Outbox
from tests.deliver.pipelines import OVER, PIPELINES, serve, write
from tests.faults.world import BRISK, await_read, counted, is_exact, ledger_of
from tests.incident.cases import plan, routes, verdict

POINTS = ("claim.before", "claim.inside", "claim.after", "append.before", "append.inside", "append.after")
ASKED = "asked"
TROUBLE = (None, None, 401, 404, 429, 500, 503)
"""Statuses that are answered without anything being started; None: the answer gets lost."""


class World:
    """A pipeline, the model's owner, and a zombie that has read the ledger a while ago."""

    def __init__(self, preset, receiver, seed: int, per_day: int) -> None:
        self.chance = random.Random(seed)
        self.pipeline = PIPELINES[preset]()
        self.pipeline.state = OVER.get(preset, "succeeded")
        self.receiver = receiver
        self.started: list[tuple[int, str]] = []
        """When each run was started, and for which request."""
        alerts = replace(routes(), targets={"pipeline": self.pipeline.plan(receiver.url)})
        retrain = RetrainPlan(mode="auto", target="pipeline", cooldown=0, max_per_day=per_day)
        model = plan(clear_after=1, retrain=retrain)
        self.box = Outbox(alerts, ManualClock(1_792_000_000_000), model_plan=model, seed=seed)
        receiver.answer_always(Answer(act=self._act))

    def _act(self, connection) -> None:
        got, before = connection.received, len(self.pipeline.starts)
        trouble = self.chance.choice(TROUBLE) if self.chance.random() < 0.3 else 0
        if trouble:
            write(connection, Answer(trouble))
            return
        answer = self.pipeline.answer(got)
        if len(self.pipeline.starts) > before:
            self.started.append((self.box.clock.now_ms(), self._request(got.body.decode())))
        if trouble is None:
            connection.close_connection = True
            return
        write(connection, answer)

    def _request(self, body: str) -> str:
        return next(request for request in self.box.entries("retrain") if request in body)

    def live(self, hours: int) -> None:
        """Drift that comes and goes; deliveries by two, either of which may die at any moment."""
        loops = [self.box.webhook(), self._zombie()]
        for hour in range(hours):
            acts = [lambda: self.box.judge(verdict(hour, "ok" if hour % 2 else "drift")), self._follow]  # noqa: B023 - called at once
            acts += [lambda: self.chance.choice(loops).tick()] * 6  # noqa: B023 - the same
            for act in acts:
                if self.chance.random() < 0.2:
                    self.box.log.crash_at(self.chance.choice(POINTS))
                try:
                    act()
                except SimulatedCrash:
                    self.box.restart()
                    loops = [self.box.webhook(), self._zombie()]
                self.box.clock.advance(self.chance.choice((1, 5, 60, 600, 1200)))

    def _follow(self) -> None:
        """What was started is over within the hour."""
        target = self.box.target()
        if target.preset.follow:
            Follower(target, self.box.watch, self.box.clock).tick()

    def _zombie(self):
        loop = self.box.webhook()
        loop.watch = Watch(self.box.log, self.box.clock, lambda: ("flights",))
        return loop


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("preset", ["airflow3", "argo-submit", "prefect3"])
def test_row_49_a_zombie_and_crashes_at_a_pipeline_that_knows_ids(preset, receiver, seed):
    """However often it is asked, and by whom: one run for each request, and no request without a decision."""
    world = World(preset, receiver, seed, per_day=9)
    world.live(hours=120)
    requests = [request for _, request in world.started]
    assert len(requests) == len(set(requests)) > 1
    sent = {name for name, body in world.box.entries("outcome").items() if body["state"] == "sent"}
    assert sent <= set(requests)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("preset", ["kfp2", "github-workflow", "github-dispatch", "argo-events"])
def test_row_50_no_accident_makes_more_runs_a_day_than_are_permitted(preset, receiver, seed):
    """It knows no ids, answers get lost, senders die and come back: in no 24 hours are there more than the maximum."""
    per_day = 1 + seed % 2
    world = World(preset, receiver, seed, per_day)
    world.live(hours=160)
    times = [at for at, _ in world.started]
    assert len(times) >= 2
    assert all(sum(0 <= later - start < DAY for later in times) <= per_day for start in times)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "points", "starts"),
    [
        ("airflow3", ("append.after:5", "claim.after:1", ASKED), 1),
        ("github-dispatch", (ASKED,), 1),
        ("github-dispatch", ("claim.after:1",), 0),
    ],
)
def test_row_48_killed_around_a_send_to_a_pipeline(make, receiver, preset, points, starts):
    """The process dies before and inside the send: a pipeline that knows ids has started one run. Where it knows none,
    nobody can tell whether it has, so the request waits for the next day, which is said and counted."""
    pipeline = PIPELINES[preset]()
    made = make(**RETRAIN, targets={"pipeline": settings(pipeline.plan(receiver.url))})
    sent = stream(range(4), drifting=(2, 3))
    made.send(sent)
    for point in points:
        if point == ASKED:
            killed_when_asked(made, receiver, pipeline)
        else:
            serve(receiver, pipeline)
            killed_at(made, point)
    serve(receiver, pipeline)
    with made.process(module=BRISK) as life:
        await_read(life, sent)
        if preset == "airflow3":
            until(lambda: counted(life, "outbox_pending", "pipeline") == 0, "the request to be taken")
        else:
            until(
                lambda: counted(life, "retrain_suppressed_total", MODEL, "max_per_day"),
                "it to be held back",
            )
            assert counted(life, "outbox_pending", "pipeline") == 1
        assert life.end() == 0, life.output
    assert len(pipeline.starts) == starts
    if preset == "airflow3":
        (outcome,) = (body for body in ledger_of(made, "outcome").values() if body["action"] == "retrain")
        assert outcome["run"]["id"] == pipeline.starts[0]["dag_run_id"]
    is_exact(made, sent)


def killed_when_asked(made, receiver, pipeline):
    """The process dies when the pipeline has started a run and before it says so."""
    lives = []

    def act(connection):
        before = len(pipeline.starts)
        answer = pipeline.answer(connection.received)
        if len(pipeline.starts) > before:
            os.kill(lives[0].process.pid, signal.SIGKILL)
        else:
            write(connection, answer)

    receiver.answer_always(Answer(act=act))
    with made.process() as life:
        lives.append(life)
        assert life.process.wait(90) == -signal.SIGKILL, life.output


def settings(target) -> dict:
    """The target as a configuration writes it."""
    login = {"username": target.username, "password": target.password.reveal()} if target.username else {}
    token = {"token": target.token.reveal()} if target.token else {}
    return {
        "preset": target.preset, "url": target.url, "insecure_http": True, "allow_private": ["127.0.0.0/8"],
        **target.options, **login, **token,
    }  # fmt: skip
