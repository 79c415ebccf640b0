"""The grammar of maintenance: `sat,sun 02:00 for 3h in Europe/Berlin`, or from one time to another."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from monitor.config.quantity import parse_duration
from monitor.plan import Maintenance

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST = 7 * 86_400_000
_WEEKLY = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:[-,][a-z]{3})*)\s+)?(?P<hour>\d\d?):(?P<minute>\d\d)\s+for\s+(?P<length>\w+)"
)
_SPAN = re.compile(r"(?P<begin>\d{4}-\S+)\s+to\s+(?P<until>\d{4}-\S+)")
_ZONE = re.compile(r"(?P<text>.*?)(?:\s+in\s+(?P<zone>\S+))?")
WRITTEN = "maintenance is written like `sat,sun 02:00 for 3h in Europe/Berlin` or `2026-12-24T00:00 to 2026-12-27T00:00`"


def parse_maintenance(text: str) -> Maintenance:
    """Raises ValueError."""
    parts = _ZONE.fullmatch(text.strip())
    assert parts is not None
    zone, rest = parts["zone"] or "UTC", parts["text"]
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{zone} is no time zone; one is written like Europe/Berlin or UTC") from None
    if match := _WEEKLY.fullmatch(rest.lower()):
        return _weekly(match, zone)
    if match := _SPAN.fullmatch(rest):
        begin, until = (_moment(match[name], zone) for name in ("begin", "until"))
        if begin >= until:
            raise ValueError("maintenance begins before it ends")
        return Maintenance(timezone=zone, begin=begin, until=until)
    raise ValueError(WRITTEN)


def format_maintenance(one: Maintenance) -> str:
    zone = f" in {one.timezone}" if one.timezone != "UTC" else ""
    if one.length:
        days = "" if len(one.days) == len(DAYS) else ",".join(DAYS[day] for day in one.days) + " "
        return f"{days}{one.minute // 60:02}:{one.minute % 60:02} for {one.length // 60_000}m{zone}"
    begin, until = (
        datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(one.timezone)).replace(tzinfo=None)
        for at in (one.begin, one.until)
    )
    return f"{begin.isoformat()} to {until.isoformat()}{zone}"


def _weekly(match: re.Match[str], zone: str) -> Maintenance:
    minute = int(match["hour"]) * 60 + int(match["minute"])
    length = parse_duration(match["length"])
    if minute >= 24 * 60 or int(match["minute"]) >= 60:
        raise ValueError("a time of day is between 00:00 and 23:59")
    if not 60_000 <= length <= LONGEST or length % 60_000:
        raise ValueError("maintenance lasts whole minutes, up to a week")
    return Maintenance(timezone=zone, days=_days(match["days"] or "mon-sun"), minute=minute, length=length)


def _days(text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(","):
        ends = part.split("-")
        if len(ends) > 2 or not set(ends) <= set(DAYS):
            raise ValueError(f"days are written like sat,sun or mon-fri; they are {', '.join(DAYS)}")
        first, last = DAYS.index(ends[0]), DAYS.index(ends[-1])
        found |= {day % 7 for day in range(first, last + 1 if last >= first else last + 8)}
    return tuple(sorted(found))


def _moment(text: str, zone: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(WRITTEN) from None
    return round((at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(zone))).timestamp() * 1000)
