"""Retry-After, backoff and what an answer says about itself."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.deliver.attempt import RETRY_AFTER_CAP, refusal, retry_after
from monitor.deliver.backoff import PAGERDUTY, WEBHOOK, exponential
from monitor.http import Response

NOW = 1_792_000_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("99999999999999999999", RETRY_AFTER_CAP),
        (formatdate(NOW / 1000 + 90, usegmt=True), 90),
        (formatdate(NOW / 1000 - 90, usegmt=True), 0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("", None),
    ],
)
def test_retry_after(text, seconds):
    """Seconds or an HTTP date, at most a day, nothing else."""
    assert retry_after({"retry-after": text}, NOW) == seconds


def test_no_header_is_no_wish():
    """Without the header the schedule decides."""
    assert retry_after({}, NOW) is None


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_waits_stay_in_their_bounds(attempt, draw):
    """Jitter only shortens, and never to nothing but with full jitter."""
    for backoff in (WEBHOOK, PAGERDUTY):
        wait = backoff.wait(attempt, draw=draw)
        entry = backoff.waits[min(attempt, len(backoff.waits)) - 1]
        assert entry * (1 - backoff.jitter) <= wait <= entry


def test_both_limits_end_it():
    """Attempts and total time are capped, whichever comes first."""
    assert not WEBHOOK.is_spent(9, 3 * 86_400)
    assert WEBHOOK.is_spent(10, 0)
    assert WEBHOOK.is_spent(1, 4 * 86_400)


def test_exponential_ends_at_its_cap():
    """Doubling, the last step cut."""
    assert exponential(60, 900) == (60, 120, 240, 480, 900)


def test_refusals_are_short_and_printable():
    """An answer's text is cut, and cannot write escape sequences into a terminal."""
    text = refusal(Response(500, {}, b"\x1b[31mred\n\n" + b"x" * 10_000))
    assert text.startswith("500 [31mred xxx")
    assert len(text) <= 300
