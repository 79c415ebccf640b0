"""What the demo prints at its end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from monitor.demo.run import Outcome
from monitor.demo.settings import BUDGET, HARM, TIMEZONE
from monitor.verdict import Verdict


def show(outcome: Outcome, *, url: str) -> str:
    """The incidents with their causes, the alert and the retraining request as they arrived."""
    equal = "every record counted once" if outcome.sent == outcome.counted else "COUNTS DIFFER"
    parts = [
        f"\n{outcome.sent:,} records sent, {outcome.counted:,} counted: {equal}.",
        f"Incidents, under a budget of {BUDGET} false pages:",
        *[_incident(body) for body in outcome.incidents],
        f"Measured by the labels of the flights that landed, under the limit `{HARM}`:",
        *_measured(outcome.measured),
    ]
    if outcome.alerts:
        parts += ["\nThe first alert, as it arrived at /api/v2/alerts:", _pretty(outcome.alerts[0])]
    if outcome.request is not None:
        request = outcome.request
        signature = "valid" if outcome.signed else "INVALID"
        headers = [
            f"{name}: {request.headers[name]}"
            for name in sorted(request.headers)
            if name.startswith("webhook-")
        ]
        parts += [
            f"\nThe retraining request, as it arrived at {request.path} (signature {signature}):",
            *headers,
            _pretty(request.json()),
        ]
    return "\n".join([*parts, f"\nThe page: {url}"])


def _measured(days: Sequence[Verdict]) -> Iterator[str]:
    """A line for each day that is beyond the limit, and one for the others."""
    others = [day.scores[""]["accuracy"] for day in days if not day.rules]
    for day in days:
        if day.rules:
            own = day.scores[""]
            share = f"{own['labels']:,.0f} of {day.rows:,} landed"
            bounds = f"{own['accuracy_low']:.3f} – {own['accuracy_high']:.3f}"
            yield f"  {_day(day.start, minus=0)}  {share}, accuracy {own['accuracy']:.3f} ({bounds})"
    if others:
        yield f"  the other {len(others)} days  accuracy {min(others):.3f} – {max(others):.3f}"


def _incident(body: dict[str, object]) -> str:
    onset, last = (_day(int(str(body[key])), minus=minus) for key, minus in (("onset", 0), ("last", 1)))
    causes = ", ".join(str(cause) for cause in list(body["causes"])[:4])  # type: ignore[call-overload]
    return f"  {onset} – {last}  {body['state']}  cause {body['cause']}  ({causes})"


def _day(ms: int, *, minus: int) -> str:
    return f"{datetime.fromtimestamp((ms - minus) / 1000, ZoneInfo(TIMEZONE)):%d %b}"


def _pretty(body: object) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)
