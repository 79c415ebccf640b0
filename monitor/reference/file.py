"""The reference file: plain, versioned, checked before anything of it is used.

    driftline-reference {format}\\n
    {header: one line of JSON}\\n
    {arrays: little-endian, C order, each compressed with zlib, in the header's order}
    sha256 {hex digest of all bytes above}\\n

Nothing in it can be executed. Equal references give equal bytes.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernels.layout import FREQUENCIES
from monitor.errors import ReferenceInvalid, ReferenceTooNew
from monitor.plan import LONGEST_VECTOR, Kind
from monitor.reference import calibrated, sampled, segments
from monitor.reference.check import check
from monitor.reference.header import DTYPES, ArrayEntry, Header, entry_of, profile_of
from monitor.reference.profile import FeatureProfile, Panes, Reference
from monitor.reference.vector import VectorProfile

VERSION = 6
"""Newest format that is read. Written is the oldest that holds a reference: 2 has vector features, 3 segments,
4 sampled rows, 5 groups, 6 labelled rows by score."""
MAGIC = b"driftline-reference "
TRAILER = len(b"sha256 " + b"0" * 64 + b"\n")
MAX_FILE = 1 << 30
"""Bytes of a file that is read at all; one of 500 features and 2,000 panes has about 100 MB."""
MAX_ARRAYS = 4 << 30
"""Bytes of all arrays unpacked; a small file must not fill the memory (zlib packs up to 1,000 : 1)."""

_PANES = {
    "starts": "<i8",
    "indptr": "<i8",
    "slots": "<i4",
    "values": "<i8",
    "rows": "<i8",
    "errors": "<i8",
    "latency_indptr": "<i8",
    "latency_bins": "<i4",
    "latency_values": "<i8",
}
_VECTORS = {
    "vector_center": "<f8",
    "vector_scale": "<f8",
    "waves": "<i2",
    "phases": "<i4",
    "vectors": "<i8",
    "pane_vectors": "<i8",
}
"""Of all vector features, one after another; there where there are any."""
_WHOLE = {"edges": "<f8", "coarse": "<i2", "tail": "<i8", "counts": "<i8", "latency": "<i8"}


def write(reference: Reference, path: str | Path) -> str:
    """Write the file in one step (temporary file, fsync, rename) and return its digest.

    Raises ReferenceInvalid when the reference is not consistent; nothing is written then.
    """
    check(reference, where=str(path))
    content = pack(reference)
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise ReferenceInvalid(
            f"the file cannot be written ({error.strerror}) - {target} - a writable folder is right"
        ) from error
    return digest_of(content)


def read(path: str | Path) -> Reference:
    """The reference in a file. Everything in it is taken as untrusted input.

    Raises ReferenceInvalid with what is wrong and where, ReferenceTooNew for a later version.
    """
    where = str(path)
    try:
        size = Path(path).stat().st_size
        if size > MAX_FILE:
            raise ReferenceInvalid(f"{size} bytes - {where} - at most {MAX_FILE} bytes are right")
        content = Path(path).read_bytes()
    except OSError as error:
        raise ReferenceInvalid(
            f"the file cannot be read ({error.strerror}) - {where} - a file that"
            " `driftline reference build` wrote is right"
        ) from error
    return unpack(content, where=where)


def pack(reference: Reference) -> bytes:
    """The bytes of a reference file."""
    entries, blobs = [], []
    for name, dtype, array in _arrays(reference):
        plain = np.ascontiguousarray(array, np.dtype(dtype))
        blob = zlib.compress(plain.tobytes(), 6)
        entries.append(ArrayEntry(name, dtype, plain.shape, len(blob)))
        blobs.append(blob)
    header = Header(
        model=reference.model,
        name=reference.name,
        created=reference.created,
        origin=dict(reference.origin),
        pane=reference.pane,
        timed=reference.timed,
        rows=reference.rows,
        errors=reference.errors,
        notes=tuple(reference.notes),
        features=tuple(entry_of(profile) for profile in reference.features),
        arrays=tuple(entries),
        segments=segments.entries(reference),
        sample=len(reference.sample),
        calibrated=len(reference.calibration) > 0,
    )
    text = msgspec.json.encode(header, order="deterministic")
    body = b"".join([MAGIC, b"%d\n" % _version(header), text, b"\n", *blobs])
    return body + b"sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"


def digest_of(content: bytes) -> str:
    """The digest that a packed reference carries at its end."""
    return content[-65:-1].decode("ascii")


def unpack(content: bytes, *, where: str) -> Reference:
    """The reference in `content`, checked in full; `where` is named in errors."""
    body = _body(content, where=where)
    header, offset = _header(body, where=where)
    arrays = _unpacked(header, body, offset, where=where)
    reference = _assembled(header, arrays, where=where)
    check(reference, where=where)
    return replace(reference, digest=digest_of(content))


def _body(content: bytes, *, where: str) -> bytes:
    if not content.startswith(MAGIC):
        raise ReferenceInvalid(
            f"this is no reference file - {where}, byte 0 - a file that `driftline reference build` wrote is right"
        )
    version = content[len(MAGIC) : len(MAGIC) + 9].split(b"\n")[0]
    if not version.isdigit():
        raise ReferenceInvalid(f"the version is unreadable - {where}, line 1 - a number is right")
    if int(version) > VERSION:
        raise ReferenceTooNew(
            f"written by a newer driftline (format {int(version)}) - {where} - format {VERSION} or older is"
            " right; upgrade driftline or build the reference anew"
        )
    body, trailer = content[:-TRAILER], content[-TRAILER:]
    if trailer != b"sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n":
        raise ReferenceInvalid(
            f"the content does not match its checksum - {where} - a complete, unchanged file is right"
        )
    return body


def _header(body: bytes, *, where: str) -> tuple[Header, int]:
    start = body.index(b"\n") + 1
    end = body.find(b"\n", start)
    if end < 0:
        raise ReferenceInvalid(f"the header does not end - {where}, line 2 - one line of JSON is right")
    try:
        return msgspec.json.decode(body[start:end], type=Header), end + 1
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReferenceInvalid(
            f"the header is not valid ({error}) - {where}, line 2 - the header of format {VERSION} is right"
        ) from error


def _unpacked(header: Header, body: bytes, offset: int, *, where: str) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    total = 0
    expected = _PANES | _WHOLE | (_VECTORS if _has_vectors(header) else {})
    expected |= segments.ARRAYS if header.segments else {}
    expected |= sampled.ARRAYS if header.sample else {}
    expected |= calibrated.ARRAYS if header.calibrated else {}
    for entry in header.arrays:
        if expected.get(entry.name) != entry.dtype or entry.name in arrays:
            raise ReferenceInvalid(
                f"array {entry.name!r} of {entry.dtype!r} - {where}, header - one array each of"
                f" {', '.join(expected)} in format {VERSION} is right"
            )
        if len(entry.shape) != 1 or entry.shape[0] < 0 or entry.stored < 0:
            raise ReferenceInvalid(f"shape {entry.shape} - {where}, array {entry.name} - one length is right")
        size = entry.shape[0] * np.dtype(entry.dtype).itemsize
        total += size
        if total > MAX_ARRAYS or offset + entry.stored > len(body):
            raise ReferenceInvalid(
                f"{size} bytes in {entry.stored} stored ones - {where}, array {entry.name} - arrays that fit"
                f" the file and {MAX_ARRAYS} bytes together are right"
            )
        plain = _inflate(body[offset : offset + entry.stored], size, where=f"{where}, array {entry.name}")
        arrays[entry.name] = np.frombuffer(plain, np.dtype(entry.dtype)).astype(
            DTYPES[entry.dtype], copy=False
        )
        offset += entry.stored
    missing = expected.keys() - arrays.keys()
    if missing == {"sample_panes"}:
        raise ReferenceInvalid(
            f"rows were kept without their panes, as before panes were kept - {where} - built again it is right"
        )
    if missing or offset != len(body):
        raise ReferenceInvalid(
            f"{len(body) - offset} bytes left over, missing arrays: {', '.join(sorted(missing)) or 'none'} -"
            f" {where} - exactly the arrays of the header are right"
        )
    return arrays


def _inflate(blob: bytes, size: int, *, where: str) -> bytes:
    """Exactly `size` bytes; never unpacks more than one byte beyond."""
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(blob, size + 1)
    except zlib.error as error:
        raise ReferenceInvalid(f"compressed data is damaged - {where} - zlib data is right") from error
    if len(plain) != size or not inflater.eof or inflater.unused_data:
        raise ReferenceInvalid(f"not {size} bytes unpacked - {where} - the length of the header is right")
    return plain


def _assembled(header: Header, arrays: dict[str, NDArray[Any]], *, where: str) -> Reference:
    bins = [entry.bins if entry.kind is Kind.NUMERIC else 0 for entry in header.features]
    _require_bins(header, arrays, where=where)
    _require_tails(header, arrays["tail"], where=where)
    vectors = _vectors(header, arrays, where=where)
    profiles: list[FeatureProfile] = []
    edge = group = rare = 0
    for entry, count in zip(header.features, bins, strict=True):
        edges = count + 1 if entry.kind is Kind.NUMERIC else 0
        profiles.append(
            profile_of(
                entry,
                edges=arrays["edges"][edge : edge + edges],
                coarse=arrays["coarse"][group : group + count],
                tail=arrays["tail"][rare : rare + entry.tail].view(np.uint64),
                vector=vectors.get(entry.name),
            )
        )
        edge, group, rare = edge + edges, group + count, rare + entry.tail
    return Reference(
        model=header.model,
        name=header.name,
        created=header.created,
        origin=header.origin,
        features=tuple(profiles),
        panes=Panes(**{name: arrays[name] for name in _PANES}, vectors=_pane_vectors(arrays)),
        pane=header.pane,
        timed=header.timed,
        rows=header.rows,
        errors=header.errors,
        counts=arrays["counts"],
        latency=arrays["latency"],
        notes=header.notes,
        vectors=arrays.get("vectors", np.zeros(0, np.int64)),
        segments=segments.assembled(header.segments, arrays, features=len(profiles), where=where),
        calibration=calibrated.assembled(arrays.get("calibration"), header.segments, where=where),
        sample=sampled.assembled(
            arrays.get("sample"), rows=header.sample, features=len(profiles), where=where
        ),
        sampled=arrays.get("sample_panes", np.zeros(0, np.int64)),
    )


def _version(header: Header) -> int:
    """The oldest format that holds it."""
    if header.calibrated:
        return 6
    if any(entry.members for entry in header.features):
        return 5
    return 4 if header.sample else 3 if header.segments else 2 if _has_vectors(header) else 1


def _has_vectors(header: Header) -> bool:
    return any(entry.kind is Kind.VECTOR for entry in header.features)


def _vectors(header: Header, arrays: dict[str, NDArray[Any]], *, where: str) -> dict[str, VectorProfile]:
    """The vector part of each vector feature, by name."""
    entries = [entry for entry in header.features if entry.kind is Kind.VECTOR]
    if not entries:
        return {}
    lengths = [entry.length for entry in entries]
    if not all(1 <= length <= LONGEST_VECTOR for length in lengths):
        raise ReferenceInvalid(
            f"vectors of {lengths} numbers - {where}, header - 1 to {LONGEST_VECTOR} are right"
        )
    dims, words = sum(lengths), sum(3 * length + FREQUENCIES for length in lengths)
    right = {
        "vector_center": dims,
        "vector_scale": dims,
        "waves": dims * FREQUENCIES,
        "phases": len(entries) * FREQUENCIES,
        "vectors": words,
        "pane_vectors": len(arrays["rows"]) * (words - 2 * dims),
    }
    for name, size in right.items():
        if len(arrays[name]) != size:
            raise ReferenceInvalid(f"{len(arrays[name])} {name} - {where} - {size} would be right")
    found, low = {}, 0
    for at, entry in enumerate(entries):
        high = low + entry.length
        waves = arrays["waves"][low * FREQUENCIES : high * FREQUENCIES]
        found[entry.name] = VectorProfile(
            center=arrays["vector_center"][low:high],
            scale=arrays["vector_scale"][low:high],
            waves=waves.reshape(FREQUENCIES, entry.length),
            phases=arrays["phases"][at * FREQUENCIES : (at + 1) * FREQUENCIES],
            shift=entry.shift,
            bandwidth=entry.bandwidth,
            traces=entry.traces,
        )
        low = high
    return found


def _pane_vectors(arrays: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
    """int64[panes, mean words], of no words without vector features."""
    panes, flat = len(arrays["rows"]), arrays.get("pane_vectors", np.zeros(0, np.int64))
    return flat.reshape(panes, len(flat) // max(panes, 1))


def _require_bins(header: Header, arrays: dict[str, NDArray[Any]], *, where: str) -> None:
    bins = [entry.bins for entry in header.features if entry.kind is Kind.NUMERIC]
    if any(count < 1 for count in bins):
        raise ReferenceInvalid(f"a numeric feature without bins - {where}, header - at least one is right")
    if len(arrays["coarse"]) != sum(bins) or len(arrays["edges"]) != sum(bins) + len(bins):
        raise ReferenceInvalid(
            f"{len(arrays['edges'])} edges, {len(arrays['coarse'])} coarse groups - {where} - those of"
            f" {sum(bins)} bins of {len(bins)} numeric features are right"
        )


def _require_tails(header: Header, tail: NDArray[Any], *, where: str) -> None:
    sizes = [entry.tail for entry in header.features]
    if min(sizes, default=0) < 0 or len(tail) != sum(sizes):
        raise ReferenceInvalid(f"{len(tail)} hashes of rare categories - {where} - {sum(sizes)} are right")


def _arrays(reference: Reference) -> list[tuple[str, str, NDArray[Any]]]:
    numeric = [profile for profile in reference.features if profile.kind is Kind.NUMERIC]
    whole = {
        "edges": np.concatenate([profile.edges for profile in numeric]) if numeric else np.empty(0),
        "coarse": np.concatenate([profile.coarse for profile in numeric]) if numeric else np.empty(0),
        "tail": np.concatenate([profile.tail for profile in reference.features]).view(np.int64),
        "counts": reference.counts,
        "latency": reference.latency,
    }
    panes = [(name, dtype, getattr(reference.panes, name)) for name, dtype in _PANES.items()]
    found = panes + [(name, dtype, whole[name]) for name, dtype in _WHOLE.items()]
    vectors = [profile.vector for profile in reference.features if profile.vector is not None]
    if vectors:
        own = {
            "vector_center": np.concatenate([vector.center for vector in vectors]),
            "vector_scale": np.concatenate([vector.scale for vector in vectors]),
            "waves": np.concatenate([vector.waves.ravel() for vector in vectors]),
            "phases": np.concatenate([vector.phases for vector in vectors]),
            "vectors": reference.vectors,
            "pane_vectors": reference.panes.vectors.ravel(),
        }
        found += [(name, dtype, own[name]) for name, dtype in _VECTORS.items()]
    return found + segments.arrays(reference) + sampled.arrays(reference) + calibrated.arrays(reference)


def _sync_folder(folder: Path) -> None:
    """Make the rename durable. Some file systems refuse to sync a folder; then it is as safe as they are."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
