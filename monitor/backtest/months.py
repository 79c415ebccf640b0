"""Windows of a reference's own blocks, drawn with replacement, through the real judge.

A block bootstrap (Künsch 1989; Carlstein 1986, blocks that do not overlap): blocks are at least as long as the
longest window, so that what follows each other within a window, and within a day, does so as it did; of a model
that is read by season of the week a block keeps its day of the week. Blocks become sketches, as ingest makes them,
and `Judgement` does with them all it does live: closing windows, segments, seasons, incidents. What a block is judged
by does not know it (`monitor.backtest.blocks`). A reference has no extremes, moments, names of unseen categories and
samples of rows per pane, so what depends on them (raw rules, diagnosis by rows) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.layout import LATENCY_BINS, Layout, allocate
from monitor.backtest.blocks import Blocks, cut, without
from monitor.context import Context
from monitor.judge.frame import Breach, breached
from monitor.judge.prepare import prepare
from monitor.judgement import Judged, Judgement
from monitor.names import REASONS, SketchKey, Source
from monitor.pack import Packed, pack
from monitor.plan import ModelPlan
from monitor.reference.profile import Panes, Reference
from monitor.reference.segments import names_of
from monitor.reference.vector import mean_words
from monitor.segments import WHOLE, names, part_layout, part_plan
from monitor.sketch import Sketch
from monitor.state.log import Progress
from monitor.window.completeness import Patience

SOURCE = Source("reference", 0)
Counts = NDArray[np.int64]
Alter = Callable[[Counts], Counts]
"""What a change does to the counts of one pane: int64[slots], new."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """A model's reference, ready to be drawn from.

    contexts  one for each fold, which knows nothing of its blocks
    """

    context: Context
    reference: Reference
    blocks: Blocks
    contexts: tuple[Context, ...]
    panes: dict[tuple[str, int], Sketch] = field(default_factory=dict)
    """(segment, number of a pane) → its sketch, as it is needed."""


def pool_of(context: Context, told: Callable[[float], None] = lambda _: None) -> Pool:
    """Cut the reference and prepare the judge for each fold: as long as that many starts of a daemon.

    Raises UsageError where the model has no reference, or one that cannot be drawn from.
    """
    from monitor.errors import UsageError

    reference, plan = (
        context.reference,
        replace(context.plan, raw_rules=(), maintenance=(), beside={}, compat=()),
    )
    if reference is None:
        raise UsageError(f"no reference - model {plan.name} - one with event times is drawn from")
    blocks = cut(reference, plan)
    contexts = []
    for fold in range(blocks.folds):
        own = without(reference, blocks, fold)
        prepared = {spec.name: prepare(own, plan, spec) for spec in plan.windows}
        contexts.append(Context(plan, context.layout, own, prepared))
        told((fold + 1) / blocks.folds)
    return Pool(replace(context, plan=plan), reference, blocks, tuple(contexts))


def simulate(
    pool: Pool,
    chosen: Sequence[int],
    *,
    begin: int,
    since: int = -1,
    alter: Alter | None = None,
    onset: int = -1,
) -> Iterator[Judged]:
    """Judge blocks one after the other, the first at `begin`; `chosen` are their numbers.

    Panes before `since` are left out; those from `onset` on are altered.
    """  # fmt: skip
    plan, blocks = pool.context.plan, pool.blocks
    judgement = Judgement(pool.contexts[int(blocks.fold[chosen[0]])], patience=Patience(settle=0))
    applied = 0
    for number, block in enumerate(chosen):
        at = begin + number * blocks.length
        judgement.renew(pool.contexts[int(blocks.fold[block])])
        sketches = []
        for pane in range(int(blocks.first[block]), int(blocks.last[block])):
            start = int(pool.reference.panes.starts[pane]) - blocks.start(block) + at
            if start >= since:
                applied += 1
                change = alter if start >= onset else None
                sketches += [_placed(one, start, applied) for one in _sketches(pool, pane, change)]
        judgement.observe(sketches)
        for judged in judgement.due(
            expected=[SOURCE], progress={SOURCE: _progress(at + blocks.length + plan.lateness)}, now=0
        ):
            judgement.accept(judged)
            yield judged


def draw(pool: Pool, rng: np.random.Generator, *, begin: int, count: int) -> list[int]:
    """Numbers of blocks that may stand there, with replacement."""
    blocks = pool.blocks
    return [int(rng.choice(blocks.fitting(begin + at * blocks.length))) for at in range(count)]


def rows_between(pool: Pool, chosen: Sequence[int], *, begin: int, start: int, end: int) -> int:
    """Rows of the panes of such blocks in [start, end)."""
    panes, blocks, found = pool.reference.panes, pool.blocks, 0
    for number, block in enumerate(chosen):
        own = slice(int(blocks.first[block]), int(blocks.last[block]))
        times = panes.starts[own] - blocks.start(block) + begin + number * blocks.length
        found += int(panes.rows[own][(times >= start) & (times < end)].sum())
    return found


def _placed(sketch: Sketch, start: int, applied: int) -> Sketch:
    return replace(sketch, key=sketch.key._replace(pane=start), applied=applied)


def _progress(watermark: int) -> Progress:
    return Progress(
        source=SOURCE, applied=0, end=-1, watermark=watermark, idle=False, paused="", observed=0
    )  # fmt: skip


def _sketches(pool: Pool, pane: int, alter: Alter | None) -> Iterator[Sketch]:
    """The whole's and those of segments; unaltered ones are made once."""
    for segment, panes in _parts(pool.reference, pool.context.plan):
        if segment != WHOLE and panes.rows[pane] == 0:
            continue
        if alter is not None:
            yield _sketch(pool.context, segment, panes, pane, alter)
            continue
        known = pool.panes.get((segment, pane))
        if known is None:
            known = pool.panes[segment, pane] = _sketch(pool.context, segment, panes, pane, None)
        yield known


def _parts(reference: Reference, plan: ModelPlan) -> Iterator[tuple[str, Panes]]:
    yield WHOLE, reference.panes
    wanted = set(names(plan))
    for column in reference.segments:
        for name, part in zip(names_of(column), column.parts, strict=True):
            if name in wanted:
                yield name, part.panes


def _sketch(context: Context, segment: str, panes: Panes, pane: int, alter: Alter | None) -> Sketch:
    is_whole = segment == WHOLE
    plan = context.plan if is_whole else part_plan(context.plan)
    layout = context.layout if is_whole else part_layout(context.layout)
    counts = _dense(panes.indptr, panes.slots, panes.values, pane, layout.slots)
    if alter is not None:
        counts = alter(counts)
    empty = allocate(layout, cells=1, rules=len(plan.rules), reasons=len(REASONS))
    vectors = empty.vectors[0]
    if is_whole and len(panes.vectors):
        vectors[mean_words(layout.vectors)] = panes.vectors[pane]
    latency = _dense(
        panes.latency_indptr, panes.latency_bins, panes.latency_values, pane, LATENCY_BINS
    )  # fmt: skip
    return Sketch(
        key=SketchKey(plan.name, plan.config, "", plan.champion, segment, int(panes.starts[pane]), SOURCE),
        applied=0,
        rows=int(panes.rows[pane]),
        errors=int(panes.errors[pane]),
        counts=Packed(pack(counts)),
        sums=empty.sums[0],
        extremes=empty.extremes[0],
        latency=Packed(pack(latency)),
        violations=_violations(counts, _breaches(context), layout, plan),
        rejects=empty.rejects[0],
        first=-1,
        last=-1,
        vectors=vectors,
    )


def _breaches(context: Context) -> tuple[Breach, ...]:
    return next((prepared.frame.breaches for prepared in context.prepared.values()), ())


def _violations(counts: Counts, breaches: Sequence[Breach], layout: Layout, plan: ModelPlan) -> Any:
    """What the slots say of breaches of the contract, as of the reference: all of a feature under one rule."""
    found = np.zeros(len(plan.rules), np.int64)
    if len(found):
        for breach, times in zip(breaches, breached(counts[None, :], breaches, layout)[0], strict=True):
            found[breach.rules[0]] = times
    return found


def _dense(
    indptr: NDArray[np.int64], slots: NDArray[np.int32], values: NDArray[np.int64], row: int, size: int
) -> Counts:
    found = np.zeros(size, np.int64)
    own = slice(int(indptr[row]), int(indptr[row + 1]))
    found[slots[own]] = values[own]
    return found
