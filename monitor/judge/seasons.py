"""A reference read by hour of day, day of week or hour of week.

What rows look like at 3 in the morning says little of noon, so a window is compared with the seasons it
covers; see `monitor.judge.mixture`. A season is told by the start of the reference's pane that a row
lies in, for live rows as for those of the reference: where panes are longer than a season, or do not
begin with one, both are read the same way.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from kernels.layout import LATENCY_BINS
from monitor.judge.catalogue import SEASONS
from monitor.reference.profile import Reference

HOUR = 3_600_000
ENOUGH_ROWS = 1_600
"""Rows of a season below which not all 20 coarse slots could ever vote: each needs 20 rows in a window,
which counts at most a quarter of what it is compared with."""
ENOUGH_DATES = 2
"""Days of a season: with a single one nothing is left to compare that day with."""
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """Which seasons a reference tells apart.

    group  int64[seasons]  what each season is read with: itself, or neighbours where it has too little
    rows   int64[seasons]  rows of the reference
    dates  int64[seasons]  local days with such rows
    """

    kind: str
    timezone: str
    pane: int
    group: NDArray[np.int64]
    rows: NDArray[np.int64]
    dates: NDArray[np.int64]

    @property
    def groups(self) -> int:
        return int(self.group.max()) + 1

    def at(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """The group of each time."""
        start = times // self.pane * self.pane
        return self.group[_season(local_hours(start, self.timezone), self.kind)]

    def rows_of(self, panes: Mapping[int, int]) -> NDArray[np.int64]:
        """Rows per group: int64[groups]; `panes` are rows by the start of a pane."""
        found = np.zeros(self.groups, np.int64)
        if panes:
            times, rows = (np.fromiter(of, np.int64, len(panes)) for of in (panes.keys(), panes.values()))
            starts, place = np.unique(times // self.pane, return_inverse=True)
            np.add.at(found, self.at(starts * self.pane)[place], rows)
        return found

    def name(self, group: int) -> str:
        """The seasons of a group, for people: "02:00-05:00", "Sat-Sun", "Mon 03:00-04:00"."""
        own = np.flatnonzero(self.group == group)
        count = len(self.group)
        if len(own) == count:
            return "all"
        first = next(int(s) for s in own if self.group[(s - 1) % count] != group)
        last = (first + len(own) - 1) % count
        if self.kind == "day_of_week":
            return _DAYS[first] if first == last else f"{_DAYS[first]}-{_DAYS[last]}"
        begin, end = _hour(first, self.kind), _hour((last + 1) % count, self.kind)
        return f"{begin}-{end.removeprefix(begin[:4]) if self.kind == 'hour_of_week' else end}"

    def joined(self, group: int) -> bool:
        """Whether these are several seasons."""
        return int(np.sum(self.group == group)) > 1


@dataclass(frozen=True, slots=True, eq=False)
class Seasons:
    """The counts of a reference by group of its calendar.

    counts   uint[groups, slots], as narrow as they allow: 168 of 500 features of 256 bins are 88 MB
    rows, errors  int64[groups]
    latency  int64[groups, LATENCY_BINS]
    means    int64[groups, mean words]
    """

    calendar: Calendar
    counts: NDArray[np.unsignedinteger]
    rows: NDArray[np.int64]
    errors: NDArray[np.int64]
    latency: NDArray[np.int64]
    means: NDArray[np.int64]


def calendar(reference: Reference, kind: str, timezone: str) -> Calendar:
    """How a timed reference tells seasons apart; those with too little join the poorer neighbour."""
    panes, count = reference.panes, SEASONS[kind]
    hours = local_hours(panes.starts, timezone)
    season = _season(hours, kind)
    rows = np.bincount(season, panes.rows, minlength=count).astype(np.int64)
    filled = panes.rows > 0
    pairs = np.unique(np.stack([season[filled], hours[filled] // 24]), axis=1)
    dates = [frozenset(pairs[1, pairs[0] == s].tolist()) for s in range(count)]
    return Calendar(
        kind=kind,
        timezone=timezone,
        pane=reference.pane,
        group=_joined(rows.tolist(), dates),
        rows=rows,
        dates=np.array([len(days) for days in dates], np.int64),
    )


def read_seasons(reference: Reference, own: Calendar) -> Seasons:
    """Add up the panes of each group."""
    panes, groups = reference.panes, own.groups
    group = own.at(panes.starts)
    most = int(reference.counts.max(initial=0))
    counts = np.zeros((groups, len(reference.counts)), np.min_scalar_type(most))
    latency = np.zeros((groups, LATENCY_BINS), np.int64)
    means = np.zeros((groups, panes.vectors.shape[1]), np.int64)
    np.add.at(means, group[: len(panes.vectors)], panes.vectors)
    for pane, to in enumerate(group.tolist()):
        _add(counts[to], panes.indptr, panes.slots, panes.values, pane)
        _add(latency[to], panes.latency_indptr, panes.latency_bins, panes.latency_values, pane)
    rows, errors = _by_group(panes.rows, group, groups), _by_group(panes.errors, group, groups)
    return Seasons(own, counts, rows, errors, latency, means)


def local_hours(times: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Full hours on the clock of `timezone` since 1970."""
    if timezone == "UTC":
        return times // HOUR
    zone = _zone(timezone)
    offsets = [_offset(time, zone) for time in times.tolist()]
    return (times + np.array(offsets, np.int64)) // HOUR


def usable(reference: Reference) -> str:
    """Why a reference cannot be read by season; "" when it can."""
    return "" if reference.timed else "not read by season: the reference has no event times"


def _joined(rows: list[int], dates: list[frozenset[int]]) -> NDArray[np.int64]:
    """int64[seasons]: consecutive numbers, neighbours alike where one alone would have too little."""
    own = [([season], rows[season], dates[season]) for season in range(len(rows))]
    while len(own) > 1:
        lacking = [i for i, (_, n, days) in enumerate(own) if n < ENOUGH_ROWS or len(days) < ENOUGH_DATES]
        if not lacking:
            break
        poor = min(lacking, key=lambda i: (own[i][1], i))
        before, after = (poor - 1) % len(own), (poor + 1) % len(own)
        to = min(before, after, key=lambda i: (own[i][1], i))
        own[to] = (own[to][0] + own[poor][0], own[to][1] + own[poor][1], own[to][2] | own[poor][2])
        del own[poor]
    group = np.zeros(len(rows), np.int64)
    for number, (seasons, _, _) in enumerate(own):
        group[seasons] = number
    return group


def _season(hours: NDArray[np.int64], kind: str) -> NDArray[np.int64]:
    day, hour = (hours // 24 + 3) % 7, hours % 24  # 1970 began on a Thursday
    if kind == "day_of_week":
        return day
    return hour if kind == "hour_of_day" else 24 * day + hour


def _hour(season: int, kind: str) -> str:
    clock = f"{season % 24:02d}:00"
    return f"{_DAYS[season // 24]} {clock}" if kind == "hour_of_week" else clock


def _add(
    total: NDArray[np.unsignedinteger] | NDArray[np.int64],
    indptr: NDArray[np.int64],
    slots: NDArray[np.int32],
    values: NDArray[np.int64],
    pane: int,
) -> None:
    low, high = int(indptr[pane]), int(indptr[pane + 1])
    total[slots[low:high]] += values[low:high].astype(total.dtype)  # a slot comes once in a pane


def _by_group(values: NDArray[np.int64], group: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    found = np.zeros(groups, np.int64)
    np.add.at(found, group, values)
    return found


def _offset(ms: int, zone: ZoneInfo) -> int:
    ahead = datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone).utcoffset()
    return 0 if ahead is None else round(ahead.total_seconds() * 1000)


@functools.lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
