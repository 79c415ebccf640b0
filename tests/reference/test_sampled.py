"""Rows of a reference that are kept: a fair part of them, and untrusted when they come from a file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from monitor.errors import ReferenceInvalid
from monitor.plan import Kind
from monitor.reference.build import BuildSettings, build
from monitor.reference.file import TRAILER, pack, unpack
from monitor.reference.table import FeatureDeclaration, Table

ROWS = 40_000
DECLARED = (FeatureDeclaration("x", kind=Kind.NUMERIC), FeatureDeclaration("c", kind=Kind.CATEGORICAL))


KEPT = 16_384
SAMPLED = BuildSettings(sample=KEPT)


def table() -> Table:
    rng = np.random.default_rng(1)
    carrier = rng.choice(np.array(["9E", "EV", "B6"], object), ROWS, p=[0.2, 0.3, 0.5])
    return Table({"x": rng.normal(size=ROWS) + (carrier == "9E"), "c": carrier})


WHOLE = table()
REFERENCE = build(WHOLE, model="m", name="r", features=DECLARED, settings=SAMPLED)


def test_a_fair_part_of_the_rows_is_kept() -> None:
    """Shares of slots are those of all rows, and values that occur together stay together."""
    sample = REFERENCE.sample
    assert sample.shape == (KEPT, 2)
    for feature, profile in enumerate(REFERENCE.features):
        start = REFERENCE.layout().start[feature]
        share = REFERENCE.counts[start : start + profile.slots] / ROWS
        found = np.bincount(sample[:, feature], minlength=profile.slots) / len(sample)
        assert np.abs(found - share).max() < 0.02
    slot = 3 + REFERENCE.features[1].categories.index("9E")
    own = sample[:, 1] == slot
    assert sample[own, 0].mean() > sample[~own, 0].mean() + 40


def test_cuts_of_the_table_change_nothing() -> None:
    """The same rows are kept whatever chunks they come in; of few rows all are."""
    parts = [
        Table({name: column[low : low + 7_001] for name, column in WHOLE.columns.items()})
        for low in range(0, ROWS, 7_001)
    ]
    again = build(parts, model="m", name="r", features=DECLARED, settings=SAMPLED)
    assert pack(again) == pack(REFERENCE)
    few = build(
        Table({n: c[:50] for n, c in WHOLE.columns.items()}),
        model="m",
        name="r",
        features=DECLARED,
        settings=SAMPLED,
    )
    assert len(few.sample) == 50


def test_a_file_keeps_them_and_older_files_have_none() -> None:
    """They come back to the bit; a reference without them is of the format that it was before."""
    np.testing.assert_array_equal(unpack(pack(REFERENCE), where="x").sample, REFERENCE.sample)
    np.testing.assert_array_equal(unpack(pack(REFERENCE), where="x").sampled, REFERENCE.sampled)
    old = pack(replace(REFERENCE, sample=np.zeros((0, 0), np.uint16), sampled=np.zeros(0, np.int64)))
    assert old.startswith(b"driftline-reference 1\n")
    assert len(unpack(old, where="x").sample) == 0


def test_rows_without_their_panes_are_to_be_built_again() -> None:
    """As the first files with rows had them: a person is told what to do, not which array there is not."""
    magic, header, rest = pack(REFERENCE)[:-TRAILER].split(b"\n", 2)
    data = json.loads(header)
    (panes,) = (one for one in data["arrays"] if one["name"] == "sample_panes")
    at = sum(one["stored"] for one in data["arrays"][: data["arrays"].index(panes)])
    data["arrays"].remove(panes)
    body = b"\n".join([magic, json.dumps(data).encode(), rest[:at] + rest[at + panes["stored"] :]])
    with pytest.raises(ReferenceInvalid, match=r"without their panes, .* - x - built again it is right"):
        unpack(body + b"sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n", where="x")


def test_rows_are_kept_with_their_panes() -> None:
    """As many of each as its rows, in the order of panes; rows without a time are of no pane, and not kept."""
    events = np.random.default_rng(2).integers(0, 40, ROWS) * 60_000
    hour = Table(WHOLE.columns | {"x": events.astype(float)}, events=events)
    own = build(hour, model="m", name="r", features=DECLARED, pane=60_000, settings=SAMPLED)
    assert len(own.panes) == len(own.sampled) == 40
    assert np.abs(own.sampled / KEPT - own.panes.rows / ROWS).max() < 0.005
    x = own.sample[:, 0]
    assert (np.diff(x.astype(int)) >= 0).all()  # x is the time itself
    assert [len(set(part.tolist())) for part in np.split(x, np.cumsum(own.sampled)[:-1])] == [1] * 40
    assert REFERENCE.sampled.tolist() == [KEPT]


@pytest.mark.parametrize("sampled", [[KEPT - 1], [KEPT, 0], [ROWS + 1], []])
def test_sampled_rows_that_are_of_no_pane_are_refused(sampled) -> None:
    """Their season is told by it."""
    with pytest.raises(ReferenceInvalid):
        unpack(pack(replace(REFERENCE, sampled=np.array(sampled, np.int64))), where="x")


def test_codes_without_a_slot_are_refused() -> None:
    """They number slots in arrays whose bounds nobody checks again."""
    bad = REFERENCE.sample.copy()
    bad[7, 1] = 6
    with pytest.raises(ReferenceInvalid, match="sampled rows"):
        unpack(pack(replace(REFERENCE, sample=bad)), where="x")
