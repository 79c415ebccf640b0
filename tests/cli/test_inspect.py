"""`driftline inspect`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from monitor.cli.inspect import command
from monitor.config.load import load
from monitor.errors import UsageError
from monitor.intake.embedded import EmbeddedBroker
from monitor.intake.produce import Producer

START = 1_767_225_600_000


def records(count=60):
    return [
        json.dumps(
            {
                "id": f"req-{row:06d}",
                "ts": START + row * 1000,
                "model": "churn",
                "features": {
                    "age": 20 + row % 50,
                    "country": "DE\u202e" if row % 3 else "FR",
                    "name": f"secret{row}",
                },
                "score": row / 60,
            }
        ).encode()
        for row in range(count)
    ]


def run(*arguments, **settings):
    return CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False, **settings)


def test_what_is_printed_is_a_configuration(tmp_path):
    """The whole of stdout loads as a configuration; the table of fields is its comments."""
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(records()))
    result = run("--file", tmp_path / "a.jsonl")
    assert result.exit_code == 0
    (tmp_path / "driftline.yaml").write_text(result.output)
    settings = load([str(tmp_path / "driftline.yaml")], environ={})
    assert settings.models["churn"].features["age"].path == ("features", "age")
    assert "# features.age" in result.output


def test_texts_that_are_all_different_are_never_shown(tmp_path):
    """Ids and names stay on the topic; signs that steer a terminal do not pass either."""
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(records()))
    for form in ("text", "json"):
        output = run("--file", tmp_path / "a.jsonl", "--output", form).output
        assert "secret1" not in output
        assert "req-0" not in output
    assert "\u202e" not in run("--file", tmp_path / "a.jsonl").output


def test_json_holds_fields_roles_and_the_configuration(tmp_path):
    """Programs get everything that was inferred."""
    data = json.loads(run("--file", "-", "--output", "json", input=b"\n".join(records())).output)
    assert data["roles"]["time"] == {"path": "ts", "unit": "ms", "why": "by its name"}
    assert data["features"] == ["features.age", "features.country"]
    assert data["config"].startswith("# Inferred from 60 records")


def test_a_topic_is_sampled():
    """The newest records of a topic are read, as many as asked for; brokers go into the configuration."""
    with EmbeddedBroker() as broker:
        broker.create_topic("predictions", partitions=2)
        with Producer({"bootstrap.servers": broker.bootstrap}) as producer:
            for index, record in enumerate(records()):
                producer.send("predictions", record, partition=index % 2)
            producer.flush()
        data = json.loads(
            run(
                "--topic", "predictions", "-n", "40", "--brokers", broker.bootstrap, "--output", "json"
            ).output
        )
    assert data["records"] == 40
    assert broker.bootstrap in data["config"]


@pytest.mark.parametrize("arguments", [[], ["--topic", "a", "--file", "b"]])
def test_records_come_from_one_place(arguments):
    """Neither and both of --topic and --file are usage errors."""
    with pytest.raises(UsageError, match="one of --topic, --file"):
        run(*arguments)


@pytest.mark.parametrize("content", [b"", b"no json\n", b"[1, 2]\n"])
def test_records_of_another_format_are_told(tmp_path, content):
    """When nothing is a JSON object there is nothing to infer, and that is said."""
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(UsageError, match="no JSON objects"):
        run("--file", tmp_path / "a.jsonl")
