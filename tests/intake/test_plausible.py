from __future__ import annotations

import numpy as np
import pytest

from monitor.columns import Columns, Novel
from monitor.intake.plausible import sift
from monitor.names import Reason
from monitor.plan import SourcePlan, TimeUnit

NOW = 1_760_000_000_000


def columns(events, timestamps=None):
    count = len(events)
    return Columns(
        model="m",
        index=np.arange(count) * 2,
        offsets=np.arange(count) + 7,
        timestamps=np.full(count, NOW) if timestamps is None else np.array(timestamps),
        events=np.array(events, np.int64),
        values=np.arange(count, dtype=float).reshape(1, -1),
        codes=np.ones((1, count), np.int32),
        latency=np.zeros(count),
        errors=np.zeros(count, np.uint8),
        group=np.zeros(count, np.int32),
        groups=(("1", ""),),
        novel=Novel(np.arange(count, dtype=np.int32), np.zeros(count, np.int32), np.arange(count, dtype=np.int32),
                    tuple("abcdefgh"[:count])),
    )  # fmt: skip


def source(unit, path=("at",)):
    return SourcePlan(name="s", topic="t", models=("m",), time=path, time_unit=unit)


@pytest.mark.parametrize(
    ("declared", "written", "factor"),
    [("ms", "s", 10**3), ("us", "ms", 10**3), ("us", "s", 10**6), ("ns", "us", 10**3), ("ns", "s", 10**9)],
)
def test_a_unit_that_is_finer_than_what_is_written_is_named(declared, written, factor):
    """The row becomes a reject that says which unit would be right; the rows around it stay as they were."""
    kept, rejects = sift(columns([NOW, NOW // factor, NOW + 5]), source(TimeUnit(declared)))
    assert [(reject.index, reject.reason, reject.model) for reject in rejects] == [(2, Reason.BAD_TIME, "m")]
    assert (
        rejects[0].detail
        == f"not an event time - at - in {declared} it lies in 1970; it would be plausible as {written}"
    )
    assert kept.index.tolist() == [0, 4]
    assert kept.values.tolist() == [[0.0, 2.0]]
    assert [kept.novel.names[name] for name in kept.novel.name.tolist()] == ["a", "c"]
    assert kept.novel.row.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("events", "timestamps", "unit", "path"),
    [
        ([NOW, NOW - 50 * 365 * 86_400_000], None, "ms", ("at",)),
        ([NOW // 1000], [NOW // 1000], "ms", ("at",)),
        ([NOW // 1000], [-1], "ms", ("at",)),
        ([0, 1, 60_000_000_000], None, "ms", ("at",)),
        ([NOW // 1000], None, "s", ("at",)),
        ([NOW // 1000], None, "rfc3339", ("at",)),
        ([NOW // 1000], None, "ms", ()),
        ([], None, "ms", ("at",)),
    ],
)
def test_times_that_no_unit_explains_stay_rows(events, timestamps, unit, path):
    """Of long ago, of a log of 1970 itself, in the coarsest unit, in texts, and where it is Kafka's own time."""
    before = columns(events, timestamps)
    kept, rejects = sift(before, source(TimeUnit(unit), path))
    assert kept is before
    assert rejects == []
