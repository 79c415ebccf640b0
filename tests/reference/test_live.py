"""A reference and live ingest count the same records alike."""

from __future__ import annotations

import json

import numpy as np

from kernels.fold import fold
from kernels.layout import NOVEL, OTHER, allocate, no_rules
from monitor.columns import Batch
from monitor.intake.convert import slots
from monitor.intake.decode import Decoder
from monitor.names import Source
from monitor.plan import Budget, FeaturePlan, ModelPlan, SourcePlan, TimeUnit, WindowSpec
from monitor.reference.build import build
from monitor.reference.file import pack, unpack
from monitor.reference.read import open_file
from monitor.reference.selection import Selection
from monitor.reference.table import Table
from tests.reference.tables import START

SOURCE = SourcePlan(
    name="predictions",
    topic="predictions",
    time=("ts",),
    time_unit=TimeUnit.MILLISECONDS,
    latency=("took",),
    latency_unit=TimeUnit.SECONDS,
    error=("status",),
    models=("churn",),
)


def awkward_records():
    """Every spelling of a value that two readers could take differently."""
    random = np.random.default_rng(13)
    numbers = [0, -0.0, 1, 1.0, 1.5, 1e300, -1e-300, 2**53 + 1, None]
    names = ["DE", "de", "", "1", 1, 1.0, True, False, "true", None, "ü", 10**20, 2.5]
    for row in range(1_000):
        record = {
            "ts": START + row,
            "took": [0.001, 0, 2, None][row % 4],
            "status": [200, "ok", 500, "", None][row % 5],
        }
        inputs = {"x": numbers[random.integers(len(numbers))], "c": names[random.integers(len(names))]}
        if row % 7:
            inputs["b"] = [True, False, None][random.integers(3)]
        yield {**record, "features": inputs if row % 11 else None}


def test_live_counts_are_the_reference_counts(tmp_path):
    """Decoding and folding the records that a reference was built from gives its very counts."""
    values = [json.dumps(record).encode() for record in awkward_records()]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(values))
    selection = Selection(
        time="ts", latency="took", latency_unit=TimeUnit.SECONDS, error="status", prefix=("features",)
    )
    tables = open_file(str(tmp_path / "a.jsonl"), selection)
    reference = build(tables, model="churn", name="r", features=tables.features)
    plan = ModelPlan(
        name="churn",
        source="predictions",
        features=tuple(FeaturePlan(p.name, p.path, p.kind) for p in reference.features),
        rules=(),
        windows=(WindowSpec("1h", 3_600_000, 3_600_000),),
        pane=60_000,
        budget=Budget(2, 2_592_000_000),
        config="",
    )
    scanned = Decoder(SOURCE, {"churn": plan}, {"churn": reference}).scan(
        Batch(
            source=Source("predictions", 0),
            values=values,
            keys=[None] * len(values),
            headers=[None] * len(values),
            offsets=np.arange(len(values)),
            timestamps=np.full(len(values), -1),
        )
    )
    assert not scanned.rejects
    layout = reference.layout()
    cells = allocate(layout, cells=1, rules=0, reasons=0)
    for columns in scanned.columns:
        fold(
            cells,
            layout,
            no_rules(layout),
            cell=np.zeros(len(columns), np.int32),
            values=columns.values,
            codes=columns.codes,
            latency=columns.latency,
            errors=columns.errors,
            offsets=columns.offsets,
        )
    assert np.array_equal(cells.counts[0], reference.counts)
    assert np.array_equal(cells.latency[0], reference.latency)
    assert (int(cells.rows[0]), int(cells.errors[0])) == (reference.rows, reference.errors)


def test_rare_categories_of_the_reference_are_not_novel_when_they_come_again():
    """Of 300 categories 250 have a slot; the others share `other`, live as in the reference."""
    names = [f"shop-{i}" for i in range(300) for _ in range(1 + (300 - i) // 10)]
    reference = unpack(
        pack(build(Table({"shop": np.array(names, object)}), model="m", name="r")), where="memory"
    )
    (profile,) = reference.features
    assert (len(profile.categories), len(profile.tail)) == (250, 50)
    found = slots(profile.kind, profile.categories, profile.tail)
    counts = np.bincount([found[name] for name in names], minlength=profile.slots)
    assert counts.tolist() == reference.counts.tolist()
    assert counts[OTHER] > 0
    assert counts[NOVEL] == 0
    assert found["never seen"] == NOVEL


def test_the_share_of_rows_to_be_expected_in_new_categories_is_stored():
    """Good's estimate: rows whose category occurs once, of all rows that have one."""
    names = ["a"] * 6 + ["b"] * 2 + ["c", "d", None, None]
    reference = unpack(
        pack(build(Table({"x": np.array(names, object)}), model="m", name="r")), where="memory"
    )
    assert reference.features[0].novelty == 2 / 10
