"""How long to wait before the next attempt. Pure; both attempts and total time are capped."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds before each attempt; the last one repeats. `jitter` is the random share of a wait.

    With jitter 1 (full jitter) a wait lies between 0 and its entry, with 0.2 between 0.8 and 1
    of it: receivers that come back are not met by everybody at once.
    """

    waits: tuple[float, ...]
    jitter: float
    attempts: int
    total: float

    def wait(self, attempt: int, *, draw: float) -> float:
        """Seconds before attempt number `attempt` (1 is the first retry); `draw` is uniform in [0, 1)."""
        wait = self.waits[min(attempt - 1, len(self.waits) - 1)]
        return wait * (1.0 - self.jitter * draw)

    def is_spent(self, attempt: int, elapsed: float) -> bool:
        """True when attempt number `attempt` (the first is 0) may not be made after `elapsed` seconds."""
        return attempt >= self.attempts or elapsed >= self.total


def exponential(first: float, cap: float) -> tuple[float, ...]:
    """first, 2·first, 4·first … cap."""
    waits = [first]
    while waits[-1] < cap:
        waits.append(min(waits[-1] * 2, cap))
    return tuple(waits)


WEBHOOK = Backoff(
    waits=(5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400),
    jitter=0.2,
    attempts=10,
    total=4 * 86_400,
)
"""Standard Webhooks: 0 s, 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h; their sum is 3.2 days."""

PAGERDUTY = Backoff(waits=exponential(60, 900), jitter=0.5, attempts=100, total=86_400)
"""PagerDuty asks for "a backoff of a few minutes". A page is worthless after a day."""
