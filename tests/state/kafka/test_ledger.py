"""Speaking for models: what was appended stands, whoever crashes, sleeps or is overtaken by compaction."""

from __future__ import annotations

import random
from typing import Any

import pytest

from monitor.clock import ManualClock
from monitor.errors import StateDamaged, StateError, StateFenced
from monitor.state.kafka import keys
from monitor.state.kafka.batch import decode_batch
from monitor.state.kafka.keys import BatchKey, OwnerKey, WriterId
from monitor.state.kafka.ledger import LedgerView
from monitor.state.kafka.logs import Place, Record, Write
from monitor.state.kafka.owner import SLACK, TIDY_FROM, LedgerOwner
from monitor.state.log import Entry
from tests.simulation.logs import Faults, SimulatedBroker
from tests.simulation.schedule import Baton, Schedule

PLACE = Place("ledger", 0)
MODELS = ("fraud", "churn")
ROUGH = Faults(crash=0.03, unsettled=0.05, compact=0.05)


class Remembering(SimulatedBroker):
    """Keeps what compaction takes."""

    history: list[Record]

    def append(self, write: Write) -> int:
        offset = super().append(write)
        self.history.append(Record(offset, write.key, write.value))
        return offset


def opened(seed: int = 0, faults: Faults | None = None) -> Remembering:
    broker = Remembering(seed, {"ledger": 1}, faults=faults)
    broker.history = []
    return broker


def take(broker: SimulatedBroker, name: str = "a", writer: int = 1, **rest: Any) -> LedgerOwner:
    return LedgerOwner.take(broker.connect(name), PLACE, WriterId(writer), clock=ManualClock(), **rest)


def standing(history: list[Record]) -> dict[tuple[str, str, str], bytes]:
    """What stands according to all that was ever written, without tombstones: the rule and nothing else."""
    term = seq = -1
    live: dict[tuple[str, str, str], bytes] = {}
    for record in history:
        key = keys.decode_ledger(record.key)
        if record.value is None:
            continue
        if isinstance(key, OwnerKey):
            term, seq = record.offset, -1
        elif key.term == term and key.seq > seq:
            seq = key.seq
            for kind, name, text in decode_batch(record.value):
                if text is None:
                    live.pop((key.model, kind, name), None)
                else:
                    live[key.model, kind, name] = text
    return live


def found(owner: LedgerOwner) -> dict[tuple[str, str, str], Any]:
    return {
        (model, kind, name): body
        for model in MODELS
        for kind, bodies in owner.entries(model, None).items()
        for name, body in bodies.items()
    }


def live_of(history: list[Record]) -> dict[tuple[str, str, str], Any]:
    import json

    return {name: json.loads(text) for name, text in standing(history).items()}


def test_what_is_appended_stands_and_what_is_removed_is_gone() -> None:
    """By model and kind, also for the next owner."""
    broker = opened()
    owner = take(broker)
    owner.append("fraud", [Entry("cursor", "1h", {"end": 1}), Entry("verdict", "a", {"x": float("inf")})])
    owner.append("churn", [Entry("cursor", "1h", {"end": 2})])
    owner.append("fraud", [Entry("cursor", "1h", {"end": 3}), Entry("intent", "i", {"n": 1})])
    owner.append("fraud", [Entry("intent", "i", None), Entry("nothing", "there", None)])
    for each in (owner, take(broker, "b", 2)):
        assert each.entries("fraud", ()) == {"cursor": {"1h": {"end": 3}}}
        assert each.entries("fraud", ("verdict",)) == {"verdict": {"a": {"x": float("inf")}}}
        assert each.entries("churn", None) == {"cursor": {"1h": {"end": 2}}}


def test_who_is_overtaken_is_fenced_and_leaves_nothing() -> None:
    """It learns of it by its first write, or when it looks."""
    broker = opened()
    old = take(broker)
    old.append("fraud", [Entry("cursor", "1h", {"end": 1})])
    new = take(broker, "b", 2)
    with pytest.raises(StateFenced):
        old.append("fraud", [Entry("cursor", "1h", {"end": 9})])
    with pytest.raises(StateFenced):
        old.entries("fraud", None)
    new.check()
    assert new.entries("fraud", ()) == {"cursor": {"1h": {"end": 1}}}
    take(broker, "c", 3)
    with pytest.raises(StateFenced):
        new.check()


def test_a_claim_is_made_once() -> None:
    """Also over a change of owner; a fenced owner claims nothing."""
    broker = opened()
    old = take(broker)
    assert old.claim("fraud", "i", 0, 5)
    assert not old.claim("fraud", "i", 0, 6)
    new = take(broker, "b", 2)
    assert not new.claim("fraud", "i", 0, 7)
    assert new.claim("fraud", "i", 1, 8)
    with pytest.raises(StateFenced):
        old.claim("fraud", "i", 2, 9)
    assert new.entries("fraud", ("claim",))["claim"]["i/0"] == {"intent": "i", "attempt": 0, "at": 5}


def test_a_record_that_comes_late_does_not_overtake() -> None:
    """Its write was given up, another was made: the first arrives after the second and counts no more."""
    broker = opened()
    owner = take(broker)
    late = BatchKey("fraud", owner.term, 0)
    from monitor.state.kafka.batch import encode_batch, items_of

    owner._seq = 1
    owner.append("fraud", [Entry("cursor", "1h", {"end": 2})])
    value = encode_batch(items_of([Entry("cursor", "1h", {"end": 1})]))
    broker.append(Write(PLACE, keys.encode(late), value))
    owner.check()
    assert owner.entries("fraud", ()) == {"cursor": {"1h": {"end": 2}}}
    assert found(take(broker, "b", 2)) == live_of(broker.history)


def test_lost_entries_are_not_passed_over() -> None:
    """A batch that does not verify stops the take-over, until the loss is accepted."""
    broker = opened()
    owner = take(broker)
    owner.append("fraud", [Entry("cursor", "1h", {"end": 1})])
    broker.append(Write(PLACE, keys.encode(BatchKey("fraud", owner.term, 7)), b"dlrubbish"))
    with pytest.raises(StateDamaged, match="accept-data-loss"):
        take(broker, "b", 2)
    again = take(broker, "c", 3, accept_loss=True)
    assert again.entries("fraud", ()) == {"cursor": {"1h": {"end": 1}}}
    again.append("fraud", [Entry("cursor", "1h", {"end": 2})])
    assert take(broker, "d", 4).entries("fraud", ()) == {"cursor": {"1h": {"end": 2}}}


def test_the_log_stays_as_large_as_what_stands() -> None:
    """Thousands of appends, of which one entry each stays for long."""
    broker = opened()
    owner = take(broker)
    place = random.Random(1)
    for number in range(3000):
        note = "".join(place.choices("abcdefgh", k=400))
        entries = [Entry("cursor", "1h", {"end": number}), Entry("verdict", str(number % 500), {"n": note})]
        owner.append("fraud", entries)
    broker.compact(PLACE, broker.end(PLACE))
    broker.compact(PLACE, broker.end(PLACE))
    view = LedgerView()
    for record in broker.connect("x").read(PLACE, 0):
        view.apply(record)
    assert len(view.garbage()) < TIDY_FROM + 2
    assert view.size <= 4 * view.live_size + 2 * SLACK
    assert len(view.entries("fraud", None)["verdict"]) == 500
    assert found(take(broker, "b", 2)) == live_of(broker.history)


def test_an_owner_rewrites_much_in_portions() -> None:
    """A live set of several records' size passes from one to the next."""
    broker = opened()
    owner = take(broker)
    place = random.Random(1)
    for number in range(40):
        owner.append("fraud", [Entry("verdict", str(number), {"n": place.randbytes(30_000).hex()})])
    assert found(take(broker, "b", 2)) == live_of(broker.history)
    assert max(len(record.value or b"") for record in broker.records(PLACE)) < 400_000


class Life:
    """One process that takes the partition again and again, and says what it was promised."""

    def __init__(self, name: str, broker: Remembering, schedule: Schedule, claims: list[tuple[str, int]]):
        self._name = name
        self._logs = broker.connect(name)
        self._schedule = schedule
        self._claims = claims
        self.promised: list[tuple[int, str, Entry]] = []

    def live(self) -> None:
        draw = self._schedule.random
        while True:
            try:
                owner = LedgerOwner.take(
                    self._logs, PLACE, WriterId(draw.getrandbits(64)), clock=ManualClock()
                )
                owner._lock = Baton(self._schedule)
                while True:
                    self._act(owner)
            except (StateFenced, StateError):
                self._schedule.pause(self._name)

    def _act(self, owner: LedgerOwner) -> None:
        draw = self._schedule.random
        model = draw.choice(MODELS)
        if draw.random() < 0.3:
            intent, attempt = f"{model}-{draw.randint(0, 5)}", draw.randint(0, 3)
            if owner.claim(model, intent, attempt, 0):
                self._claims.append((intent, attempt))
            return
        entries = [
            Entry(draw.choice(("cursor", "verdict")), str(draw.randint(0, 3)), draw.choice((None, {"n": draw.random()})))
            for _ in range(draw.randint(1, 3))
        ]  # fmt: skip
        owner.append(model, entries)


@pytest.mark.parametrize("seed", range(60))
def test_random_lives(seed: int) -> None:
    """Owners crash, sleep, wake up and write on, answers get lost, records come late, compaction runs: the
    next owner finds what the rule makes of all that was ever written, and no claim is made twice."""
    print(f"seed {seed}")
    broker = opened(seed, ROUGH)
    schedule = Schedule(seed)
    broker.pause = schedule.pause
    claims: list[tuple[str, int]] = []
    try:
        for number in range(6):
            life = Life(f"p{number}", broker, schedule, claims)
            task = schedule.start(life._name, life.live)
            schedule.run(120)
            draw = schedule.random.random()
            if draw < 0.3:
                schedule.kill(task)
            elif draw < 0.6:
                schedule.stop(task)
            for each in schedule.tasks:
                if schedule.random.random() < 0.3:
                    schedule.go_on(each)
        schedule.run(200)
    finally:
        schedule.close()
    broker.pause = lambda _: None
    broker.faults = Faults()
    broker.settle()
    before = live_of(broker.history)
    assert found(take(broker, "last", 99)) == before
    assert len(set(claims)) == len(claims)
    assert {f"{i}/{a}" for i, a in claims} <= {name for _, kind, name in before if kind == "claim"}
    assert found(take(broker, "after", 100)) == before
