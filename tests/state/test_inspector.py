"""Looking into a state log without owning it, over every kind that outlives its process."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
from collections import Counter

import pytest

from monitor.errors import StateError, StateMissing, StateTooNew
from monitor.names import Source
from monitor.state.database import FILE
from monitor.state.export import PARTS, lines
from monitor.state.inspector import LocalInspector
from monitor.state.inventory import Damaged
from monitor.state.kafka.chunks import check
from monitor.state.kafka.inspector import KafkaInspector, last_written
from monitor.state.kafka.keys import (
    BatchKey,
    OwnerKey,
    decode_ledger,
    decode_published,
    decode_state,
    encode,
    partition_of_model,
    partition_of_source,
)
from monitor.state.kafka.logs import Place, Write
from monitor.state.kafka.reset import reset
from monitor.state.log import Entry, Progress
from tests.state.cases import OTHER, SOURCE, contents, make_key, make_marker, make_sketch, opened

LIVE = {"fraud": 60, "churn": 0}
KEYS = [make_key(pane=pane, source=source) for pane in (0, 60, 120) for source in (SOURCE, OTHER)]
KEYS += [make_key("churn", pane=60, segment=name, source=OTHER) for name in ("a", "b\udc80")]
ENTRIES = {
    "fraud": [
        Entry("incident", "i2", {"a": 1}),
        Entry("incident", "i1", {"b": math.nan}),
        Entry("verdict", "v", {}),
    ],
    "churn": [Entry("cursor", "1h", {"end": 5})],
}


@pytest.fixture(params=["local", "kafka"])
def store(request):
    """A store with checkpoints of two sources and ledgers of two models, its process gone on living."""
    with opened(request.param) as opened_store:
        fill(opened_store)
        yield opened_store


def fill(store):
    for source in (SOURCE, OTHER):
        mine = [make_sketch(key, seed=seed) for seed, key in enumerate(KEYS) if key.source == source]
        store.log.checkpoint(source, mine, make_marker(source, applied=10, live=LIVE))
    for model, entries in ENTRIES.items():
        store.log.append(model, entries)


def look(store):
    if hasattr(store, "directory"):
        return LocalInspector(store.directory)
    logs = store.broker.connect("looker")
    logs.write = logs.send = None  # whatever it does, it writes nothing
    return KafkaInspector(logs, store.topics, place="simulated", close=lambda: None)


def of_source(store, source=SOURCE):
    return look(store).inventory(source).sources[0]


def export(store, parts=PARTS, model=None, only=None, wanted=None):
    is_ours = (lambda source: True) if only is None else (lambda source: source == only)
    found = lines(
        look(store), log="l", place="p", model=model, is_ours=is_ours,
        wanted=wanted or (lambda source, pane: is_ours(source)), parts=parts,
    )  # fmt: skip
    return [json.loads(line) for line in found]


def test_how_far_each_source_is_and_what_is_kept(store):
    """Only live sketches are a source's; all kept ones a model's, where they are counted."""
    found = look(store).inventory()
    assert [one.source for one in found.sources] == [SOURCE, OTHER]
    assert [one.marker for one in found.sources] == [
        make_marker(source, applied=10, live=LIVE) for source in (SOURCE, OTHER)
    ]
    assert [(one.panes, one.sketches, one.why, one.unreadable) for one in found.sources] == [
        (2, 2, "", 0), (3, 4, "", 0),
    ]  # fmt: skip
    assert all(one.bytes > 0 for one in found.sources)
    models = {one.model: dict(one.entries) for one in found.models}
    assert models == {"churn": {"cursor": 1}, "fraud": {"incident": 2, "verdict": 1}}
    assert {one.term for one in found.models} == {store.log.terms(["fraud"])["fraud"]}


def test_one_source_alone(store):
    """It is the same as in the whole picture; one that was never checkpointed is not there."""
    assert look(store).inventory(OTHER).sources == look(store).inventory().sources[1:]
    assert look(store).inventory(OTHER).models == ()
    assert look(store).inventory(Source("never", 0)).sources == ()


def test_sketches_are_those_that_were_stored(store):
    """All of them, live or not, in one order; of one model and of chosen panes where that is asked."""
    found = list(look(store).sketches(None, lambda source, pane: True))
    assert contents(found) == contents(make_sketch(key, seed=seed) for seed, key in enumerate(KEYS))
    assert [s.key for s in found] == [s.key for s in look(store).sketches(None, lambda source, pane: True)]
    chosen = look(store).sketches("fraud", lambda source, pane: source == OTHER and pane >= 60)
    assert [sketch.key for sketch in chosen] == [KEYS[3], KEYS[5]]
    store.log.checkpoint(SOURCE, [make_sketch(KEYS[0], applied=12)], make_marker(applied=12, live=LIVE))
    (newest,) = look(store).sketches("fraud", lambda source, pane: source == SOURCE and pane == 0)
    assert newest.applied == 12


def test_an_export_says_everything(store):
    """What a line has is what was stored, in types of JSON."""
    head, *rest = export(store)
    assert {name: head[name] for name in ("type", "format", "log", "place")} == {
        "type": "export", "format": 1, "log": "l", "place": "p",
    }  # fmt: skip
    kinds = [line["type"] for line in rest]
    assert kinds[: 2 + len(KEYS)] == ["marker"] * 2 + ["sketch"] * len(KEYS)
    assert Counter(kinds[2 + len(KEYS) :]) == {"ledger": 2, "entry": 4}
    marker = rest[0]
    assert (marker["topic"], marker["partition"], marker["applied"], marker["live"]) == (*SOURCE, 10, LIVE)
    line = next(line for line in rest if line.get("segment") == "b\udc80")
    sketch = make_sketch(KEYS[-1], seed=len(KEYS) - 1)
    assert line["counts"] == sketch.counts.tolist()
    assert line["sums"] == sketch.sums.tolist()
    assert line["vectors"] == sketch.vectors.tolist()
    assert line["novel"] == {"0": sketch.novel[0]}
    assert sum(line["rejects"].values()) == sketch.rejects.sum()
    assert (line["applied"], line["rows"], line["pane"]) == (10, sketch.rows, 60)
    bodies = {(e["model"], e["kind"], e["id"]): e["body"] for e in rest if e["type"] == "entry"}
    assert bodies["fraud", "incident", "i1"] == {"b": None}
    assert bodies["churn", "cursor", "1h"] == {"end": 5}


def test_exports_of_equal_states_are_equal():
    """Whatever kind of state log holds it, but for who wrote it; and so are two of the same state."""
    found = []
    for kind in ("local", "kafka"):
        with opened(kind) as store:
            fill(store)
            assert export(store) == export(store)
            mine = export(store)
            for line in mine:
                for name in ("writer", "term", "owner", "since"):
                    line.pop(name, None)
            found.append(sorted(mine, key=json.dumps))
    assert found[0] == found[1]


def test_an_export_of_a_part(store):
    """Only what is asked for."""
    kinds = {line["type"] for line in export(store, parts=["ledger"], model="churn")}
    assert kinds == {"export", "ledger", "entry"}
    some = export(store, parts=["markers", "sketches"], only=OTHER)
    assert {(line["topic"], line["partition"]) for line in some[1:]} == {OTHER}
    assert export(store, parts=["ledger"], model="unknown")[1:] == []


@pytest.fixture
def local():
    with opened("local") as store:
        fill(store)
        yield store


def damage(store, table, where=""):
    with contextlib.closing(sqlite3.connect(store.directory / FILE, isolation_level=None)) as db:
        db.execute(f"UPDATE {table} SET body = zeroblob(60) {where}")


def test_a_damaged_marker_is_told_of(local):
    """Of the others everything is known."""
    damage(local, "markers", "WHERE partition = 0")
    first, second = look(local).inventory().sources
    assert (first.marker, second.why) == (None, "")
    assert "does not verify" in first.why


def test_a_damaged_sketch_is_told_of(local):
    """As `recover` would find it; an export has a line for it and all the others."""
    damage(local, "sketches", "WHERE partition = 0 AND pane = 120")
    found = of_source(local)
    assert (found.marker, found.unreadable, found.sketches) == (None, 1, 2)
    lines_ = export(local, parts=["sketches"])
    assert [line["type"] for line in lines_].count("sketch") == len(KEYS) - 1
    (line,) = [line for line in lines_ if line["type"] == "damaged"]
    assert (line["model"], line["topic"], line["partition"], line["pane"]) == ("fraud", *SOURCE, 120)
    damage(local, "sketches", "WHERE partition = 1 AND pane = 0")
    assert of_source(local, OTHER).why == ""  # it is not live


def test_a_local_picture_is_that_of_one_moment(local):
    """What a daemon writes meanwhile is not in it."""
    state = look(local)
    local.log.checkpoint(SOURCE, [], make_marker(applied=99, live=LIVE))
    assert state.inventory(SOURCE).sources[0].marker.applied == 10
    state.close()
    assert of_source(local).marker.applied == 99


def test_a_directory_without_state(tmp_path):
    """It is not made into one by looking."""
    with pytest.raises(StateMissing, match="no state here"):
        LocalInspector(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def shared():
    with opened("kafka") as store:
        fill(store)
        yield store


def rewrite(store, topic, change, is_hit):
    """Every record that is hit, once more with another value."""
    logs = store.broker.connect("vandal")
    for partition in range(logs.partitions(topic)):
        place = Place(topic, partition)
        hit = [record for record in logs.read(place, 0) if record.value and is_hit(record.key)]
        logs.write([Write(place, record.key, change(record.value)) for record in hit])


def test_every_writer_is_told_of(shared):
    """The one to go on from first; why the other cannot be used; who speaks for a model, and since when."""
    first = of_source(shared).writers[0]
    shared.restart()
    shared.log.attend()
    shared.log.checkpoint(SOURCE, [], make_marker(applied=11, live=LIVE))
    found = of_source(shared)
    assert [(one.why, one.marker.applied) for one in found.writers] == [("", 11)]
    assert found.writers[0].writer != first.writer
    assert len(found.writers[0].writer) == 16
    (model, _) = look(shared).inventory().models
    assert (model.since, bool(model.owner), model.lost) == (1000, True, 0)
    lost = [key for key in look(shared).recovered(SOURCE).keys if not key.startswith(b"\x94")]
    place = Place(shared.topics.state, partition_of_source(SOURCE, 3))
    shared.broker.connect("vandal").write([Write(place, lost[0], None)])
    found = of_source(shared)
    assert (found.why, found.marker) == ("no checkpoint is whole", None)
    assert found.writers[0].why == "1 of 2 sketches are there"


def test_damage_in_topics(shared):
    """A part, a sketch, a report, an owner, an append: each is told of where it is, or passed over."""
    rewrite(
        shared,
        "sketches",
        lambda value: b"\0" + value[1:],
        lambda key: decode_published(key).sketch.pane == 0,
    )
    rewrite(
        shared,
        "sketches",
        lambda value: value[:-1] + b"\0\0",
        lambda key: decode_published(key).sketch.pane == 120,
    )
    hurt = [one for one in look(shared).sketches(None, lambda s, p: True) if isinstance(one, Damaged)]
    assert {one.pane for one in hurt} == {0, 120}
    shared.log.report(Progress(SOURCE, 10, 20, 5, False, "", 1000))
    rewrite(shared, "progress", lambda value: b"x", lambda key: True)
    assert of_source(shared).progress.observed == 1000
    shared.log.append("fraud", [Entry("verdict", "w", {})])
    rewrite(shared, "ledger", lambda value: b"x", lambda key: isinstance(decode_ledger(key), OwnerKey))
    assert {one.owner for one in look(shared).inventory().models if one.entries} <= {""}


def test_lost_appends_are_told_of(shared):
    """A model that has nothing else is shown for them."""
    owner = shared.log.terms(["other"])["other"]
    place = Place("ledger", partition_of_model("other", 4))
    shared.broker.connect("vandal").write([Write(place, encode(BatchKey("other", owner, 7)), b"x")])
    found = {one.model: one for one in look(shared).inventory().models}
    assert (found["other"].lost, dict(found["other"].entries)) == (1, {})


def test_prunes_and_chunks_are_followed(shared):
    """What was tombstoned in the sketches topic is not exported."""
    shared.log.changes(["fraud"], 0)
    assert shared.log.prune("fraud", 60) == 2
    found = [sketch.key for sketch in look(shared).sketches("fraud", lambda source, pane: True)]
    assert found == KEYS[2:6]


def test_a_reset_takes_everything_of_a_source_and_nothing_else(shared):
    """Afterwards it was never checkpointed, and the other one was."""
    looker = look(shared)
    reset(shared.broker.connect("operator"), shared.topics, SOURCE, looker.recovered(SOURCE).keys)
    assert looker.recovered(SOURCE).keys == ()
    assert not looker.recovered(SOURCE).is_damaged
    shared.restart()
    assert shared.log.recover(SOURCE) is None
    assert shared.log.recover(OTHER).marker.applied == 10


def test_a_reset_beside_a_writer_says_so(shared):
    """What came meanwhile is left, and is not mistaken for a checkpoint."""
    logs = shared.broker.connect("operator")
    keys = look(shared).recovered(SOURCE).keys
    write = logs.write

    def write_then(records):
        offsets = write(records)
        shared.log.checkpoint(SOURCE, [make_sketch(KEYS[2], applied=15)], make_marker(applied=15, live=LIVE))
        return offsets

    logs.write = write_then
    with pytest.raises(StateError, match="came meanwhile"):
        reset(logs, shared.topics, SOURCE, keys)
    assert look(shared).recovered(SOURCE).is_damaged
    assert {type(decode_state(key)).__name__ for key in look(shared).recovered(SOURCE).keys} == {
        "MarkerKey",
        "SlotKey",
    }


def test_who_was_refused_does_not_write(shared):
    """Its reports are newer than those of a process that did write, and do not hide them."""
    assert last_written(shared.broker.connect("o"), shared.topics, SOURCE) is None
    wrote = Progress(SOURCE, 10, 20, 5, False, "rejects are 9 %", 1000)
    shared.log.report(wrote)
    shared.log.report(Progress(SOURCE, 0, -1, -1, False, "no checkpoint is whole", 2000))
    assert last_written(shared.broker.connect("o"), shared.topics, SOURCE) == wrote
    assert of_source(shared).progress.observed == 2000


def test_state_of_a_newer_driftline_is_refused(shared):
    """It is not shown as damage."""
    place = Place("state", partition_of_source(SOURCE, 3))
    logs = shared.broker.connect("newer")
    record = next(logs.read(place, 0))
    head = bytes([record.value[0] + 1]) + record.value[1:35]
    logs.write([Write(place, record.key, head + check(record.key, head) + record.value[39:])])
    with pytest.raises(StateTooNew):
        look(shared).inventory()
