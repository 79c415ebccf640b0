"""Vectors of records: lists of numbers of one length."""

from __future__ import annotations

import json

import numpy as np
import pytest

from monitor.errors import IntakeError
from monitor.intake.decode import Decoder
from monitor.names import Reason
from monitor.plan import Kind
from tests.intake.records import AGE, feature, model, reference, scan, source

SHAPE = feature("shape", Kind.VECTOR, length=3)
TEXT = feature("text", Kind.VECTOR, path=("e", 1), length=2)


def record(**features) -> bytes:
    return json.dumps({"ts": 1, "features": features, "e": [7, [0.5, -1]]}).encode()


def read(*values, features=(SHAPE,)):
    known = reference(features, {})
    return scan(*values, plan=source(), features=features, known=known)


def test_vectors_stand_side_by_side_and_missing_ones_are_nan():
    """Null and absent vectors are NaN in their own columns alone; integers are numbers."""
    columns, rejects = read(
        record(shape=[1, 2.5, -3e2]), record(shape=None), record(), features=(SHAPE, AGE, TEXT)
    )
    assert len(rejects) == 0
    nan = np.nan
    want = [[1, 2.5, -300, 0.5, -1], [nan, nan, nan, 0.5, -1], [nan, nan, nan, 0.5, -1]]
    np.testing.assert_array_equal(columns.vectors, want)
    assert columns.values.shape == (1, 3)
    assert columns.codes.shape == (0, 3)


@pytest.mark.parametrize(
    "wrong",
    [[], [1, 2], [1, 2, 3, 4], [1, 2, None], [1, 2, "3"], [1, 2, True], [1, 2, [3]], "abc", 3, {"0": 1}],
)
def test_other_lengths_and_other_elements_are_of_the_wrong_type(wrong):
    """A vector is whole or it is none: the record is rejected, its neighbours are not."""
    columns, rejects = read(record(shape=[1, 2, 3]), record(shape=wrong), record(shape=[4, 5, 6]))
    assert columns.vectors[:, 0].tolist() == [1, 4]
    assert [(reject.index, reject.reason) for reject in rejects] == [(1, Reason.WRONG_TYPE)]


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 400])
def test_numbers_beyond_doubles_are_of_the_wrong_type(number):
    """JSON has no infinity, and none is made of a number that is too large."""
    columns, rejects = read(b'{"ts":1,"features":{"shape":[1,2,%s]}}' % number.encode())
    assert len(columns) == 0
    assert [reject.reason for reject in rejects] == [Reason.WRONG_TYPE]


def test_a_model_without_vectors_has_none():
    """Their array is None, not an empty one, so that nothing is made per batch."""
    assert read(record(age=1), features=(AGE,))[0].vectors is None


def test_batches_of_many_chunks_keep_rows_and_vectors_together():
    """Row i has the vector of record i, across chunks and rejects."""
    values = [record(shape=[i, i, i] if i % 7 else None) if i % 11 else b"{" for i in range(1500)]
    columns, _ = read(*values)
    want = [i if i % 7 else np.nan for i in range(1500) if i % 11]
    np.testing.assert_array_equal(columns.vectors[:, 2], want)


def test_a_path_read_as_a_vector_and_as_something_else():
    """As the error too, which takes anything: a list of other length is still of the wrong type."""
    columns, rejects = scan(
        b'{"ts":1,"features":{"shape":[1,2,3]}}',
        b'{"ts":1,"features":{"shape":[1,2]}}',
        b'{"ts":1,"features":{"shape":[1,2,"x"]}}',
        b'{"ts":1,"features":{"shape":null}}',
        plan=source(error=("features", "shape")),
        features=(SHAPE,),
        known=reference((SHAPE,), {}),
    )
    assert [reject.index for reject in rejects] == [1, 2]
    assert columns.errors.tolist() == [1, 0]


def test_contradictions_are_refused():
    """One path cannot have two lengths, nor be a vector and have elements that are read alone."""
    for other in (
        feature("b", Kind.VECTOR, path=SHAPE.path, length=4),
        feature("b", path=(*SHAPE.path, 0)),
    ):
        with pytest.raises(IntakeError, match=r"features\.shape"):
            Decoder(source(), {"m": model(features=(SHAPE, other))}, {"m": reference((SHAPE, other), {})})
