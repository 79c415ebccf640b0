"""Records of several schemas, and what producers, networks and adversaries make of them."""

from __future__ import annotations

import json
import random
import re
import string
import struct
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from monitor.intake.decode import Decoder
from monitor.names import Source
from monitor.plan import Budget, FeaturePlan, Kind, ModelPlan, SegmentPlan, SourcePlan, TimeUnit, WindowSpec
from monitor.reference.build import build
from monitor.reference.table import FeatureDeclaration, Table

PLACE = Source("t", 0)
START = 1_767_225_600_000
COLOURS = ("red", "green", "blue", "Ümlaut", 'quo"te', "1", "12", "true", "2.5", "")
NUMBERS = (
    "0", "-0", "-0.0", "0.0", "1", "-1", "00", "01", "-", "+1", ".5", "1.", "1e5", "1E+05", "1e", "1e-", "1e400",
    "1e-400", "-1e-330", "4.9e-324", "2.4703282292062327e-324", "2.2250738585072011e-308", "2.2250738585072014e-308",
    "1.7976931348623157e308", "1.7976931348623159e308", "9007199254740993", "9007199254740992.5",
    "9007199254740993.00000000000000000001", "123456789012345678", "1234567890123456789", "12345678901234567890",
    "0.1234567890123456789", "0.000000000000000000001234", "1" * 400, "0." + "3" * 400, "63171.2050607575775757", "12345678.1234567890123456", "1e00005", "1e99999",
    "18446744073709551616", "-9223372036854775809", "0.30000000000000004", "5e-1", "1.5.5", "1-1", "0x10", "1_000",
    "NaN", "Infinity", "-Infinity", "nan", "1.0", "12.50", "7205759403792793.5", "9223372036854775807", "1e22", "1e23",
)  # fmt: skip
VALUES = (
    *NUMBERS, "null", "true", "false", "nul", "True", '""', '"x"', '"1.5"', '" 7 "', '"-3e2"', '"inf"', '"+.5"', "[]",
    "{}", "[1]", '{"a":1}', '{"a":1,"a":2}', "[[[[]]]]", "[" * 70 + "]" * 70, '"\\u00e9"', '"\\ud83d\\ude00"',
    '"\\ud800"', '"\\udc00\\ud800"', '"\\x"', '"\\u12"', '"é"', '"😀"', '"\x01"', '"tab\\t"', '"\\"', '"red"', '"gr\\u0065en"',
    '"2026-01-01T00:00:00Z"', '"2026-02-29T00:00:00Z"', '"2024-02-29T23:59:59.999999999+05:30"', '"2026-01-01t00:00:00z"',
    '"2026-01-01 00:00:00Z"', '"1969-12-31T23:59:59Z"', '"9999-12-31T23:59:59.999Z"', '"9999-12-31T23:59:59-01:00"',
    '"2026-01-01T00:00:60Z"', '"2026-01-01T24:00:00Z"', '"2026-01-01T00:00:00"', '"2026-01-01T00:00:00.Z"', '"OK"', '"ok "',
    '"200"', '"299"', '"300"', '"none"', '"timeout"', "200", "204.0", "500", "-200", "1767225600", "1767225600.5", "1e12",
)  # fmt: skip
JUNK = b'{}[]",:\\ \n\t0123456789.eE+-truefalsn/ux\x00\x01\x7f\x80\xbf\xc3\xa9\xed\xa0\xf0\x9f\xff'


def _plan(name: str, features: tuple[FeaturePlan, ...]) -> ModelPlan:
    return ModelPlan(
        name=name, source="s", features=features, rules=(), windows=(WindowSpec("1h", 3_600_000, 3_600_000),),
        pane=60_000, budget=Budget(2, 30 * 86_400_000), config="c",
    )  # fmt: skip


def schemas() -> list[tuple[SourcePlan, dict[str, ModelPlan]]]:
    """Sources that between them read every kind of field in every place."""
    wide = _plan("m", tuple(FeaturePlan(f"f{i}", ("features", f"f{i}"), Kind.NUMERIC) for i in range(6)))
    mixed = _plan("m", (
        FeaturePlan("score", ("out", "score"), Kind.NUMERIC),
        FeaturePlan("text", ("in", "text"), Kind.NUMERIC, numbers_in_strings=True),
        FeaturePlan("colour", ("in", "colour"), Kind.CATEGORICAL),
        FeaturePlan("listed", ("in", "listed"), Kind.CATEGORICAL, allowed=("red", "12", "true")),
        FeaturePlan("flag", ("in", "flag"), Kind.BOOLEAN),
        FeaturePlan("third", ("inputs", 0, "data", 3), Kind.NUMERIC),
        FeaturePlan("first", ("inputs", 0, "data", 0), Kind.CATEGORICAL),
        FeaturePlan("again", ("version",), Kind.CATEGORICAL),
        FeaturePlan("embedding", ("in", "embedding"), Kind.VECTOR, length=3),
    ))  # fmt: skip
    mixed = replace(mixed, segments=(
        SegmentPlan("colour", ("in", "colour"), values=("red", "12", "true", 'quo"te')),
        SegmentPlan("flag", ("in", "flag"), Kind.BOOLEAN, values=("false", "true")),
        SegmentPlan("version", ("version",), values=("1",)),
        SegmentPlan("place", ("inputs", 0, "name"), values=("a",)),
    ))  # fmt: skip
    small = _plan(
        "other", (FeaturePlan("x", ("x",), Kind.NUMERIC), FeaturePlan("c", ("c",), Kind.CATEGORICAL))
    )
    base = {"name": "s", "topic": "t"}
    return [
        (SourcePlan(**base, models=("m",), time=("ts",)), {"m": wide}),
        (
            SourcePlan(
                **base, models=("m",), time=("at",), time_unit=TimeUnit.RFC3339, version=("version",),
                variant=("variant",), latency=("out", "ms"), error=("error",), max_depth=16,
            ),
            {"m": mixed},
        ),
        (
            SourcePlan(
                **base, models=("m", "other"), model=("model",), time=("ts",), time_unit=TimeUnit.SECONDS,
                latency=("x",), latency_unit=TimeUnit.SECONDS, max_bytes=600,
            ),
            {"m": wide, "other": small},
        ),
    ]  # fmt: skip


def decoders(source: SourcePlan, models: dict[str, ModelPlan]) -> tuple[Decoder, Decoder]:
    """The decoder, and one that has no scanner: msgspec and the standard library alone."""
    generator = np.random.default_rng(3)
    references = {}
    for name, plan in models.items():
        table = {
            f.name: generator.normal(size=400)
            if f.kind is Kind.NUMERIC
            else generator.integers(0, 2, 400).astype(bool)
            if f.kind is Kind.BOOLEAN
            else generator.normal(size=(400, f.length))
            if f.kind is Kind.VECTOR
            else np.array(COLOURS, object)[generator.integers(0, len(COLOURS), 400)]
            for f in plan.features
        }
        declared = [FeatureDeclaration(f.name, f.path, f.kind, length=f.length) for f in plan.features]
        references[name] = build(Table(table), model=name, name="r", features=declared)
    slow = Decoder(source, models, references)
    slow.use_scanner(active=False)
    return Decoder(source, models, references), slow


def documents(rng: random.Random, which: int) -> Iterator[bytes]:
    """Valid records of a schema, endlessly: fields in and out of order, unread ones among them."""
    while True:
        features = {f"f{i}": number(rng) for i in range(6)}
        colour = json.dumps(rng.choice(COLOURS), ensure_ascii=rng.random() < 0.5)
        if which == 1:
            fields = {
                "at": f'"2026-01-{rng.randint(1, 28):02d}T{rng.randint(0, 23):02d}:00:0{rng.randint(0, 9)}.5Z"',
                "version": f'"{rng.randint(1, 3)}"', "variant": rng.choice(['"champion"', '"b"', "null", '""']),
                "error": rng.choice(["null", "200", '"OK"', '"timeout"', "500", "true"]),
                "out": _object(rng, {"score": number(rng), "ms": number(rng)}),
                "in": _object(rng, {
                    "text": f'"{number(rng)}"', "colour": colour, "listed": colour,
                    "flag": rng.choice(["true", "false"]),
                    "embedding": "[" + rng.choice([",", ", "]).join(number(rng) for _ in range(3)) + "]",
                }),
                "inputs": f'[{{"name":"a","data":[{colour},2,3,{number(rng)},5]}},{{"data":[]}}]',
            }  # fmt: skip
        elif which == 2 and rng.random() < 0.5:
            fields = {"model": '"other"', "ts": str(START // 1000), "x": number(rng), "c": colour}
        else:
            seconds = START // 1000 if which == 2 else START
            fields = {
                "ts": f"{seconds + rng.randint(0, 999)}",
                "model": '"m"',
                "features": _object(rng, features),
            }
        if rng.random() < 0.5:
            fields["unread" + str(rng.randint(0, 3))] = rng.choice(
                ['"text"', "[1,2,{}]", '{"a":{"b":[null]}}', "1e5"]
            )
        yield _object(rng, fields).encode()


def number(rng: random.Random) -> str:
    """A number in one of the ways that languages print them."""
    choice = rng.random()
    if choice < 0.4:
        return f"{rng.gauss(0, 3):.4f}"
    if choice < 0.6:
        return repr(rng.gauss(0, 3))
    if choice < 0.7:
        return str(rng.randint(-1000, 1000))
    if choice < 0.8:
        value = struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64)))[0]
        return repr(value) if value == value and abs(value) != float("inf") else "null"
    if choice < 0.9:
        half = rng.getrandbits(53) | 1 << 53  # exactly between two doubles
        return str((half << 1 | 1) << rng.randint(0, 6))
    return f"{rng.uniform(-9, 9):.{rng.randint(0, 20)}e}" if choice < 0.95 else "null"


def _object(rng: random.Random, fields: dict[str, str]) -> str:
    items = list(fields.items())
    if rng.random() < 0.2:
        rng.shuffle(items)
    style = rng.random()
    comma, colon = (",", ":") if style < 0.7 else (", ", ": ") if style < 0.9 else (" ,\n\t", " :\r ")
    return "{" + comma.join(f'"{key}"{colon}{value}' for key, value in items) + "}"


def alike(rng: random.Random, record: bytes, count: int) -> list[bytes]:
    """Records with the text of this valid one between other values, a few of them odd, and a few mutated."""
    parts = _SCALAR.split(record)
    odd = rng.choice((0.0, 0.001, 0.02))
    found = []
    for _ in range(count):
        made = b"".join([part if at % 2 == 0 else _another(rng, part, odd) for at, part in enumerate(parts)])
        found.append(mutate(rng, made) if rng.random() < odd else made)
    return found


_SCALAR = re.compile(
    rb'("(?:[^"\\]|\\.)*"(?!\s*:)|-?[0-9][-+.eE0-9]*|\btrue\b|\bfalse\b|\bnull\b)(?=\s*[,}\]])'
)


def _another(rng: random.Random, value: bytes, odd: float) -> bytes:
    """Another value of the same kind, or the same, or, rarely, any."""
    choice = rng.random()
    if rng.random() < odd:
        return rng.choice(VALUES).encode("utf-8", "surrogatepass")
    if choice < 0.3 or value.startswith((b'"2026-', b'"other"', b'"m"')):
        return value
    if value[:1] == b'"':
        if value[1:2] in b"-0123456789" and len(value) > 3:
            return b'"%s"' % number(rng).encode()
        if rng.random() < odd:
            value = b'"%s"' % rng.choice(
                (b'"', b"\\", "é".encode(), b"\\n", b",", b"}", b'","a":"', b"x" * 70)
            )
        return json.dumps(rng.choice(COLOURS), ensure_ascii=choice < 0.5).encode() if choice < 0.6 else value
    if value[:1] in b"tfn":
        return rng.choice((b"true", b"false", b"null")) if choice < 0.5 else value
    if len(value) >= 10 and b"." not in value:
        return value[:-3] + b"%03d" % rng.randint(0, 999)
    return rng.choice(NUMBERS).encode() if rng.random() < odd else number(rng).encode()


def mutate(rng: random.Random, record: bytes) -> bytes:
    """One to three changes: of values, keys and bytes, or the end cut off."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        choice = rng.random()
        at = rng.randrange(len(record) + 1)
        if choice < 0.35:
            record = _with_value(rng, record)
        elif choice < 0.45:
            record = record[:at] + bytes([rng.choice(JUNK)]) + record[at:]
        elif choice < 0.6:
            record = record[:at] + bytes([rng.choice(JUNK)]) + record[at + 1 :]
        elif choice < 0.7:
            record = record[:at] + record[at + rng.choice((1, 1, 2, 5)) :]
        elif choice < 0.75:
            record = record[:at]
        elif choice < 0.85:
            other = rng.randrange(len(record) + 1)
            record = record[:at] + record[min(at, other) : max(at, other)][:40] + record[at:]
        elif choice < 0.95:
            key = rng.choice(
                ("ts", "f1", "model", "new", "é", "a\\u0062", "f" * 300, rng.choice(string.printable))
            )
            spot = record.find(b"{", at)
            spot = max(spot, 0)
            comma = b"" if record[spot + 1 : spot + 2] == b"}" else b","
            value = rng.choice(VALUES).encode("utf-8", "surrogatepass")
            record = record[: spot + 1] + f'"{key}":'.encode() + value + comma + record[spot + 1 :]
        else:
            record = rng.choice(
                (b" " + record, record + b"\n", record + b"x", b"\xef\xbb\xbf" + record, b"", b"[]")
            )
    return record


def _with_value(rng: random.Random, record: bytes) -> bytes:
    """The record with another value after one of its colons, or in one of its arrays."""
    spots = [at for at, c in enumerate(record) if c == 58 or c == 91]
    if not spots:
        return record
    start = rng.choice(spots) + 1
    end = start
    while end < len(record) and record[end] not in b",}]":
        end += 1
    return record[:start] + rng.choice(VALUES).encode("utf-8", "surrogatepass") + record[end:]
