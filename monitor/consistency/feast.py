"""What a Feast feature server is asked, and what it answers: plain REST, `POST /get-online-features`.

Held against the recorded answers of a real Feast 0.67. Times of values come without their fractions of a second; a NaN in
the store comes as null. Older servers give the names of features as {"val": […]}, and no times or statuses.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.consistency.plan import ServerPlan
from monitor.errors import StoreRefused
from monitor.http import Failure, Response, host_of, request

PATH = "/get-online-features"
EXPIRED = "OUTSIDE_MAX_AGE"
"""Status of a value that is older than its view's `ttl`."""
LONGEST_TEXT = 300
"""Characters of a server's own words that are shown."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Stored:
    """What the online store has of one feature of one entity."""

    value: Any
    """None: nothing."""
    written: int = -1
    """Event time of the value, ms; -1 where the server does not tell."""
    expired: bool = False


def ask(
    plan: ServerPlan, references: Sequence[str], entities: Mapping[str, Sequence[Any]]
) -> dict[str, tuple[Stored, ...]]:
    """What the store has, by reference ("view:feature"), in the order of the entities.

    Raises StoreRefused, RequestError where there is no answer, DeliveryRefused, and OSError where a secret cannot be
    read.
    """
    body = {"features": list(references), "entities": dict(entities), "full_feature_names": True}
    headers = {"Accept": "application/json", "Content-Type": "application/json", **plan.headers}
    if plan.token:
        headers["Authorization"] = f"Bearer {plan.token.reveal()}"
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    answer = request("POST", plan.url + PATH, plan=plan.http, headers=headers, body=content)
    host = host_of(plan.url)
    if answer.failure is not None:
        text = f"the feature server answers {answer.status} - {host} - features and entities that it serves"
        raise StoreRefused(text, reason=answer.failure, words=said(answer))
    rows = max((len(values) for values in entities.values()), default=0)
    try:
        if answer.truncated:
            raise ValueError("too long")
        return read(json.loads(answer.body), references, rows=rows)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        text = f"the answer is none to {PATH} ({type(error).__name__}) - {host} - a Feast feature server"
        raise StoreRefused(text, reason=Failure.OTHER, words="") from error


def read(answer: Any, references: Sequence[str], *, rows: int) -> dict[str, tuple[Stored, ...]]:
    """An answer by reference. Raises ValueError, KeyError, TypeError and such where it is another."""
    names = answer["metadata"]["feature_names"]
    names = names["val"] if isinstance(names, Mapping) else names
    columns = dict(zip(names, answer["results"], strict=True))
    found = {}
    for reference in references:
        column = columns[reference.replace(":", "__", 1)]
        values = column["values"]
        statuses = column.get("statuses") or [""] * rows
        times = column.get("event_timestamps") or [""] * rows
        if not len(values) == len(statuses) == len(times) == rows:
            raise ValueError("a column of another length")
        found[reference] = tuple(
            Stored(None if _is_nothing(value) else value, moment(time), status == EXPIRED)
            for value, status, time in zip(values, statuses, times, strict=True)
        )
    return found


def moment(text: str) -> int:
    """RFC 3339 as ms; -1 for the epoch itself, which stands for no time, and for what is no time."""
    try:
        ms = (datetime.fromisoformat(text).astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, TypeError, OverflowError):
        return -1
    return ms if ms > 0 else -1


def said(answer: Response) -> str:
    """The server's own words, in a line: its texts are JSON, in a text of JSON where they come from Feast itself."""
    found: Any = answer.body.decode("utf-8", "replace")
    for _ in range(3):
        if isinstance(found, str):
            try:
                found = json.loads(found)
            except ValueError:
                break
    if isinstance(found, Mapping):
        found = found.get("message", found.get("detail", found))
    line = " ".join((found if isinstance(found, str) else json.dumps(found)).split())
    return line[:LONGEST_TEXT] or "no text"


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
