"""`driftline incident` and `driftline retrain`, over a state directory and over the daemon's API."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from click.testing import CliRunner

from monitor.cli import incident as incident_command
from monitor.cli import retrain as retrain_command
from monitor.clock import SystemClock
from monitor.errors import DriftlineError, StateConflict, UsageError
from monitor.incident.intend import acknowledge, intend
from monitor.incident.model import latest_incidents
from monitor.incident.track import track
from monitor.plan import RetrainPlan
from monitor.retrain.rules import approve, reject, requests
from monitor.secret import Secret
from monitor.state.kafka.broker import Broker
from monitor.state.kafka.cluster import topics_of
from monitor.state.kafka.keys import BatchKey, WriterId, encode, partition_of_model
from monitor.state.kafka.logs import Place, Write
from monitor.state.kafka.owner import LedgerOwner
from monitor.state.local import LocalLog
from monitor.state.log import Entry
from monitor.view import ModelView, View
from monitor.web.app import create
from monitor.web.serve import Server
from monitor.web.settings import WebSettings
from tests.incident.cases import plan, routes, verdict

PLAN = plan(retrain=RetrainPlan(mode="suggest", target="pipeline"))


@pytest.fixture
def state_dir(tmp_path):
    """A state directory with one open incident and the retraining it suggests; nobody owns it."""
    log = LocalLog(tmp_path, clock=SystemClock())
    ledger = log.ledger("flights")
    transitions = track(latest_incidents(ledger.of("incident")), verdict(0), PLAN)
    log.append(
        "flights", intend(transitions, ledger, plan=PLAN, alerts=routes(), now=1_795_380_000_000).entries
    )
    log.close()
    return tmp_path


def configured(folder, state, brokers="localhost:1"):
    """A configuration with this state."""
    file = folder / "driftline.yaml"
    file.write_text(
        f"version: 1\nkafka: {{brokers: ['{brokers}'], properties: {{log_level: 0}}}}\n"
        "sources: {s: {topic: predictions, fields: {time: {path: ts, unit: ms}}}}\n"
        f"models: {{flights: {{features: {{age: {{path: age, kind: numeric}}}}}}}}\nstate: {{{state}}}\n"
    )
    return str(file)


class Daemon:
    """As much of a daemon as the API needs: a view of the ledger and the three decisions."""

    def __init__(self, log):
        self.log = log

    def view(self):
        ledger = self.log.ledger("flights")
        model = ModelView(
            plan=PLAN,
            reference=None,
            incidents=tuple(ledger.of("incident").values()),
            retrains=tuple(requests(ledger)),
        )
        return View(version="0", started=0, now=0, ready=True, ready_reason="", models=(model,))

    def acknowledge(self, incident, by):
        return self._do(lambda ledger: acknowledge(ledger, incident, by=by, alerts=routes(), now=1))

    def approve(self, request, by):
        return self._do(lambda ledger: approve(ledger, request, by="api", now=1))

    def reject(self, request, by):
        return self._do(lambda ledger: reject(ledger, request, by="api", now=1))

    def reload(self):
        return None

    def quit(self):
        pass

    def _do(self, decide):
        try:
            self.log.append("flights", decide(self.log.ledger("flights")))
        except UsageError as error:
            return str(error)
        return None


@pytest.fixture
def daemon(state_dir, tmp_path):
    """A web server over the state directory; `options` are what the commands need to reach it."""
    token = tmp_path / "token"
    token.write_text("sesame\n")
    log = LocalLog(state_dir, clock=SystemClock())
    one = Daemon(log)
    settings = WebSettings(enable_lifecycle=True, token=Secret(file=str(token)))
    server = Server(create(one.view, one, settings=settings), "127.0.0.1", 0)
    yield ["--url", server.url, "--token-file", str(token)]
    server.stop()
    log.close()


@pytest.fixture(params=["directory", "config", "api"])
def options(request, state_dir, tmp_path):
    """How the commands are told where to look."""
    if request.param == "directory":
        return ["--state-dir", str(state_dir)]
    if request.param == "config":
        return ["--config", configured(tmp_path, f"dir: {state_dir}")]
    return request.getfixturevalue("daemon")


def incident(*args, options=()):
    return CliRunner().invoke(
        incident_command.command, [args[0], *options, *args[1:]], catch_exceptions=False
    )


def retrain(*args, options=()):
    return CliRunner().invoke(retrain_command.command, [args[0], *options, *args[1:]], catch_exceptions=False)


def ids(options):
    return [body["id"] for body in json.loads(incident("list", "--output", "json", options=options).stdout)]


def test_list_and_show(options):
    """The list has a line per incident, show has the evidence; a beginning of the id is enough."""
    (identity,) = ids(options)
    line = incident("list", options=options).stdout
    assert identity in line
    assert "firing" in line
    assert "flights · missing(dep_delay)" in line
    page = incident("show", identity[:8], options=options).stdout
    assert "missing(dep_delay) 0.51 > " in page
    assert "predictions/0: 812-944" in page
    assert (
        json.loads(incident("show", identity, "--output", "json", options=options).stdout)["id"] == identity
    )


def test_filters(options):
    """--model and --state leave the others out."""
    assert incident("list", "--state", "resolved", options=options).stdout == "no incidents\n"
    assert incident("list", "--model", "other", options=options).stdout == "no incidents\n"
    assert retrain("list", "--model", "other", options=options).stdout == "no retraining requests\n"


def test_acknowledge(options):
    """The name is on record afterwards, and in the list."""
    (identity,) = ids(options)
    result = incident("ack", identity, "--by", "ada", "--dry-run", options=options)
    assert result.stdout == f"would acknowledge {identity} for ada\n"
    assert incident("ack", identity, "--by", "ada", options=options).exit_code == 0
    assert "· ada" in incident("list", options=options).stdout


@pytest.mark.parametrize(("verb", "state"), [("approve", "requested"), ("reject", "rejected")])
def test_decide(options, verb, state):
    """A suggestion is decided once; the second decision is a usage error."""
    (identity,) = ids(options)
    assert "suggested" in retrain("list", options=options).stdout
    dry = retrain(verb, identity, "--by", "ada", "--dry-run", options=options).stdout
    assert dry == f"would {verb} rt_{identity} for ada: pipeline\n"
    assert retrain(verb, identity, "--by", "ada", options=options).exit_code == 0
    assert state in retrain("list", options=options).stdout
    with pytest.raises(UsageError, match=f"{state} already"):
        retrain(verb, identity, options=options)


def test_the_run_that_was_started_is_in_the_list(state_dir):
    """Its page and how far it is, beside the request."""
    clock = SystemClock()
    log = LocalLog(state_dir, clock=clock)
    (request,) = log.ledger("flights").of("retrain")
    log.append("flights", approve(log.ledger("flights"), request, by="ada", now=clock.now_ms()))
    run = {"id": "7", "url": "https://ci.example/runs/7", "state": "running", "over": False}
    log.append("flights", [Entry("outcome", request, {"state": "sent", "at": clock.now_ms(), "run": run})])
    log.close()
    text = retrain("list", options=["--state-dir", str(state_dir)]).stdout
    assert "sent" in text
    assert "· run running https://ci.example/runs/7" in text


def test_unknown_ids_are_usage_errors(options):
    """A typo names the nearest id."""
    (identity,) = ids(options)
    with pytest.raises(UsageError, match=identity):
        incident("show", identity[:-1] + "~", options=options)


def test_a_running_daemon_owns_its_directory(state_dir, daemon):
    """Reading beside a daemon works, writing is refused with what would be right."""
    (identity,) = ids(["--state-dir", str(state_dir)])
    with pytest.raises(StateConflict):
        incident("ack", identity, options=["--state-dir", str(state_dir)])


def test_without_the_token_nothing_is_changed(daemon):
    """The daemon's refusal comes with the way to be allowed."""
    (identity,) = ids(daemon)
    with pytest.raises(DriftlineError, match="--token-file"):
        incident("ack", identity, options=daemon[:2])
    with pytest.raises(UsageError, match="cannot be read"):
        incident("ack", identity, options=[*daemon[:2], "--token-file", "/nowhere/token"])


def test_no_daemon_and_no_directory():
    """The texts say what to give instead."""
    with pytest.raises(DriftlineError, match="--state-dir"):
        incident("list", options=["--url", "http://127.0.0.1:1"])
    with pytest.raises(DriftlineError, match="no state here"):
        incident("list", options=["--state-dir", "/nowhere"])


def test_something_else_at_the_address(tmp_path):
    """An answer that is not the API's is said to be one."""
    from monitor.deliver.receiver import Answer, Receiver

    with (
        Receiver(default=Answer(200, b"<html>")) as receiver,
        pytest.raises(DriftlineError, match="driftline daemon"),
    ):
        incident("list", options=["--url", receiver.url])


def test_two_incidents_that_begin_alike(monkeypatch):
    """An ambiguous beginning asks for more of the id."""
    from monitor.cli.records import pick

    bodies = [{"id": "abcd1"}, {"id": "abcd2"}]
    assert pick(bodies, "abcd2") == {"id": "abcd2"}
    with pytest.raises(UsageError, match="2 begin so"):
        pick(bodies, "abcd")


def test_the_suggestion_is_under_the_id_of_its_incident(state_dir):
    """Receivers, operators and the ledger know a request by one id."""
    (identity,) = ids(["--state-dir", str(state_dir)])
    (request,) = json.loads(
        retrain("list", "--output", "json", options=["--state-dir", str(state_dir)]).stdout
    )
    assert request["id"] == f"rt_{identity}"


def test_what_replicas_share_is_read_and_not_decided(kafka, state_dir, tmp_path):
    """--config reads it whoever is alive; the replica that judges the model decides. Lost appends are told."""
    topics, clock = topics_of("incident.shared"), SystemClock()
    for name, partitions in zip(topics, (1, 1, 1, 2), strict=True):
        kafka.create_topic(name, partitions=partitions, config={"cleanup.policy": "compact"})
    logs = Broker({"bootstrap.servers": kafka.bootstrap, "log_level": 0}, clock=clock)
    place = Place(topics.ledger, partition_of_model("flights", 2))
    owner = LedgerOwner.take(logs, place, WriterId(1), clock=clock)
    with closing(LocalLog(state_dir, clock=clock)) as log:
        ledger = log.ledger("flights")
    entries = [
        Entry(kind, name, body) for kind, named in ledger.entries.items() for name, body in named.items()
    ]
    owner.append("flights", entries)
    options = ["-c", configured(tmp_path, "log: kafka, kafka: {prefix: incident.shared}", kafka.bootstrap)]
    (identity,) = ids(options)
    assert [identity] == ids(["--state-dir", str(state_dir)])
    assert "missing(dep_delay)" in incident("show", identity, options=options).stdout
    assert "suggested" in retrain("list", options=options).stdout
    for act, name in ((incident, "ack"), (retrain, "approve"), (retrain, "reject")):
        with pytest.raises(UsageError, match=r"judges flights decides .* give its --url"):
            act(name, identity, options=options)
    logs.write([Write(place, encode(BatchKey("flights", owner.term, 99)), b"damaged")])
    assert "1 appends of flights do not verify" in incident("list", options=options).stderr
    logs.close()
