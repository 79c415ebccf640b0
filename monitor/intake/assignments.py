"""Whom a consumer tells of its partitions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from monitor.names import Source


class Assignments(Protocol):
    """Who keeps the state of partitions. Called inside `poll`, on the polling thread."""

    def positions(self, sources: Collection[Source]) -> Mapping[Source, int | None]:
        """Next offset of each newly assigned partition; None where there is no state.

        Those left out are being recovered still, and stay paused until `recovered` names them.
        """
        ...

    def recovered(self) -> Mapping[Source, int | None]:
        """As `positions`, of those that were left out and have become ready since the last call."""
        ...

    def began(self, source: Source, offset: int, *, since: int) -> None:
        """A partition without state starts at `offset`. `since` is the smallest event time that is
        covered, ms, when reading begins in the middle of the log; -1 when it begins at its start."""
        ...

    def revoked(self, sources: Collection[Source]) -> None:
        """These partitions are about to be given up: the last moment to make state durable."""
        ...

    def lost(self, sources: Collection[Source]) -> None:
        """These partitions belong to somebody else already."""
        ...
