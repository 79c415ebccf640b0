"""Prediction records as producers write them, from a seed: the bytes that every decoder and every stream is given.

The headline record has 24 numeric features and 477 bytes on average, to the byte. Other kinds show where a scanner is
strong or weak.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache as remember

import msgspec
import numpy as np

from kernels.layout import Layout
from kernels.words import PADDING
from monitor.columns import Batch
from monitor.intake.decode import Decoder
from monitor.intake.packed import Packed
from monitor.names import Source
from monitor.partition import Model, Partition
from monitor.plan import Budget, FeaturePlan, Kind, ModelPlan, SourcePlan, TimeUnit, WindowSpec
from monitor.reference.build import build
from monitor.reference.profile import Reference
from monitor.reference.table import FeatureDeclaration, Table

START = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""
BYTES = 477
MODEL = "churn"
BATCH = 5_000
NAMES = (
    "age", "tenure", "income", "amount", "balance", "limit", "rate", "score", "age_acc", "n_tx_1d", "n_tx_7d", "n_tx_30",
    "sum_1d", "sum_7d", "sum_30d", "avg_7d", "std_7d", "min_7d", "max_7d", "ratio_7d", "util", "dist_km", "velocity",
    "hour_sin",
)  # fmt: skip
CATEGORICAL = ("channel", "region", "plan", "device", "browser", "country", "tier", "partner")
"""The last eight features where there are categories."""
GROUPS = ("retail", "wholesale", "partner", "online", "branch", "phone", "mail", "other")
ESCAPED = ('the "best"', "tab\there", "naïve", "back\\slash", "a/b", "line\nbreak", "ünder", "plain")


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of record: what a feature looks like and what stands around it."""

    name: str
    title: str
    numbers: str = "mixed"
    """mixed: counts, amounts, ratios, a few long ones; four: 4 decimals; full: all 17 digits."""
    categories: tuple[str, ...] = ()
    """Values of the last eight features, which are categorical then."""
    unknown: int = 0
    spaced: bool = False
    """As json.dumps writes it by default: a space behind each comma and colon, only ASCII."""
    rfc3339: bool = False


HEADLINE = Form("headline", "24 numbers of mixed length, 477 bytes")
KINDS = (
    HEADLINE,
    Form("four", "24 numbers, 4 decimals", numbers="four"),
    Form("full", "24 numbers, all 17 digits", numbers="full"),
    Form("categories", "16 numbers, 8 categories", categories=GROUPS),
    Form("unknown", "headline and 10 unknown fields", unknown=10),
    Form("spaced", "headline as json.dumps writes it", spaced=True),
    Form("rfc3339", "headline, RFC 3339 time", rfc3339=True),
    Form("escaped", "16 numbers, 8 categories with escapes", categories=ESCAPED, spaced=True),
)


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of record with all that reads it."""

    kind: Form
    values: list[bytes]
    source: SourcePlan
    plan: ModelPlan
    reference: Reference
    layout: Layout

    @property
    def size(self) -> float:
        return sum(map(len, self.values)) / len(self.values)

    def decoder(self) -> Decoder:
        return Decoder(self.source, {MODEL: self.plan}, {MODEL: self.reference})

    def batches(self, *, apart: bool = False) -> list[Batch]:
        """All records in batches of BATCH, as the consumer hands them over; `apart`: a bytes object for each."""
        return [self._batch(start, apart=apart) for start in range(0, len(self.values), BATCH)]

    def partition(self) -> Partition:
        return Partition(Source("t", 0), self.source, {MODEL: Model(self.plan, self.layout)}, position=0)

    def struct(self) -> type[msgspec.Struct]:
        """What a user of msgspec would declare for these records."""
        kinds = {f.name: float | None if f.kind is Kind.NUMERIC else str | None for f in self.plan.features}
        features = msgspec.defstruct("Features", [(name, kind, None) for name, kind in kinds.items()])
        time = str if self.kind.rfc3339 else int
        fields = [("id", str), ("ts", time), ("model", str), ("version", str), ("features", features)]
        return msgspec.defstruct("Record", fields)

    def _batch(self, start: int, *, apart: bool) -> Batch:
        part = self.values[start : start + BATCH]
        none: list[None] = [None] * len(part)
        offsets = np.arange(start, start + len(part))
        values = part if apart else packed(part)
        return Batch(Source("t", 0), values, none, none, offsets, np.full(len(part), START, np.int64))


def packed(values: list[bytes]) -> Packed:
    """These values side by side, as `monitor.intake.fetch` copies them out of the client's buffers."""
    ends = np.cumsum([len(value) + 1 for value in values]) - 1
    data = np.frombuffer(b"\n".join([*values, bytes(PADDING)]), np.uint8)
    return Packed(data, ends - [len(value) for value in values], ends)


@remember
def job(kind: Form = HEADLINE, *, rows: int = 50_000, seed: int = 1) -> Job:
    """`rows` records of a kind; the same for the same seed."""
    columns = table(kind, rows=rows, seed=seed)
    declared = [
        FeatureDeclaration(name, ("features", name), Kind.NUMERIC if column.dtype == float else Kind.CATEGORICAL)
        for name, column in columns.items()
    ]  # fmt: skip
    learnt = table(kind, rows=20_000, seed=seed + 1)
    reference = build(Table(learnt), model=MODEL, name="r", features=declared)
    plan = ModelPlan(
        name=MODEL, source="s", rules=(), pane=60_000, budget=Budget(2, 30 * 86_400_000), config="c",
        features=tuple(FeaturePlan(f.name, f.path, f.kind or Kind.NUMERIC) for f in declared),
        windows=(WindowSpec("1h", 3_600_000, 3_600_000),),
    )  # fmt: skip
    source = SourcePlan(
        name="s", topic="t", id=("id",), time=("ts",), model=("model",), version=("version",), models=(MODEL,),
        time_unit=TimeUnit.RFC3339 if kind.rfc3339 else TimeUnit.MILLISECONDS,
    )  # fmt: skip
    return Job(kind, encode(kind, columns, seed=seed), source, plan, reference, reference.layout())


def table(kind: Form, *, rows: int, seed: int) -> dict[str, np.ndarray]:
    """The features as columns: float64, or object of str."""
    generator = np.random.default_rng(seed)
    columns: dict[str, np.ndarray] = {}
    for at, name in enumerate(NAMES[:16] + CATEGORICAL if kind.categories else NAMES):
        if kind.categories and at >= 16:
            columns[name] = generator.choice(np.array(kind.categories, object), rows)
        elif kind.numbers == "mixed":
            columns[name] = _mixed(generator, at, rows)
        else:
            drawn = generator.normal(size=rows)
            columns[name] = np.round(drawn, 4) if kind.numbers == "four" else drawn
    return columns


def encode(kind: Form, columns: dict[str, np.ndarray], *, seed: int) -> list[bytes]:
    """One JSON text per row. The ids of the headline kind are as long as brings the mean to BYTES."""
    lists = [column.tolist() for column in columns.values()]
    extra = {f"meta_{n}": _unknown(n) for n in range(kind.unknown)}
    write = _default if kind.spaced else msgspec.json.Encoder().encode
    texts = [
        write({
            "id": "", "ts": _time(START + n, kind), "model": MODEL, "version": "7", **extra,
            "features": dict(zip(columns, row, strict=True)),
        })
        for n, row in enumerate(zip(*lists, strict=True))
    ]  # fmt: skip
    room = BYTES * len(texts) - sum(map(len, texts)) if kind.name == "headline" else 16 * len(texts)
    digits = np.random.default_rng(seed + 2).integers(0, 16, (len(texts), room // len(texts) + 1))
    marker = b'"id": "' if kind.spaced else b'"id":"'
    short = len(texts) - room % len(texts)
    return [
        text.replace(marker, marker + _hex(row[: room // len(texts) + (n >= short)]), 1)
        for n, (text, row) in enumerate(zip(texts, digits, strict=True))
    ]


def _mixed(generator: np.random.Generator, at: int, rows: int) -> np.ndarray:
    match at % 6:
        case 0:
            return generator.poisson(30, rows).astype(float)
        case 1:
            return np.round(generator.lognormal(5, 1, rows), 2)
        case 2:
            return np.round(generator.beta(2, 5, rows), 4)
        case 3:
            return np.round(generator.normal(size=rows), 4)
        case 4:
            return np.round(generator.gamma(2, 100, rows), 3)
        case _:
            return np.round(generator.normal(size=rows), 6)


def _time(ms: int, kind: Form) -> int | str:
    if not kind.rfc3339:
        return ms
    return f"2026-01-01T{ms // 3_600_000 % 24:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}Z"


def _unknown(n: int) -> object:
    return [f"trace-{n:08x}", n * 1.5, {"host": f"node-{n}", "ok": True}, [1, 2, 3], None][n % 5]


def _default(value: object) -> bytes:
    return json.dumps(value).encode()


def _hex(digits: np.ndarray) -> bytes:
    return bytes(b"0123456789abcdef"[digit] for digit in digits)
