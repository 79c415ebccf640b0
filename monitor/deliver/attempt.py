"""What one delivery came to. The integration says what happened, the loop decides when to go on."""

from __future__ import annotations

import email.utils
import enum
from collections.abc import Mapping
from dataclasses import dataclass

from monitor.deliver.presets.preset import Run
from monitor.http import Failure, Response


class Outcome(enum.StrEnum):
    SENT = "sent"
    RETRY = "retry"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Attempt:
    """`after` is how many seconds the receiver asked us to wait, None when it did not say.

    `disable` is True when the target said that it is gone for good. `lost` is True when nobody knows whether the
    receiver took it: no complete answer, or one of its own trouble. `run` is what it has started, where it says so.
    """

    outcome: Outcome
    reason: Failure | None = None
    detail: str = ""
    after: float | None = None
    disable: bool = False
    lost: bool = False
    run: Run | None = None


SENT = Attempt(Outcome.SENT)

RETRY_AFTER_CAP = 86_400.0
"""A receiver may ask us to wait for a day at most; a year in a header would silence it by accident."""


def retry_after(headers: Mapping[str, str], now_ms: int) -> float | None:
    """Seconds of a Retry-After header, given in seconds or as an HTTP date; None when absent or odd."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), RETRY_AFTER_CAP)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return min(max(moment.timestamp() - now_ms / 1000, 0.0), RETRY_AFTER_CAP)


def refusal(response: Response) -> str:
    """Status and the first words of the answer, for the outcome and the log."""
    text = response.body[:300].decode("utf-8", "replace")
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f"{response.status} {words}"[:300].strip()
