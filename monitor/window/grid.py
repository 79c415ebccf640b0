"""Where panes and windows begin and end."""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from monitor.plan import WindowSpec

DAY = 86_400_000
_EPOCH = date(1970, 1, 1).toordinal()


def floor_pane(ms: int, pane: int) -> int:
    """Start of the pane that holds `ms`."""
    return ms // pane * pane


def next_end(spec: WindowSpec, after: int) -> int:
    """The first window end that is later than `after`."""
    if _is_local(spec):
        days = spec.step // DAY
        ordinal = _local_date(after, spec.timezone).toordinal() - _EPOCH
        candidate = ordinal // days * days
        while (end := _midnight(candidate, spec.timezone)) <= after:
            candidate += days
        return end
    return (after // spec.step + 1) * spec.step


def start_of(spec: WindowSpec, end: int) -> int:
    """Start of the window that ends at `end`; local days are 23 to 25 hours long."""
    if _is_local(spec) and spec.size % DAY == 0:
        ordinal = _local_date(end, spec.timezone).toordinal() - _EPOCH
        return _midnight(ordinal - spec.size // DAY, spec.timezone)
    return end - spec.size


def week_before(spec: WindowSpec, end: int) -> int:
    """Where the same window of the week before ended; local days keep their midnight."""
    if _is_local(spec):
        return _midnight(_local_date(end, spec.timezone).toordinal() - _EPOCH - 7, spec.timezone)
    return end - 7 * DAY


def ends_holding(spec: WindowSpec, pane: int, *, until: int) -> list[int]:
    """Ends, not later than `until`, of the windows that hold the pane starting at `pane`."""
    ends = []
    end = next_end(spec, pane)
    while end <= until and start_of(spec, end) <= pane:
        ends.append(end)
        end = next_end(spec, end)
    return ends


def _is_local(spec: WindowSpec) -> bool:
    return spec.timezone != "UTC" and spec.step % DAY == 0


def _local_date(ms: int, timezone: str) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).astimezone(_zone(timezone)).date()


@functools.lru_cache(maxsize=4096)
def _midnight(ordinal: int, timezone: str) -> int:
    local = datetime.combine(date.fromordinal(ordinal + _EPOCH), datetime.min.time(), _zone(timezone))
    return round(local.timestamp() * 1000)


@functools.lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
