"""Which window is judged next, and how long it is waited for."""

from __future__ import annotations

from typing import NamedTuple

from monitor.names import Source
from monitor.plan import WindowSpec
from monitor.window.completeness import Patience
from monitor.window.grid import next_end, start_of
from monitor.window.heard import Heard
from monitor.window.store import PaneStore

EMPTY_RUN = 48
"""Windows without any data that are judged one by one; a longer gap is one verdict, or the silence
between two seasons would be 10,000 of them."""
HISTORICAL = 7 * 86_400_000
"""A stream whose newest event is older than this was replayed and ended, it did not fall silent."""


def end_of_next(spec: WindowSpec, cursor: int | None, store: PaneStore, mark: int) -> int:
    """End of the window after the one that ended at `cursor`; long runs of empty windows are jumped over.

    `mark` is the event time that all partitions are known to have reached, -1: none. Without a cursor
    the store must hold a pane.
    """
    if cursor is None:
        oldest = store.oldest()
        assert oldest is not None
        end = next_end(spec, oldest)
        while start_of(spec, end) + spec.step <= oldest:
            end = next_end(spec, end)  # a sliding window is judged when it can be full
        return end
    end = next_end(spec, cursor)
    ahead = store.oldest_from(start_of(spec, end))
    reach = ahead if ahead is not None else mark
    jump = next_end(spec, reach) if reach >= 0 else end
    return jump if jump - end > EMPTY_RUN * spec.step else end


def is_over(spec: WindowSpec, end: int, *, store: PaneStore, heard: Heard, now: int) -> bool:
    """Whether this is old data that came to its end, so that no empty windows follow it.

    A live topic that falls silent is different: its empty windows are verdicts, `no_data`.
    """
    if store.oldest_from(start_of(spec, end)) is not None:
        return False
    return heard.newest < end and now - heard.newest > HISTORICAL


class _Quiet(NamedTuple):
    """A window that is complete because partitions are idle."""

    since: int
    told: dict[Source, int]
    """When each of these had reported last."""


class Waiting:
    """Since when windows are waited for, by window name and end. Evaluate thread only."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._held: dict[tuple[str, int], int] = {}
        self._quiet: dict[tuple[str, int], _Quiet] = {}

    def is_settled(self, key: tuple[str, int], due: int, heard: Heard, now: int) -> bool:
        """Whether partitions that are idle behind a complete window have had their time to wake up, and each has said
        since that it did not: of one whose reader died, nobody knows what has come meanwhile."""
        if heard.mark >= due or not heard or not self._patience.settle:
            return True
        if key not in self._quiet:
            told = {source: seen.observed for source, seen in heard.items() if seen.watermark < due}
            self._quiet[key] = _Quiet(now, told)
        quiet = self._quiet[key]
        if now - quiet.since < self._patience.settle:
            return False
        # Each by its own clock, so that clocks of pods that differ do not matter.
        return all(
            heard[source].observed > at
            for source, at in quiet.told.items()
            if source in heard and heard[source].watermark < due
        )

    def is_held_too_long(self, key: tuple[str, int], now: int) -> bool:
        """Whether a window has waited long enough for partitions that nobody reads."""
        return now - self._held.setdefault(key, now) >= self._patience.max_hold

    def woke(self, key: tuple[str, int]) -> None:
        """The window is not complete, or not any more."""
        self._quiet.pop(key, None)

    def forget(self, key: tuple[str, int]) -> None:
        """The window was judged."""
        self._held.pop(key, None)
        self._quiet.pop(key, None)
