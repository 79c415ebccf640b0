from __future__ import annotations

from pathlib import Path

import pytest

from monitor.config.load import load
from tests.config.cases import HEAD, TAIL, findings_of, settings_of, with_model

ENV = {
    "TOPIC": "t9",
    "EMPTY": "",
    "NUMBER": "12",
    "DOLLAR": "${env:TOPIC}",
    "FLAG": "true",
    "BROKERS": "a:1, b:2",
}


def runbook(text: str) -> str:
    """What the placeholder in a text setting comes to."""
    return settings_of(with_model(f"runbook: {text}"), ENV).models["m"].runbook


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${env:TOPIC}", "t9"),
        ("${TOPIC}", "t9"),
        ("a-${env:TOPIC}-${NUMBER}", "a-t9-12"),
        ("${env:NONE:-fallback}", "fallback"),
        ("${NONE:-fallback}", "fallback"),
        ("${env:EMPTY:-x}", "x"),
        ("${env:NONE:-}", ""),
        ('"${env:EMPTY}"', ""),
        ("$$HOME", "$HOME"),
        ("$${env:TOPIC}", "${env:TOPIC}"),
        ("cost$", "cost$"),
        ("$5", "$5"),
        ("${env:DOLLAR}", "${env:TOPIC}"),
        ("${env:TOPIC:?gone}", "t9"),
        ("${env:NUMBER}", "12"),
    ],
)
def test_placeholders(text: str, value: str) -> None:
    """Every form of §9.2; what comes in is not read again for placeholders."""
    assert runbook(text) == value


@pytest.mark.parametrize(
    ("text", "code", "shows"),
    [
        ("${env:NONE}", "unset-variable", "NONE"),
        ("${env:TOPIK}", "unset-variable", "TOPIC"),
        ("${env:NONE:?set the runbook}", "unset-variable", "set the runbook"),
        ("${env:EMPTY:?}", "unset-variable", "EMPTY"),
        ("${1}", "bad-placeholder", "1"),
        ("${env:}", "bad-placeholder", ""),
        ("${env:A-B}", "bad-placeholder", "A-B"),
        ("${evn:TOPIC}", "bad-placeholder", "env"),
        ("${env:A:-${env:B}}", "bad-placeholder", "inside"),
        ("'${env:TOPIC'", "bad-placeholder", "closed"),
        ("${file:/nowhere/at/all}", "unreadable-file", "/nowhere/at/all"),
        ("${file:/dev/zero}", "unreadable-file", "file"),
    ],
)
def test_broken_placeholders_are_errors_at_their_place(text: str, code: str, shows: str) -> None:
    """Unset, misspelt and nested placeholders are errors; the caret covers the placeholder."""
    (finding,) = findings_of(with_model(f"runbook: {text}"), ENV)
    assert finding.code == code
    assert shows in f"{finding.text} {finding.suggestion} {finding.help}"
    assert finding.mark is not None
    assert finding.mark.line == 8
    assert finding.source[slice(*finding.caret)].startswith("${")


def test_whole_placeholders_take_the_type_of_the_setting() -> None:
    """A number from the environment is one, also in quotes; in a text setting it stays text."""
    model = settings_of(
        with_model(
            'min_records: "${env:NUMBER}"\nchampion: ${env:NUMBER}\nfeatures: {a: {nullable: "${FLAG}"}}'
        ),
        ENV,
    ).models["m"]
    assert (model.min_records, model.champion, model.features["a"].nullable) == (12, "12", True)


def test_quoted_numbers_are_texts() -> None:
    """Without a placeholder, quotes mean text."""
    (finding,) = findings_of(with_model('min_records: "12"'))
    assert finding.code == "wrong-type"
    assert "without quotes" in finding.text


def test_brokers_from_one_variable() -> None:
    """A list of brokers in one variable is split at commas."""
    text = (HEAD + TAIL).replace('"localhost:9092"', '"${BROKERS}"')
    assert settings_of(text, ENV).kafka.brokers == ("a:1", "b:2")


def test_nothing_from_the_environment_adds_settings() -> None:
    """Substitution happens after parsing: line breaks and YAML in a value stay a value."""
    sly = {"SLY": "x\nlog: {level: debug}\n"}
    settings = settings_of(with_model("runbook: ${SLY}"), sly)
    assert settings.models["m"].runbook == sly["SLY"]
    assert settings.log.level == "info"


def test_keys_are_never_substituted() -> None:
    """A placeholder as a key is that key."""
    settings = settings_of(with_model("features: {'${TOPIC}': {}}"), ENV)
    assert list(settings.models["m"].features) == ["${TOPIC}"]


def test_files_beside_the_configuration(tmp_path: Path) -> None:
    """A relative file lies beside the configuration file; its last newline is dropped."""
    (tmp_path / "note").write_text("https://x.example/\n", encoding="utf-8")
    config = tmp_path / "c.yaml"
    config.write_text(with_model("runbook: ${file:note}"), encoding="utf-8")
    assert load([str(config)], environ={}).models["m"].runbook == "https://x.example/"
    (tmp_path / "note").write_bytes(b"\xff\xfe")
    assert "UTF-8" in findings_of(with_model(f"runbook: ${{file:{tmp_path}/note}}"))[0].text


def test_overridden_placeholders_are_not_missed(tmp_path: Path) -> None:
    """A placeholder that a later file replaces need not be set."""
    base, over = tmp_path / "base.yaml", tmp_path / "over.yaml"
    base.write_text(with_model("runbook: ${env:NONE}"), encoding="utf-8")
    over.write_text("models: {m: {runbook: fine}}", encoding="utf-8")
    assert load([str(base), str(over)], environ={}).models["m"].runbook == "fine"
