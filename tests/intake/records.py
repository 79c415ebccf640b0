"""Plans, references and batches for the tests of intake."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from kernels.layout import CATEGORICAL, NUMERIC, Layout
from monitor.columns import Batch
from monitor.intake.decode import Decoder
from monitor.names import Source
from monitor.plan import Budget, FeaturePlan, Kind, ModelPlan, SourcePlan
from monitor.reference.profile import FeatureProfile

NOW = 1_700_000_000_000
NO_FLOATS, NO_GROUPS = np.empty(0), np.empty(0, np.int16)


def feature(name, kind=Kind.NUMERIC, path=None, **rest):
    return FeaturePlan(name, path or ("features", name), kind, **rest)


AGE = feature("age")
CITY = feature("city", Kind.CATEGORICAL)
MEMBER = feature("member", Kind.BOOLEAN)
SCORE = feature("prediction", path=("prediction",))
FEATURES = (AGE, CITY, MEMBER, SCORE)
CATEGORIES = {"city": ("Rome", "7", "1", "true"), "member": ("false", "true")}


def model(name="m", features=FEATURES, rules=()):
    return ModelPlan(name, "s", features, rules, (), 60_000, Budget(2, 2_592_000_000), "config")


def source(**rest):
    return SourcePlan("s", "topic", **{"time": ("ts",), "models": ("m",), **rest})


def reference(features=FEATURES, categories=CATEGORIES):
    """As much of a reference as intake looks at."""
    return SimpleNamespace(
        features=tuple(
            FeatureProfile(
                f.name, f.path, f.kind, NO_FLOATS, NO_GROUPS, categories.get(f.name, ()), 0, 1, 0, 0, 0, 0, 0
            )
            for f in features
        )
    )


def layout(features=FEATURES):
    """Column numbers as a reference gives them; slots do not matter to intake."""
    kinds = [NUMERIC if f.kind is Kind.NUMERIC else CATEGORICAL for f in features]
    columns = [kinds[:at].count(kind) for at, kind in enumerate(kinds)]
    return Layout(
        kind=np.array(kinds, np.int8),
        column=np.array(columns, np.int32),
        start=np.zeros(len(features) + 1, np.int32),
        edges=np.empty(0),
        edge_start=np.zeros(1, np.int32),
        center=np.empty(0),
        scale=np.empty(0),
    )


def batch(values, *, timestamps=None, log_append=False, headers=None, keys=None, first=100):
    count = len(values)
    return Batch(
        source=Source("topic", 3),
        values=list(values),
        keys=keys or [None] * count,
        headers=headers or [None] * count,
        offsets=np.arange(first, first + count, dtype=np.int64),
        timestamps=np.full(count, NOW, np.int64) if timestamps is None else np.array(timestamps, np.int64),
        log_append=log_append,
    )


GOOD = b'{"ts":1700000000000,"features":{"age":41.5,"city":"Rome","member":true},"prediction":0.25}'


def decoder(plan=None, features=FEATURES, known=None, **rest):
    return Decoder(
        plan or source(**rest), {"m": model(features=features)}, {"m": known or reference(features)}
    )


def scan(*values, timestamps=None, **rest):
    scanned = decoder(**rest).scan(batch(values, timestamps=timestamps))
    assert len(scanned.columns) == 1
    assert len(scanned.columns[0]) + len(scanned.rejects) == len(values)
    return scanned.columns[0], scanned.rejects


def named(columns):
    """Categorical column → {row: name}, of the rows whose category has no slot."""
    novel = columns.novel
    found = {}
    for row, column, name in zip(novel.row.tolist(), novel.column.tolist(), novel.name.tolist(), strict=True):
        assert row not in found.setdefault(column, {})
        found[column][row] = novel.names[name]
    return found
