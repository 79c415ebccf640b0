"""`driftline topics` and what `driftline check` says of the topics of the state."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from monitor.cli.check import command as check
from monitor.cli.topics import command, describe
from monitor.config.topics import plan_topics
from monitor.errors import StateError, UsageError
from monitor.state.kafka.admin import Standing
from monitor.state.kafka.topics import TopicState
from tests.config.cases import settings_of

OURS = ("state", "sketches", "ledger", "progress", "dlq")


def text_of(prefix: str, brokers: str, state: str = "log: kafka, ") -> str:
    return f"""\
kafka: {{brokers: "{brokers}", properties: {{log_level: 0}}}}
sources: {{s: {{topic: {prefix}-in}}}}
models: {{m: {{features: {{f: {{path: f, kind: numeric}}}}}}}}
alerts: {{alertmanager: {{urls: ["http://localhost:1"]}}}}
state: {{{state}kafka: {{prefix: {prefix}, partitions: 3, model_partitions: 2, replication: 1}}}}
"""


@pytest.fixture
def run(tmp_path: Path):
    """Runs the command on a configuration; (exit code, output, errors)."""

    def run(text: str, *arguments: str, of=command):
        file = tmp_path / "driftline.yaml"
        file.write_text(text)
        return CliRunner().invoke(of, ["-c", str(file), *arguments])

    return run


def test_topics_are_shown_created_and_shown_again(kafka, run):
    """What is missing comes with the command that creates it; once all is there nothing is left to run."""
    text = text_of("cli.create", kafka.bootstrap)
    before = run(text)
    assert before.exit_code == 1
    lines = before.output.splitlines()
    assert lines[:6] == [*(f"x cli.create.{name}: missing" for name in OURS), ""]
    assert [line.split()[6] for line in lines[6:]] == [f"cli.create.{name}" for name in OURS]
    created = run(text, "--create")
    assert created.exit_code == 0
    counts = ["3 partitions", "2 partitions", "2 partitions", "1 partition", "3 partitions"]
    assert created.output.splitlines() == [
        f"√ cli.create.{name}: created, {count}" for name, count in zip(OURS, counts, strict=True)
    ]
    after = run(text, "--output", "json")
    assert after.exit_code == 0
    found = json.loads(after.output)
    assert (found["ok"], found["commands"]) == (True, [])
    assert [topic["text"] for topic in found["topics"]] == counts
    assert not any(topic["created"] for topic in found["topics"])


def test_topics_that_are_otherwise(kafka, run):
    """The fault of a topic stands in its line, and the exit code says that there is one."""
    text = text_of("cli.other", kafka.bootstrap)
    run(text, "--create")
    found = run(text.replace("model_partitions: 2", "model_partitions: 4"))
    assert found.exit_code == 1
    assert (
        "x cli.other.ledger: has 2 partitions, must have 4; set state.kafka.model_partitions: 2"
        in found.output
    )


def test_topics_on_fewer_brokers_than_configured(kafka, run):
    """A doubt that fails nothing; no command where there are no more brokers."""
    text = text_of("cli.few", kafka.bootstrap)
    run(text, "--create")
    found = run(text.replace("replication: 1", "replication: 3"))
    assert found.exit_code == 0
    assert found.output.splitlines()[:2] == [
        "~ cli.few.state: 3 partitions, on 1 broker; state.kafka.replication is 3",
        "~ cli.few.sketches: 2 partitions, on 1 broker; state.kafka.replication is 3",
    ]
    assert "kafka-" not in found.output


@pytest.mark.slow
def test_rights_are_printed_for_a_principal(kafka, run):
    """Also those that are needed only sometimes, with when; and all of it where Kafka does not let us in."""
    found = run(text_of("cli.rights", kafka.bootstrap), "--principal", "User:d")
    rights = [line for line in found.output.splitlines() if line.startswith(("kafka-acls.sh", "#"))]
    assert all("--allow-principal User:d" in line for line in rights if line[0] != "#")
    assert "--topic cli.rights-in" in rights[0]
    assert rights[3] == "# only if driftline is to create its topics itself"
    shut = run(text_of("cli.rights", "127.0.0.1:1"), "--principal", "User:d", "--output", "json")
    assert shut.exit_code == 1
    assert "error: no answer" in shut.stderr
    data = json.loads(shut.stdout)
    assert {topic["text"] for topic in data["topics"]} == {"not known"}
    assert len(data["commands"]) == 5 + 7
    assert isinstance(run(text_of("cli.rights", "127.0.0.1:1")).exception, StateError)


def test_what_cannot_work_is_a_usage_error(run):
    """No topics without a state in Kafka, and no principal without its type."""
    local = run(text_of("cli", "127.0.0.1:1", state="log: local, "))
    assert isinstance(local.exception, UsageError)
    assert str(local.exception) == "the state has no topics - state.log - kafka"
    nameless = run(text_of("cli", "127.0.0.1:1"), "--principal", "driftline")
    assert isinstance(nameless.exception, UsageError)


def test_a_line_for_each_topic():
    """There, hidden, missing or wrong."""
    wanted = plan_topics(settings_of(text_of("p", "k:1")))
    found = {"p.state": TopicState(3), "p.ledger": TopicState(9), "p.progress": TopicState(1)}
    lines = describe(wanted, Standing(found, ("p.sketches",)), created=("p.progress",))
    instead = "set state.kafka.model_partitions: 9, or another state.kafka.prefix"
    assert [str(line) for line in lines] == [
        "√ p.state: 3 partitions",
        "x p.sketches: may not be seen by these credentials",
        f"x p.ledger: has 9 partitions, must have 2; {instead}",
        "√ p.progress: created, 1 partition",
        "x p.dlq: missing",
    ]


def test_check_looks_at_them_too(kafka, run):
    """Missing ones are doubtful, because the start creates them; no directory of the state is asked for."""
    kafka.create_topic("cli.check-in")
    text = text_of("cli.check", kafka.bootstrap)
    before = json.loads(run(text, "--output", "json", of=check).stdout)["lines"]
    assert {
        line["subject"]: line["status"] for line in before if line["subject"].startswith("cli.check.")
    } == {f"cli.check.{name}": "warning" for name in OURS}
    assert not [line for line in before if line["subject"] in {"state", "dead letters of s"}]
    run(text, "--create")
    after = json.loads(run(text, "--output", "json", of=check).stdout)["lines"]
    assert {line["status"] for line in after if line["subject"].startswith("cli.check.")} == {"ok"}
