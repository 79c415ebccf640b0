"""Batches that Kafka has and nobody can read: their checksum is wrong, or what is compressed in them is no more.

The client library says so in place of a record, and goes on from wherever it believes the next batch to begin,
which behind a wrong checksum is anywhere. So nothing is taken of what it hands out behind such an error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import structlog
from confluent_kafka import KafkaError

from monitor.clock import Clock
from monitor.intake.batch import Fault, Run, Taken
from monitor.intake.client import PARTITION_END
from monitor.intake.gap import Gap, GapKind
from monitor.names import Source

log = structlog.get_logger(__name__)

UNREADABLE = frozenset(
    {
        KafkaError._BAD_MSG,  # noqa: SLF001 the library's public names
        KafkaError._BAD_COMPRESSION,  # noqa: SLF001
        KafkaError._NOT_IMPLEMENTED,  # noqa: SLF001 a format or a codec that nobody knows
        KafkaError.INVALID_MSG,
    }
)
TRIES = 3
"""Answers in a row that must hold an unreadable batch: one that was damaged on its way is fetched again."""
AGAIN = 10.0
"""Seconds until a batch that is waited for is fetched once more: a broker with a whole copy may lead by then."""


@dataclass(slots=True)
class _Damage:
    """What is known of a partition that cannot be read on at offset `at`.

    While the end of it is sought, `bad` cannot be read, nor what lies before; `good` can, or the log ends there.
    """

    at: int
    text: str
    tries: int = 0
    due: float = -1.0
    """When it is fetched again, where it is waited for."""
    bad: int = -1
    good: int = -1
    probe: int = -1
    """The offset that is asked for; -1 while the end is not sought."""
    step: int = 1

    def aim(self) -> None:
        """Choose the offset to ask for: twice as far each time, and half way once one can be read.

        Another such batch a little behind the first may be taken for a part of it, with what lies between.
        """
        self.probe = self.bad + max(1, min(self.step, (self.good - self.bad) // 2))
        self.step *= 2


class Unreadable:
    """Partitions that came to such a batch. Belongs to the polling thread, but for `why`."""

    def __init__(self, clock: Clock, *, skips: Callable[[str], bool], end: Callable[[Source], int]) -> None:
        """`skips(topic)`: whether they are passed, otherwise they are waited for. `end` asks the broker where a
        partition ends; -1 where it does not answer."""
        self._clock = clock
        self._skips = skips
        self._end = end
        self._held: dict[Source, _Damage] = {}

    @property
    def held(self) -> Collection[Source]:
        """Partitions that are not read on, for now."""
        return self._held.keys()

    def why(self, source: Source) -> str:
        """Why nothing is read, "" where it is, and where it is only tried again."""
        found = self._held.get(source)
        return f"offset {found.at} cannot be read: {found.text}" if found and found.tries >= TRIES else ""

    def place(self, source: Source, position: int) -> int:
        """Where to fetch from, if `position` is where reading has come to."""
        found = self._held.get(source)
        return found.probe if found is not None and found.probe >= 0 else position

    def waits(self, source: Source) -> bool:
        """Whether nothing of it is to be fetched for now."""
        found = self._held.get(source)
        return found is not None and found.due > self._clock.monotonic()

    def due(self) -> list[Source]:
        """Partitions that have waited, and are to be fetched from now."""
        return [source for source, held in self._held.items() if 0 <= held.due <= self._clock.monotonic()]

    def forget(self, source: Source) -> None:
        """It was taken away, or is to be read from elsewhere."""
        self._held.pop(source, None)

    def clean(self, taken: Taken, positions: Mapping[Source, int]) -> tuple[Taken, list[Source]]:
        """What may be handed out, and the partitions that are to be fetched anew: see `passed`, `waits`, `place`."""
        found: dict[Source, Fault] = {}
        for fault in taken.faults:
            if fault.code in UNREADABLE and fault.source in positions:
                found.setdefault(fault.source, fault)
        concerned = (self._held.keys() | found.keys()) & positions.keys()
        if not concerned:
            return taken, []
        kept = {run.source: run for run in taken.runs}
        anew = []
        for source in concerned:
            run, met = kept.pop(source, None), found.get(source)
            if self.place(source, -1) >= 0:
                is_end = any(f.source == source and f.code == PARTITION_END for f in taken.faults)
                is_new = self._look(source, met, is_good=run is not None or is_end)
            else:
                run = run if met is None else _before(run, met)
                if run is not None:
                    kept[source] = run
                is_new = self._try(source, met, run, positions[source])
            anew.extend([source] * is_new)
        faults = [fault for fault in taken.faults if fault.source not in anew]
        return Taken(list(kept.values()), faults), anew

    def passed(self, source: Source) -> Gap | None:
        """The gap that a batch leaves whose end is found; it is forgotten then."""
        held = self._held[source]
        if held.probe < 0 or held.good - held.bad > 1:
            return None
        self.forget(source)
        return Gap(source, GapKind.UNREADABLE, held.at, held.good, max(held.good, self._end(source)))

    def _try(self, source: Source, fault: Fault | None, run: Run | None, position: int) -> bool:
        """Take note of what came of a partition; whether it is to be fetched anew."""
        held = self._held.get(source)
        if fault is None:
            if held is not None and run is not None:
                self.forget(source)
                log.info("batch_readable", source=str(source), offset=held.at)
            return False
        at = max(position, int(run.offsets[-1]) + 1) if run is not None else position
        if held is None or held.at != at:
            held = self._held[source] = _Damage(at, fault.text)
        held.tries += 1
        held.due = -1.0
        if held.tries == TRIES:
            log.error("batch_unreadable", source=str(source), offset=at, text=fault.text)
        if held.tries >= TRIES and not self._begin(source, held):
            held.due = self._clock.monotonic() + AGAIN
        return True

    def _begin(self, source: Source, held: _Damage) -> bool:
        """Begin to look for the end of the batch, where it is to be passed and the log's end is known."""
        if not self._skips(source.topic) or (end := self._end(source)) <= held.at:
            return False
        held.bad, held.good = held.at, end
        if end - held.at > 1:
            held.aim()
        else:
            held.probe = end
        return True

    def _look(self, source: Source, fault: Fault | None, *, is_good: bool) -> bool:
        """Take note of what came from where the end of a batch was sought; whether it goes on elsewhere."""
        held = self._held[source]
        if fault is not None and fault.offset <= held.probe:
            held.bad = held.probe
        elif is_good:
            held.good = held.probe
        elif fault is not None:  # nothing lies between
            held.bad = min(fault.offset, held.good - 1)
        else:
            return False
        if held.good - held.bad > 1:
            held.aim()
        return True


def _before(run: Run | None, fault: Fault) -> Run | None:
    """The records that came before an error: what came after it has any offset."""
    if run is None:
        return None
    count = int(np.argmax(np.append(run.offsets >= fault.offset, True)))
    if not count:
        return None
    return replace(
        run,
        values=run.values[:count],
        keys=run.keys[:count],
        headers=run.headers[:count],
        offsets=run.offsets[:count],
        timestamps=run.timestamps[:count],
        appended=run.appended[:count],
    )
