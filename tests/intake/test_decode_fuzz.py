"""Mutated records against an oracle: msgspec on a hand-written type, one record at a time."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import msgspec
import numpy as np
import pytest

from monitor.intake.decode import Decoder
from monitor.names import Reason
from tests.intake.records import batch, model, named, reference, source

ROUNDS = int(os.environ.get("DRIFTLINE_FUZZ", "20000"))
"""Mutated records; the nightly run sets 200,000 and more."""
MAX_BYTES, MAX_DEPTH = 400, 6

SEEDS = (
    b'{"ts":1700000000000,"features":{"age":41.5,"city":"Rome","member":true},"prediction":0.25}',
    b'{"ts":1700000000000,"features":{"age":null,"city":7},"prediction":1e3,"x":[{"a":[1,2]},"\\u00e9"]}',
    b'{"features":{"city":"R\xc3\xb6m","member":false,"age":-0.0},"ts":1,"more":{"a":{"b":{"c":[[0]]}}}}',
    b'{"ts":3,"e":{"deep":[true,null,"\\"}"]},"v":2,"v2":"\\\\","features":{},"prediction":12345678901234567890}',
)
TOKENS = (
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b"\\",
        b"\\u0061",
        b"\\ud800",
        b"\\u00e9",
        b"\xff",
        b"\xc3\xa9",
        b"\x00",
    ),
    *(
        b"null",
        b"true",
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"-",
        b"0",
        b"9" * 60,
        b"9" * 320,
        b".5",
        b"1.",
        b" ",
        b"\n",
    ),
    *(
        b'"ts":5,',
        b'"age":1,',
        b'"a":1,"a":2,',
        b"[[[[[[[",
        b'{"a":{"a":{"a":',
        b"\xef\xbb\xbf",
        b'"city":[]',
        b"x" * 300,
    ),
)


class Features(msgspec.Struct):
    age: float | None = None
    city: str | int | float | bool | None = None
    member: bool | None = None


class Record(msgspec.Struct):
    ts: int | float | str | None = None
    features: Features | None = None
    prediction: float | None = None
    e: Any = None
    v: str | int | float | bool | None = None


def depth_of(value):
    """Naive depth of brackets outside strings: a twin that also works on invalid JSON."""
    depth = deepest = 0
    inside = skip = False
    for byte in value:
        if skip:
            skip = False
        elif inside:
            skip, inside = byte == 0x5C, byte != 0x22
        elif byte == 0x22:
            inside = True
        elif byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth = max(depth - 1, 0)
    return deepest


def repeats(value):
    found = []

    def look(pairs):
        found.append(len({key for key, _ in pairs}) < len(pairs))

    try:
        json.loads(value.decode(), object_pairs_hook=look, parse_int=str)
    except ValueError:
        return False
    return any(found)


def oracle(value):
    """None when the record is a row, else the reasons that are right for it."""
    if not value:
        return {Reason.DECODE}
    if len(value) > MAX_BYTES:
        return {Reason.OVERSIZE}
    if depth_of(value) > MAX_DEPTH:
        return {Reason.DEPTH}
    try:
        value.decode()
    except UnicodeDecodeError:
        return {Reason.DECODE}
    if repeats(value):
        return {Reason.DUPLICATE_KEY}
    try:
        record = msgspec.json.decode(value, type=Record)
    except msgspec.ValidationError:
        return {Reason.WRONG_TYPE}
    except msgspec.DecodeError:
        return {Reason.DECODE}
    if record.ts is None:
        return {Reason.MISSING_FIELD}
    if isinstance(record.ts, str) and not record.ts.isdecimal():
        return {Reason.BAD_TIME}
    time = int(record.ts)
    is_seconds = 631_152_000_000 <= time * 1000 <= 4_102_444_800_000
    return None if 0 <= time < 253_402_300_800_000 and not is_seconds else {Reason.BAD_TIME}


def mutate(rng):
    value = bytearray(rng.choice(SEEDS))
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 6))):
        at = rng.randrange(len(value) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            value[at : at + rng.randrange(1, 12)] = b""
        elif kind == 1 and at < len(value):
            value[at] = rng.randrange(256)
        elif kind == 2:
            other = rng.choice(SEEDS)
            start = rng.randrange(len(other))
            value[at:at] = other[start : start + rng.randrange(30)]
        else:
            value[at:at] = rng.choice(TOKENS)
    return bytes(value)


@pytest.mark.timeout(1200)
def test_mutated_records_are_taken_or_rejected_as_the_oracle_says():
    """No bytes raise; rows and reasons are those of a slow reader that sees one record at a time."""
    rng = random.Random(20_261_123)
    reader = Decoder(
        source(max_bytes=MAX_BYTES, max_depth=MAX_DEPTH, error=("e",), version=("v",)),
        {"m": model()},
        {"m": reference()},
    )
    seen = {}
    for _ in range(max(ROUNDS // 1000, 1)):
        values = [mutate(rng) for _ in range(1000)]
        scanned = reader.scan(batch(values))
        reasons = {reject.index: reject.reason for reject in scanned.rejects}
        assert sorted([*reasons, *scanned.columns[0].index.tolist()]) == list(range(1000))
        for index, value in enumerate(values):
            right = oracle(value)
            assert reasons.get(index) in (right or {None}), value
            seen[reasons.get(index)] = seen.get(reasons.get(index), 0) + 1
    assert {None, *Reason} - seen.keys() == {Reason.UNKNOWN_MODEL, Reason.FUTURE, Reason.LATE}


def test_a_record_is_read_alike_whatever_stands_beside_it():
    """Rows do not depend on the batch they come in: a replay with other batches gives the same."""
    rng = random.Random(7)
    reader = Decoder(source(version=("v",)), {"m": model()}, {"m": reference()})
    values = [mutate(rng) for _ in range(1500)]
    whole = reader.scan(batch(values))
    (columns,) = whole.columns
    names = named(columns)
    for row, index in enumerate(columns.index.tolist()):
        (alone,) = reader.scan(batch([values[index]])).columns
        assert np.array_equal(alone.values[:, 0], columns.values[:, row], equal_nan=True)
        assert np.array_equal(alone.codes[:, 0], columns.codes[:, row])
        assert alone.events[0] == columns.events[row]
        assert alone.groups[0] == columns.groups[columns.group[row]]
        for column in range(len(columns.codes)):
            assert named(alone).get(column, {}).get(0) == names.get(column, {}).get(row)
