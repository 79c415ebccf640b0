"""What a state log holds, as told by those who look at it without taking part (`driftline state`).

`monitor.state.description` looks into a local directory, `monitor.state.kafka.description` into topics.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

from monitor.names import Source
from monitor.sketch import Sketch
from monitor.state.log import Ledger, Marker, Progress


@dataclass(frozen=True, slots=True)
class WriterHolding:
    """What is there of one writer of a shared state log."""

    writer: str
    marker: Marker | None
    """None: it never closed a checkpoint, or its marker does not verify."""
    why: str
    """Why its checkpoint cannot be used, "" when it can."""
    sketches: int
    bytes: int


@dataclass(frozen=True, slots=True)
class SourceHolding:
    """The state of one source partition."""

    source: Source
    marker: Marker | None
    """Of the checkpoint to go on from; None where there is none."""
    why: str
    """Why there is none, "" when there is one."""
    sketches: int
    """Live ones: those that the next checkpoint may change."""
    panes: int
    """Of these, of all models together."""
    bytes: int
    """Of these, as they are stored."""
    writers: tuple[WriterHolding, ...] = ()
    """Of a shared state log; those that can be used first, the farthest of them in front."""
    divergences: int = 0
    unreadable: int = 0
    """Records that do not verify."""
    progress: Progress | None = None
    """The newest report, where reports are shared."""


@dataclass(frozen=True, slots=True)
class ModelHolding:
    """What is decided of one model; "" is the source ledger."""

    model: str
    term: int
    entries: Mapping[str, int]
    """Kind → ledger entries."""
    owner: str = ""
    """Who took the model over last, where several can."""
    since: int = -1
    """When, milliseconds."""
    lost: int = 0
    """Appends that do not verify."""
    sketches: int = -1
    """All that are kept, live or not; -1: not counted."""
    bytes: int = -1
    oldest: int = -1
    """Start of the oldest pane, milliseconds."""
    newest: int = -1


@dataclass(frozen=True, slots=True)
class Inventory:
    """A picture of a state log."""

    log: str
    """local or kafka."""
    place: str
    """The file, or what the names of the topics begin with."""
    sources: tuple[SourceHolding, ...]
    models: tuple[ModelHolding, ...]
    facts: Mapping[str, int] = field(default_factory=dict)
    """What else there is to say of this kind of state log."""


class Damaged(NamedTuple):
    """In place of a sketch that does not verify."""

    model: str
    source: Source
    pane: int
    why: str


class MarkerRecord(NamedTuple):
    """A stored marker. Of several of one source the first that can be used is the one that counts."""

    marker: Marker
    writer: str
    """Of a shared state log, else ""."""
    why: str
    """Why its checkpoint cannot be used, "" when it can."""


Wanted: TypeAlias = Callable[[Source, int], bool]
"""Of which sketches: the source partition, and the start of the pane."""


class Inspector(Protocol):
    """Looks into a state log, also while others write to it. Writes nothing. One thread; close it.

    Every call may raise StateError.
    """

    def inventory(self, only: Source | None = None) -> Inventory:
        """What there is; with `only` of that source partition alone, and without models."""
        ...

    def markers(self, only: Callable[[Source], bool]) -> Iterable[MarkerRecord]:
        """Markers, by source."""
        ...

    def sketches(self, model: str | None, wanted: Wanted) -> Iterator[Sketch | Damaged]:
        """The newest sketches that are `wanted`, of one model or of all; always in the same order."""
        ...

    def ledgers(
        self, model: str | None, *, kinds: Collection[str] | None = None
    ) -> Iterator[tuple[ModelHolding, Ledger]]:
        """The ledger of one model or of all that have one; `kinds` as in `StateLog.ledger`."""
        ...

    def close(self) -> None: ...
