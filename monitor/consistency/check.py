"""Asks an online store for what a sample of a model's records was made of, on a thread of its own.

The fold thread offers records and never waits: they are chosen by the hash of topic, partition and offset, so that
it does not depend on batches which they are, and those beyond what is asked in a minute are left out, of each batch
those of largest hash. What waits is bounded, and the oldest go first. Records that are old when they are offered, or
when their turn comes, are passed over: after a while the store says nothing of them.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from monitor import metrics
from monitor.clock import Clock
from monitor.columns import Batch, Columns
from monitor.consistency.compare import Match, at, compare, record_of
from monitor.consistency.feast import Stored, ask
from monitor.consistency.plan import ServerPlan
from monitor.consistency.tallies import RECORD, Tallies
from monitor.errors import DeliveryRefused, RequestError, StoreRefused
from monitor.names import CHAMPION
from monitor.plan import ModelPlan, StorePlan
from monitor.sample import hashes_of, seed_of
from monitor.window.grid import floor_pane

log = structlog.get_logger(__name__)

TOGETHER = 100
"""Records of one question."""
WAITING = 2_000
"""Records that may wait: twenty questions. Of 10 kB each they are 20 MB."""
BURST = 10.0
"""Seconds of the limit per minute that may be asked at once: records come in batches."""
EVERY = 0.5
"""Seconds between two questions, at least."""
MOST_QUESTIONS = 16
"""Questions of one turn: to find one record among 100 that a server refuses takes 15."""
LONGEST_PAUSE = 60.0
"""Seconds between questions to a server that does not answer: it doubles from EVERY to this."""
REMEMBERED = 1_000
"""Answers of which it is known how new the values were: more than there are in the longest `max_age` that is sensible."""


@dataclass(frozen=True, slots=True)
class Picked:
    """A record of the sample: its bytes and event time."""

    event: int
    value: bytes


class Newest:
    """How new the values of a view were, at most, by when it was asked. One thread."""

    def __init__(self) -> None:
        self._asked: deque[int] = deque(maxlen=REMEMBERED)
        self._written: deque[int] = deque(maxlen=REMEMBERED)

    def before(self, moment: int) -> int:
        """The newest time of all values that were seen before `moment`; -1: none was."""
        place = bisect_right(self._asked, moment)
        return self._written[place - 1] if place else -1

    def note(self, asked: int, written: int) -> None:
        self._asked.append(asked)
        self._written.append(max(written, self._written[-1] if self._written else -1))


class Check:
    """The sample of one model. `offer` belongs to the fold thread, `run` to one of its own."""

    def __init__(self, plan: ModelPlan, server: ServerPlan, tallies: Tallies, clock: Clock) -> None:
        assert plan.store is not None
        self.model = plan.name
        self._store: StorePlan = plan.store
        self._plan = plan
        self._server = server
        self._tallies = tallies
        self._clock = clock
        self._features = {one.name: one for one in plan.features if one.name in plan.store.features}
        self._references = tuple(dict.fromkeys(plan.store.features.values()))
        self._waiting: deque[Picked] = deque()
        self._lock = threading.Lock()
        self._room = plan.store.per_minute * BURST / 60
        self._filled = clock.monotonic()
        self._newest: dict[str, Newest] = {}
        self._pause = EVERY

    def offer(self, batch: Batch, columns: Columns) -> None:
        """Take records of a batch that was counted."""
        seed = seed_of(batch.source)
        rows = self._chosen(columns, seed=seed)
        fresh = rows[columns.events[rows] >= self._clock.now_ms() - self._store.max_age]
        self._note("stale", len(rows) - len(fresh))
        taken = _smallest(fresh, columns, self._ration(len(fresh)), seed=seed)
        self._note("limited", len(fresh) - len(taken))
        picked = [
            Picked(int(columns.events[row]), value)
            for row in taken.tolist()
            if (value := batch.values[int(columns.index[row])]) is not None
        ]
        with self._lock:
            self._waiting.extend(picked)
            over = max(len(self._waiting) - WAITING, 0)
            for _ in range(over):
                self._waiting.popleft()
        self._note("dropped", over)

    def run(self, stop: threading.Event) -> None:
        """Ask until `stop` is set."""
        while not self._clock.wait(stop, self._pause):
            try:
                self.turn()
            except Exception:
                # boundary: a sample must not take anything with it
                metrics.INTERNAL_ERRORS_TOTAL.labels("consistency").inc()
                log.exception("consistency_raised", model=self.model)

    def turn(self) -> int:
        """One question, if anything waits; how many records were compared."""
        with self._lock:
            picked = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
        since = self._clock.now_ms() - self._store.max_age
        fresh = [one for one in picked if one.event >= since]
        self._note("stale", len(picked) - len(fresh))
        found = [(one.event, record_of(one.value)) for one in fresh]
        keys = [[at(record, path) for path in self._store.entities.values()] for _, record in found]
        whole = [number for number, key in enumerate(keys) if None not in key]
        self._note("no_entity", len(keys) - len(whole))
        if not whole:
            return 0
        entities = {
            name: [keys[number][place] for number in whole] for place, name in enumerate(self._store.entities)
        }
        return self._compare([found[number] for number in whole], entities)

    def _compare(self, records: Sequence[tuple[int, Any]], entities: Mapping[str, Sequence[Any]]) -> int:
        """Ask, and where the server refuses, ask for halves: one record of which it can make nothing fails them all."""
        parts, compared, error = [range(len(records))], 0, ""
        for _ in range(MOST_QUESTIONS):
            if not parts:
                break
            part = parts.pop()
            try:
                compared += self._ask(records[part.start : part.stop], _cut(entities, part))
            except StoreRefused as refused:
                error = str(refused)
                if len(part) > 1:
                    middle = part.start + len(part) // 2
                    parts += [range(middle, part.stop), range(part.start, middle)]
            except (RequestError, DeliveryRefused) as failed:
                error = str(failed)
                break
            except (OSError, UnicodeError):
                error = "the token cannot be read - feature_store.token_file - a file that can"
                break
        self._note("failed", len(records) - compared)
        self._answered(compared, error)
        return compared

    def _ask(self, records: Sequence[tuple[int, Any]], entities: Mapping[str, Sequence[Any]]) -> int:
        asked = self._clock.now_ms()
        stored = ask(self._server, self._references, entities)
        for number, (event, record) in enumerate(records):
            self._count(event, record, {one: column[number] for one, column in stored.items()})
        for reference, column in stored.items():
            written = max((one.written for one in column), default=-1)
            self._newest.setdefault(view_of(reference), Newest()).note(asked, written)
        self._note("compared", len(records))
        return len(records)

    def _answered(self, compared: int, error: str) -> None:
        """Ask less often where nothing is answered."""
        self._pause = EVERY if compared else min(2 * self._pause, LONGEST_PAUSE)
        self._tallies.answered(self.model, "" if compared else error)
        if not compared:
            log.warning("feature_store_failed", model=self.model, error=error)

    def _count(self, event: int, record: Any, stored: Mapping[str, Stored]) -> None:
        rows: dict[str, tuple[int, int, int]] = {}
        for name, feature in self._features.items():
            reference = self._store.features[name]
            newest = self._newest.get(view_of(reference))
            match = compare(
                at(record, feature.path),
                stored[reference],
                feature,
                event=event,
                known=-1 if newest is None else newest.before(event),
                tolerance=self._store.tolerance,
            )
            rows[name] = (
                int(match is not Match.MOVED),
                int(match is Match.MISMATCH),
                int(match is Match.MOVED),
            )
        whole = [max(row[place] for row in rows.values()) for place in range(2)]
        rows[RECORD] = (whole[0], whole[1], 1 - whole[0])
        self._tallies.add(self.model, floor_pane(event, self._plan.pane), rows)

    def _chosen(self, columns: Columns, *, seed: int) -> NDArray[np.int64]:
        """Rows of the sample: those of the variant that is judged, and of their share."""
        inside = np.ones(len(columns), bool)
        if self._store.share < 1:
            inside = hashes_of(columns.offsets, seed) < np.uint64(int(self._store.share * (1 << 64)))
        judged = {self._plan.champion, CHAMPION}
        if not judged.issuperset(variant for _, variant in columns.groups):
            own = [place for place, (_, variant) in enumerate(columns.groups) if variant in judged]
            inside &= np.isin(columns.group, own)
        return np.flatnonzero(inside)

    def _ration(self, wanted: int) -> int:
        """How many of `wanted` may be asked now."""
        now, rate = self._clock.monotonic(), self._store.per_minute / 60
        self._room = min(self._room + (now - self._filled) * rate, max(rate * BURST, 1.0))
        self._filled = now
        taken = min(wanted, int(self._room))
        self._room -= taken
        return taken

    def _note(self, outcome: str, count: int) -> None:
        if count:
            metrics.FEATURE_STORE_RECORDS_TOTAL.labels(self.model, outcome).inc(count)
            self._tallies.note(self.model, outcome, count)


def _smallest(rows: NDArray[np.int64], columns: Columns, count: int, *, seed: int) -> NDArray[np.int64]:
    """Of `rows` those of smallest hash. What is not taken costs 10 ns: sorting all would cost 50, a quarter of a fold."""
    if count >= len(rows) or not count:
        return rows[:count]
    hashes = hashes_of(columns.offsets[rows], seed)
    return np.sort(rows[np.argpartition(hashes, count)[:count]])


def _cut(entities: Mapping[str, Sequence[Any]], part: range) -> dict[str, Sequence[Any]]:
    return {name: values[part.start : part.stop] for name, values in entities.items()}


def view_of(reference: str) -> str:
    return reference.partition(":")[0]
