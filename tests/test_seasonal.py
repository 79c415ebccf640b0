"""Windows that are made of sketches know their rows by season, for the whole and for segments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kernels.layout import LATENCY_BINS
from monitor.context import Context
from monitor.judge.prepare import prepare
from monitor.judgement import Judgement
from monitor.names import REASONS, SketchKey, Source
from monitor.plan import SegmentPlan
from monitor.sketch import Sketch
from monitor.state.log import Progress
from monitor.window.completeness import Patience
from tests.judge.build import DAY, HOUR, draw, numeric_profile, plan, reference, segmented, uniform

OWN = [numeric_profile("age")]
SOURCES = (Source("t", 0), Source("t", 1))
START = 30 * DAY


def world():
    """A model of windows of two hours, its layout, and what it is judged with."""
    rng = np.random.Generator(np.random.Philox(1))
    panes = draw(rng, [uniform(OWN[0])], 1_000, 24 * 14)
    parts = np.stack([panes // 2, panes // 4, panes // 8, panes * 0])
    ref = segmented(reference(OWN, panes), {"country": (("DE", "FR"), parts)})
    model = plan(
        OWN,
        size=2 * HOUR,
        season="hour_of_day",
        segments=(SegmentPlan("country", ("country",), values=("DE", "FR")),),
    )
    model = replace(model, pane=HOUR, lateness=0)
    prepared = {spec.name: prepare(ref, model, spec) for spec in model.windows}
    return Judgement(Context(model, ref.layout(), ref, prepared), patience=Patience(settle=0)), prepared["1h"]


def sketch(hour, rows, *, partition=0, segment="", applied=1):
    counts = np.zeros(OWN[0].slots, np.int64)
    counts[5] = rows
    return Sketch(
        key=SketchKey("m", "c", "1", "champion", segment, START + hour * HOUR, SOURCES[partition]),
        applied=applied, rows=rows, errors=0, counts=counts, sums=np.zeros((1, 3), np.int64),
        extremes=np.array([[np.inf, -np.inf]]), latency=np.zeros(LATENCY_BINS, np.int64),
        violations=np.zeros(0, np.int64), rejects=np.zeros(len(REASONS), np.int64), first=0, last=applied - 1,
    )  # fmt: skip


def due(model, hour):
    reports = {s: Progress(s, 1, 1, START + hour * HOUR, False, "", 0, -1) for s in SOURCES}
    found = []
    for judged in model.due(expected=SOURCES, progress=reports, now=0):
        model.accept(judged)
        found.append(judged)
    return found


def test_a_window_is_compared_with_the_hours_that_its_rows_lie_in() -> None:
    """m of each test is 1 / Σ (w² / m) of those hours, over all partitions; a correction is weighed anew."""
    model, prepared = world()
    model.observe([sketch(0, 300), sketch(1, 60), sketch(1, 40, partition=1)])
    model.observe([sketch(0, 100, segment="country=DE")])
    (first,) = due(model, 2)
    assert prepared.seasons is not None
    m = prepared.seasons.rows
    assert first.verdict.tests[0].m == round(1 / (0.75**2 / m[0] + 0.25**2 / m[1]))
    german = next(s for s in first.verdict.segments if s.segment == "country=DE")
    part = prepared.parts["country=DE"].seasons
    assert part is not None
    assert german.tests[0].m == part.rows[0]
    model.observe([sketch(1, 260, applied=2)])
    (again,) = due(model, 2)
    assert (again.verdict.rows, again.verdict.revision) == (600, 1)
    assert again.verdict.tests[0].m == round(1 / (0.5**2 / m[0] + 0.5**2 / m[1]))
