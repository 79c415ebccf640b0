"""Sketches, markers and progress ↔ bytes, for every state log.

The body of a sketch is a MessagePack array (`_Body`), that of a marker or of progress sorted JSON;
the outer form is `state.envelope`. Equal content gives an equal body, hence an equal digest.

Stored bytes are untrusted input: arrays from here go into kernels that check no bounds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernels.layout import SUM_WORDS, Layout
from monitor.errors import StateTooNew
from monitor.joinable import RowsDamaged
from monitor.joinable import check as check_rows
from monitor.names import REASONS, SketchKey, Source
from monitor.pack import Packed, check, pack, unpack
from monitor.sample import check as check_sample
from monitor.sketch import Sketch
from monitor.state.envelope import Form, damaged, seal, unseal
from monitor.state.log import Counted, Marker, Progress

_INT64 = (1 << 63) - 1
_ARRAYS = ("sums", "violations", "rejects", "vectors")
"""Those that are held unpacked; counts and latency stay as they are."""


_Count = Annotated[int, msgspec.Meta(ge=0, le=_INT64)]
_Integer = Annotated[int, msgspec.Meta(ge=-_INT64 - 1, le=_INT64)]


class Shape(NamedTuple):
    """What a reader expects of a sketch's arrays."""

    slots: int
    numeric: int
    categorical: int
    rules: int
    words: int = 0
    features: int = -1
    """Of a sample; -1: any number."""

    @classmethod
    def of(cls, layout: Layout, rules: int) -> Shape:
        words = layout.vectors.words
        return cls(layout.slots, layout.numeric, layout.categorical, rules, words, layout.features)


class _Body(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Strings are UTF-8 with lone surrogates passed, as JSON can carry them."""

    model: bytes
    config: bytes
    version: bytes
    variant: bytes
    segment: bytes
    pane: _Integer
    topic: bytes
    partition: _Count
    applied: _Count
    rows: _Count
    errors: _Count
    first: _Integer
    last: _Integer
    counts: bytes
    sums: bytes
    extremes: bytes
    latency: bytes
    violations: bytes
    rejects: bytes
    novel: tuple[tuple[_Count, tuple[tuple[bytes, _Count], ...]], ...]


class _VectorBody(_Body, array_like=True, forbid_unknown_fields=True):
    """Written only where there are vector features: all other sketches keep their digests."""

    vectors: bytes = pack(np.zeros(0, np.int64))


class _SampleBody(_VectorBody, array_like=True, forbid_unknown_fields=True):
    """Written only where rows were sampled."""

    sample: bytes = b""


class _JoinBody(_SampleBody, array_like=True, forbid_unknown_fields=True):
    """Written only where labels are joined."""

    joinable: bytes = b""


class _Marker(msgspec.Struct, forbid_unknown_fields=True):
    source: tuple[str, _Count]
    applied: _Count
    start: _Count
    watermark: _Integer
    largest: tuple[_Integer, ...]
    live: dict[str, _Integer]
    since: _Integer
    records: _Count
    tallies: dict[str, _Count] | None
    epoch: _Integer
    counted: dict[str, Counted] | None = None
    topic_id: str = ""


class _Progress(msgspec.Struct, forbid_unknown_fields=True):
    source: tuple[str, _Count]
    applied: _Count
    end: _Integer
    watermark: _Integer
    idle: bool
    paused: str
    observed: _Integer
    since: _Integer
    counted: dict[str, Counted] | None = None


_body_encoder = msgspec.msgpack.Encoder()
_body_decoder = msgspec.msgpack.Decoder(_JoinBody)


def encode(record: Sketch | Marker | Progress) -> bytes:
    """Bytes of a record; equal content gives equal bytes."""
    if isinstance(record, Sketch):
        return seal(Form.SKETCH, _sketch_body(record))
    form = Form.MARKER if isinstance(record, Marker) else Form.PROGRESS
    return seal(form, json.dumps(_plain(record), sort_keys=True, separators=(",", ":")).encode())


def encode_sketch(sketch: Sketch, *, compress: bool = True) -> tuple[bytes, bytes]:
    """Bytes and digest, for the price of one."""
    body = _sketch_body(sketch)
    return seal(Form.SKETCH, body, compress=compress), _digest(body)


def digest(sketch: Sketch) -> bytes:
    """16 bytes that depend only on the content, not on compression or the machine."""
    return _digest(_sketch_body(sketch))


def decode_sketch(data: bytes, *, expected: Shape | None = None) -> Sketch:
    """The sketch in `data`, its counts still packed. Raises StateDamaged, StateTooNew."""
    try:
        body = _body_decoder.decode(unseal(Form.SKETCH, data))
    except msgspec.MsgspecError as error:
        raise damaged(Form.SKETCH, str(error)) from error
    sketch = _sketch(body)
    if expected is not None:
        _match(sketch, expected)
    return sketch


def decode_marker(data: bytes) -> Marker:
    """The marker in `data`. Raises StateDamaged, StateTooNew."""
    stored = _read(Form.MARKER, data, _Marker)
    source = Source(*stored.source)
    fields = {name: getattr(stored, name) for name in _Marker.__struct_fields__ if name != "source"}
    return Marker(source=source, **fields)


def decode_progress(data: bytes) -> Progress:
    """The progress in `data`. Raises StateDamaged, StateTooNew."""
    stored = _read(Form.PROGRESS, data, _Progress)
    source = Source(*stored.source)
    fields = {name: getattr(stored, name) for name in _Progress.__struct_fields__ if name != "source"}
    return Progress(source=source, **fields)


def encode_key(key: SketchKey) -> bytes:
    """A unique, stable name of a key."""
    *names, pane, source = key
    parts = [_utf8(str(name)) for name in names]
    return _body_encoder.encode((*parts, pane, _utf8(source.topic), source.partition))


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()


def _sketch_body(sketch: Sketch) -> bytes:
    key = sketch.key
    novel = tuple(
        (column, tuple(sorted((_utf8(text), count) for text, count in values.items())))
        for column, values in sorted(sketch.novel.items())
        if values
    )
    body = _Body(
        model=_utf8(key.model),
        config=_utf8(key.config),
        version=_utf8(key.version),
        variant=_utf8(key.variant),
        segment=_utf8(key.segment),
        pane=int(key.pane),
        topic=_utf8(key.source.topic),
        partition=int(key.source.partition),
        applied=int(sketch.applied),
        rows=int(sketch.rows),
        errors=int(sketch.errors),
        first=int(sketch.first),
        last=int(sketch.last),
        counts=sketch.packed("counts").data,
        sums=pack(sketch.sums.reshape(-1), signed=True),
        extremes=sketch.extremes.astype("<f8").tobytes(),
        latency=sketch.packed("latency").data,
        violations=pack(sketch.violations),
        rejects=pack(np.trim_zeros(sketch.rejects, "b")),  # so that a new reason changes no digest
        novel=novel,
    )
    if len(sketch.vectors) or sketch.sample or sketch.joinable:
        body = _VectorBody(**msgspec.structs.asdict(body), vectors=pack(sketch.vectors, signed=True))
    if sketch.sample or sketch.joinable:
        body = _SampleBody(**msgspec.structs.asdict(body), sample=sketch.sample)
    if sketch.joinable:
        body = _JoinBody(**msgspec.structs.asdict(body), joinable=sketch.joinable)
    return _body_encoder.encode(body)


def _sketch(body: _JoinBody) -> Sketch:
    arrays = {name: unpack(getattr(body, name), name) for name in _ARRAYS}
    for name in ("counts", "latency", "violations", "rejects"):
        check(getattr(body, name), name)
    if not -1 <= body.first <= body.last:
        raise damaged(Form.SKETCH, f"offsets from {body.first} to {body.last}")
    if len(body.extremes) % 16 or len(arrays["sums"]) != len(body.extremes) // 16 * SUM_WORDS:
        raise damaged(Form.SKETCH, "sums and extremes of different length")
    extremes = np.frombuffer(body.extremes, "<f8").astype(np.float64).reshape(-1, 2)
    if np.isnan(extremes).any():
        raise damaged(Form.SKETCH, "an extreme that is not a number")
    if body.sample:
        check_sample(body.sample)
    if body.joinable:
        try:
            check_rows(body.joinable)
        except RowsDamaged as error:
            raise damaged(Form.SKETCH, str(error)) from error
    return Sketch(
        key=_key(body), applied=body.applied, rows=body.rows, errors=body.errors,
        counts=Packed(body.counts), sums=arrays["sums"].reshape(-1, SUM_WORDS), extremes=extremes,
        latency=Packed(body.latency), violations=arrays["violations"], rejects=_padded(arrays["rejects"]),
        first=body.first, last=body.last, novel=_novel(body), vectors=arrays["vectors"],
        sample=body.sample, joinable=body.joinable,
    )  # fmt: skip


def _key(body: _Body) -> SketchKey:
    return SketchKey(
        model=_text(body.model),
        config=_text(body.config),
        version=_text(body.version),
        variant=_text(body.variant),
        segment=_text(body.segment),
        pane=body.pane,
        source=Source(_text(body.topic), body.partition),
    )


def _novel(body: _Body) -> dict[int, dict[str, int]]:
    return {column: {_text(text): count for text, count in values} for column, values in body.novel}


def _padded(rejects: NDArray[np.int64]) -> NDArray[np.int64]:
    """Reasons that were added since have none."""
    if len(rejects) > len(REASONS):
        raise StateTooNew(
            f"stored sketch counts {len(rejects)} reasons - state log - this driftline knows "
            f"{len(REASONS)}: use the newer driftline that wrote it"
        )
    padded = np.zeros(len(REASONS), np.int64)  # np.pad costs a quarter of decoding a small sketch
    padded[: len(rejects)] = rejects
    return padded


def _match(sketch: Sketch, expected: Shape) -> None:
    found = (len(sketch.counts), len(sketch.extremes), len(sketch.violations), len(sketch.vectors))
    wanted = (expected.slots, expected.numeric, expected.rules, expected.words)
    if found != wanted or any(column >= expected.categorical for column in sketch.novel):
        raise damaged(
            Form.SKETCH, f"{found} slots, numeric features, rules, words of vectors instead of {wanted}"
        )
    if sketch.sample and expected.features not in (-1, check_sample(sketch.sample)):
        raise damaged(Form.SKETCH, f"a sample that is not of {expected.features} features")


def _plain(record: Marker | Progress) -> dict[str, Any]:
    fields = {name: getattr(record, name) for name in type(record).__slots__}
    if record.counted is not None:  # what is not ahead is not written: older processes can read that
        fields["counted"] = {name: one if one.ahead else one[:2] for name, one in record.counted.items()}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in fields.items()}


_Stored = TypeVar("_Stored")


def _read(form: Form, data: bytes, kind: type[_Stored]) -> _Stored:
    try:
        # json and not msgspec reads it: a name may hold a lone surrogate, as JSON allows.
        return msgspec.convert(json.loads(unseal(form, data)), kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise damaged(form, str(error)) from error


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise damaged(Form.SKETCH, str(error)) from error
