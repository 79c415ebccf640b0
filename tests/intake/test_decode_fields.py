"""What stands beside the features: model, version, variant, latency, error status."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kernels.layout import FIRST_BIN
from monitor.intake.decode import UNKNOWN_KEPT, Decoder
from monitor.names import Reason
from monitor.plan import Kind, TimeUnit
from tests.intake.records import AGE, CITY, batch, decoder, feature, model, reference, scan, source


def test_several_models_share_a_topic():
    """Each record goes to the model it names; others are rejected with the reason."""
    plan = source(models=("a", "b"), model=("model",))
    models = {"a": model("a", (AGE,)), "b": model("b", (CITY,))}
    reader = Decoder(plan, models, {"a": reference((AGE,)), "b": reference((CITY,))})
    scanned = reader.scan(
        batch(
            [
                b'{"model":"a","ts":1,"features":{"age":1,"city":[]}}',
                b'{"model":"b","ts":2,"features":{"age":[],"city":"Rome"}}',
                b'{"model":"c","ts":3}',
                b'{"ts":4}',
                b'{"model":null,"ts":4}',
                b'{"model":["a"],"ts":4}',
                b"nonsense",
                b'{"model":"a","ts":5,"features":{"age":"x"}}',
                b'{"model":"a","ts":6}',
            ]
        )
    )
    a, b = scanned.columns
    assert (a.model, a.index.tolist(), a.events.tolist()) == ("a", [0, 8], [1, 6])
    assert (b.model, b.index.tolist(), b.codes.tolist()) == ("b", [1], [[FIRST_BIN]])
    assert [(r.index, r.reason, r.model) for r in scanned.rejects] == [
        (2, Reason.UNKNOWN_MODEL, ""),
        (3, Reason.MISSING_FIELD, ""),
        (4, Reason.MISSING_FIELD, ""),
        (5, Reason.WRONG_TYPE, ""),
        (6, Reason.DECODE, ""),
        (7, Reason.WRONG_TYPE, "a"),
    ]
    assert reader.unknown == {"c": 1}


def test_counting_unknown_models_is_bounded():
    """A producer that invents names does not fill the memory."""
    reader = decoder(source(model=("model",)))
    reader.scan(batch([b'{"model":"x%d"}' % i for i in range(500)]))
    assert len(reader.unknown) == UNKNOWN_KEPT + 1
    assert reader.unknown[""] == 500 - UNKNOWN_KEPT


def test_versions_variants_latency_and_errors():
    """They are read from any scalar; what is absent has the documented value."""
    fields = {"version": ("v",), "variant": ("w",), "latency": ("t",), "error": ("e",)}
    columns, rejects = scan(
        b'{"ts":1,"v":3,"w":"challenger","t":0.5,"e":500}',
        b'{"ts":1,"v":3.0,"t":2,"e":"OK"}',
        b'{"ts":1,"v":"3","w":null,"e":null}',
        b'{"ts":1,"v":true,"w":"","e":{"code":1}}',
        b'{"ts":1}',
        **fields,
        latency_unit=TimeUnit.SECONDS,
    )
    assert rejects == ()
    assert columns.groups == (
        ("3", "challenger"),
        ("3", "champion"),
        ("true", "champion"),
        ("", "champion"),
    )
    assert columns.group.tolist() == [0, 1, 1, 2, 3]
    assert np.array_equal(columns.latency, [500, 2000, np.nan, np.nan, np.nan], equal_nan=True)
    assert columns.errors.tolist() == [1, 0, 0, 1, 0]


@pytest.mark.parametrize("status", [None, False, 0, 0.0, "", "ok", "Ok", 200, "204", 299, "false"])
def test_good_statuses_are_no_errors(status):
    """Null, false, 0, empty, ok and 2xx mean that all went well."""
    columns, _ = scan(json.dumps({"ts": 1, "e": status}).encode(), error=("e",))
    assert columns.errors.tolist() == [0]


@pytest.mark.parametrize("status", [True, 1, -1, "timeout", 404, "500", 300, 199, [], {}, [0], {"a": 0}])
def test_other_statuses_are_errors(status):
    """Anything else that is present is an error, arrays and objects too."""
    columns, _ = scan(json.dumps({"ts": 1, "e": status}).encode(), error=("e",))
    assert columns.errors.tolist() == [1]


def test_one_path_may_be_read_twice():
    """The same field as feature, version and time: each use has its own types."""
    features = (feature("n", path=("x",)), feature("c", Kind.CATEGORICAL, path=("x",)))
    columns, rejects = scan(
        b'{"x":5}',
        b'{"x":5.5}',
        b'{"x":"5"}',
        b'{"x":true}',
        b"{}",
        features=features,
        time=(),
        version=("x",),
    )
    assert columns.index.tolist() == [0, 1, 4]
    assert np.array_equal(columns.values, [[5, 5.5, np.nan]], equal_nan=True)
    assert [name for name, _ in columns.groups] == ["5", "5.5", ""]
    assert [(r.index, r.reason) for r in rejects] == [(2, Reason.WRONG_TYPE), (3, Reason.WRONG_TYPE)]


def test_an_integer_no_double_can_hold_is_of_the_wrong_type_on_a_shared_path():
    """Where the decoder keeps integers exact, size is checked as it is for plain numbers."""
    features = (feature("n", path=("x",)), feature("c", Kind.CATEGORICAL, path=("x",)))
    _, (reject,) = scan(b'{"x":' + b"9" * 400 + b"}", features=features, time=())
    assert reject.reason is Reason.WRONG_TYPE
