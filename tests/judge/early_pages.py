"""Pages per simulated month under no change of a model whose open windows are looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from monitor.judge.extract import Counts, extract
from monitor.judge.looking import Early, look, look_ends
from monitor.judge.prepare import prepare
from monitor.judge.weigh import statistics
from tests.judge.build import HOUR, categorical_profile, numeric_profile, plan, reference, uniform, zipf
from tests.judge.drawing import multinomial
from tests.judge.pages import Month, openings, rejects

PER_HOUR = 4
NUMERIC, CATEGORICAL = 20, 5


class Setting(NamedTuple):
    """Hourly windows in panes of a quarter of an hour, each of which is looked at.

    n       rows an hour
    moved   how far each numeric feature wanders from hour to hour, in sigma
    hours   of the reference
    """

    name: str
    n: int = 1_000
    moved: float = 0.0
    hours: int = 450
    pages: float = 2.0
    has_floor: bool = True
    has_goal: bool = True


SETTINGS = (
    Setting("25 features with looks, reference of 450 hours"),
    Setting("25 features with looks that wobble by 0.1 sigma, n = 20,000, reference of 450 hours", n=20_000, moved=0.1),
    Setting("25 features with looks that wobble by 0.1 sigma, n = 20,000, reference of 1,800 hours", n=20_000, moved=0.1,
            hours=1_800),
)  # fmt: skip


def simulate(setting: Setting, seed: int, *, days: int = 30) -> Month:
    """One month of hourly windows, looked at and closed, against a reference of its own."""
    rng = np.random.Generator(np.random.Philox(seed))
    own = [numeric_profile(f"n{i}") for i in range(NUMERIC)]
    own += [categorical_profile(f"c{i}", [f"k{j}" for j in range(30)]) for i in range(CATEGORICAL)]
    chances = [
        uniform(p, missing=0.01) if at < NUMERIC else zipf(p, missing=0.01) for at, p in enumerate(own)
    ]
    model = replace(plan(own, pages=setting.pages), pane=HOUR // PER_HOUR)
    past = reference(own, _draw(rng, setting, chances, setting.hours), pane=model.pane)
    ready = prepare(past, model, model.windows[0])
    assert ready.early is not None
    panes = _draw(rng, setting, chances, days * 24)
    alarmed = _alarms(panes, ready.early, rows=setting.n // PER_HOUR)
    hours = panes.reshape(days * 24, PER_HOUR, -1).sum(axis=1)
    none = np.zeros(len(hours), np.int64)
    rows = np.full(len(hours), setting.n // PER_HOUR * PER_HOUR)
    counts = Counts(hours, rows, none, np.zeros((len(hours), 1152), np.int64))
    closed = extract(counts, ready.frame, left_out=False)
    m = statistics(closed, ready.frame, ready.tolerances, ready.level)
    drift, warn = rejects(closed, ready, m)
    warn &= ~drift
    pages = openings(alarmed | drift, warn)
    return Month(seed, int(drift.sum()), pages, int(warn.sum()), int(alarmed.sum()))


def _alarms(panes: np.ndarray, early: Early, *, rows: int) -> np.ndarray:
    """Hours in which any look is an alarm."""
    none = np.zeros(1152, np.int64)
    slots = np.array([early.slots.count(one, rows=rows, errors=0, latency=none) for one in panes])
    hours = slots.reshape(-1, PER_HOUR, *slots.shape[1:])
    return np.array(
        [any(look(hour[:seen], PER_HOUR, early) for seen in look_ends(PER_HOUR, PER_HOUR)) for hour in hours]
    )


def _draw(rng, setting: Setting, chances, hours: int) -> np.ndarray:
    """Counts of panes: a feature stands for an hour where it wandered to."""
    found, rows = [], np.full((hours, PER_HOUR), setting.n // PER_HOUR)
    for at, p in enumerate(chances):
        own = p
        if at < NUMERIC and setting.moved:
            own = np.tile(p, (hours, 1, 1))
            values = own[:, :, 3:]
            moved = rng.normal(0.0, setting.moved, (hours, 1, 1))
            values *= np.exp(moved * np.linspace(-1.7, 1.7, values.shape[2]))
            own /= own.sum(axis=2, keepdims=True)
        found.append(multinomial(rng, rows, own).reshape(hours * PER_HOUR, -1))
    return np.concatenate(found, axis=1)
