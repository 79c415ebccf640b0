from __future__ import annotations

import pytest

from monitor.config.document import Composer, resolve
from monitor.config.tree import to_data
from tests.config.cases import HEAD, TAIL, findings_of, settings_of, with_model


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e3", 1000.0),
        ("-1.5", -1.5),
        (".5", 0.5),
        ("010", 10),
        ("+7", 7),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("on", "on"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("True", "True"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0x1f", "0x1f"),
        ("0o7", "0o7"),
        ("2026-01-01", "2026-01-01"),
        (".inf", float("inf")),
        ("-.inf", float("-inf")),
        ("1h", "1h"),
        ("=", "="),
        ("1.2.3", "1.2.3"),
    ],
)
def test_scalars_follow_the_yaml_1_2_core_rules(text: str, value: object) -> None:
    """None of the surprises of YAML 1.1: no sexagesimals, no octals by a leading zero, no dates."""
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


def test_long_digits_do_not_overflow() -> None:
    """A number of thousands of digits is a float, not an error of the interpreter."""
    assert resolve("9" * 5000) == float("inf")
    assert resolve(".nan") != resolve(".nan")


def test_norway_stays_norway() -> None:
    """Categories keep the text they were written as, whatever YAML would make of it."""
    text = with_model("features:\n  c: {kind: categorical, allowed: [NO, on, 010, 1.0, true]}")
    assert settings_of(text).models["m"].features["c"].allowed == ("NO", "on", "010", "1.0", "true")


def test_duplicate_keys_are_errors_with_both_lines() -> None:
    """A key that stands twice is named with the lines of both places, however deep."""
    (finding,) = findings_of(
        HEAD + "    budget: 1 per 30d\n    min_records: 9\n    budget: 2 per 30d\n" + TAIL
    )
    assert finding.code == "duplicate-key"
    assert finding.path == "models.m.budget"
    assert "line 8" in finding.text
    assert "line 10" in finding.text
    assert finding.mark is not None
    assert (finding.mark.line, finding.mark.column) == (10, 5)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("version: !!int 1", "yaml-tag"),
        ("version: !custom 1", "yaml-tag"),
        ("kafka: !!python/object/apply:os.system [echo]", "yaml-tag"),
        ("kafka: {<<: {a: 1}}", "yaml-merge-key"),
        ("kafka: *nowhere", "yaml-alias"),
        ("a: &x [*x]", "yaml-alias"),
        ("? [a, b]\n: 1", "yaml-key"),
        ("?\n: 1", "yaml-key"),
        ("version: 1\n---\nversion: 1", "yaml-documents"),
        ("a: [1, 2", "yaml-syntax"),
        ("a: 'open", "yaml-syntax"),
        ("\ta: 1", "yaml-syntax"),
        ("a: b: c", "yaml-syntax"),
        ("a: \x00", "yaml-syntax"),
        ("[1, 2]", "wrong-type"),
        ("just text", "wrong-type"),
        ("[" * 100, "yaml-size"),
        ("a: " + "{b: " * 60, "yaml-size"),
    ],
)
def test_what_yaml_must_not_do(text: str, code: str) -> None:
    """Tags, merge keys, cycles, several documents and broken syntax are each named, never obeyed."""
    assert code in {finding.code for finding in findings_of(text)}


def test_aliases_stand_for_whole_values() -> None:
    """An anchor may be used again; the places of both uses are known."""
    text = with_model("features:\n  a: &f {kind: numeric, range: [0, 1]}\n  b: *f")
    features = settings_of(text).models["m"].features
    assert features["a"] == features["b"]


def test_alias_bombs_are_refused() -> None:
    """Aliases of aliases cannot multiply into more values than a configuration has."""
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "yaml-size" in {finding.code for finding in findings_of("\n".join(layers))}


def test_an_empty_file_lacks_everything() -> None:
    """Nothing in a file is not an error of syntax: the missing settings are named."""
    paths = {finding.path for finding in findings_of("# nothing\n")}
    assert {"kafka", "sources", "models"} <= paths


def test_places_count_characters_not_bytes() -> None:
    """Columns are right after characters outside ASCII."""
    (finding,) = findings_of(HEAD + TAIL + "log: {leveł: info}\n")
    assert finding.mark is not None
    assert finding.source[slice(*finding.caret)] == "leveł"


def test_quoted_scalars_keep_their_text() -> None:
    """Quotes make a text of everything; the composer says which scalars had none."""
    tree = Composer("f", 'a: "1"\nb: 1\nc: |\n  x\n  y\n').compose()
    assert tree is not None
    data = to_data(tree)
    assert [str(data[key]) for key in "abc"] == ["1", "1", "x\ny\n"]
    assert [data[key].is_typed for key in "abc"] == [False, True, False]
