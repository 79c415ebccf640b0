"""What unknown records look like, and the configuration made of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config.load import load
from monitor.plan import Kind, TimeUnit
from monitor.reference.infer import infer
from monitor.reference.starter import starter
from tests.reference.tables import START


def predictions(count=100):
    random = np.random.default_rng(11)
    return [
        {
            "requestId": f"{row:032x}",
            "ts": START + row * 1000,
            "modelName": "churn" if row % 5 else "fraud",
            "model_version": "2026-01",
            "features": {
                "age": int(random.integers(18, 90)),
                "income": None if row % 10 == 0 else float(random.normal(1000, 100)),
                "country": ["DE", "FR", "US"][int(random.integers(3))],
                "vip": bool(random.random() < 0.5),
                "session": f"s-{row}-{random.integers(1 << 30)}",
            },
            "score": float(random.random()),
            "latency_us": float(random.exponential(900)),
            "status": 200,
            "region": "eu",
        }
        for row in range(count)
    ]


def encode(records):
    return [json.dumps(record).encode() for record in records]


SCHEMA = infer(encode(predictions()))


def field(schema, *path):
    return next(one for one in schema.fields if one.path == path)


def test_fields_are_described():
    """Kinds, nulls, distinct values, ranges and categories of every dotted path are found."""
    age, income = field(SCHEMA, "features", "age"), field(SCHEMA, "features", "income")
    assert (age.kind, age.nulls, age.kinds) == (Kind.NUMERIC, 0, {"integer": 100})
    assert (income.nulls, income.kinds) == (10, {"number": 90})
    assert age.minimum >= 18
    assert age.maximum < 90
    country = field(SCHEMA, "features", "country")
    assert country.kind is Kind.CATEGORICAL
    assert {name for name, _ in country.categories} == {"DE", "FR", "US"}
    assert field(SCHEMA, "features", "vip").kind is Kind.BOOLEAN


def test_roles_are_found_by_name_and_shape():
    """Id, time with its unit, model, version, latency with its unit, error and prediction are recognised."""
    found = {role: one.path for role, one in SCHEMA.roles.items()}
    assert found == {
        "id": ("requestId",),
        "time": ("ts",),
        "model": ("modelName",),
        "version": ("model_version",),
        "prediction": ("score",),
        "latency": ("latency_us",),
        "error": ("status",),
    }
    assert SCHEMA.roles["time"].unit is TimeUnit.MILLISECONDS
    assert SCHEMA.roles["latency"].unit is TimeUnit.MICROSECONDS


def test_features_are_the_inputs():
    """Fields below `features` are features, except names that are all different; the rest is explained."""
    assert [one.path[-1] for one in SCHEMA.features] == ["age", "income", "country", "vip"]
    assert SCHEMA.left_out[("region",)] == "outside features"
    assert "different texts" in SCHEMA.left_out[("features", "session")]
    assert SCHEMA.models == ("churn", "fraud")


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (lambda row: 1_767_225_600 + row, TimeUnit.SECONDS),
        (lambda row: 1_767_225_600_000_000 + row, TimeUnit.MICROSECONDS),
        (lambda row: f"2026-01-01T00:{row:02d}:00Z", TimeUnit.RFC3339),
    ],
)
def test_times_are_found_by_their_values(value, unit):
    """A field of plausible, different times is the event time, whatever its name."""
    schema = infer(encode([{"zeit": value(row), "x": row / 7} for row in range(50)]))
    assert schema.roles["time"].path == ("zeit",)
    assert schema.roles["time"].unit is unit


def test_a_label_beside_the_prediction_is_told_apart():
    """Prediction and label are two roles."""
    schema = infer(encode([{"prediction": "a", "label": "b", "x": row / 7} for row in range(50)]))
    assert schema.roles["prediction"].path == ("prediction",)
    assert schema.roles["label"].path == ("label",)


def test_records_that_are_no_objects_are_counted():
    """Anything may lie on a topic: what is no JSON object is counted, not raised."""
    values = [b"", None, b"null", b"[]", b"\xff", b"{", b"[" * 100_000, b'{"x": 1}']
    schema = infer(values)
    assert (schema.records, schema.refused) == (1, 7)


def test_an_object_that_is_null_sometimes_is_still_an_object():
    """Records whose features are null do not hide the features of the others."""
    schema = infer(encode([{"features": {"x": row / 7}} for row in range(50)] + [{"features": None}]))
    assert [one.path for one in schema.features] == [("features", "x")]


@pytest.mark.parametrize("records", [[{"a": 1.5}, {"a": {"b": 1.5}}], [{"a": [1.5]}, {"a": {"b": 2.5}}]])
def test_contradicting_records_are_left_out(records):
    """What is a value here and an object there, or an object here and an array there, is no feature."""
    schema = infer(encode(records))
    assert schema.features == ()
    assert len(schema.left_out) == 2


def loaded(tmp_path, text):
    path = tmp_path / "driftline.yaml"
    path.write_text(text, encoding="utf-8")
    return load([str(path)], environ={"KAFKA_SASL_PASSWORD": "x"})


def test_the_starter_is_a_valid_configuration(tmp_path):
    """The loader takes it, and it says what was found."""
    text = starter(SCHEMA, topic="predictions", brokers=["localhost:9092"])
    found = loaded(tmp_path, text)
    fields = found.sources["predictions"].fields
    assert fields.time.path == ("ts",)
    assert fields.latency.unit == "us"
    assert set(found.models) == {"churn", "fraud"}  # records of a model that is left out would be rejected
    model = found.models["churn"]
    assert model.features["age"].path == ("features", "age")
    assert model.features["country"].kind == "categorical"
    assert (model.prediction.path, model.prediction.kind) == (("score",), "score")


def test_secrets_are_not_written_into_the_starter(tmp_path):
    """A password given on the command line becomes a reference to the environment."""
    text = starter(
        SCHEMA,
        topic="predictions",
        brokers=["a:9092", "b:9093"],
        properties={
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "PLAIN",
            "sasl.username": "me",
            "sasl.password": "hunter2",
        },
    )
    assert "hunter2" not in text
    found = loaded(tmp_path, text)
    assert found.kafka.properties["security.protocol"] == "SASL_SSL"
    assert "sasl.password" in found.kafka.secret_properties


def test_values_do_not_leave_their_place_in_the_starter():
    """Texts of records are not in the configuration, only counts of categories and ranges of numbers."""
    text = starter(SCHEMA, topic="predictions", brokers=["localhost:9092"])
    assert "FR" not in text
    assert "s-1-" not in text


KEYS = st.text(min_size=1, max_size=12)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
OBJECTS = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES,
        lambda inner: st.dictionaries(KEYS, inner, max_size=4) | st.lists(inner, max_size=3),
        max_leaves=12,
    ),
    max_size=6,
)


@settings(max_examples=40)
@given(st.lists(OBJECTS, min_size=1, max_size=5))
def test_any_record_gives_a_configuration_that_loads(tmp_path_factory, objects):
    """Whatever keys and values records have, the printed configuration is valid."""
    schema = infer(encode(objects))
    text = starter(schema, topic="predictions", brokers=["localhost:9092"])
    loaded(tmp_path_factory.getbasetemp(), text)
