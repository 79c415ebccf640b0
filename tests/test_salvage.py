"""A decoder that breaks on some records costs those records only."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.columns import Batch, Reject
from monitor.intake.decode import Scanned
from monitor.names import Reason, Source
from monitor.salvage import cut, scan


class Fragile:
    """Rejects records that begin with r, breaks on those that begin with b."""

    def scan(self, batch: Batch) -> Scanned:
        if any(value.startswith(b"b") for value in batch.values):
            raise ZeroDivisionError("a defect")
        rejects = [
            Reject(at, Reason.DECODE, "") for at, value in enumerate(batch.values) if value.startswith(b"r")
        ]
        return Scanned(columns=(), rejects=tuple(rejects))


def batch_of(values: list[bytes]) -> Batch:
    none = [None] * len(values)
    offsets = np.arange(len(values), dtype=np.int64) + 50
    return Batch(Source("t", 0), values, none, none, offsets, offsets)


@given(st.lists(st.sampled_from([b"good", b"bad", b"reject"]), min_size=1, max_size=40))
def test_only_the_culprits_are_rejected(values: list[bytes]) -> None:
    """Good records pass, rejects keep their reason, and what broke the decoder is rejected at its own place."""
    scanned = scan(Fragile(), batch_of(values))
    found = {reject.index: "internal error" in reject.detail for reject in scanned.rejects}
    assert found == {at: value == b"bad" for at, value in enumerate(values) if value != b"good"}


def test_a_cut_keeps_every_field_in_step() -> None:
    """Values and offsets of a part are those of its records."""
    part = cut(batch_of([b"0", b"1", b"2", b"3"]), 1, 3)
    assert (part.values, part.offsets.tolist(), len(part)) == ([b"1", b"2"], [51, 52], 2)
