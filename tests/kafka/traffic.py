"""Prediction logs that depend on a seed alone, and their recount by code that shares nothing with the fold."""

from __future__ import annotations

import bisect
import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from monitor.plan import Kind
from monitor.reference.build import BuildSettings, build
from monitor.reference.profile import Reference
from monitor.reference.table import FeatureDeclaration, Table

MODEL = "scores"
PARTITIONS = 3
WINDOW = 300_000
PANE = 60_000
START = 1_760_000_100_000
"""A window boundary. In the past, so topics are made with `retention.ms=-1`."""
ROWS = 400
"""Per window and partition."""
STRANGE = 5000
"""How many countries there are in the percent of rows that has a rare one; the reference knows 20 of them."""
EPISODE = 4
"""Windows of one kind in a row: 4 ordinary, 4 drifting, and so on."""
COUNTRIES = ("DE", "FR", "IT", "ES", "PL")
REFERENCE_WINDOWS = 120

FEATURES = (
    FeatureDeclaration("amount", ("features", "amount"), Kind.NUMERIC),
    FeatureDeclaration("country", ("features", "country"), Kind.CATEGORICAL),
    FeatureDeclaration("prediction", ("score",), Kind.NUMERIC),
)


def is_drifting(window: int) -> bool:
    return window // EPISODE % 2 == 1


def rows_of(
    window: int, partition: int, rows: int = ROWS, strange: int = STRANGE
) -> Iterator[tuple[int, float | None, str | None, float]]:
    """(event time, amount, country, score) of one window and partition, in log order."""
    rng = np.random.default_rng((window + 1000, partition))
    drifting = window >= 0 and is_drifting(window)
    amounts = rng.lognormal(3.0 + 0.8 * drifting, 0.7, rows)
    missing = rng.random(rows) < (0.5 if drifting else 0.02)
    countries = rng.choice(len(COUNTRIES), rows, p=(0.4, 0.25, 0.2, 0.1, 0.05))
    novel = rng.random(rows) < 0.01
    jitter = rng.integers(0, 15_000, rows)
    scores = rng.beta(2, 5, rows)
    for row in range(rows):
        event = START + window * WINDOW + row * WINDOW // rows + int(jitter[row])
        country = (
            f"N{rng.integers(20 if window < 0 else strange)}" if novel[row] else COUNTRIES[countries[row]]
        )
        amount = None if missing[row] else round(float(amounts[row]), 2)
        yield event, amount, None if row % 97 == 0 else country, round(float(scores[row]), 4)


def records_of(window: int, partition: int, rows: int = ROWS) -> Iterator[tuple[bytes, int]]:
    """(value, timestamp) of the records of one window and partition; a few cannot be read."""
    for row, (event, amount, country, score) in enumerate(rows_of(window, partition, rows)):
        if row % 83 == 41:
            yield b'{"ts": %d, "score": ' % event, event
        record = {
            "id": f"{window}-{partition}-{row}",
            "ts": event,
            "version": "1" if window < 20 else "2",
            "features": {"amount": amount, "country": country},
            "score": score,
        }
        yield json.dumps(record).encode(), event


def produce(
    bootstrap: str,
    topic: str,
    windows: range,
    *,
    partitions: int = PARTITIONS,
    rows: int = ROWS,
) -> int:
    """Write the records of `windows` to the topic; how many."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "log_level": 0})
    sent = 0
    for window in windows:
        for partition in range(partitions):
            for value, timestamp in records_of(window, partition, rows):
                producer.produce(topic, value, partition=partition, timestamp=timestamp)
                sent += 1
        producer.poll(0)
    if producer.flush(60):
        raise RuntimeError("the broker did not take all records within 60 s")
    return sent


def make_reference(settings: BuildSettings | None = None) -> Reference:
    """A reference of windows before START, all ordinary."""
    every = [
        row
        for window in range(-REFERENCE_WINDOWS, 0)
        for partition in range(PARTITIONS)
        for row in rows_of(window, partition)
    ]
    rows = sorted(every, key=lambda row: row[0])
    events, amounts, countries, scores = zip(*rows, strict=True)
    table = Table(
        {
            "amount": np.array([math.nan if amount is None else amount for amount in amounts]),
            "country": np.array(countries, object),
            "prediction": np.array(scores),
        },
        events=np.array(events, np.int64),
    )
    return build(table, model=MODEL, name="ordinary", features=FEATURES, pane=PANE, settings=settings)


@dataclass
class Recount:
    """What the log holds: rows and slot counts by pane, rejects, and the end of each partition."""

    rows: Counter[int] = field(default_factory=Counter)
    slots: dict[int, Counter[int]] = field(default_factory=dict)
    rejects: int = 0
    ends: dict[int, int] = field(default_factory=dict)


def recount(bootstrap: str, topic: str, reference: Reference, *, partitions: int = PARTITIONS) -> Recount:
    """Read the whole topic and count it, one record after the other."""
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": "recount",
        "enable.auto.commit": False,
        "log_level": 0,
    }
    consumer = Consumer(settings)
    found = Recount()
    for partition in range(partitions):
        found.ends[partition] = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)[
            1
        ]
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    left = sum(found.ends.values())
    while left:
        for record in consumer.consume(5000, 10.0):
            if record.error():
                raise RuntimeError(str(record.error()))
            _count(found, record.value(), reference)
            left -= 1
    consumer.close()
    return found


def _count(found: Recount, value: bytes, reference: Reference) -> None:
    try:
        record = json.loads(value)
    except ValueError:
        found.rejects += 1
        return
    pane = record["ts"] // PANE * PANE
    found.rows[pane] += 1
    counts = found.slots.setdefault(pane, Counter())
    counts.update(slots_of(record, reference))


def slots_of(record: dict[str, Any], reference: Reference) -> list[int]:
    """The slot of each value of a record, among those of all features."""
    values = {**record["features"], "prediction": record["score"]}
    found, first = [], 0
    for profile in reference.features:
        value = values[profile.name]
        if value is None:
            slot = 0
        elif profile.kind is Kind.NUMERIC:
            slot = 2 + bisect.bisect_right(profile.edges.tolist(), value)
        else:
            slot = 3 + profile.categories.index(value) if value in profile.categories else 1
        found.append(first + slot)
        first += profile.slots
    return found
