"""The rules of the ledger hold in random lives of its owners, and not one of them can be left out."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence

import pytest

from monitor.errors import StateFenced
from monitor.state.kafka import keys, owner
from monitor.state.kafka.keys import BatchKey
from monitor.state.kafka.ledger import Former, LedgerView
from monitor.state.kafka.logs import Logs, Place, Record, Write
from monitor.state.kafka.owner import LedgerOwner
from tests.simulation.logs import Faults
from tests.state.kafka import scenarios
from tests.state.kafka.ledgers import live

SEEDS = 30
TRIED = 60
"""Random lives of which one at least shows that a rule is lacking."""

SLEEPY = Faults(crash=0.01, unsettled=0.12, compact=0.08)
LATE = Faults(unsettled=0.35, compact=0.25)
DEADLY = Faults(crash=0.05, unsettled=0.1, unread=0.02, compact=0.3)


@pytest.fixture
def small(monkeypatch) -> None:
    """Everything is tidied, and written anew, all the time."""
    monkeypatch.setattr(owner, "TIDY_FROM", 1)
    monkeypatch.setattr(owner, "SLACK", 0)
    monkeypatch.setattr(owner, "REWRITE", 200)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("faults", [SLEEPY, LATE, DEADLY], ids=["sleepy", "late", "deadly"])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_lives(seed: int, faults: Faults) -> None:
    """Owners crash, sleep, wake up and write on, answers get lost, records come late or in part, compaction
    runs and is broken off: no entry is lost, none comes back, and no claim is made twice."""
    live(seed, faults=faults)


class AnyTerm(LedgerView):
    """Heeds no term."""

    def _apply_batch(self, key: BatchKey, value: bytes) -> bool:
        term, self.term, self._newest = self.term, key.term, None
        counts = super()._apply_batch(key, value)
        self.term = term
        return counts


class AnyOrder(LedgerView):
    """Lets records overtake that were sent before."""

    def _apply_batch(self, key: BatchKey, value: bytes) -> bool:
        self._newest = None
        return super()._apply_batch(key, value)


class OwnersFirst(LedgerView):
    """Tombstones older owners before what is void by them."""

    def former(self, term: int) -> Former:
        void, batches, owners = super().former(term)
        return Former(owners, batches, void)  # type: ignore[arg-type]


class RemovalsGo(LedgerView):
    """Tombstones removals while what they remove is in the log."""

    def garbage(self) -> list[BatchKey]:
        return [key for key, batch in self._batches.items() if all(batch.names.values())]


class NoRemovals(LedgerView):
    """Writes anew what stands, and not what is removed."""

    def needs(self, batches: Iterable[BatchKey]):
        return {
            model: (item for item in items if item.text is not None)
            for model, items in super().needs(batches).items()
        }


class AtOnce(LedgerView):
    """Tombstones what is void together with all else."""

    def former(self, term: int) -> Former:
        void, batches, owners = super().former(term)
        return Former([], void + batches, owners)

    def needs(self, batches: Iterable[BatchKey]):
        return super().needs(key for key in batches if self.counts(key))


class VoidStays(LedgerView):
    """Lets go of what makes a batch void, and not of that."""

    def void(self) -> list[BatchKey]:
        return []

    def garbage(self) -> list[BatchKey]:
        return list(self._garbage)


class Believing(LedgerView):
    """Believes what it was told by a log that was not whole."""

    def _apply_tombstone(self, key: BatchKey) -> None:
        super()._apply_tombstone(key)
        self.misled.clear()


class Unread(LedgerOwner):
    """Does not look whether what it wrote counts."""

    def _meet(self, written: Sequence[BatchKey]) -> None:
        try:
            super()._meet(written)
        except StateFenced:
            self._is_fenced = False


class Rash(LedgerOwner):
    """Tombstones what an append replaces before it was met."""

    def _meet(self, written: Sequence[BatchKey]) -> None:
        ahead = copy.deepcopy(self._view)
        for record in self._logs.read(self._place, self._next):
            if record.key in [keys.encode(key) for key in written]:
                ahead.apply(record)
        self._bury([key for key in ahead.garbage() if key in self._view._batches])
        super()._meet(written)


class Brief(LedgerOwner):
    """Reads the log once, to the end as it was."""

    def _catch_up(self, *, accept_loss: bool) -> None:
        self._read_on(accept_loss=accept_loss)


class Reusing:
    """Logs in which the key of a batch is the same in every term."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self.end = logs.end

    def write(self, records: Sequence[Write]) -> list[int]:
        return self._logs.write([_shortened(write) for write in records])

    def read(self, place: Place, start: int) -> Iterator[Record]:
        return lengthened(self._logs.read(place, start))


def _shortened(write: Write) -> Write:
    key = keys.decode_ledger(write.key)
    if not isinstance(key, BatchKey):
        return write
    value = write.value and key.term.to_bytes(8, "big") + write.value
    return Write(write.place, keys.encode(key._replace(term=0)), value)


def lengthened(records: Iterable[Record]) -> Iterator[Record]:
    """The same with their terms. A tombstone is for whatever had the key last."""
    last: dict[BatchKey, int] = {}
    for record in records:
        key = keys.decode_ledger(record.key)
        if not isinstance(key, BatchKey):
            yield record
            continue
        if record.value is not None:
            last[key] = int.from_bytes(record.value[:8], "big")
        whole = keys.encode(key._replace(term=last.get(key, 0)))
        yield Record(record.offset, whole, record.value and record.value[8:])


BROKEN_AT_RANDOM = {
    "a batch counts in its term alone": {"view": AnyTerm},
    "a key is never used twice": {"wrap": Reusing, "seen": lengthened},
    "what was written is read back": {"owner": Unread},
    "tombstones come after that": {"owner": Rash},
    "late records do not count": {"view": AnyOrder},
    "a removal outlives what it removes": {"view": RemovalsGo},
}
BROKEN_IN = {
    "owners go last": (OwnersFirst, scenarios.a_take_over_breaks_off),
    "removals are written anew": (NoRemovals, scenarios.a_take_over_breaks_off),
    "what is void goes before others": (AtOnce, scenarios.a_take_over_breaks_off),
    "what makes a batch void stays": (VoidStays, scenarios.a_record_comes_late),
    "who was misled reads again": (Believing, scenarios.a_record_comes_late_and_compaction_is_broken_off),
    "what came meanwhile is read": (Brief, scenarios.compaction_overtakes_a_reader),
}


@pytest.mark.parametrize("scenario", dict.fromkeys(scenario for _, scenario in BROKEN_IN.values()))
def test_what_may_happen(scenario) -> None:
    """Step by step, where chance would take too long to come to it."""
    scenario()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("rule", BROKEN_AT_RANDOM)
def test_random_lives_show_why_there_is_a_rule(rule: str, monkeypatch) -> None:
    """Without it an entry is lost, or one comes back, or a claim is made twice."""
    left_out = dict(BROKEN_AT_RANDOM[rule])
    monkeypatch.setattr(owner, "LedgerView", left_out.pop("view", LedgerView))
    with pytest.raises(AssertionError):  # noqa: PT012 - in one of these
        for seed in range(TRIED):
            live(seed, faults=(SLEEPY, LATE, DEADLY)[seed % 3], **left_out)


@pytest.mark.parametrize("rule", BROKEN_IN)
def test_what_may_happen_shows_why_there_is_a_rule(rule: str, monkeypatch) -> None:
    """Without it an entry is lost, or one comes back."""
    left_out, scenario = BROKEN_IN[rule]
    if issubclass(left_out, LedgerOwner):
        monkeypatch.setattr(LedgerOwner, "_catch_up", left_out._catch_up)
    else:
        monkeypatch.setattr(owner, "LedgerView", left_out)
    with pytest.raises(AssertionError):
        scenario()
