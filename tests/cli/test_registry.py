"""What the commands and the settings say of a model registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from monitor.cli.check_line import Sign
from monitor.cli.check_registry import check_registries
from monitor.cli.reference import command as reference
from monitor.config.load import load
from monitor.config.plans import build_plans
from monitor.deliver.receiver import Receiver
from monitor.errors import ConfigError
from monitor.reference.file import digest_of, read
from monitor.registry.mlflow import DIGEST
from tests.daemon.build import MODEL
from tests.registry.fake import FakeMlflow
from tests.registry.versions import content_of


@pytest.fixture
def fake():
    with Receiver() as receiver:
        fake = FakeMlflow(receiver)
        fake.add("7", content_of("7"))
        fake.add("8")
        fake.aliases["champion"] = "7"
        yield fake


def write(
    folder: Path, url: str, *, fields: str = "{model: model, version: version}", **registry: object
) -> Path:
    (folder / "scores.ref").write_bytes(content_of("7"))
    (folder / "token").write_text("t0ken\n")
    given = {
        "url": url,
        "token_file": "token",
        "insecure_http": True,
        "allow_private": ["127.0.0.0/8"],
    } | registry
    config = folder / "driftline.yaml"
    config.write_text(
        f"""
version: 1
kafka: {{brokers: ["localhost:1"]}}
sources: {{predictions: {{topic: predictions, fields: {fields}}}}}
models: {{{MODEL}: {{reference: scores.ref, registry: {json.dumps(given)}}}}}
"""
    )
    return config


def looked(config: Path) -> list[tuple[Sign, str]]:
    plans = build_plans(load([str(config)]), {MODEL: read(config.parent / "scores.ref")})
    return [
        (line.sign, line.text)
        for line in check_registries(plans, {MODEL: read(config.parent / "scores.ref")})
    ]


def test_check_asks_for_the_version_and_its_reference(fake, tmp_path):
    """Each thing that can be wrong has its line."""
    config = write(tmp_path, fake.receiver.url)
    assert [sign for sign, _ in looked(config)] == [Sign.OK, Sign.OK]
    fake.aliases["champion"] = "8"
    (_, found), (sign, text) = looked(config)
    assert found == "alias champion of scores is version 8"
    assert (sign, "driftline reference push --model scores" in text) == (Sign.DOUBTFUL, True)
    fake.add("8", content_of("8", own_bins=True))
    assert looked(config)[1][0] is Sign.WRONG
    fake.add("8", b"garbage")
    assert looked(config)[1][0] is Sign.WRONG
    fake.aliases.clear()
    assert [sign for sign, _ in looked(config)] == [Sign.WRONG]


def test_push_stores_what_fits_and_refuses_what_does_not(fake, tmp_path):
    """Before anything is sent."""
    config = write(tmp_path, fake.receiver.url)
    fits, other = tmp_path / "fits.ref", tmp_path / "other.ref"
    fits.write_bytes(content_of("8"))
    other.write_bytes(content_of("8", own_bins=True))
    push = ["push", "-c", str(config), "--model", MODEL, "--output", "json", "--version"]
    done = CliRunner().invoke(reference, [*push, "8", str(fits)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["digest"] == fake.tags["8"][DIGEST] == digest_of(content_of("8"))
    assert fake.artifacts["1/models/8/driftline/reference.ref"] == content_of("8")
    asked = len(fake.received())
    for version, file, why in (("8", other, "other bins"), ("9", fits, "not there")):
        done = CliRunner().invoke(reference, [*push, version, str(file)])
        assert done.exit_code != 0
        assert why in f"{done.output} {done.exception}"
        assert len(fake.received()) == asked + (version == "9")


def test_bins_are_taken_over_by_the_command(tmp_path):
    """From a file with the same columns; a column that is lacking is named."""
    rows = "age,ts\n" + "".join(f"{20 + i % 50},{1_700_000_000_000 + i * 1000}\n" for i in range(500))
    (tmp_path / "a.csv").write_text(rows)
    (tmp_path / "b.csv").write_text(
        "age,ts\n" + "".join(f"{30 + i % 60},{1_700_000_000_000 + i * 1000}\n" for i in range(500))
    )
    (tmp_path / "c.csv").write_text("other,ts\n1,1700000000000\n2,1700000001000\n")
    build = ["build", "--model", "m", "--time", "ts", "--time-unit", "ms"]
    first = CliRunner().invoke(
        reference, [*build, "--from", str(tmp_path / "a.csv"), "-o", str(tmp_path / "a.ref")]
    )
    assert first.exit_code == 0, first.output
    second = [*build, "--bins-of", str(tmp_path / "a.ref"), "-o", str(tmp_path / "b.ref"), "--from"]
    done = CliRunner().invoke(reference, [*second, str(tmp_path / "b.csv")])
    assert done.exit_code == 0, done.output
    one, two = (read(tmp_path / f"{name}.ref").features[0] for name in "ab")
    assert (one.edges == two.edges).all()
    assert (two.minimum, two.maximum) == (30, 89)
    done = CliRunner().invoke(reference, [*second, str(tmp_path / "c.csv")])
    assert done.exit_code != 0
    assert "lacking age, too many other" in f"{done.output} {done.exception}"


@pytest.mark.parametrize(
    ("change", "fields", "codes"),
    [
        ({"alias": "a", "stage": "b"}, "", {"conflict"}),
        ({"username": "ada"}, "", {"missing-key", "conflict"}),
        ({"insecure_http": False}, "", {"insecure-url"}),
        ({"allow_private": []}, "", {"private-address"}),
        ({"path": "../x"}, "", {"bad-value"}),
        ({"every": "1ms"}, "", {"out-of-range"}),
        ({}, "{model: model}", {"missing-key"}),
    ],
    ids=["alias and stage", "no password", "no TLS", "private", "path", "bounds", "no version"],
)
def test_what_is_wrong_with_the_settings_is_said_at_once(tmp_path, change, fields, codes):
    """With a code for each."""
    given = {"fields": fields} if fields else {}
    config = write(tmp_path, "http://127.0.0.1:5000", **given, **change)
    with pytest.raises(ConfigError) as caught:
        load([str(config)])
    found = {finding.code for finding in caught.value.findings}
    assert codes <= found


def test_a_registry_needs_a_reference(tmp_path):
    """Its bins are those that every version is counted in."""
    config = write(tmp_path, "http://127.0.0.1:5000")
    config.write_text(config.read_text().replace("reference: scores.ref, ", ""))
    with pytest.raises(ConfigError, match=r"needs models\.scores\.reference"):
        load([str(config)])
