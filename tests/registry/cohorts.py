"""A model of which two versions run: rows that differ by version, and a reference of each, in the same bins."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from kernels.layout import allocate
from monitor.context import Context
from monitor.judge.prepare import prepare
from monitor.judgement import Judged, Judgement
from monitor.names import REASONS, SketchKey, Source
from monitor.pack import Packed, pack
from monitor.reigns import Reign, ruled
from monitor.sketch import Sketch
from monitor.state.log import Entry, Ledger, Progress
from monitor.window.completeness import Patience
from tests.judge.build import CHANCES, HOUR, OWN, draw, plan, reference

PANE = HOUR // 4
A, B = Source("t", 0), Source("t", 1)
START = 500_000 * HOUR
PLAN = replace(plan(OWN, pages=2.0), pane=PANE, lateness=PANE, registered=True)
ROWS = 400
OTHER = [np.where(np.arange(len(CHANCES[0])) < 20, 4.0, 1.0) * CHANCES[0], CHANCES[1]]
OTHER[0] /= OTHER[0].sum()
ROWS_OF = {"7": CHANCES, "8": OTHER}
PATIENCE = Patience(idle=60_000, stall=120_000, max_hold=900_000, settle=0)


@cache
def known(version: str):
    """The reference of a version."""
    ordinary = draw(np.random.default_rng(5), ROWS_OF[version], 2 * ROWS, 4 * 100)
    return replace(reference(OWN, ordinary, pane=PANE, name=f"v{version}"), digest=version * 64)


@cache
def base() -> Context:
    found = known("7")
    return Context(PLAN, found.layout(), found, {"1h": prepare(found, PLAN, PLAN.windows[0])})


@cache
def context(version: str, *, of: str = "") -> Context:
    return ruled(base(), known(of or version), version=version, borrowed=bool(of))


def reign(number: int, version: str, *, pane: float = -1, after: int = -1, of: str = "") -> Reign:
    """From so many panes after START on; -1: ever."""
    since = -1 if pane < 0 else START + int(pane * PANE)
    ends = {"1h": START + after * HOUR} if after >= 0 else {}
    return Reign(number, version, known(of or version).digest, since, ends, bool(of), version)


def begun(model: Judgement, *reigns: Reign) -> Judgement:
    for one in reigns:
        of = one.digest[0] if one.borrowed else ""
        model.reigns.begin(one, context(one.version, of=of))
    return model


def judgement(*reigns: Reign) -> Judgement:
    return begun(Judgement(base(), patience=PATIENCE), *reigns)


def sketch(
    pane: int, version: str, *, source: Source = A, rows: int = ROWS, applied: int = 1, like: str = ""
) -> Sketch:
    """The rows of one pane, version and partition; `like`: distributed as those of another version."""
    rng = np.random.default_rng((pane, source.partition, int(version)))
    counts = draw(rng, ROWS_OF[like or version], rows, 1)[0]
    empty = allocate(base().layout, cells=1, rules=0, reasons=len(REASONS))
    return Sketch(
        key=SketchKey("m", PLAN.config, version, "champion", "", START + pane * PANE, source),
        applied=applied, rows=rows, errors=0, counts=Packed(pack(counts)), sums=empty.sums[0],
        extremes=np.array([[0.0, 1.0]]), latency=empty.latency[0], violations=empty.violations[0],
        rejects=empty.rejects[0], first=1000 * pane, last=1000 * pane + rows - 1,
    )  # fmt: skip


def report(panes: float, *, source: Source = A) -> Progress:
    """A partition that has passed so many panes for good."""
    return Progress(source, 1, -1, START + int(panes * PANE) + PLAN.lateness, False, "", 0)


def take(model: Judgement, panes: float) -> list[Judged]:
    found = []
    for judged in model.due(expected=(A,), progress={A: report(panes)}, now=0):
        model.accept(judged)
        found.append(judged)
    return found


def ledger_of(*entries: Entry) -> Ledger:
    found: dict[str, dict[str, object]] = {}
    for one in entries:
        found.setdefault(one.kind, {})[one.id] = one.body
    return Ledger("m", 0, found)
