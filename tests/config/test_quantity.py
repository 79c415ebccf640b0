from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config import quantity
from monitor.config.paths import parse_path
from monitor.config.rule import GrammarError, When, parse_drift, parse_limit, parse_test
from monitor.reference.paths import format_path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("7d", 604_800_000),
        ("1w", 604_800_000),
        ("250ms", 250),
        ("0s", 0),
        ("1d12h", 129_600_000),
        ("1m1ms", 60_001),
    ],
)
def test_durations(text: str, value: int) -> None:
    """Prometheus' units, largest first."""
    assert quantity.parse_duration(text) == value


@pytest.mark.parametrize(
    "text", ["", "5", "5 m", "1m1h", "-5m", "1.5h", "5min", "m", "1h1h", "9" * 30 + "d", "5M", "٣s"]
)
def test_broken_durations(text: str) -> None:
    """A duration without a unit, out of order or beyond a century is refused."""
    with pytest.raises(ValueError, match="duration"):
        quantity.parse_duration(text)


@given(st.integers(0, quantity.parse_duration("100w")))
def test_durations_are_read_back(value: int) -> None:
    """Every duration has a text that says exactly it."""
    assert quantity.parse_duration(quantity.format_duration(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("64MiB", 64 << 20), ("1GB", 10**9), ("1.5KiB", 1536), ("12", 12), ("7 B", 7), ("2kB", 2000)],
)
def test_sizes(text: str, value: int) -> None:
    """Decimal and binary units."""
    assert quantity.parse_size(text) == value


@given(st.integers(0, 1 << 50))
def test_sizes_are_read_back(value: int) -> None:
    """Every size has a text that says exactly it."""
    assert quantity.parse_size(quantity.format_size(value)) == value


@pytest.mark.parametrize("text", ["", "MiB", "1XB", "-1MiB", "1e3", "1 000"])
def test_broken_sizes(text: str) -> None:
    """Unknown units and signs are refused."""
    with pytest.raises(ValueError, match="size"):
        quantity.parse_size(text)


def test_shares_and_budgets() -> None:
    """Percent and fraction are the same share; a budget is pages per period."""
    assert quantity.parse_share("20%") == quantity.parse_share("0.2") == 0.2
    assert quantity.parse_budget("2 per 30d") == (2.0, 2_592_000_000)
    assert quantity.parse_budget("0.5 per 1w") == (0.5, 604_800_000)
    assert quantity.format_budget(2.0, 2_592_000_000) == "2 per 30d"
    for broken in ("101%", "-0.1", "1.1", "nan", "inf", "x", "", "1e999"):
        with pytest.raises(ValueError, match=r"share|number"):
            quantity.parse_share(broken)
    for broken in ("2", "2 per", "0 per 30d", "2 per 30", "two per 30d", "2 per 1s", "2000 per 30d"):
        with pytest.raises(ValueError, match=r"budget|number|duration"):
            quantity.parse_budget(broken)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("age", ("age",)),
        ("features.age", ("features", "age")),
        ("inputs[0].data[3]", ("inputs", 0, "data", 3)),
        ('["a.b"].c', ("a.b", "c")),
        ("a['x y']", ("a", "x y")),
        ("[0].x", (0, "x")),
        ("a.b-c_d", ("a", "b-c_d")),
        ("Straße.größe", ("Straße", "größe")),
        ("a[0][1]", ("a", 0, 1)),
        ('a[""]', ("a", "")),
    ],
)
def test_paths(text: str, path: tuple[str | int, ...]) -> None:
    """Dots, indexes and quoted names."""
    assert parse_path(text) == path
    assert parse_path(format_path(path)) == path


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[-1]", "a]b", "a[0]b", 'a["b', "a." * 40 + "a"]
)
def test_broken_paths(text: str) -> None:
    """A path that names nothing is refused."""
    with pytest.raises(ValueError, match="path"):
        parse_path(text)


@settings(max_examples=40)
@given(
    st.lists(
        st.one_of(st.text(max_size=5).filter(lambda s: '"' not in s or "'" not in s), st.integers(0, 999)),
        min_size=1,
        max_size=5,
    )
)
def test_paths_are_read_back(steps: list[str | int]) -> None:
    """What `format_path` writes is the same path again."""
    assert parse_path(format_path(tuple(steps))) == tuple(steps)


def test_rules() -> None:
    """`score(feature) operator limit for windows`; the last part may be left out."""
    assert parse_limit("psi(age) > 0.25 for 3 windows") == When("psi", "age", ">", 0.25, 3)
    assert parse_limit("  missing( a b ) >= 50%") == When("missing", "a b", ">=", 0.5, 1)
    assert parse_limit("mean(f(x)) < -1e2 for 1 window") == When("mean", "f(x)", "<", -100.0, 1)
    assert parse_limit("p99(latency)<=250") == When("p99", "latency", "<=", 250.0, 1)
    of = When("psi", "age", ">", 0.1, 3, of=5)
    assert parse_limit("psi(age) > 0.1 for 3 of 5 windows") == of
    several = When("psi", "", ">", 0.1, 2, of=4, quorum=3, among="features")
    assert parse_limit("psi > 0.1 in 3 features for 2 of 4 windows") == several
    assert parse_limit("accuracy < 90% in 1 segment") == When("accuracy", "", "<", 0.9, 1, 0, 1, "segments")
    day = When("f1", "country", "<", 0.8, -86_400_000, 0, 2, "segments")
    assert parse_limit("f1(country) < 0.8 in 2 segments for 24h") == day
    assert parse_test("psi") == ("psi", "")
    assert parse_test("missing(a(b))") == ("missing", "a(b)")
    assert [parse_drift(text) for text in ("drift", "drift for 3 windows", "drift for 1 window")] == [1, 3, 1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("psi > 3", "written like"),
        ("psi(age) = 3", "written like"),
        ("psi(age) > three", "number"),
        ("pzi(age) > 3", "psi"),
        ("psi(age) > 1 for 0 windows", "1 to"),
        ("psi(age) > 1 for 99999 windows", "1 to"),
        ("", "written like"),
        ("acuracy(age) < 0.9", "known"),
        ("psi(age) > 1 for 3", "written like"),
        ("psi > 1", "written like"),
        ("psi > 1 in 2 segments", "scores are of features"),
        ("accuracy < 1 in 2 features", "figures of segments"),
        ("psi > 1 in 0 features", "at least one"),
        ("psi(age) > 1 in 2 features", "names one feature"),
        ("psi(age) > 1 for 5 of 3 windows", "5 to 200"),
        ("psi(age) > 1 for 5 of 300 windows", "5 to 200"),
    ],
)
def test_broken_rules(text: str, says: str) -> None:
    """Each part of a rule that is wrong is named."""
    with pytest.raises(GrammarError) as caught:
        parse_limit(text)
    assert says in f"{caught.value} {caught.value.suggestion}"


@pytest.mark.parametrize("text", ["accuracy < 0.92 for 24h", "drift for 0 windows", "drift 3", ""])
def test_conditions_of_later_versions_are_named(text: str) -> None:
    """A retraining condition that is not supported is refused in a sentence."""
    with pytest.raises(GrammarError):
        parse_drift(text)
