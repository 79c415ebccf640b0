"""How a reference is read by season, for `driftline check` and `driftline reference show`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from monitor.cli.check_line import Line, doubtful, ok

if TYPE_CHECKING:
    from monitor.judge.seasons import Calendar
    from monitor.plan import ModelPlan
    from monitor.reference.profile import Reference

NAMED = 3
"""Seasons that are read together, in one line."""


def check_seasons(plan: ModelPlan, reference: Reference) -> Iterator[Line]:
    """What each season has, and which are read together; once for every time zone of the windows."""
    from monitor.judge.seasons import ENOUGH_DATES, ENOUGH_ROWS, calendar, usable

    if plan.season == "none":
        return
    for timezone in dict.fromkeys(spec.timezone for spec in plan.windows):
        subject = f"seasons of {plan.name}, {plan.season} in {timezone}"
        if why := usable(reference):
            yield doubtful(subject, why)
            continue
        own = calendar(reference, plan.season, timezone)
        rows, days = own.rows.tolist(), own.dates.tolist()
        has = f"{min(rows)} to {max(rows)} rows and {min(days)} to {max(days)} days each"
        joined = [own.name(group) for group in range(own.groups) if own.joined(group)]
        if not joined:
            yield ok(subject, has)
            continue
        named = ", ".join(joined[:NAMED]) + (f" and {len(joined) - NAMED} more" if joined[NAMED:] else "")
        yield doubtful(
            subject,
            f"{has}; {ENOUGH_ROWS} rows and {ENOUGH_DATES} days are needed, so these are read together: {named}",
        )


def seasons_of(own: Calendar) -> list[dict[str, Any]]:
    """What is compared with a window of each season: rows, days and whether it is of several seasons."""
    return [
        {
            "season": own.name(group),
            "rows": int(own.rows[own.group == group].sum()),
            "days": int(own.dates[own.group == group].max()),
            "together": own.joined(group),
        }
        for group in range(own.groups)
    ]


def seasons_text(found: list[dict[str, Any]]) -> str:
    """The same as a table."""
    lines = [f"  {'season':<19}  {'rows':>12}  {'days':>6}"]
    for one in found:
        together = "  read together: too few rows or days of each" if one["together"] else ""
        lines.append(f"  {one['season']:<19}  {one['rows']:>12,}  {one['days']:>6}{together}")
    return "\n".join(lines)
