"""The state log: where sketches, offsets and what follows from them are durable.

Three implementations: `local` (SQLite), `kafka` (compacted topics), `simulated`. One
conformance suite runs over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from monitor.names import SketchKey, Source
from monitor.sketch import Sketch

AGREE = 20
"""How many event times must agree before they move the watermark of a CreateTime topic."""


class Counted(NamedTuple):
    """How much of a source partition is counted for one model, as it is configured."""

    config: str
    since: int = -1
    """The event time from which on it counts; -1: all that there was."""
    ahead: tuple[int, ...] = ()
    """Starts of later panes that lack some rows too: those that were ahead of the others when counting began."""


@dataclass(frozen=True, slots=True)
class Marker:
    """What closes a checkpoint of one source partition: a function of the log prefix [0, applied).

    `largest` are the AGREE largest event times seen, descending, -1 where fewer; `watermark` is -1
    before it is defined. `live` maps a model to the start of its oldest pane that can still change.
    `since` is the smallest event time that is covered when consumption began in the middle of the
    log, else -1. `tallies` counts rejects since the start, by "model|reason".
    """

    source: Source
    applied: int
    start: int
    """First offset that was ever applied."""
    watermark: int
    largest: tuple[int, ...]
    live: Mapping[str, int]
    since: int = -1
    records: int = 0
    """Records consumed since the start, rows and rejects together."""
    tallies: Mapping[str, int] | None = None
    epoch: int = -1
    """Leader epoch of the last record, -1 when unknown."""
    counted: Mapping[str, Counted] | None = None
    """By model. None in markers that were written before this was noted."""
    topic_id: str = ""
    """What Kafka calls the topic: one that is deleted and made anew has another. "" where it is not told."""

    @property
    def reached(self) -> int:
        """The event time that was agreed on, whatever the timestamps of the topic are; 0 while too few rows agree,
        -1: there is none."""
        return max(self.watermark, self.largest[-1], min(self.largest[0], 0))

    def ahead(self, pane: int) -> tuple[int, ...]:
        """Starts of the panes, of `pane` ms, that rows ahead of `reached` lie in."""
        return tuple(sorted({event // pane * pane for event in self.largest if event > self.reached}))

    def keeps(self, key: SketchKey) -> bool:
        """True when the sketch can still change: `recover` returns it and `prune` spares it.

        All sketches of a model that `live` does not name are kept.
        """
        oldest = self.live.get(key.model)
        return oldest is None or key.pane >= oldest


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a source partition is, as its ingest sees it; not a function of the prefix."""

    source: Source
    applied: int
    end: int
    """End offset of the partition, -1 when unknown."""
    watermark: int
    idle: bool
    """Known zero lag for the idle time, neither paused nor recovering."""
    paused: str
    """Why the partition is paused, "" when it is not."""
    observed: int
    """Wall time of this report, milliseconds."""
    since: int = -1
    counted: Mapping[str, Counted] | None = None
    """As in the marker."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What `recover` returns: the marker and the live sketches of that source partition."""

    marker: Marker
    sketches: tuple[Sketch, ...]


Recovering: TypeAlias = tuple[Source, Callable[[], Checkpoint | None]]
"""A source, and what recovers it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One ledger entry. `body` is JSON-able; None removes the entry.

    kinds: cursor (windows judged so far), verdict, incident, intent (the outbox), outcome, claim,
    clock (durable timers), budget, retrain, reign and content (`monitor.reigns`).
    """

    kind: str
    id: str
    body: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Ledger:
    """The live entries of one model: kind → id → body."""

    model: str
    term: int
    entries: Mapping[str, Mapping[str, Mapping[str, Any]]]

    def of(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        return self.entries.get(kind, {})


HEAVY = frozenset({"verdict", "content"})
"""Kinds of entries that are megabytes together, and that few ask for."""


def wanted(kind: str, kinds: Collection[str] | None) -> bool:
    """Whether `StateLog.ledger` returns entries of `kind` when it is asked for `kinds`."""
    return kinds is None or kind in kinds or (not kinds and kind not in HEAVY)


class StateLog(Protocol):
    """Durable on return, unless said otherwise. Safe to call from several threads.

    Every call may raise StateError; after one that is not StateDamaged or StateTooNew the same
    call may be repeated, and then counts once.
    """

    @property
    def divergences(self) -> int:
        """Sketches stored since the start that had the `applied` of the stored one and other content.

        The fold is a function of the prefix, so anything but 0 is a defect of driftline.
        """
        ...

    def expect(self, source: Source) -> None:
        """Say that input of this partition was consumed before (the group has a committed offset).

        From then on `recover` raises StateMissing instead of returning None. Not called when the
        operator accepts the loss.
        """
        ...

    def recover(self, source: Source) -> Checkpoint | None:
        """The newest valid checkpoint; None when the partition was never checkpointed.

        Its sketches are those the marker `keeps`. Raises StateMissing, StateDamaged, StateTooNew.
        """
        ...

    def recovering(self, sources: Collection[Source]) -> Iterator[Recovering]:
        """Sources, in the order that costs least, each with what does the same as `recover` of it.

        Called at once or not at all, before the next one is asked for. Raises nothing itself.
        """
        ...

    def checkpoint(self, source: Source, sketches: Sequence[Sketch], marker: Marker) -> None:
        """Store sketches (replacing those of equal key) and the marker; all or nothing to `recover`.

        Raises ValueError when a sketch or the marker belongs to another source.
        """
        ...

    def release(self, source: Source) -> None:
        """The partition is somebody else's now: forget what is held of it here."""
        ...

    def store_anew(self, topics: Collection[str]) -> None:
        """Topics of the state were made anew, and are empty: store once more what is held of what was there.

        Called on the thread that checkpoints. Raises StateError, and may be repeated.
        """
        ...

    def lacks(self, source: Source) -> bool:
        """Whether nothing is stored of a source any more, and the next checkpoint is due though nothing has changed."""
        ...

    def report(self, progress: Progress) -> None:
        """Publish how far a partition is. Need not be durable."""
        ...

    def announce(self, notice: Mapping[str, Any]) -> None:
        """Tell the other processes what this one judges; replaces what it said before. Need not be durable."""
        ...

    def announced(self) -> Collection[Mapping[str, Any]]:
        """What each process has said last, this one too, as of the last call of `changes`."""
        ...

    def changes(
        self, models: Collection[str], after: int, anew: Collection[str] = ()
    ) -> tuple[int, Sequence[Sketch], Sequence[Progress]]:
        """Sketches of `models` that changed since `after`, newest per key, and all progress; of those of
        `anew`, which are among `models`, all sketches.

        Returns the position to pass next time. A fresh reader passes 0. The position is that of the log, so
        a reader that adds a model names it in `anew`. The sketches of the source ledger (model "") are
        returned when "" is in `models`.

        Reports never speak of sketches that were not returned, now or before.
        """
        ...

    def ledger(self, model: str, *, kinds: Collection[str] | None = ()) -> Ledger:
        """The live entries of a model: of the kinds named, or all with None.

        By default all but HEAVY ones: a thousand verdict records are megabytes, and those who
        track incidents and deliver do not need them.
        """
        ...

    def bodies(self, model: str, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Id and body of the live entries of one kind, by id; each is read when it is asked for, as all verdicts
        of a model may be hundreds of megabytes. What is appended meanwhile is seen or not. `next` may raise
        StateError."""
        ...

    def append(self, model: str, entries: Sequence[Entry]) -> None:
        """Store all entries or none. An entry replaces the one with equal kind and id."""
        ...

    def claim(self, model: str, intent: str, attempt: int) -> bool:
        """True when the caller may make this attempt of this intent; durable before it returns.

        False: it was claimed before, or someone else speaks for this model. A claim is the ledger
        entry of kind "claim" and id "intent/attempt", body {intent, attempt, at}; what counts
        requests counts these.
        """
        ...

    def attend(self) -> None:
        """Take over the models that are ours to judge, and let go of those that are not any more.

        Called by the evaluate thread at each turn; may take its time.
        """
        ...

    @property
    def is_settled(self) -> bool:
        """Whether it is known which models are ours, and all that can be were taken over."""
        ...

    def terms(self, models: Collection[str]) -> Mapping[str, int]:
        """Those of `models` that this process speaks for, and since which term of office.

        A term that differs from the one before means that others may have decided in between: what
        is known of the model has to be read anew. Of other models `ledger`, `append` and `claim` raise
        StateFenced, and `changes` returns nothing.
        """
        ...

    def refused(self, models: Collection[str]) -> Mapping[str, str]:
        """Those of `models` that this process should speak for and cannot until somebody helps, and why."""
        ...

    def models(self) -> set[str]:
        """Models that have entries in the ledger and that this process speaks for, configured or not."""
        ...

    def reached(self, topic: str) -> int:
        """The largest event time agreed on by the checkpoints of a topic that do not say what they count; -1:
        there are none.

        Those whose `counted` is told have no say: that is more precise, and a judge heeds it."""
        ...

    def prune(self, model: str, before: int) -> int:
        """Forget sketches of panes that start before `before`, except live ones; how many."""
        ...

    def sources(self) -> Iterator[Source]:
        """Every source partition with a checkpoint."""
        ...

    def close(self) -> None: ...
