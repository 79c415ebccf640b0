from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.config.finding import Finding
from monitor.config.load import load
from monitor.config.plans import build_plans
from monitor.errors import ConfigError

FULL = (Path(__file__).resolve().parents[2] / "configs" / "examples" / "full.yaml").read_text(
    encoding="utf-8"
)
ENV = {"ALERTMANAGER_PASSWORD": "hunter2"}
LINES = FULL.splitlines()
WORDS = sorted({word for line in LINES for word in line.replace(":", " ").replace(",", " ").split()})
JUNK = [
    "{",
    "}",
    "[",
    "]",
    "*a",
    "&a",
    "!!x",
    "<<: 1",
    "null",
    "~",
    "-1",
    "1e999",
    "9" * 400,
    "'",
    '"',
    "\\",
    "${",
    "$",
    "${env:X}",
    "${file:/}",
    "${file:.}",
    "\x00",
    "\t",
    "\ufeff",
    "\u2028",
    "ü",
    "%",
    "|",
    ">",
    "- ",
    "? ",
    "---",
    "...",
    ".nan",
    "[[[[[[[",
    "0x1",
    "1:30",
    "@",
    "`",
    "psi(((",
    "999999999d",
    "1e5",
    "::1",
    "[::1",
    "true",
    "\ud7ff",
]

edit = st.tuples(
    st.sampled_from(["drop", "repeat", "swap", "insert", "replace", "indent", "cut", "character"]),
    st.integers(0, len(LINES) - 1),
    st.integers(0, 60),
    st.sampled_from(WORDS + JUNK),
    st.characters(codec="utf-8"),
)


def apply(lines: list[str], change: tuple[str, int, int, str, str]) -> list[str]:
    """One edit of a text: what a hurried hand or a broken template does."""
    what, at, column, word, character = change
    at = min(at, len(lines) - 1)
    line = lines[at] if lines else ""
    new = {
        "drop": [],
        "repeat": [line, line],
        "swap": [word, line],
        "indent": ["  " + line],
        "cut": [line[:column]],
        "insert": [line[:column] + word + line[column:]],
        "character": [line[:column] + character + line[column + 1 :]],
        "replace": [line.replace(line.strip().split(" ")[-1], word) if line.strip() else word],
    }[what]
    return lines[:at] + new + lines[at + 1 :]


def outcome(text: str, environ: dict[str, str]) -> ConfigError | None:
    """None when the text can be used; every exception but a ConfigError fails the test."""
    try:
        found = load(["-"], stdin=text, environ=environ)
        build_plans(found, {}, without=[name for name, model in found.models.items() if model.reference])
    except ConfigError as error:
        return error
    return None


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(edit, min_size=1, max_size=6))
def test_random_edits_raise_nothing_but_config_errors(changes: list[tuple[str, int, int, str, str]]) -> None:
    """Whatever is done to the full example, `load` answers with settings or with findings."""
    lines = LINES
    for change in changes:
        lines = apply(lines, change)
    error = outcome("\n".join(lines), ENV)
    if error is not None:
        assert any(isinstance(finding, Finding) and finding.is_error for finding in error.findings)
        assert "hunter2" not in str(error)
        assert all(line.isprintable() for line in str(error).splitlines())


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_random_texts_raise_nothing_but_config_errors(text: str) -> None:
    """Nor does any text at all."""
    error = outcome(text, {})
    assert error is not None
    assert error.findings
