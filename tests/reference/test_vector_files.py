"""Vectors in training files and topics, and in records that nobody has described yet."""

from __future__ import annotations

import json

import numpy as np
import pytest

from monitor.config.load import load
from monitor.errors import ReferenceInvalid
from monitor.plan import Kind
from monitor.reference.build import build
from monitor.reference.infer import infer
from monitor.reference.paths import vectors_in
from monitor.reference.read import open_file
from monitor.reference.selection import Selection
from monitor.reference.starter import starter
from monitor.reference.table import FeatureDeclaration
from tests.reference.tables import START

LENGTH = 6
SELECTION = Selection(time="ts", features=(FeatureDeclaration("e", path=("x", "e"), kind=Kind.VECTOR),))


def rows(count=300, *, wrong=()):
    rng = np.random.default_rng(3)
    found = []
    for row in range(count):
        vector = rng.normal(size=LENGTH).tolist() if row % 9 else None
        if row in wrong:
            vector = [1.0] * (LENGTH + 1)
        found.append({"ts": START + row * 60_000, "x": {"e": vector, "age": row % 70}})
    return found


def written(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def reference_of(source):
    return build(source, model="m", name="r", features=source.features)


def test_lists_of_json_lines_are_read_as_declared(tmp_path):
    """Their length is read off the records; null is missing."""
    source = open_file(written(tmp_path / "d.jsonl", rows()), SELECTION)
    assert [(one.kind, one.length) for one in source.features] == [(Kind.VECTOR, LENGTH)]
    found = reference_of(source)
    assert found.counts.tolist() == [34, 0, 0, 266]
    assert found.timed


def test_records_that_live_ingest_rejects_are_left_out(tmp_path):
    """Vectors of another length, of which there are few; of many the build says that they are many."""
    for selection in (SELECTION, with_length(LENGTH)):
        source = open_file(written(tmp_path / "d.jsonl", rows(wrong=(5, 7))), selection)
        assert reference_of(source).rows == 298
        assert source.notes == ("2 records left out: e is of another kind",)
    many = open_file(written(tmp_path / "e.jsonl", rows(wrong=range(0, 300, 9))), SELECTION)
    with pytest.raises(ReferenceInvalid, match="e is of another kind"):
        reference_of(many)


def with_length(length):
    own = FeatureDeclaration("e", path=("x", "e"), kind=Kind.VECTOR, length=length)
    return Selection(time="ts", features=(own,))


def test_undeclared_lists_are_vectors_when_they_look_like_it(tmp_path):
    """A list that is called an embedding is one feature and not a feature for each number."""
    records = [
        {"embedding": [0.5, row, 1.0], "inputs": [1.0, row], "deep": {"v": list(range(70))}}
        for row in range(50)
    ]
    source = open_file(written(tmp_path / "d.jsonl", records), Selection())
    kinds = {one.name: (one.kind, one.length) for one in source.features}
    assert kinds == {
        "inputs[0]": (None, 0),
        "inputs[1]": (None, 0),
        "embedding": (Kind.VECTOR, 3),
        "deep.v": (Kind.VECTOR, 70),
    }


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([{"emb": [1, 2.5]}, {"emb": None}, {}], {("emb",): 2}),
        ([{"emb": [1, 2]}, {"emb": [1, 2, 3]}], {}),
        ([{"emb": [1, 2]}, {"emb": []}], {}),
        ([{"emb": [1, 2]}, {"emb": "none"}], {}),
        ([{"emb": [1, None]}], {}),
        ([{"emb": [True, False]}], {}),
        ([{"emb": [1]}], {}),
        ([{"a": [0] * 63}], {}),
        ([{"a": [0] * 64}], {("a",): 64}),
        ([{"a": [{"vec": [1, 2]}, 3]}], {("a", 0, "vec"): 2}),
        ([{"vectors": [[1, 2], [3, 4]]}], {("vectors", 0): 2, ("vectors", 1): 2}),
        ([{"vectors": [[1, 2]]}, {"vectors": [1, 2]}], {}),
        ([{"vehicle": [1, 2]}, {"member": [1, 2]}], {}),
        ([{"emb": [0] * 9000}], {}),
    ],
)
def test_what_is_taken_for_a_vector(records, found):
    """Lists of numbers alone, of one length in every record, long or called so."""
    assert vectors_in(records) == found


def test_a_starter_configuration_names_vectors():
    """What `inspect` prints has kind and length, loads, and no element of the vector is a feature."""
    values = [
        json.dumps({"ts": START + i * 1000, "emb": [0.1 * i, 2, 3], "age": i}).encode() for i in range(99)
    ]
    schema = infer(values)
    assert [(one.path, one.kind, one.length) for one in schema.features] == [
        (("age",), Kind.NUMERIC, 0),
        (("emb",), Kind.VECTOR, 3),
    ]
    text = starter(schema, topic="t", brokers=["localhost:9092"])
    assert "emb: {path: emb, kind: vector, length: 3}  # a list of numbers" in text
    feature = load(["-"], stdin=text, environ={}).models["model"].features["emb"]
    assert (feature.kind, feature.length) == ("vector", 3)


@pytest.mark.parametrize("fixed", [True, False])
def test_lists_of_parquet_are_vectors(tmp_path, fixed):
    """Those of fixed length on their own, others where they are declared; float32 is read as it is."""
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    vectors = [None, *([float(np.float32(0.1 * i)), i] for i in range(99))]
    kind = arrow.list_(arrow.float32(), 2) if fixed else arrow.list_(arrow.float32())
    table = arrow.table({"e": arrow.array(vectors, kind), "n": list(range(100)), "s": [["a"]] * 100})
    parquet.write_table(table, tmp_path / "d.parquet", row_group_size=30)
    own = FeatureDeclaration("e", kind=Kind.VECTOR)
    bare = open_file(str(tmp_path / "d.parquet"), Selection())
    assert {one.name for one in bare.features} == ({"e", "n"} if fixed else {"n"})
    for source in [bare] * fixed + [open_file(str(tmp_path / "d.parquet"), Selection(features=(own,)))]:
        found = reference_of(source)
        assert found.features[0].vector.length == 2
        assert found.counts[:4].tolist() == [1, 0, 0, 99]


def test_lists_of_several_lengths_in_parquet_are_refused(tmp_path):
    """A declared vector has one length, or the build says what it found."""
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(arrow.table({"e": [[1.0, 2.0], [3.0]]}), tmp_path / "d.parquet")
    own = FeatureDeclaration("e", kind=Kind.VECTOR)
    with pytest.raises(ReferenceInvalid, match="one length"):
        reference_of(open_file(str(tmp_path / "d.parquet"), Selection(features=(own,))))
