"""What is said of one value: equal or not, and when nothing may be said."""

from __future__ import annotations

import math

import pytest

from monitor.consistency.compare import Match, agrees, at, compare, record_of
from monitor.consistency.feast import Stored, moment
from monitor.plan import FeaturePlan, Kind

NUMBER = FeaturePlan("x", ("x",), Kind.NUMERIC)
WORD = FeaturePlan("x", ("x",), Kind.CATEGORICAL)
FLAG = FeaturePlan("x", ("x",), Kind.BOOLEAN)
VECTOR = FeaturePlan("x", ("x",), Kind.VECTOR, length=2)
AT = 1_760_000_000_000


@pytest.mark.parametrize(
    ("feature", "logged", "stored", "same"),
    [
        (NUMBER, 0.2001, 0.20010000467300415, True),  # what a float32 makes of it
        (NUMBER, 0.2001, 0.2002, False),
        (NUMBER, 3, 3.0, True),
        (NUMBER, "3.0", 3, True),
        (NUMBER, 0, 0.0, True),
        (NUMBER, 0, 1e-12, False),  # a share of the larger: nothing is near zero but zero
        (NUMBER, 2, "two", False),
        (NUMBER, 1.0, True, True),
        (NUMBER, None, None, True),
        (NUMBER, float("nan"), None, True),
        (NUMBER, None, 0.0, False),
        (NUMBER, math.inf, math.inf, True),
        (WORD, "Graz", "Graz", True),
        (WORD, "Graz", "graz", False),
        (WORD, 3, "3", True),
        (WORD, "3", 3.0, True),
        (WORD, "true", True, True),
        (WORD, "", None, False),
        (WORD, "a", ["a"], False),
        (FLAG, True, True, True),
        (FLAG, True, False, False),
        (FLAG, False, None, False),
        (VECTOR, [0.1, 0.2], [0.10000000149011612, 0.20000000298023224], True),
        (VECTOR, [0.1, 0.2], [0.1, 0.3], False),
        (VECTOR, [0.1, 0.2], [0.1], False),
        (VECTOR, [0.1, 0.2], "0.1", False),
    ],
)
def test_values_agree_by_their_kind(feature, logged, stored, same):
    """Numbers by tolerance, categories by the name that intake gives them, no value with no value."""
    assert agrees(logged, stored, feature, 1e-6) is same


def test_what_the_store_may_have_learnt_since_is_no_mismatch():
    """Newer than the record, newer than all that was seen before the record, or expired: nothing is said, not even
    that they are equal."""
    old, known = AT - 60_000, AT - 30_000

    def said(stored, *, logged=1.0, event=AT, known=known):
        return compare(logged, stored, NUMBER, event=event, known=known, tolerance=0.0)

    assert said(Stored(1.0, old)) is Match.SAME
    assert said(Stored(2.0, old)) is Match.MISMATCH
    for value in (1.0, 2.0):
        assert said(Stored(value, AT + 1_000)) is Match.MOVED
        assert said(Stored(value, AT - 999), known=AT) is Match.MOVED  # the server leaves fractions out
        assert said(Stored(value, known + 1_000)) is Match.MOVED  # a batch that may just have been written
        assert said(Stored(value, old), known=-1) is Match.MOVED  # nobody had asked yet
    assert said(Stored(2.0, AT - 1_000), known=AT) is Match.MISMATCH
    assert said(Stored(2.0)) is Match.MISMATCH  # a server that tells no times
    assert said(Stored(None)) is Match.MISMATCH
    assert said(Stored(None, expired=True)) is Match.MOVED
    assert said(Stored(None, expired=True), logged=None) is Match.SAME


def test_records_are_read_where_their_paths_lead():
    """Missing parts are missing values, whatever stands there instead."""
    record = record_of(b'{"a": {"b": [1, {"c": "x"}]}, "n": null}')
    assert at(record, ("a", "b", 1, "c")) == "x"
    for path in (("a", "z"), ("a", "b", 2), ("a", 0), ("n", "b"), ("a", "b", "c")):
        assert at(record, path) is None
    assert record_of(b"no json") is None


def test_times_are_read_and_the_epoch_is_none():
    """Feast says 1970 where there is no time."""
    assert moment("2026-11-26T14:21:13Z") == 1_795_702_873_000
    assert moment("2026-11-26T14:21:13.5+01:00") == 1_795_699_273_500
    assert [moment(text) for text in ("1970-01-01T00:00:00Z", "", "soon")] == [-1, -1, -1]
