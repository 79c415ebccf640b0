"""`driftline state`, over a state directory and over the topics of a real Kafka."""

from __future__ import annotations

import contextlib
import json

import pytest
from click.testing import CliRunner

from monitor.cli.state import command
from monitor.clock import SystemClock
from monitor.errors import StateConflict, StateDamaged, StateMissing, UsageError
from monitor.intake.produce import Producer
from monitor.names import Source
from monitor.state.codec import encode
from monitor.state.database import FILE
from monitor.state.kafka.broker import Broker
from monitor.state.kafka.cluster import topics_of
from monitor.state.kafka.keys import ProgressKey
from monitor.state.kafka.keys import encode as encode_key
from monitor.state.kafka.log import KafkaLog
from monitor.state.kafka.logs import Place as PartitionPlace
from monitor.state.kafka.logs import Write
from monitor.state.local import LocalLog
from monitor.state.log import Entry, Progress
from tests.state.cases import make_key, make_marker, make_sketch

HOUR = 3_600_000


class Place:
    """A state log with two sources and two models, and how the commands are told where it is."""

    def __init__(self, kafka, folder, name, kind):
        self.kind, self.name, self.directory = kind, name, folder / "state"
        self.properties = {"bootstrap.servers": kafka.bootstrap, "log_level": 0}
        self.sources = [Source(f"{name}.in", partition) for partition in range(2)]
        self.config = folder / "driftline.yaml"
        state = f"log: kafka, kafka: {{prefix: {name}}}" if kind == "kafka" else f"dir: {self.directory}"
        self.config.write_text(
            f"version: 1\nkafka: {{brokers: ['{kafka.bootstrap}'], properties: {{log_level: 0}}}}\n"
            f"sources: {{s: {{topic: {name}.in, fields: {{time: {{path: ts, unit: ms}}}}}}}}\n"
            f"models: {{fraud: {{features: {{age: {{path: age, kind: numeric}}}}}}}}\nstate: {{{state}}}\n"
        )
        kafka.create_topic(f"{name}.in", partitions=2)
        with Producer(self.properties) as producer:
            for number in range(12):
                producer.send(f"{name}.in", b"x", partition=number % 2)
            producer.flush()
        if kind == "kafka":
            for topic, partitions in zip(topics_of(name), (3, 2, 1, 2), strict=True):
                kafka.create_topic(topic, partitions=partitions, config={"cleanup.policy": "compact"})
        self.begin()

    def open(self):
        """As a daemon does; nobody else is there."""
        clock = SystemClock()
        if self.kind == "local":
            return LocalLog(self.directory, clock=clock)
        logs = Broker(self.properties, clock=clock)
        log = KafkaLog(
            logs, topics=topics_of(self.name), owned=lambda: {0: 1, 1: 1}, clock=clock, closing=(logs.close,)
        )
        log.attend()
        return log

    def tell(self, *reports):
        """As ingest reports, but durable on return."""
        logs = Broker(self.properties, clock=SystemClock())
        place = PartitionPlace(topics_of(self.name).progress, 0)
        logs.write([Write(place, encode_key(ProgressKey(one.source)), encode(one)) for one in reports])
        logs.close()

    def begin(self):
        log = self.open()
        for source, applied in zip(self.sources, (4, 6), strict=True):
            keys = [make_key(pane=pane, source=source) for pane in (0, HOUR)]
            sketches = [make_sketch(key, applied=applied, seed=seed) for seed, key in enumerate(keys)]
            log.checkpoint(source, sketches, make_marker(source, applied=applied, live={"fraud": HOUR}))
        log.append("fraud", [Entry("incident", "i1", {"state": "firing"}), Entry("verdict", "v", {})])
        log.append("churn", [Entry("cursor", "1h", {"end": 5})])
        log.close()

    def run(self, *arguments, **settings):
        options = ["-c", str(self.config), *map(str, arguments[1:])]
        return CliRunner().invoke(command, [arguments[0], *options], catch_exceptions=False, **settings)

    def found(self, *arguments):
        return json.loads(self.run("inspect", "--output", "json", *arguments).stdout)


@pytest.fixture(params=["local", "kafka"])
def place(request, kafka, tmp_path):
    return Place(kafka, tmp_path, request.node.name.replace("[", ".").strip("]"), request.param)


@pytest.fixture
def local(request, kafka, tmp_path):
    return Place(kafka, tmp_path, request.node.name, "local")


@pytest.fixture
def shared(request, kafka, tmp_path):
    return Place(kafka, tmp_path, request.node.name, "kafka")


def test_inspect_shows_sources_and_models(place):
    """How far each is, how far behind its topic, and what is decided of each model."""
    text = place.run("inspect").stdout
    head, sources, models = text.split("\n\n")
    assert head.startswith(f"{place.kind} state in ")
    rows = [line.split() for line in sources.splitlines()]
    assert rows[0][:7] == ["source", "applied", "lag", "watermark", "panes", "sketches", "stored"]
    assert [row[:3] for row in rows[1:]] == [
        [f"{place.name}.in/0", "4", "2"],
        [f"{place.name}.in/1", "6", "0"],
    ]
    assert {row[3] for row in rows[1:]} == {"1970-01-01T00:00:00Z"}
    assert [line.split("  ")[-1].strip() for line in models.splitlines()[1:]] == [
        "1 cursor",
        "1 incident, 1 verdict",
    ]


def test_inspect_for_programs(place):
    """The same as JSON."""
    found = place.found()
    assert found["log"] == place.kind
    first = found["sources"][0]
    assert {name: first[name] for name in ("applied", "end", "lag", "panes", "sketches", "usable", "why")} == {
        "applied": 4, "end": 6, "lag": 2, "panes": 1, "sketches": 1, "usable": True, "why": "",
    }  # fmt: skip
    assert first["marker"]["tallies"] == {"fraud|late": 2}
    assert len(first["writers"]) == (place.kind == "kafka")
    models = {model["model"]: model for model in found["models"]}
    assert models["fraud"]["entries"] == {"incident": 1, "verdict": 1}
    assert (models["fraud"]["owner"] is None) == (place.kind == "local")
    assert place.found(place.sources[1])["sources"] == found["sources"][1:]


def test_inspect_one_source(place):
    """What a table of many has no room for; one that is not there is a mistake of the user."""
    text = place.run("inspect", place.sources[0]).stdout
    assert "read from offset 0, 4 records; complete since the beginning of the topic" in text
    assert "fraud: live from 1970-01-01T01:00:00Z" in text
    assert "fraud late: 2" in text
    assert ("can be used" in text) == (place.kind == "kafka")
    with pytest.raises(UsageError, match="nothing is held"):
        place.run("inspect", f"{place.name}.in/7")
    with pytest.raises(UsageError, match="topic/3 is right"):
        place.run("inspect", f"{place.name}.in")


def test_looking_changes_nothing(place):
    """No record is written, no term begins, no directory is owned."""
    before = place.found()
    place.run("export")
    log = place.open()
    assert place.run("inspect").exit_code == 0
    log.close()
    after = place.found()
    for found in (before, after):
        found.pop("size", None)
        found.pop("term", None)
        for model in found["models"]:
            model.pop("term"), model.pop("since")
    assert before == after


def test_a_directory_alone_has_no_lag(local):
    """Without a configuration nobody says where Kafka is; all else is shown."""
    options = ["--state-dir", str(local.directory), "--output", "json"]
    bare = CliRunner().invoke(command, ["inspect", *options], catch_exceptions=False)
    found = [(one["applied"], one["lag"]) for one in json.loads(bare.stdout)["sources"]]
    assert found == [(4, None), (6, None)]


def test_kafka_that_does_not_answer(local, monkeypatch):
    """That the lag is not known is told on stderr."""
    monkeypatch.setattr("monitor.cli.state.LAG_SECONDS", 0.5)
    text = local.config.read_text()
    local.config.write_text(text.replace(text.split("['")[1].split("']")[0], "127.0.0.1:1"))
    result = local.run("inspect")
    assert f"{local.name}.in/1" in result.stdout
    assert "lag is not known: no end offset" in result.stderr


def test_a_topic_that_is_gone_has_no_lag(local, kafka, tmp_path):
    """The others do."""
    log = local.open()
    log.checkpoint(Source("gone", 0), [], make_marker(Source("gone", 0)))
    log.close()
    assert [one["lag"] for one in local.found()["sources"]] == [None, 2, 0]


def test_export_to_stdout_and_to_a_file(place, tmp_path):
    """The same lines; the file is there when it is whole, and not before."""
    shown = place.run("export").stdout
    types = [json.loads(line)["type"] for line in shown.splitlines()]
    assert types[:7] == ["export", "marker", "marker", "sketch", "sketch", "sketch", "sketch"]
    assert sorted(types[7:]) == ["entry", "entry", "entry", "ledger", "ledger"]
    place.run("export", "--out", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == shown
    assert sorted(path.name for path in tmp_path.glob("*.jsonl*")) == ["out.jsonl"]
    with pytest.raises(UsageError, match="can be written"):
        place.run("export", "--out", tmp_path / "no" / "out.jsonl")


def test_export_of_a_part(place):
    """One model, one source, a span of panes; the ledger is of no source."""

    def of(*arguments):
        lines = [json.loads(line) for line in place.run("export", *arguments).stdout.splitlines()[1:]]
        return [(line["type"], line.get("partition", line.get("model")), line.get("pane")) for line in lines]

    assert of("--source", place.sources[1]) == [("marker", 1, None), ("sketch", 1, 0), ("sketch", 1, HOUR)]
    assert of("--part", "sketches", "--from", HOUR) == [("sketch", 0, HOUR), ("sketch", 1, HOUR)]
    assert of("--part", "sketches", "--to", "1970-01-01T00:30:00Z", "--source", f"{place.name}.in") == [
        ("sketch", 0, 0),
        ("sketch", 1, 0),
    ]
    assert of("--model", "churn", "--part", "sketches", "--part", "ledger") == [
        ("ledger", "churn", None),
        ("entry", "churn", None),
    ]


def test_export_of_what_is_not_there(place):
    """A misspelt name is no empty export."""
    for option, name in (("--model", "chrun"), ("--source", "nothing"), ("--source", f"{place.name}.in/9")):
        with pytest.raises(UsageError, match=rf"nothing is held of .*{name} - --source, --model"):
            place.run("export", option, name)
    assert place.run("export", "--model", "chrun", "--to", "1970-01-01T00:30:00Z").exit_code == 0


def test_a_damaged_sketch_fails_the_export(local):
    """Everything else is written; the exit code tells."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(local.directory / FILE, isolation_level=None)) as db:
        db.execute("UPDATE sketches SET body = zeroblob(50) WHERE pane = 0 AND partition = 1")
    with pytest.raises(StateDamaged, match="1 sketches do not verify"):
        local.run("export")


def test_reset_begins_anew(place):
    """The source was never checkpointed then; the other one was."""
    first, second = place.sources
    shown = place.run("reset", first, "--yes").stdout
    assert f"the checkpoint of {first}" in shown
    assert "applied through 4, 1 live sketches" in shown
    assert "start with --accept-data-loss" in shown
    assert [one["source"] for one in place.found()["sources"]] == [str(second)]
    log = place.open()
    assert log.recover(first) is None
    assert log.recover(second).marker.applied == 6
    log.close()
    with pytest.raises(UsageError, match="nothing is held"):
        place.run("reset", first, "--yes")


def test_reset_asks(place):
    """No, and nobody who could answer, change nothing."""
    before = place.found()["sources"]
    for answer in ("n\n", ""):
        assert place.run("reset", place.sources[0], input=answer).exit_code == 1
    assert place.found()["sources"] == before
    assert place.run("reset", place.sources[0], input="y\n").exit_code == 0


def test_reset_of_what_a_daemon_owns(local):
    """Its directory is its own."""
    log = local.open()
    with pytest.raises(StateConflict, match="in use by"):
        local.run("reset", local.sources[0], "--yes")
    log.close()


def test_reset_of_what_is_being_written(shared):
    """News of a replica refuse it, but not those of one that may not read on; --force overrides."""
    now = SystemClock().now_ms()
    source, refused = shared.sources
    shared.tell(
        Progress(source, 4, 6, 5, False, "", now - 3000),
        Progress(refused, 6, 6, 5, False, "", now - 1_000_000),
        Progress(refused, 0, -1, -1, False, "no checkpoint is whole", now),
    )
    text = shared.run("inspect").stdout
    assert "paused: no checkpoint is whole" in text
    assert "s ago" in text
    with pytest.raises(StateConflict, match=r"told of offset 4 \d s ago .* wait \d+ s or use --force"):
        shared.run("reset", source, "--yes")
    assert shared.run("reset", refused, "--yes").exit_code == 0
    assert shared.run("reset", source, "--yes", "--force").exit_code == 0
    assert shared.found()["sources"] == []


def test_no_state_at_all(tmp_path, kafka):
    """A directory without one, topics that were never made, nothing named."""
    for arguments in (["inspect"], ["export"], ["reset", "t/0", "--yes"]):
        with pytest.raises(StateMissing, match="no state here"):
            CliRunner().invoke(command, [*arguments, "--state-dir", str(tmp_path)], catch_exceptions=False)
        with pytest.raises(UsageError, match="--state-dir, is right"):
            CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []
    config = tmp_path / "driftline.yaml"
    config.write_text(
        f"version: 1\nkafka: {{brokers: ['{kafka.bootstrap}']}}\nsources: {{s: {{topic: t}}}}\n"
        "models: {m: {features: {age: {path: age, kind: numeric}}}}\n"
        "state: {log: kafka, kafka: {prefix: nowhere}}\n"
    )
    with pytest.raises(StateMissing, match="driftline topics --create"):
        CliRunner().invoke(command, ["inspect", "-c", str(config)], catch_exceptions=False)
