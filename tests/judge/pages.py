"""Pages per simulated month under no change, with a fresh reference each month."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from monitor.judge.extract import Counts, Extract, extract
from monitor.judge.prepare import prepare
from monitor.judge.weigh import statistics, weigh
from tests.judge.build import (
    DAY,
    HOUR,
    categorical_profile,
    draw,
    numeric_profile,
    plan,
    reference,
    uniform,
    zipf,
)

CLEAR_AFTER = 2
ALLOWED = 1.1


class Setting(NamedTuple):
    """A model: `numeric` + `categorical` features, `n` rows per window, windows of `size` hours."""

    name: str
    n: int = 1_000
    numeric: int = 35
    categorical: int = 15
    pages: float = 2.0
    movement: float = 0.0
    """Standard deviation, in sigma, of each numeric feature's own random shift per window."""


SETTINGS = (
    Setting("steady, 1,000 rows an hour"),
    Setting("moving by 0.03 sigma, 20,000 rows an hour", n=20_000, movement=0.03),
)


class Month(NamedTuple):
    seed: int
    windows: int
    """Windows that drift."""
    pages: int
    """Incidents opened: a drift window while none is open; CLEAR_AFTER ok windows close one."""
    warned: int


def measure(
    setting: Setting,
    seeds: Sequence[int],
    *,
    days: int = 30,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Month]:
    months = []
    for seed in seeds:
        months.append(simulate(setting, seed, days=days))
        if len(months) % 20 == 0:
            progress(f"pages, {setting.name}: {len(months)} of {len(seeds)} months")
    return months


def simulate(setting: Setting, seed: int, *, days: int = 30) -> Month:
    """One month of hourly windows against a reference just long enough for the budget."""
    rng = np.random.Generator(np.random.Philox(seed))
    own = [numeric_profile(f"n{i}") for i in range(setting.numeric)]
    own += [categorical_profile(f"c{i}", [f"k{j}" for j in range(30)]) for i in range(setting.categorical)]
    chances = [
        uniform(p, missing=0.01 * (i % 4)) if i < setting.numeric else zipf(p, missing=0.01 * (i % 4))
        for i, p in enumerate(own)
    ]
    model = plan(own, pages=setting.pages)
    length = round(30 * DAY / HOUR / setting.pages)
    prepared = prepare(
        reference(own, _draw(rng, setting, chances, length), timed=True), model, model.windows[0]
    )
    assert prepared.proven
    hours = days * 24
    counts = Counts(
        _draw(rng, setting, chances, hours),
        np.full(hours, setting.n), np.zeros(hours, np.int64), np.zeros((hours, 1152), np.int64),
    )  # fmt: skip
    windows = extract(counts, prepared.frame, left_out=False)
    m = statistics(windows, prepared.frame, prepared.tolerances, prepared.level)
    drift = _rejects(windows, prepared, m, above=prepared.critical, p=prepared.alpha)
    warn = _rejects(windows, prepared, m, above=prepared.warn_critical, p=prepared.warn_p)
    return Month(seed, int(drift.sum()), openings(drift, warn), int((warn & ~drift).sum()))


def _draw(rng, setting, chances, size):
    if setting.movement == 0.0:
        return draw(rng, chances, setting.n, size)
    out = []
    for p in chances:
        moved = np.tile(p, (size, 1))
        values = moved[:, 3:]
        score = np.linspace(-1.7, 1.7, values.shape[1])
        values *= np.exp(rng.normal(0.0, setting.movement, (size, 1)) * score)
        moved /= moved.sum(axis=1, keepdims=True)
        out.append(rng.multinomial(setting.n, moved))
    return np.concatenate(out, axis=1)


def _rejects(windows, prepared, m, *, above, p):
    """Windows that `judge` calls drift: a test of p at most `p` beyond the critical statistic."""
    found = m > above
    for window in np.flatnonzero(found):
        one = Extract(*(getattr(windows, name)[window : window + 1] for name in Extract.__slots__))
        evidence = weigh(one, prepared.frame, prepared.tolerances, prepared.level, prepared.past)
        found[window] = bool(((evidence.x > above) & (evidence.p <= p)).any())
    return found


def openings(drift, warn) -> int:
    """Incidents that a month of windows opens."""
    count, quiet, is_open = 0, 0, False
    for drifted, warned in zip(drift, warn, strict=True):
        quiet = 0 if drifted or warned else quiet + 1
        if is_open and quiet >= CLEAR_AFTER:
            is_open = False
        if drifted and not is_open:
            is_open = True
            count += 1
    return count


def summary(months: Sequence[Month]) -> dict[str, float]:
    pages = np.array([month.pages for month in months], float)
    low, high = np.quantile(pages, [0.05, 0.95])
    error = pages.std(ddof=1) / len(pages) ** 0.5 if len(pages) > 1 else float("inf")
    return {
        "mean": float(pages.mean()), "error": float(error), "low": float(low), "high": float(high),
        "windows": float(np.mean([month.windows for month in months])),
        "warned": float(np.mean([month.warned for month in months])),
    }  # fmt: skip


def broken(setting: Setting, months: Sequence[Month]) -> list[str]:
    s = summary(months)
    if s["mean"] <= ALLOWED * setting.pages + 2 * s["error"]:
        return []
    return [f"pages, {setting.name}: {s['mean']:.2f} ± {s['error']:.2f} a month, budget {setting.pages:g}"]


def table(setting: Setting, months: Sequence[Month]) -> str:
    s = summary(months)
    return "\n".join(
        [
            f"### Pages per month, {setting.name}",
            "",
            (
                f"{setting.numeric} numeric and {setting.categorical} categorical features, hourly windows of "
                f"{setting.n:,} rows, {len(months)} months, a fresh reference each, budget {setting.pages:g}."
            ),
            "",
            "| mean | standard error | 5–95 % | drift windows | warn windows |",
            "| --- | --- | --- | --- | --- |",
            (
                f"| {s['mean']:.2f} | {s['error']:.2f} | {s['low']:.0f}–{s['high']:.0f} | {s['windows']:.2f} "
                f"| {s['warned']:.1f} |"
            ),
        ]
    )
