"""When a window may be judged."""

from __future__ import annotations

from monitor.names import Source
from monitor.state.log import Progress
from monitor.window.completeness import Patience, assess
from monitor.window.heard import Heard

A, B = Source("t", 0), Source("t", 1)
DUE = 1_000_000
PATIENCE = Patience(idle=60_000, stall=120_000, max_hold=900_000)


def progress(
    source: Source, *, watermark: int = 0, idle: bool = False, paused: str = "", observed: int = DUE
) -> Progress:
    """A report with the fields that matter here."""
    return Progress(source, 10, 10, watermark, idle, paused, observed)


def standing(*reports: Progress, now: int = DUE, expected: tuple[Source, ...] = (A, B)):
    """`assess` over some reports."""
    heard = Heard("m", expected, config=None)
    heard.take(reports)
    return assess(DUE, heard=heard, now=now, patience=PATIENCE)


def test_all_partitions_past_the_window_complete_it() -> None:
    """The watermark of every partition decides, not the clock."""
    assert standing(progress(A, watermark=DUE), progress(B, watermark=DUE), now=DUE).complete


def test_one_partition_behind_holds_the_window() -> None:
    """A partition that is alive and behind is waited for."""
    found = standing(progress(A, watermark=DUE), progress(B, watermark=DUE - 1))
    assert (found.complete, found.waiting_for, found.missing) == (False, B, ())


def test_an_idle_partition_holds_nothing() -> None:
    """Known zero lag means nothing is left to come from there."""
    assert standing(progress(A, watermark=DUE), progress(B, idle=True)).complete


def test_when_all_are_idle_the_clock_decides() -> None:
    """Records of the window may still be on their way until the idle time has passed."""
    reports = (progress(A, idle=True), progress(B, idle=True))
    assert not standing(*reports, now=DUE + PATIENCE.idle - 1).complete
    assert standing(*reports, now=DUE + PATIENCE.idle).complete


def test_a_paused_partition_is_not_idle() -> None:
    """Backpressure or too many rejects never close a window."""
    found = standing(progress(A, watermark=DUE), progress(B, idle=True, paused="too many rejects"))
    assert (found.complete, found.missing) == (False, (B,))


def test_a_partition_without_an_owner_is_missing() -> None:
    """No report, or an old one, is not the same as no data."""
    assert standing(progress(A, watermark=DUE)).missing == (B,)
    stale = progress(B, idle=True, observed=DUE - PATIENCE.stall - 1)
    assert standing(progress(A, watermark=DUE), stale).missing == (B,)


def test_no_expected_partitions_complete_nothing() -> None:
    """Before metadata is known nothing is judged."""
    assert not standing(expected=()).complete
