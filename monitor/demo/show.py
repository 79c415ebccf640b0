"""What the demo prints at its end."""

from __future__ import annotations

import json
from datetime import datetime
from zoneinfo import ZoneInfo

from monitor.demo.run import Outcome
from monitor.demo.settings import BUDGET, TIMEZONE


def show(outcome: Outcome, *, url: str) -> str:
    """The incidents with their causes, the alert and the retraining request as they arrived."""
    equal = "every record counted once" if outcome.sent == outcome.counted else "COUNTS DIFFER"
    parts = [
        f"\n{outcome.sent:,} records sent, {outcome.counted:,} counted: {equal}.",
        f"Incidents, under a budget of {BUDGET} false pages:",
        *[_incident(body) for body in outcome.incidents],
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


def _incident(body: dict[str, object]) -> str:
    onset, last = (_day(int(str(body[key])), minus=minus) for key, minus in (("onset", 0), ("last", 1)))
    causes = ", ".join(str(cause) for cause in list(body["causes"])[:4])  # type: ignore[call-overload]
    return f"  {onset} – {last}  {body['state']}  cause {body['cause']}  ({causes})"


def _day(ms: int, *, minus: int) -> str:
    return f"{datetime.fromtimestamp((ms - minus) / 1000, ZoneInfo(TIMEZONE)):%d %b}"


def _pretty(body: object) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)
