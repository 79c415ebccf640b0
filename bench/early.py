"""What looks at open windows find and when, how well a change is dated, and what both cost in false pages.

    python -m bench.run --only early

Simulated from fixed seeds. Months: a fresh reference of 450 hours each, in panes of 15 minutes, `budget: 2 per 30d`, 20
numeric and 5 categorical features; a page is an incident that a look or a closed window opens. Delays: one feature of 20
equal groups, looked at every 400 rows, at the level that hourly windows have. Onsets: a feature that changes in one of
24 panes, as much as the test of the closed window finds with a probability of 0.9.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import ncx2, norm

from bench.figure import figure, say
from kernels.layout import FIRST_BIN
from monitor.judge.early import WIDTH, Ball, log_e, see, uncertainty
from monitor.judge.onset import Evidence, contributions, likeliest
from tests.judge import early_pages, pages

GROUPS, ALPHA, EVERY = 20, 0.0028, 400


def figures(*, smoke: bool) -> list[dict]:
    settings = early_pages.SETTINGS[: 1 if smoke else 2]
    found = [_months(setting, range(1 if smoke else 12)) for setting in settings]
    found += [
        _delay(psi, m, 20 if smoke else 300) for m in (10_000, 100_000) for psi in (0.01, 0.05, 0.09, 0.25)
    ]
    found += [
        _onset(kind, rows, 20 if smoke else 300) for kind in ("shift", "scale") for rows in (2_400, 24_000)
    ]
    return found


def _months(setting: early_pages.Setting, seeds: range) -> dict:
    found = []
    for seed in seeds:
        found.append(early_pages.simulate(setting, seed))
        say(f"early: {setting.name}: month {seed + 1} of {len(seeds)}")
    s = pages.summary(found)
    own = [month.pages for month in found]
    return figure(
        f"pages a month without a change, {setting.name}, budget {setting.pages:g}",
        "pages",
        s["mean"],
        ours_range=[float(min(own)), float(max(own))],
        rounds=len(seeds),
        goal=f"<= {pages.ALLOWED * setting.pages:.2g}",
        notes=f"± {s['error']:.2f}; windows that alarmed early {s['early']:.2f} a month, that drifted when they closed "
        f"{s['windows']:.2f}",
    )


def _delay(psi: float, m: int, runs: int) -> dict:
    """Rows until a look alarms; of the runs that never do within 50 looks there is none."""
    rng = np.random.Generator(np.random.Philox(7))
    p, found = _tilted(psi), []
    for _ in range(runs):
        counts = np.zeros((50, 1, WIDTH), np.int64)
        counts[:, 0, FIRST_BIN + 1 :] = rng.multinomial(EVERY, p, size=50).cumsum(axis=0)
        ball = _ball(rng, m, tolerance=0.01)
        hit = np.flatnonzero(log_e(see(counts, ball), ball)[:, 0] >= -np.log(ALPHA))
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
    used[0, FIRST_BIN + 1 :] = True
    totals[0, FIRST_BIN + 1 :] = (rng.multinomial(m, np.full(GROUPS, 1 / GROUPS)) + 0.5) / (m + GROUPS / 2)
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
    ordered = np.array([True])
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
            counts[pane, 0, FIRST_BIN + 1 :] = rng.multinomial(
                rows // panes, q if pane < began else changed(size)
            )
        ball = _ball(rng, 450 * rows, tolerance=0.0)
        off.append(likeliest(contributions(Evidence(counts), ball, ordered)[:, 0]) - began)
    return figure(
        f"onset within one pane of 24: {kind}, {rows:,} rows",
        "share",
        float(np.mean(np.abs(off) <= 1)),
        goal=">= 0.9",
        rounds=runs,
        notes=f"exactly {np.mean(np.equal(off, 0)):.1%}, too early by more {np.mean(np.less(off, -1)):.1%}, too late by "
        f"more {np.mean(np.greater(off, 1)):.1%}",
    )
