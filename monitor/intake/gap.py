"""Records that can no longer be read: said, never absorbed in silence."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from monitor.names import Source


class GapKind(enum.StrEnum):
    RETENTION = "retention"
    """The records from `expected` to before `resumed` were deleted; reading goes on at `resumed`."""
    UNREADABLE = "unreadable"
    """The records from `expected` to before `resumed` are there and cannot be read: they were passed."""
    TRUNCATED = "truncated"
    """The log ends at `end`, before `expected`: it was truncated or the topic was created anew.
    The partition stays paused, because offsets now mean other records; `seek` and `resume` go on."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A hole in what a partition's state covers. After it no record below `resumed` is handed out."""

    source: Source
    kind: GapKind
    expected: int
    """The offset that was to be read."""
    resumed: int
    """The offset that will be read next; `expected` while the partition is paused."""
    end: int
    """End offset of the partition when the gap was found."""
