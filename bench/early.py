"""What looks at open windows find and when, how well a change is dated, and what both cost in false pages.

    python -m bench.run --only early

Simulated from fixed seeds. Months: a fresh reference of 450 hours each, in panes of 15 minutes, `budget: 2 per 30d`, 20
numeric and 5 categorical features; a page is an incident that a look or a closed window opens. Delays: one feature of 20
equal groups, looked at every 400 rows, at the level that hourly windows have. Onsets: a feature that changes in one of
24 panes, as much as the test of the closed window finds with a probability of 0.9.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.stats import ncx2, norm

from bench.figure import figure, say
from monitor.judge.early import WIDTH, Ball, log_e, uncertainty
from monitor.judge.extract import Counts, extract
from monitor.judge.looking import look, look_ends
from monitor.judge.onset import contributions
from monitor.judge.prepare import prepare
from monitor.judge.weigh import statistics
from tests.judge.build import HOUR, categorical_profile, numeric_profile, plan, reference, uniform, zipf
from tests.judge.pages import openings

PER_HOUR = 4
REFERENCE, MONTH = 450, 720
NUMERIC, CATEGORICAL = 20, 5
SETTINGS = ((1_000, 0.0), (20_000, 0.1))
"""Rows an hour, and how far each numeric feature wanders from hour to hour, in sigma."""
GROUPS, ALPHA, EVERY = 20, 0.0028, 400


def figures(*, smoke: bool) -> list[dict]:
    found = [_months(rows, moved, range(1 if smoke else 12)) for rows, moved in SETTINGS[: 1 if smoke else 2]]
    found += [
        _delay(psi, m, 20 if smoke else 300) for m in (10_000, 100_000) for psi in (0.01, 0.05, 0.09, 0.25)
    ]
    found += [
        _onset(kind, rows, 20 if smoke else 300) for kind in ("shift", "scale") for rows in (2_400, 24_000)
    ]
    return found


def _months(rows: int, moved: float, seeds: range) -> dict:
    found = []
    for seed in seeds:
        found.append(_month(rows, moved, seed))
        say(f"early: {rows} rows, wandering by {moved}: month {seed + 1} of {len(seeds)}")
    pages, looks, closes = np.array(found, float).T
    error = pages.std(ddof=1) / len(pages) ** 0.5 if len(pages) > 1 else float("nan")
    return figure(
        f"pages a month without a change, {rows:,} rows an hour, wandering by {moved:g} sigma, budget 2",
        "pages",
        float(pages.mean()),
        ours_range=[float(pages.min()), float(pages.max())],
        rounds=len(seeds),
        goal="<= 2.2",
        notes=f"± {error:.2f}; windows that alarmed early {looks.mean():.2f} a month, that drifted when they closed "
        f"{closes.mean():.2f}",
    )


def _month(rows: int, moved: float, seed: int) -> tuple[int, int, int]:
    """Incidents, windows that alarmed, windows that drifted."""
    rng = np.random.Generator(np.random.Philox(seed))
    own = [numeric_profile(f"n{i}") for i in range(NUMERIC)]
    own += [categorical_profile(f"c{i}", [f"k{j}" for j in range(30)]) for i in range(CATEGORICAL)]
    chances = [uniform(p, missing=0.01) for p in own[:NUMERIC]] + [
        zipf(p, missing=0.01) for p in own[NUMERIC:]
    ]
    pane = HOUR // PER_HOUR
    model = replace(plan(own, pages=2.0), pane=pane)
    past = reference(own, _drawn(rng, chances, rows, moved, REFERENCE), pane=pane)
    ready = prepare(past, model, model.windows[0])
    early = ready.early
    assert early is not None
    live = _drawn(rng, chances, rows, moved, MONTH)
    none = np.zeros(1152, np.int64)
    slots = np.array([early.slots.count(one, rows=rows // PER_HOUR, errors=0, latency=none) for one in live])
    hours = slots.reshape(MONTH, PER_HOUR, *slots.shape[1:])
    alarmed = np.array(
        [any(look(hour[:k], PER_HOUR, early) for k in look_ends(PER_HOUR, PER_HOUR)) for hour in hours]
    )
    size = np.full(MONTH, rows // PER_HOUR * PER_HOUR)
    counts = Counts(
        live.reshape(MONTH, PER_HOUR, -1).sum(axis=1), size, np.zeros(MONTH, np.int64), np.zeros((MONTH, 1152), np.int64)
    )  # fmt: skip
    m = statistics(extract(counts, ready.frame, left_out=False), ready.frame, ready.tolerances, ready.level)
    drifted, warned = m > ready.critical, m > ready.warn_critical
    return openings(alarmed | drifted, warned), int(alarmed.sum()), int(drifted.sum())


def _drawn(rng, chances, rows: int, moved: float, hours: int) -> np.ndarray:
    """Counts of panes: a feature stands for an hour where it wandered to."""
    found = []
    for p in chances:
        own = np.tile(p, (hours, 1))
        values = own[:, 3:]
        values *= np.exp(rng.normal(0.0, moved, (hours, 1)) * np.linspace(-1.7, 1.7, values.shape[1]))
        own /= own.sum(axis=1, keepdims=True)
        found.append(rng.multinomial(rows // PER_HOUR, np.repeat(own, PER_HOUR, axis=0)))
    return np.concatenate(found, axis=1)


def _delay(psi: float, m: int, runs: int) -> dict:
    """Rows until a look alarms; of the runs that never do within 50 looks there is none."""
    rng = np.random.Generator(np.random.Philox(7))
    p, found = _tilted(psi), []
    for _ in range(runs):
        counts = np.zeros((50, 1, WIDTH), np.int64)
        counts[:, 0, :GROUPS] = rng.multinomial(EVERY, p, size=50).cumsum(axis=0)
        hit = np.flatnonzero(log_e(counts, _ball(rng, m, tolerance=0.01))[:, 0] >= -np.log(ALPHA))
        found.append((hit[0] + 1) * EVERY if len(hit) else np.inf)
    share, middle = float(np.mean(np.isfinite(found))), float(np.median(found))
    return figure(
        f"rows until a look alarms, PSI {psi:g}, tolerance 0.01, reference of {m:,}",
        "rows",
        middle if np.isfinite(middle) else None,
        rounds=runs,
        notes=f"median; {share:.1%} alarmed within {50 * EVERY:,} rows",
        missing="" if np.isfinite(middle) else "most do not alarm",
    )


def _ball(rng, m: int, *, tolerance: float) -> Ball:
    totals, used = np.zeros((1, WIDTH)), np.zeros((1, WIDTH), np.bool_)
    used[0, :GROUPS] = True
    totals[0, :GROUPS] = (rng.multinomial(m, np.full(GROUPS, 1 / GROUPS)) + 0.5) / (m + GROUPS / 2)
    size = np.array([float(m)])
    radius = np.sqrt([tolerance / 2]) + (uncertainty(np.array([GROUPS]), size) if tolerance else 0.0)
    return Ball(totals, used, np.ones(1), size, radius)


def _tilted(psi: float) -> np.ndarray:
    """Equal groups, leaning by as much."""
    q, low, high = np.full(GROUPS, 1 / GROUPS), 0.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        p = np.exp(middle * np.linspace(-1, 1, GROUPS))
        p /= p.sum()
        low, high = (middle, high) if ((p - q) * np.log(p / q)).sum() < psi else (low, middle)
    return p


def _onset(kind: str, rows: int, runs: int) -> dict:
    rng, panes = np.random.Generator(np.random.Philox(9)), 24
    edges, q, off = norm.ppf(np.linspace(0, 1, GROUPS + 1)), np.full(GROUPS, 1 / GROUPS), []
    limit = ncx2.isf(4e-5, GROUPS - 1, 0)

    def changed(size: float) -> np.ndarray:
        return np.diff(norm.cdf(edges - size if kind == "shift" else edges / (1 + size)))

    for _ in range(runs):
        began, low, high = int(rng.integers(1, panes - 1)), 0.0, 8.0
        for _ in range(40):
            size = (low + high) / 2
            mixed = q + (panes - began) / panes * (changed(size) - q)
            power = ncx2.sf(limit, GROUPS - 1, rows * ((mixed - q) * np.log(mixed / q)).sum())
            low, high = (size, high) if power < 0.9 else (low, size)
        counts = np.zeros((panes, 1, WIDTH), np.int64)
        for pane in range(panes):
            counts[pane, 0, :GROUPS] = rng.multinomial(rows // panes, q if pane < began else changed(size))
        off.append(int(contributions(counts, _ball(rng, 450 * rows, tolerance=0.0))[:, 0].argmax()) - began)
    return figure(
        f"onset within one pane of 24: {kind}, {rows:,} rows",
        "share",
        float(np.mean(np.abs(off) <= 1)),
        goal=">= 0.9",
        rounds=runs,
        notes=f"exactly {np.mean(np.equal(off, 0)):.1%}, too early by more {np.mean(np.less(off, -1)):.1%}, too late by "
        f"more {np.mean(np.greater(off, 1)):.1%}",
    )
