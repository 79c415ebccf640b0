from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.document import Composer
from monitor.config.effective import Mode, effective, render, render_json, write
from monitor.config.tree import Leaf
from tests.config.cases import HEAD, TAIL, settings_of, with_model

TEXTS = with_model(
    "runbook: 'it''s: #1 ${env:X} $$HOME'\nchampion: 'no'\nfeatures: {'a: b': {path: '[\"x.y\"][0]', kind: categorical, "
    "allowed: ['1', 'on', '', 'null', '1:30', 'ü', \"a\\nb\"]}}\nwindows: {'1': 24h}\nrules: {r: psi(a) > 1}\n"
    "retrain: {when: drift for 2 windows}\ntolerance: {psi: learn, ks: 0.1}"
)


@pytest.mark.parametrize("text", [HEAD + TAIL, TEXTS])
def test_what_is_printed_is_read_back(text: str) -> None:
    """The unredacted effective configuration loads to the same settings, dollar signs and all."""
    settings = settings_of(text, {"X": "${env:Y}"})
    printed = render(settings, mode=Mode.UNREDACTED)
    again = settings_of(printed)
    assert effective(again, secrets=True) == effective(settings, secrets=True)
    assert again.warnings == ()
    assert yaml.safe_load(printed)["version"] == 1


def test_origins() -> None:
    """Each value stands beside the line it comes from, or `default`."""
    text = render(settings_of(with_model("prediction: p\nbudget: 1 per 30d")), mode=Mode.ORIGIN)
    lines = [line.strip() for line in text.splitlines()]
    assert 'budget: "1 per 30d"  # <stdin>:9' in lines
    assert "path: p  # <stdin>:8" in lines
    assert "kind: score  # default" in lines
    assert "level: info  # default" in lines
    data = render_json(settings_of(HEAD + TAIL), mode=Mode.ORIGIN)
    assert data["version"] == {"value": 1, "origin": "<stdin>:1"}
    assert data["log"]["level"] == {"value": "info", "origin": "default"}


def test_json_has_the_same_values() -> None:
    """YAML and JSON are two forms of one thing."""
    settings = settings_of(HEAD + TAIL)
    assert render_json(settings) == effective(settings)
    assert json.loads(json.dumps(render_json(settings)))["state"]["checkpoint_every"] == "10s"


@given(st.text(max_size=30))
def test_every_text_is_written_so_that_both_readings_agree(text: str) -> None:
    """What `write` quotes is the same text for YAML 1.1, for YAML 1.2, and for the strict loader."""
    written = write(text)
    assert yaml.safe_load(written) == text
    tree = Composer("f", f"a: {written}\n").compose()
    assert tree is not None
    leaf = tree.entries["a"][1]  # type: ignore[union-attr]
    assert isinstance(leaf, Leaf)
    assert leaf.text == text
