"""Whatever a producer sends, the stream goes on and nothing is lost in silence."""

from __future__ import annotations

import base64
import json
from collections import Counter

import pytest
from confluent_kafka import Consumer

from monitor.names import Reason
from tests.daemon.ask import api, get, samples, until
from tests.daemon.build import (
    MODEL,
    PARTITIONS,
    START,
    WINDOW,
    Sent,
    await_done,
    rows_of,
    scene,
    stream,
    verdicts,
)
from tests.daemon.recount import differences, recount, stored_verdicts, tallies

GOOD = {
    "id": "x",
    "ts": START + 1_000,
    "model": MODEL,
    "version": "1",
    "features": {"amount": 12.5, "country": "DE", "returning": True},
    "score": 0.25,
}
TEXT = json.dumps(GOOD)


def with_(**change) -> bytes:
    return json.dumps({**GOOD, **change}).encode()


def without(*names: str) -> bytes:
    return json.dumps({name: value for name, value in GOOD.items() if name not in names}).encode()


def bad_inputs(largest: int) -> list[tuple[str, bytes | None, Reason]]:
    """Name, value, reason. `largest` is the size of the oversize record."""
    return [
        ("not JSON", b"scored 0.7", Reason.DECODE),
        ("cut off", TEXT[:40].encode(), Reason.DECODE),
        ("null value", None, Reason.DECODE),
        ("0 bytes", b"", Reason.DECODE),
        ("an array", b"[1, 2, 3]", Reason.WRONG_TYPE),
        ("a text", b'"hello"', Reason.WRONG_TYPE),
        ("oversize", b'{"pad": "' + b"x" * largest + b'"}', Reason.OVERSIZE),
        ("deep arrays", b'{"features": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", Reason.DEPTH),
        ("deep objects", b'{"a":' * 5_000 + b"1" + b"}" * 5_000, Reason.DEPTH),
        ("NaN", TEXT.replace("12.5", "NaN").encode(), Reason.DECODE),
        ("Infinity", TEXT.replace("12.5", "-Infinity").encode(), Reason.DECODE),
        ("huge time", with_(ts=10**300), Reason.BAD_TIME),
        (
            "duplicate key",
            TEXT.replace('"score": 0.25', '"score": 0.25, "score": 0.9').encode(),
            Reason.DUPLICATE_KEY,
        ),
        ("invalid UTF-8", TEXT.replace("DE", "\xff").encode("latin-1"), Reason.DECODE),
        ("number for category", with_(features={**GOOD["features"], "country": [1]}), Reason.WRONG_TYPE),
        ("text for number", with_(features={**GOOD["features"], "amount": "a lot"}), Reason.WRONG_TYPE),
        ("object for score", with_(score={"p": 0.1}), Reason.WRONG_TYPE),
        ("features is a text", with_(features="none"), Reason.WRONG_TYPE),
        ("missing time", without("ts"), Reason.MISSING_FIELD),
        ("null time", with_(ts=None), Reason.MISSING_FIELD),
        ("bad time", with_(ts="yesterday"), Reason.BAD_TIME),
        ("unknown model", with_(model="somebody-else"), Reason.UNKNOWN_MODEL),
        ("missing model", without("model"), Reason.MISSING_FIELD),
        ("future", with_(ts=START + WINDOW * 10**6), Reason.FUTURE),
        ("late", with_(ts=START - 30 * 86_400_000), Reason.LATE),
    ]


def poisoned(good: list[Sent], bad: list[tuple[str, bytes | None, Reason]]) -> list[Sent]:
    """Good records with a bad one after every tenth of them."""
    out, left = [], list(bad)
    for at, record in enumerate(good):
        out.append(record)
        if at % 10 == 9 and left and at > 3 * 120:
            name, value, _ = left.pop(0)
            out.append(
                Sent(
                    record.partition,
                    value,
                    record.timestamp,
                    key=name.encode(),
                    headers=(("trace", b"\x00\xff"),),
                )
            )
    assert not left
    return out


def dead_lines(folder):
    return [json.loads(line) for line in (folder / "dead.jsonl").read_text().splitlines()]


def test_every_bad_input_is_rejected_with_its_reason_and_the_stream_goes_on(make):
    """All of them between good records: each reason is counted and shown, the dead letters hold the original
    bytes, key and headers, good records are counted exactly, and the daemon stays healthy."""
    scene = make(sources={"predictions": {"max_bytes": "64KiB"}})
    bad = bad_inputs(100_000)
    good = stream(range(4))
    sent = poisoned(good, bad)
    expected = Counter(str(reason) for _, _, reason in bad)
    rejected = {
        name: (value, reason) for name, value, reason in bad if reason not in {Reason.LATE, Reason.FUTURE}
    }
    scene.send(sent)
    with scene.daemon() as daemon:
        await_done(daemon, len(sent))
        url = daemon.server.url
        assert get(f"{url}/-/healthy")[0] == 200
        found = samples(url)
        for reason, count in expected.items():
            if reason not in {"late", "future"}:
                assert found["records_rejected_total", reason, scene.topic] == count, reason
        assert found["records_future_total", scene.topic] == 1
        assert found["dead_letters_total", scene.topic] == len(rejected)
        truth = recount(good)
        assert {end: v["rows"] for end, v in verdicts(daemon).items()} == {
            end: truth.of_window(end) for end in truth.ends
        }
        assert not [p for p in api(url, "partitions") if p["paused"]]
    state = scene.found()
    total = Counter()
    for name, count in tallies(state).items():
        total[name.partition("|")[2]] += count
    assert total == expected
    assert sum(state.recover(source).marker.records for source in state.sources()) == len(sent)
    state.close()
    dead = {base64.b64decode(line["key"]).decode(): line for line in dead_lines(scene.folder)}
    assert dead.keys() == rejected.keys()
    for name, (value, reason) in rejected.items():
        line = dead[name]
        assert line["value"] == (None if value is None else base64.b64encode(value).decode()), name
        assert line["headers"] == [["trace", base64.b64encode(b"\x00\xff").decode()]]
        assert line["errors"]["__driftline.errors.reason"] == str(reason)
        assert line["errors"]["__driftline.errors.topic"] == scene.topic


def test_huge_integers_and_texts_are_rows_or_rejects_but_never_stop_the_stream(make):
    """Integers beyond 64 bits in features and ids, novel categories of 60 kB: counted once each, whatever they are."""
    scene = make()
    odd = [
        with_(features={**GOOD["features"], "amount": 10**400}),
        with_(features={**GOOD["features"], "amount": -(2**70)}),
        with_(id=10**30),
        with_(features={**GOOD["features"], "country": "Z" * 60_000}),
        with_(version="v" * 60_000),
        with_(features=None),
        with_(features={}),
        TEXT.replace("12.5", "1e999").encode(),
        TEXT.replace("12.5", "1" * 5_000).encode(),
    ]
    sent = [*stream(range(2)), *(Sent(0, value, START + WINDOW) for value in odd)]
    scene.send(sent)
    with scene.daemon() as daemon:
        await_done(daemon, len(sent))
        state = daemon.state
        rows = sum(sketch.rows for sketch in state.changes([MODEL], 0)[1])
        assert rows + sum(tallies(state).values()) == len(sent)
        assert get(f"{daemon.server.url}/-/healthy")[0] == 200
        assert json.loads(get(f"{daemon.server.url}/api/v1/models/{MODEL}")[1])["status"] == "success"


def test_dead_letters_go_to_a_topic_as_they_were(make, broker):
    """Value, key and headers are the original ones; reason and time of the record stand in headers beside them, as
    retention goes by the time of the rejection."""
    topic = "dead"
    broker.create_topic(topic, partitions=1)
    scene = make(sources={"predictions": {"dead_letter": {"to": "topic", "topic": topic, "path": None}}})
    bad = [
        Sent(1, b"\xff{", START + 5, key=b"k", headers=(("h", b"1"), ("n", None))),
        Sent(2, None, START + 6),
    ]
    sent = [*stream(range(2)), *bad]
    scene.send(sent)
    with scene.daemon() as daemon:
        await_done(daemon, len(sent))
    settings = {
        "bootstrap.servers": broker.bootstrap, "group.id": "dead", "auto.offset.reset": "earliest", "log_level": 0,
    }  # fmt: skip
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    found = []
    until(lambda: found.extend(consumer.consume(10, 0.5)) or len(found) >= 2, "two dead letters")
    consumer.close()
    by_value = {record.value(): record for record in found}
    first = by_value[b"\xff{"]
    assert first.key() == b"k"
    assert first.timestamp()[1] > START + 5
    assert dict(first.headers())["__driftline.errors.timestamp"] == str(START + 5).encode()
    assert first.headers()[:2] == [("h", b"1"), ("n", None)]
    assert dict(first.headers())["__driftline.errors.reason"] == b"decode"
    assert dict(first.headers())["__driftline.errors.partition"] == b"1"
    assert None in by_value


def test_a_bad_deploy_pauses_its_partition_and_a_reload_resumes_it(make):
    """A partition that would divert more than the limit stops before the batch; the others go on; the API and
    the metrics say why; after the limit is raised and the daemon told to reload, nothing has been lost."""
    scene = make(sources={"predictions": {"dead_letter": {"limit": "5%", "over": 1000}}})
    good = stream(range(3))
    poison = [Sent(0, b"{broken", START + 2 * WINDOW) for _ in range(500)]
    with scene.daemon() as daemon:
        scene.send(good)
        await_done(daemon, len(good))
        scene.send([*poison, *(record for record in stream(range(3, 5)) if record.partition)])
        url = daemon.server.url
        until(lambda: any(p["paused"] for p in api(url, "partitions")), "the pause to be shown")
        paused = {p["partition"]: p["paused"] for p in api(url, "partitions")}
        assert "too many rejects" in paused[0]
        assert not paused[1]
        assert samples(url)["partition_paused", "0", scene.topic] == 1
        assert get(f"{url}/-/healthy")[0] == 200
        others = sum(record.partition > 0 for record in good) + 2 * 2 * 120
        until(
            lambda: sum(r.applied for r in daemon.view().partitions if r.source.partition) == others,
            "the others",
        )
        assert not (scene.folder / "dead.jsonl").exists()
        assert get(f"{url}/-/reload", method="POST")[0] == 200
        until(lambda: any(p["paused"] for p in api(url, "partitions")), "the same poison to pause it again")
    scene.configure(sources={"predictions": {"dead_letter": {"limit": "100%"}}})
    sent = [*good, *poison, *(record for record in stream(range(3, 5)) if record.partition)]
    with scene.daemon() as daemon:
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []
    assert len(dead_lines(scene.folder)) == len(poison)


@pytest.mark.slow
def test_a_pause_ends_with_a_reload_once_the_poison_is_diluted(make):
    """The limit is a share of what was read since the reload, so good records that follow let it pass."""
    scene = make(sources={"predictions": {"dead_letter": {"limit": "20%", "over": 300}}})
    with scene.daemon() as daemon:
        poison = [Sent(0, b"{broken", START) for _ in range(100)]
        scene.send(poison)
        url = daemon.server.url
        until(lambda: any(p["paused"] for p in api(url, "partitions")), "the pause")
        good = [Sent(0, json.dumps(row).encode(), row["ts"]) for w in range(5) for row in rows_of(w, 0)]
        scene.send(good)
        until(lambda: api(url, "partitions")[0]["end"] == len(poison) + len(good), "the end to be known")
        assert get(f"{url}/-/reload", method="POST")[0] == 200
        sent = [*poison, *good]
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), None) == []


@pytest.mark.kafka
def test_a_record_of_10_mb_is_rejected_on_real_kafka(kafka, tmp_path):
    """The largest record a broker may be told to take goes by without an effect on its neighbours."""
    made = scene(tmp_path, kafka, create=False)
    kafka.create_topic(
        made.topic, partitions=PARTITIONS, config={"max.message.bytes": "12000000", "retention.ms": "-1"}
    )
    sent = stream(range(3))
    sent.insert(400, Sent(0, b'{"pad": "' + b"x" * 10_000_000 + b'"}', START))
    made.send(sent)
    with made.daemon() as daemon:
        await_done(daemon, len(sent))
        assert (
            differences(daemon.state, recount(sent, good=lambda row: "pad" not in row), verdicts(daemon))
            == []
        )
    (line,) = dead_lines(tmp_path)
    assert len(base64.b64decode(line["value"])) > 10_000_000
    assert line["errors"]["__driftline.errors.reason"] == "oversize"
    state = made.found()
    assert stored_verdicts(state)
    state.close()
