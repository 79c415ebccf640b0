"""Looks at a window that is still open: when, and what would be an alarm. Pure.

The e-values of `monitor.judge.early` hold whatever the rows are, as long as nothing moves further
than the tolerance. Ordinary windows do, and their parts more so (a night is not like a day). So the
tolerance of a feature is learnt from the parts of the reference's own windows, at the same looks, and
then all tolerances are widened until no more of those windows would have alarmed than the share of
the budget allows. Without event times in the reference, or with panes as long as the step of a window,
nothing is known of parts of windows: then there are no looks, and the whole budget is the closing test's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.judge import early
from monitor.judge.early import WIDTH, Array, Ball, Slots
from monitor.judge.tolerances import ENOUGH, EXCEEDED, exceeded_by
from monitor.judge.windows import spans
from monitor.plan import ModelPlan, WindowSpec
from monitor.reference.profile import Panes, Reference
from monitor.reference.span import show_span

LOOKS = 12
"""Most looks while a window goes on by one step: the reference's windows are looked at as often."""
STARTS = 8
"""Starts, evenly over a window, that the rows of a look are counted from: an average over more of them
would cost ln 8 more for what a later start gains, and as many times the work."""
LEARNT = 200
"""Windows, evenly over the reference, that tolerances of parts are learnt from: a 0.9-quantile needs no more."""
WIDEST = 1e3
FINENESS = 1.03
"""Step in which the widening is sought."""


@dataclass(frozen=True, slots=True, eq=False)
class Early:
    """What looks at the windows of one family need; immutable.

    alpha   what the looks at one window may spend together
    every   milliseconds between looks
    ball    no change, with the tolerances of parts of windows, widened
    widened  by how much
    proven  the reference has enough windows to say so
    """

    alpha: float
    every: int
    slots: Slots
    ball: Ball
    widened: float
    proven: bool

    @property
    def limit(self) -> float:
        """log E that is an alarm."""
        return float(-np.log(self.alpha))

    def looks(self, start: int, end: int, step: int) -> list[int]:
        """When the window [start, end) is looked at, ascending: while it is the next to close."""
        blocks = (end - start) // self.every
        return [start + at * self.every for at in look_ends(blocks, step // self.every)]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a look saw that is an alarm.

    log_e  the average over rows and starts
    rows   float64[rows]  log of the average over starts, of each row
    since  int64[rows]    number of the block from which on each row's e-value is largest
    """

    log_e: float
    rows: Array
    since: NDArray[np.int64]


def look_ends(blocks: int, step: int) -> range:
    """Numbers of the blocks before which a window is looked at, the last `step` of its `blocks`."""
    return range(max(blocks - step, 0) + 1, blocks)


def starts_of(blocks: int) -> list[int]:
    """Blocks that the rows of a look are counted from; the same at every look, or their average would
    not be an e-value."""
    return sorted({at * blocks // STARTS for at in range(STARTS)})


def look(seen: NDArray[np.int64], blocks: int, early_: Early) -> Look | None:
    """Look at a window of `blocks` blocks of which so many are complete: int64[seen, rows, WIDTH]. None: no alarm."""
    starts = starts_of(blocks)
    open_ = np.array([at for at in starts if at < len(seen)], np.int64)
    between = np.add.reduceat(seen, open_, axis=0)
    sums = np.cumsum(between[::-1], axis=0)[::-1]
    cells = len(starts) * early_.slots.rows
    counted = early.see(sums, early_.ball)
    if early.average(counted.at_most, cells) < early_.limit:
        return None
    found = early.log_e(counted, early_.ball, early_.widened)
    total = early.average(found, cells)
    if total < early_.limit:
        return None
    rows = np.logaddexp.reduce(found, axis=0) - np.log(len(starts))
    return Look(total, rows, open_[found.argmax(axis=0)])


def prepare_early(
    reference: Reference,
    plan: ModelPlan,
    spec: WindowSpec,
    *,
    slots: Slots,
    tolerance: Array,
    ratio: Array,
    alpha: float,
) -> Early | None:
    """What looks need; None where there are none. `tolerance` float64[features], PSI of whole windows; `ratio`
    float64[rows of slots], what ratios may move by."""
    every = interval(reference, plan, spec)
    if every is None or alpha <= 0.0:
        return None
    windows = list(_windows(reference, spec, slots, every=every, min_rows=plan.min_records))
    if len(windows) < ENOUGH:
        return None
    step = spec.step // every
    balls = [early.build_ball(slots, tolerance / 2, ratio=ratio, left_out=w.sum(axis=0)) for w in windows]
    every_nth = -(-len(windows) // LEARNT)
    moved = np.array([_moved(windows[i], balls[i], step) for i in range(0, len(windows), every_nth)])
    learnt = np.maximum(exceeded_by(moved), 0.0)
    balls = [ball.wider(learnt) for ball in balls]
    ball = early.build_ball(slots, tolerance / 2, ratio=ratio).wider(learnt)
    needed = np.array([_widening(w, own, step, alpha) for w, own in zip(windows, balls, strict=True)])
    widened, proven = critical_widening(needed, alpha, tests=slots.rows)
    return Early(alpha, every, slots, ball, widened, proven)


def interval(reference: Reference, plan: ModelPlan, spec: WindowSpec) -> int | None:
    """Milliseconds between looks: panes that the reference and live windows both have, LOOKS at most
    in a step; None where a step is not made of at least two."""
    if not reference.timed or reference.pane <= 0:
        return None
    unit = int(np.lcm(reference.pane, plan.pane))
    for count in range(max(-(-spec.step // (LOOKS * unit)), 1), spec.step // unit // 2 + 1):
        if spec.step % (count * unit) == 0 and spec.size % (count * unit) == 0:
            return count * unit
    return None


def unlooked(reference: Reference, plan: ModelPlan, spec: WindowSpec) -> str:
    """Why no looks are made at windows, as far as the reference's windows and panes tell; "" where they are."""
    if not reference.timed or reference.pane <= 0:
        return "the reference has no event times, so nothing is known of parts of windows"
    half, step = spec.step // 2, show_span(spec.step)
    if plan.pane > half:
        return f"panes of the model are of {show_span(plan.pane)}, longer than half a step of {step}"
    if reference.pane > half:
        starts = reference.panes.starts
        needed = -(-(int(starts[-1] - starts[0]) + reference.pane) // half)
        return (
            f"panes of the reference are of {show_span(reference.pane)}, longer than half a step of {step}; "
            f"`reference build --max-panes {needed}` keeps shorter ones"
        )
    if interval(reference, plan, spec) is None:
        own = f"{show_span(reference.pane)} of the reference and {show_span(plan.pane)} of the model"
        return f"panes of {own} make no equal parts of a step of {step} together"
    return f"of {ENOUGH} windows with enough rows, which parts are learnt from, the reference has fewer"


def critical_widening(needed: Array, alpha: float, *, tests: int) -> tuple[float, bool]:
    """By how much √ε is widened, and whether the reference has enough windows to prove it.

    `needed` are those with which its own windows would not have alarmed. With fewer than 1/α none
    may, and a normal tail of as many tests is extended from the largest to α.
    """
    from scipy.special import ndtri

    ranked = np.sort(needed)[::-1]
    beyond = int(np.floor(alpha * (len(ranked) + 1) + 1e-9))
    if beyond >= 1:
        return float(ranked[beyond - 1]) if beyond <= len(ranked) else 1.0, True
    if ranked[0] <= 1.0:
        return 1.0, False
    return float(ranked[0] * ndtri(alpha / tests) / ndtri(1.0 / (len(ranked) + 1) / tests)), False


def _windows(
    reference: Reference, spec: WindowSpec, slots: Slots, *, every: int, min_rows: int
) -> Iterator[NDArray[np.int64]]:
    """The reference's own windows in blocks: int64[blocks, rows, WIDTH]."""
    panes = reference.panes
    rows = np.concatenate([[0], np.cumsum(panes.rows)])
    first, last = spans(reference, spec)
    for low, high in zip(first.tolist(), last.tolist(), strict=True):
        if rows[high] - rows[low] < max(min_rows, 1):
            continue
        start = int(panes.starts[low]) // every * every
        blocks = -(-(int(panes.starts[high - 1]) + 1 - start) // every)
        block = (panes.starts[low:high] - start) // every
        yield _blocks(panes, low, high, block, blocks=blocks, slots=slots)


def _blocks(
    panes: Panes, low: int, high: int, block: NDArray[np.int64], *, blocks: int, slots: Slots
) -> NDArray[np.int64]:
    wide = slots.rows * WIDTH
    begin, end = panes.indptr[low], panes.indptr[high]
    of = np.repeat(block, np.diff(panes.indptr[low : high + 1]))
    flat = np.bincount(
        of * wide + slots.slot[panes.slots[begin:end]], panes.values[begin:end], minlength=blocks * wide
    )
    out = np.rint(flat).astype(np.int64).reshape(blocks, slots.rows, WIDTH)
    total, errors = (
        np.bincount(block, part[low:high], minlength=blocks).astype(np.int64)
        for part in (panes.rows, panes.errors)
    )
    out[:, -2, 0], out[:, -2, 1] = errors, total - errors
    if slots.slow_from:
        begin, end = panes.latency_indptr[low], panes.latency_indptr[high]
        bins, values = panes.latency_bins[begin:end], panes.latency_values[begin:end]
        of = np.repeat(block, np.diff(panes.latency_indptr[low : high + 1]))
        for column, chosen in enumerate((bins >= slots.slow_from, (bins >= 1) & (bins < slots.slow_from))):
            out[:, -1, column] = np.rint(np.bincount(of[chosen], values[chosen], minlength=blocks))
    return out


def _parts(window: NDArray[np.int64], step: int) -> list[NDArray[np.int64]]:
    """What every look at a window counts from every start: each int64[starts, rows, WIDTH]."""
    total = np.concatenate([np.zeros((1, *window.shape[1:]), np.int64), np.cumsum(window, axis=0)])
    starts = np.array(starts_of(len(window)))
    return [total[high] - total[starts[starts < high]] for high in look_ends(len(window), step)]


def _moved(window: NDArray[np.int64], ball: Ball, step: int) -> Array:
    """How far beyond the ball the parts of a window lie, as √KL, per row: what noise does not explain.

    2n KL is taken as noncentral chi-square, exceeded at EXCEEDED over all parts; solved for the
    noncentrality by its normal approximation.
    """
    from scipy.special import ndtri

    parts = np.concatenate(_parts(window, step))
    c = parts / ball.design[:, None]
    n = c.sum(axis=-1)
    kinds = ball.used.sum(axis=1)
    padded = np.where(ball.used, c + 0.5, 1.0)
    shares = padded / np.maximum(n + kinds / 2.0, 0.5)[..., None]
    known = np.where(ball.used, ball.shares, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = (known * np.log(np.where(ball.used, known / shares, 1.0))).sum(axis=-1)
    excess = 2.0 * n * far - (kinds - 1)
    z = float(ndtri(1.0 - EXCEEDED / len(parts)))
    root = np.sqrt(4.0 * np.maximum(excess, 0.0) * z**2 + 4.0 * z**4 + 2.0 * z**2 * np.maximum(kinds - 1, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.where(n > 0, np.maximum(excess + 2.0 * z**2 - root, 0.0) / (2.0 * n), 0.0)
    return np.asarray(np.sqrt(moved.max(axis=0)) - ball.radius)


def _widening(window: NDArray[np.int64], ball: Ball, step: int, alpha: float) -> float:
    """The least widening, at least 1, with which no look at the window would have been an alarm."""
    limit, cells, worst = -np.log(alpha), len(starts_of(len(window))) * len(ball.size), 1.0
    looks = _parts(window, step)
    seen = early.see(np.concatenate(looks), ball)
    first = 0
    for sums in looks:
        own, first = seen.take(slice(first, first + len(sums))), first + len(sums)
        if early.average(own.at_most, cells) < limit:
            continue
        found = early.log_e(own, ball, worst)
        start, row = np.nonzero(np.isfinite(found))
        part, of = own.take((start, row)), ball.take(row)
        while early.average(early.log_e(part, of, worst), cells) >= limit and worst < WIDEST:
            worst *= FINENESS
    return worst
