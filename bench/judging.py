"""Judging one closed window of a wide model: its tests and scores, alone and with segments.

    python -m bench.judging [--smoke]

The goal of 500 features x 20 segments is for all of it: sums of the segments' packed sketches, tests, verdict.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import numpy as np

from bench.figure import figure, spent
from bench.machine import one_core
from kernels.layout import LATENCY_BINS, SUM_WORDS
from monitor.judge.policy import judge
from monitor.judge.prepare import prepare
from monitor.names import CHAMPION, REASONS, SketchKey, Source
from monitor.plan import ModelPlan, SegmentPlan
from monitor.segments import names
from monitor.sketch import Sketch
from monitor.window.parts import SegmentStores
from tests.judge.build import (
    HOUR,
    categorical_profile,
    draw,
    numeric_profile,
    plan,
    reference,
    segmented,
    uniform,
    window,
    zipf,
)

ROWS = 2_000
"""Of a segment in a window."""
PANES = 12
HOURS = 24
"""Windows of the reference: judging does not depend on their number."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    for item in figures(smoke=parser.parse_args().smoke):
        print(json.dumps(item))


def figures(*, smoke: bool = False) -> list[dict]:
    features, segments, rounds = (20, 4, 2) if smoke else (500, 20, 9)
    with one_core():
        alone, together = judged(features, segments)
        found = []
        for name, call, goal in (
            (f"a window of {features} features, judged", alone, ""),
            (
                f"a window of {features} features x {segments} segments, summed up and judged",
                together,
                "<= 1",
            ),
        ):
            call()
            taken = [spent(call).cpu for _ in range(rounds)]
            found.append(
                figure(name, "CPU-s", float(np.median(taken)), ours_range=taken, rounds=rounds, goal=goal)
            )
    return found


def judged(features: int, segments: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Calls that judge a window of the whole alone, and of the whole and its segments."""
    rng = np.random.default_rng(7)
    own = [numeric_profile(f"n{i}") for i in range(features * 7 // 10)]
    own += [categorical_profile(f"c{i}", [f"k{j}" for j in range(100)]) for i in range(features - len(own))]
    chances = [uniform(p) if p.categories == () else zipf(p) for p in own]
    column = SegmentPlan("country", ("country",), values=tuple(f"v{i}" for i in range(segments - 2)))
    model = plan(own, segments=(column,))
    parts = np.stack([draw(rng, chances, ROWS, HOURS) for _ in range(segments)])
    counted = segmented(reference(own, parts.sum(axis=0)), {"country": (column.values, parts)})
    prepared = prepare(counted, model, model.windows[0])
    now = np.stack([draw(rng, chances, ROWS // PANES, PANES) for _ in range(segments)])
    whole, layout = window(own, now.sum(axis=(0, 1))), counted.layout()
    stores = SegmentStores(model)
    for name, panes in zip(names(model), now, strict=True):
        for at, counts in enumerate(panes):
            pane = whole.start + at * HOUR // PANES
            stores.put(sketch(model, name, pane, counts, layout.numeric))

    def together() -> None:
        spec = model.windows[0]
        found = stores.windows(spec, start=whole.start, end=whole.end, plan=model, layout=layout)
        verdict = judge(whole, prepared, model, previous=[], segments=found)
        assert len(verdict.segments) == segments
        assert all(one.tests for one in verdict.segments)
        stores.renew()

    return lambda: _judge(whole, prepared, model), together


def _judge(whole, prepared, model: ModelPlan) -> None:
    judge(whole, prepared, model, previous=[])


def sketch(model: ModelPlan, segment: str, pane: int, counts: np.ndarray, numeric: int) -> Sketch:
    return Sketch(
        key=SketchKey(model.name, model.config, "1", CHAMPION, segment, pane, Source("t", 0)), applied=1,
        rows=ROWS // PANES, errors=0, counts=counts, sums=np.zeros((numeric, SUM_WORDS), np.int64),
        extremes=np.tile([0.0, 1.0], (numeric, 1)), latency=np.zeros(LATENCY_BINS, np.int64),
        violations=np.zeros(0, np.int64), rejects=np.zeros(len(REASONS), np.int64), first=0, last=0,
    )  # fmt: skip


if __name__ == "__main__":
    main()
