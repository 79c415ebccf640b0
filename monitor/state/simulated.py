"""A deterministic state log in memory that can crash, for tests and simulations."""

from __future__ import annotations

import contextlib
import functools
import random
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.clock import Clock, ManualClock
from monitor.errors import StateError, StateMissing
from monitor.names import SketchKey, Source
from monitor.sketch import Sketch
from monitor.state.alone import Alone
from monitor.state.codec import decode_marker, decode_sketch, encode, encode_sketch
from monitor.state.log import Checkpoint, Entry, Ledger, Marker, Progress, wanted
from monitor.state.text import to_body, to_text

POINTS = tuple(
    f"{step}.{place}" for step in ("checkpoint", "append", "claim") for place in ("before", "inside", "after")
)
"""Where it can crash: before a write, between its parts, after it is durable and before the
caller knows."""

_body = functools.lru_cache(1 << 14)(to_body)
"""Ledgers are read after every step of a simulation, and nobody changes what they hold."""


class SimulatedCrash(BaseException):
    """The simulated process died. A BaseException, as no boundary in the code survives a SIGKILL."""


@dataclass(slots=True)
class _Durable:
    """What a crash leaves: encoded, so that nothing is shared with the caller."""

    sketches: dict[SketchKey, tuple[int, bytes, bytes, int]] = field(default_factory=dict)
    """applied, digest, body, position"""
    markers: dict[Source, bytes] = field(default_factory=dict)
    ledger: dict[tuple[str, str, str], str] = field(default_factory=dict)
    position: int = 0


class SimulatedLog(Alone):
    """A `StateLog` whose process can die at POINTS and be started again with `restart`.

    `crash_at` chooses one pass; `rate` is the chance of dying at any other, drawn from `seed` alone.
    Once dead, every call raises SimulatedCrash until `restart`. What was not durable is lost then.
    """

    def __init__(self, seed: int, *, clock: Clock | None = None, rate: float = 0.0) -> None:
        self._random = random.Random(seed)
        self._clock = clock or ManualClock()
        self._durable = _Durable()
        self._progress: dict[Source, Progress] = {}
        self._expected: set[Source] = set()
        self._lock = threading.RLock()
        self._due: dict[str, int] = {}
        self._dead = self._closed = False
        self.rate = rate
        self.term = 1
        self.divergences = 0
        self.crashes = 0

    def crash_at(self, point: str, *, nth: int = 1) -> None:
        """Die at the nth pass of `point` from now."""
        if point not in POINTS:
            raise ValueError(f"no such point - {point} - one of {', '.join(POINTS)}")
        with self._lock:
            self._due[point] = nth

    def restart(self) -> None:
        """Start the process again: only what was durable is there, and the term is higher."""
        with self._lock:
            self._dead = self._closed = False
            self._due.clear()
            self._progress.clear()
            self._expected.clear()
            self.divergences = 0
            self.term += 1

    def expect(self, source: Source) -> None:
        with self._alive():
            self._expected.add(source)

    def recover(self, source: Source) -> Checkpoint | None:
        with self._alive():
            sealed = self._durable.markers.get(source)
            if sealed is None:
                if source in self._expected:
                    raise StateMissing(
                        f"input was consumed before, but its state is gone - {source} - "
                        "restore the state, or accept the loss with --accept-data-loss"
                    )
                return None
            marker = decode_marker(sealed)
            bodies = [
                body
                for key, (_, _, body, _) in sorted(self._durable.sketches.items())
                if key.source == source and marker.keeps(key)
            ]
        return Checkpoint(marker, tuple(decode_sketch(body) for body in bodies))

    def checkpoint(self, source: Source, sketches: Sequence[Sketch], marker: Marker) -> None:
        stray = [sketch.key.source for sketch in sketches if sketch.key.source != source]
        if stray or marker.source != source:
            raise ValueError(f"checkpoint of {source} - holds {stray or marker.source} - only that source")
        encoded = [(sketch, *encode_sketch(sketch)) for sketch in sketches]
        with self._alive():
            self._pass("checkpoint.before")
            staged = dict(self._durable.sketches)
            position, diverged = self._durable.position + 1, 0
            for sketch, body, digest in encoded:
                stored = staged.get(sketch.key)
                if stored is not None and stored[:2] == (sketch.applied, digest):
                    continue
                diverged += stored is not None and stored[0] == sketch.applied
                staged[sketch.key] = (sketch.applied, digest, body, position)
                self._pass("checkpoint.inside")
            self._pass("checkpoint.inside")
            self._durable.sketches = staged
            self._durable.position = position
            self._durable.markers[source] = encode(marker)
            self.divergences += diverged
            self._pass("checkpoint.after")

    def report(self, progress: Progress) -> None:
        with self._alive():
            self._progress[progress.source] = progress

    def announce(self, notice: Mapping[str, Any]) -> None:
        """There is nobody else."""

    def announced(self) -> Collection[Mapping[str, Any]]:
        return ()

    def changes(
        self, models: Collection[str], after: int, anew: Collection[str] = ()
    ) -> tuple[int, Sequence[Sketch], Sequence[Progress]]:
        with self._alive():
            changed = sorted(
                (position, key, body)
                for key, (_, _, body, position) in self._durable.sketches.items()
                if key.model in models and (position > after or key.model in anew)
            )
            progress = tuple(self._progress[source] for source in sorted(self._progress))
            return self._durable.position, tuple(decode_sketch(body) for *_, body in changed), progress

    def ledger(self, model: str, *, kinds: Collection[str] | None = ()) -> Ledger:
        entries: dict[str, dict[str, Mapping[str, Any]]] = {}
        with self._alive():
            for (owner, kind, name), body in sorted(self._durable.ledger.items()):
                if owner == model and wanted(kind, kinds):
                    entries.setdefault(kind, {})[name] = _body(body)
        return Ledger(model, self.term, entries)

    def bodies(self, model: str, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        with self._alive():
            found = sorted(
                (key[2], body) for key, body in self._durable.ledger.items() if key[:2] == (model, kind)
            )
        for name, body in found:
            yield name, _body(body)

    def append(self, model: str, entries: Sequence[Entry]) -> None:
        bodies = [None if entry.body is None else to_text(entry.body) for entry in entries]
        with self._alive():
            self._pass("append.before")
            staged = dict(self._durable.ledger)
            for entry, body in zip(entries, bodies, strict=True):
                staged.pop((model, entry.kind, entry.id), None)
                if body is not None:
                    staged[model, entry.kind, entry.id] = body
                self._pass("append.inside")
            self._durable.ledger = staged
            self._pass("append.after")

    def claim(self, model: str, intent: str, attempt: int) -> bool:
        key = (model, "claim", f"{intent}/{attempt}")
        body = to_text({"intent": intent, "attempt": attempt, "at": self._clock.now_ms()})
        with self._alive():
            self._pass("claim.before")
            self._pass("claim.inside")
            made = self._durable.ledger.setdefault(key, body) is body
            self._pass("claim.after")
        return made

    def models(self) -> set[str]:
        with self._alive():
            return {model for model, _, _ in self._durable.ledger}

    def reached(self, topic: str) -> int:
        with self._alive():
            markers = [decode_marker(sealed) for sealed in self._durable.markers.values()]
        silent = [one for one in markers if one.source.topic == topic and one.counted is None]
        return max((marker.reached for marker in silent), default=-1)

    def prune(self, model: str, before: int) -> int:
        with self._alive():
            markers = {source: decode_marker(sealed) for source, sealed in self._durable.markers.items()}
            old = [
                key
                for key in self._durable.sketches
                if key.model == model and key.pane < before and not markers[key.source].keeps(key)
            ]
            for key in old:
                del self._durable.sketches[key]
            return len(old)

    def sources(self) -> Iterator[Source]:
        with self._alive():
            return iter(sorted(self._durable.markers))

    def forget(self, source: Source) -> None:
        """Remove the checkpoint of a source partition and all its sketches (`state reset`)."""
        with self._alive():
            self._durable.markers.pop(source, None)
            self._progress.pop(source, None)
            for key in [key for key in self._durable.sketches if key.source == source]:
                del self._durable.sketches[key]

    def close(self) -> None:
        with self._lock:
            self._closed = True

    @contextlib.contextmanager
    def _alive(self) -> Iterator[None]:
        """One call of a process that lives."""
        with self._lock:
            if self._dead:
                raise SimulatedCrash("the simulated process is dead")
            if self._closed:
                raise StateError("state log is closed - simulated - open it again")
            yield

    def _pass(self, point: str) -> None:
        left = self._due.get(point, 0)
        self._due[point] = left - 1
        if left == 1 or (self.rate and self._random.random() < self.rate):
            self._dead = True
            self.crashes += 1
            raise SimulatedCrash(point)
