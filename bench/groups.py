"""Features that are judged together: what a change of correlation alone must be to be found, false pages, and cost.

    python -m bench.run --only groups

Simulated in `tests.judge.joint_pages`, from fixed seeds, with the whole judge at a budget of 2 pages in 30 days: 12
features, a pair of correlation 0.8 and three that share a cause. Only the correlation of the pair changes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.figure import figure, say, spent
from bench.machine import one_core
from kernels.fold import fold
from kernels.layout import allocate, no_rules
from monitor.groups import member_columns, with_groups
from tests.judge import joint_pages, pages
from tests.judge.joined import NAMES, columns_of, draw, plan_of, reference_of

RHOS = (0.7, 0.6, 0.4, 0.0, -0.8)
ROWS = (300, 1_000, 3_000, 10_000)
SIZES = (2, 4, 8, 16)
BATCH = 5_000


def figures(*, smoke: bool) -> list[dict]:
    return [*_powers(smoke=smoke), *_sizes(smoke=smoke), *_pages(smoke=smoke), *_cost(smoke=smoke)]


def _powers(*, smoke: bool) -> list[dict]:
    windows = 20 if smoke else 200
    rng = np.random.Generator(np.random.Philox(1))
    found = []
    for n in ROWS[:1] if smoke else ROWS:
        scene = joint_pages.scene_of(rng, joint_pages.Setting("", n=min(n, 3_000)))
        for seed, rho in enumerate(RHOS):
            one = joint_pages.power(100 + seed, rho, n, windows=windows, scene=scene)
            say(f"groups: {one}")
            found.append(
                figure(
                    f"correlation {joint_pages.RHO} to {rho}, {n:,} rows a window",
                    "share of windows found",
                    one.pair,
                    rounds=windows,
                    notes=f"by any single feature {one.single:.1%}",
                )
            )
    return found


def _sizes(*, smoke: bool) -> list[dict]:
    """The pair among others of its group, in windows of 1,000 rows."""
    n, windows = (200, 10) if smoke else (1_000, 100)
    rng = np.random.Generator(np.random.Philox(2))
    found = []
    for size in SIZES[:2] if smoke else SIZES:
        scene = joint_pages.group_of(size, n)
        for rho in RHOS[2:]:
            one = joint_pages.found_in(joint_pages.paired(rng, windows * n, size, rho), rho, n, scene=scene)
            say(f"groups: of {size}, {one}")
            name = f"correlation {joint_pages.RHO} to {rho}, a pair in a group of {size}, {n:,} rows a window"
            found.append(figure(name, "share of windows found", one.pair, rounds=windows))
    return found


def _pages(*, smoke: bool) -> list[dict]:
    found = []
    for setting in joint_pages.SETTINGS[:1] if smoke else joint_pages.SETTINGS:
        months = joint_pages.measure(setting, range(1 if smoke else 30), progress=say)
        own = pages.summary(months)
        found.append(
            figure(
                f"false pages a month, budget {setting.pages:g}, {setting.name}",
                "pages",
                own["mean"],
                rounds=len(months),
                notes=f"standard error {own['error']:.2f}, 5-95 % {own['low']:.0f} to {own['high']:.0f}",
            )
        )
    return found


def _cost(*, smoke: bool) -> list[dict]:
    rows, rounds = (500, 3) if smoke else (BATCH, 15)
    found = []
    with one_core():
        for members in ((), NAMES[:2], NAMES):
            run = _folded(members, rows)
            run()
            times = [1e9 * spent(run).cpu / rows for _ in range(rounds)]
            of = f"and a group of {len(members)}" if members else "without a group"
            name = f"fold of 3 features {of}"
            found.append(figure(name, "ns/row", float(np.median(times)), ours_range=times, rounds=rounds))
    return found


def _folded(members: tuple[str, ...], rows: int) -> Callable[[], None]:
    """Counts the rows of one batch once more, the columns of groups made anew as a decoder makes them."""
    reference = reference_of(draw(np.random.default_rng(2), 4_000), hours=4, members=members)
    values, own, layout = draw(np.random.default_rng(1), rows), plan_of(reference), reference.layout()
    cells, rules = allocate(layout, cells=1, rules=0, reasons=0), no_rules(layout)
    read, taken, cell = (
        columns_of(values, own, groups=False),
        member_columns(own.features),
        np.zeros(rows, np.int32),
    )

    def run() -> None:
        columns = with_groups(read, taken)
        fold(
            cells, layout, rules, cell=cell, values=columns.values, codes=columns.codes, latency=columns.latency,
            errors=columns.errors, offsets=columns.offsets, vectors=columns.vectors,
        )  # fmt: skip

    return run
