"""`driftline reference`."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from monitor.cli.options import Exit
from monitor.cli.reference import command
from monitor.errors import ReferenceInvalid, UsageError
from monitor.intake.embedded import EmbeddedBroker
from monitor.intake.produce import Producer
from monitor.reference.file import read

START = 1_767_225_600_000
CONFIG = """
version: 1
kafka: {brokers: ["%s"]}
sources:
  predictions:
    topic: predictions
    fields: {id: id, time: {path: at, unit: ms}, model: model, variant: variant, latency: {path: took, unit: s}, error: status}
models:
  churn:
    source: predictions
    windows: {1h: {size: 1h}}
    features:
      age: {path: features.age, kind: numeric}
      country: {path: features.country, kind: categorical}
    prediction: {path: score, kind: score}
"""


@pytest.fixture(autouse=True)
def frozen(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")


def run(*arguments):
    return CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)


def rows(count=400):
    random = np.random.default_rng(3)
    return [
        {
            "id": f"r{row}",
            "at": START + row * 60_000,
            "model": "churn" if row % 4 else "fraud",
            "variant": "challenger" if row % 10 == 1 else None,
            "features": {"age": int(random.integers(18, 90)), "country": ["DE", "FR"][row % 2]},
            "score": float(random.random()),
            "took": 0.01,
            "status": "failed" if row % 50 == 3 else "ok",
        }
        for row in range(count)
    ]


def write_csv(path, *, shift=0.0):
    random = np.random.default_rng(4)
    lines = [f"{START + row * 60_000},{random.normal(shift):.6f},{'ab'[row % 2]}" for row in range(500)]
    path.write_text("ts,x,c\n" + "\n".join(lines) + "\n")
    return path


def test_a_csv_file_becomes_a_reference(tmp_path):
    """The file is written, can be read, and its description is printed."""
    result = run(
        "build", "--from", write_csv(tmp_path / "a.csv"), "-o", tmp_path / "a.ref", "--model", "churn",
        "--time", "ts", "--path-prefix", "features.", "--feature", "x:numeric", "--feature", "kind=features.c",
        "--pane", "1h", "--name", "january",
    )  # fmt: skip
    assert result.exit_code == 0
    reference = read(tmp_path / "a.ref")
    assert (reference.model, reference.name, reference.pane) == ("churn", "january", 3_600_000)
    assert reference.created == 1_767_225_600_000
    assert [(p.name, p.path) for p in reference.features] == [
        ("x", ("features", "x")),
        ("kind", ("features", "c")),
    ]
    assert "500 rows" in result.output


def test_equal_input_gives_equal_bytes(tmp_path):
    """With SOURCE_DATE_EPOCH set, two builds are the same file."""
    write_csv(tmp_path / "a.csv")
    for name in ("a.ref", "b.ref"):
        run("build", "--from", tmp_path / "a.csv", "-o", tmp_path / name, "--model", "m", "--time", "ts")
    assert (tmp_path / "a.ref").read_bytes() == (tmp_path / "b.ref").read_bytes()


def test_a_topic_and_its_dump_give_the_same_counts(tmp_path):
    """A span of a topic, and a file of its records, build the same reference with the same configuration."""
    records = [json.dumps(row).encode() for row in rows()]
    (tmp_path / "dump.jsonl").write_bytes(b"\n".join(records) + b"\nnot json\n")
    with EmbeddedBroker() as broker:
        broker.create_topic("predictions", partitions=2)
        with Producer({"bootstrap.servers": broker.bootstrap}) as producer:
            for index, record in enumerate(records):
                producer.send("predictions", record, partition=index % 2, timestamp=START + index)
            producer.flush()
        config = tmp_path / "driftline.yaml"
        config.write_text(CONFIG % broker.bootstrap)
        for origin, out in (("topic:predictions", "topic.ref"), (tmp_path / "dump.jsonl", "dump.ref")):
            result = run(
                "build", "--from", origin, "-o", tmp_path / out, "--model", "churn", "-c", config,
                "--since", START, "--until", START + 1_000_000,
            ) if out == "topic.ref" else run(
                "build", "--from", origin, "-o", tmp_path / out, "--model", "churn", "-c", config
            )  # fmt: skip
            assert result.exit_code == 0, result.output
    topic, dump = read(tmp_path / "topic.ref"), read(tmp_path / "dump.ref")
    wanted = [row for row in rows() if row["model"] == "churn" and row["variant"] is None]
    assert topic.rows == dump.rows == len(wanted)
    assert topic.errors == sum(row["status"] != "ok" for row in wanted)
    assert np.array_equal(topic.counts, dump.counts)
    assert topic.pane == 60_000
    assert [p.name for p in topic.features] == ["age", "country", "prediction"]
    assert topic.latency.nonzero()[0].size == 1
    assert dump.notes[-1] == "1 records left out: no JSON"


def test_a_table_without_the_configured_time_is_untimed(tmp_path):
    """With a configuration, fields that a training table lacks are left out, not errors."""
    lines = ["age,country,score"] + [f"{20 + row % 50},DE,0.{row}" for row in range(100)]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "driftline.yaml").write_text(CONFIG % "localhost:9092")
    result = run(
        "build", "--from", tmp_path / "a.csv", "-o", tmp_path / "a.ref", "--model", "churn",
        "-c", tmp_path / "driftline.yaml",
    )  # fmt: skip
    assert result.exit_code == 0
    reference = read(tmp_path / "a.ref")
    assert not reference.timed
    assert reference.features[0].path == ("features", "age")


def test_show_prints_and_draws(tmp_path):
    """`show` prints a picture of each distribution, JSON on request, and writes an SVG."""
    run(
        "build",
        "--from",
        write_csv(tmp_path / "a.csv"),
        "-o",
        tmp_path / "a.ref",
        "--model",
        "m",
        "--time",
        "ts",
    )
    text = run("show", tmp_path / "a.ref", "--svg", tmp_path / "a.svg")
    assert "█" in text.output
    assert (tmp_path / "a.svg").read_text().startswith("<svg")
    data = json.loads(run("show", tmp_path / "a.ref", "--output", "json").output)
    assert data["rows"] == 500


def test_show_says_what_each_season_has(tmp_path):
    """Rows and days, and what is read together; without event times there are no seasons."""
    csv, timed, untimed = write_csv(tmp_path / "a.csv"), tmp_path / "a.ref", tmp_path / "b.ref"
    run("build", "--from", csv, "-o", timed, "--model", "m", "--time", "ts")
    run("build", "--from", csv, "-o", untimed, "--model", "m", "--exclude", "ts")
    text = run("show", timed, "--season", "hour_of_day", "--timezone", "Europe/Berlin").output
    assert "all" in text
    assert "read together: too few rows or days of each" in text
    found = json.loads(run("show", timed, "--season", "day_of_week", "--output", "json").output)["seasons"]
    assert sum(one["rows"] for one in found) == 500
    with pytest.raises(UsageError, match="no event times"):
        run("show", untimed, "--season", "day_of_week")
    with pytest.raises(UsageError, match="Mars"):
        run("show", timed, "--season", "day_of_week", "--timezone", "Mars")


def test_diff_finds_a_shift_and_can_fail_a_build(tmp_path):
    """`diff` ranks features by PSI and exits with 4 when asked to fail on drift."""
    for name, shift in (("a", 0.0), ("b", 1.0)):
        write_csv(tmp_path / f"{name}.csv", shift=shift)
        run("build", "--from", tmp_path / f"{name}.csv", "-o", tmp_path / f"{name}.ref", "--model", "m")
    pair = (tmp_path / "a.ref", tmp_path / "b.ref")
    data = json.loads(run("diff", *pair, "--output", "json").output)
    assert data["features"][0]["name"] == "x"
    assert data["features"][0]["drift"]
    assert run("diff", *pair, "--fail-on", "drift").exit_code == Exit.DRIFT
    assert run("diff", pair[0], pair[0], "--fail-on", "drift").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (["--from", "{csv}", "--since", "1d"], UsageError, "for topics"),
        (["--from", "{csv}", "--pane", "soon"], UsageError, "no duration"),
        (["--from", "{csv}", "--feature", "x=a..b"], UsageError, "no path"),
        (["--from", "{csv}", "--time", "tss"], ReferenceInvalid, "did you mean 'ts'"),
        (["--from", "topic:t", "--property", "nonsense"], UsageError, "KEY=VALUE"),
        (["--from", "topic:t", "--since", "soon"], UsageError, "no time"),
        (["--from", "{csv}", "-c", "{config}", "--model", "chrun"], UsageError, "did you mean 'churn'"),
    ],
)
def test_mistakes_are_explained(tmp_path, arguments, error, text):
    """Every mistake of the user is one sentence with what would be right."""
    (tmp_path / "driftline.yaml").write_text(CONFIG % "localhost:9092")
    names = {"csv": write_csv(tmp_path / "a.csv"), "config": tmp_path / "driftline.yaml"}
    given = [argument.format(**names) for argument in arguments]
    with pytest.raises(error, match=text):
        run("build", "-o", tmp_path / "a.ref", "--model", "m", *given)
    assert not (tmp_path / "a.ref").exists()


def test_help_imports_nothing_heavy():
    """`driftline reference build --help` needs neither numpy nor numba."""
    code = (
        "import sys\nfrom monitor.cli.reference import command\n"
        "try:\n    command(['build', '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(int(bool({'numpy', 'numba', 'pydantic', 'pyarrow', 'rich'} & set(sys.modules))))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
