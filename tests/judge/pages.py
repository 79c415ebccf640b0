"""Pages per simulated month without a change, with a fresh reference each month."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from monitor.judge.extract import Counts, Extract, extract
from monitor.judge.prepare import prepare
from monitor.judge.weigh import statistics, weigh
from tests.judge.build import DAY, HOUR, categorical_profile, numeric_profile, plan, reference, uniform, zipf
from tests.judge.drawing import multinomial

CLEAR_AFTER = 2
ALLOWED, LEAST = 1.1, 0.5
"""Of the budget: what may be sent on the mean, and what must be where the reference proves the budget."""
BINS, CATEGORIES = 32, 20
SHORT = 12
"""Windows of a reference that teaches tolerances and proves nothing."""
TOGETHER = 64


class Setting(NamedTuple):
    """A model without a change. Its numeric features have BINS equal bins, the others CATEGORIES.

    n          rows in a window
    pages      the budget of 30 days
    size, step of its windows, hours
    psi        of the random effect that moves each feature in each window, on average
    fixed      the effect is of that size in every window, one way or the other; else normal
    memory     correlation of a feature's movement with that of the step before
    shared     share of the movement, or without one of the rows, that is the same for all features
    session    rows that are alike
    reference  "timed", as long as the budget needs; "short", of SHORT windows; "untimed"
    """

    name: str
    n: int = 1_000
    numeric: int = 35
    categorical: int = 15
    pages: float = 2.0
    size: int = 1
    step: int = 1
    psi: float = 0.0
    fixed: bool = False
    memory: float = 0.0
    shared: float = 0.0
    session: int = 1
    reference: str = "timed"

    @property
    def has_floor(self) -> bool:
        """Whether LEAST is asked: not of equality tests by Holm, and not where nothing leaves the tolerance."""
        return self.reference == "timed" and not self.fixed

    @property
    def has_goal(self) -> bool:
        """A reference that has seen too few windows of a model that wobbles promises nothing, and says so."""
        return self.reference == "timed" or self.psi == 0.0 or self.fixed


SETTINGS = (
    Setting("5 features", numeric=3, categorical=2),
    Setting("50 features"),
    Setting("500 features, windows of 6 hours", numeric=350, categorical=150, size=6, step=6),
    Setting("2,000 features, daily windows", numeric=1_400, categorical=600, size=24, step=24),
    Setting("50 features, half of the rows of which are alike in all", numeric=50, categorical=0, shared=0.5),
    Setting("50 features that are one", numeric=50, categorical=0, shared=1.0),
    Setting("50 features, rows in sessions of 5 alike", session=5),
    Setting("10 features, 24 hours by the hour", n=2_400, numeric=7, categorical=3, size=24),
    Setting("20 features that wobble by PSI 0.005, n = 1,000", numeric=14, categorical=6, psi=0.005),
    Setting("20 features that wobble by PSI 0.005, n = 1,000,000", n=10**6, numeric=14, categorical=6, psi=0.005),
    Setting("20 features that wobble by PSI 0.05, n = 10,000", n=10**4, numeric=14, categorical=6, psi=0.05),
    Setting("20 features that wobble by PSI 0.3, n = 1,000", numeric=14, categorical=6, psi=0.3),
    Setting("20 features that wobble by PSI 0.3, n = 1,000,000", n=10**6, numeric=14, categorical=6, psi=0.3),
    Setting("20 features that wobble by PSI 0.05, half of it together", n=10**4, numeric=14, categorical=6, psi=0.05,
            shared=0.5),
    Setting("20 features that wobble by PSI 0.05, each as the hour before by 0.7", n=10**4, numeric=14, categorical=6,
            psi=0.05, memory=0.7),
    Setting("50 features, untimed reference", reference="untimed"),
    Setting("20 features that move by PSI 0.005, within the assumed tolerance, n = 100,000, untimed reference", n=10**5,
            numeric=14, categorical=6, psi=0.005, fixed=True, reference="untimed"),
    Setting("20 features that move by PSI 0.005, within the learnt tolerance, n = 100,000", n=10**5, numeric=14,
            categorical=6, psi=0.005, fixed=True),
    Setting("50 features, reference of 12 windows", reference="short"),
    Setting("20 features that wobble by PSI 0.05, n = 10,000, reference of 12 windows", n=10**4, numeric=14,
            categorical=6, psi=0.05, reference="short"),
)  # fmt: skip


class Month(NamedTuple):
    seed: int
    windows: int
    """Windows that drift."""
    pages: int
    """Incidents opened: a drift window while none is open; CLEAR_AFTER ok windows close one."""
    warned: int
    early: int = 0
    """Windows that alarmed before they closed."""


def simulate(setting: Setting, seed: int, *, days: int = 30) -> Month:
    """One month of windows against a reference of its own."""
    rng = np.random.Generator(np.random.Philox(seed))
    own = [numeric_profile(f"n{i}", BINS) for i in range(setting.numeric)]
    own += [
        categorical_profile(f"c{i}", [f"k{j}" for j in range(CATEGORIES)]) for i in range(setting.categorical)
    ]
    mixed = setting.shared < 1.0 and setting.categorical > 0
    chances = [
        uniform(p, missing=0.01 * (i % 4) if mixed else 0.01)
        if i < setting.numeric
        else zipf(p, missing=0.01 * (i % 4))
        for i, p in enumerate(own)
    ]
    model = plan(own, pages=setting.pages, size=setting.size * HOUR, step=setting.step * HOUR)
    length = SHORT if setting.reference == "short" else round(30 * DAY / HOUR / setting.step / setting.pages)
    panes = _draw(rng, setting, chances, length + _more(setting))
    past = reference(own, panes, timed=setting.reference != "untimed", pane=setting.step * HOUR)
    if setting.reference == "untimed":
        past = reference(own, panes.sum(axis=0, keepdims=True), timed=False)
    prepared = prepare(past, model, model.windows[0])
    assert prepared.ranks == (setting.reference == "timed")
    windows = _windows(setting, _draw(rng, setting, chances, days * 24 // setting.step + _more(setting)))
    none = np.zeros(len(windows), np.int64)
    rows = windows[:, : own[0].slots].sum(axis=1)
    extracted = extract(
        Counts(windows, rows, none, np.zeros((len(windows), 1152), np.int64)), prepared.frame, left_out=False
    )
    m = statistics(extracted, prepared.frame, prepared.tolerances, prepared.level)
    drift, warn = rejects(extracted, prepared, m)
    clear = max(CLEAR_AFTER, setting.size // setting.step)
    return Month(seed, int(drift.sum()), openings(drift, warn, clear=clear), int((warn & ~drift).sum()))


def _more(setting: Setting) -> int:
    """Steps that the first window needs beyond its own."""
    return setting.size // setting.step - 1


def _windows(setting: Setting, panes: np.ndarray) -> np.ndarray:
    together = setting.size // setting.step
    if together == 1:
        return panes
    before = np.concatenate([np.zeros((1, panes.shape[1]), np.int64), np.cumsum(panes, axis=0)])
    return before[together:] - before[:-together]


def _draw(rng, setting, chances, size):
    """Counts of `size` steps: int64[size, slots of all features]."""
    rows = setting.n * setting.step // setting.size // setting.session
    alike = round(setting.shared * rows) if setting.psi == 0.0 else 0
    common = multinomial(rng, np.full(size, alike), chances[0]) if alike else 0
    effects = _effects(rng, setting, size, len(chances)) if setting.psi else None
    found = []
    for at, p in enumerate(chances):
        moved = p if effects is None else _moved(p, effects[:, at])
        found.append(common + multinomial(rng, np.full(size, rows - alike), moved))
    return setting.session * np.concatenate(found, axis=1)


def _effects(rng, setting, size, features):
    """Normal random effects of the steps: float64[size, features]."""
    own = np.sqrt(1.0 - setting.shared) * rng.normal(size=(size, features))
    if setting.fixed:
        own = np.sign(own)
    noise = own + np.sqrt(setting.shared) * rng.normal(size=(size, 1))
    effects = noise.copy()
    for at in range(1, size if setting.memory else 0):
        effects[at] = setting.memory * effects[at - 1] + np.sqrt(1.0 - setting.memory**2) * noise[at]
    return np.sqrt(setting.psi) * effects


def _moved(p, effect):
    """Shares of the values, tilted along a score of variance 1 in them: PSI is about effect²."""
    moved = np.tile(p, (len(effect), 1))
    values = p[3:]
    score = np.linspace(-1.0, 1.0, len(values))
    score -= values @ score / values.sum()
    score /= np.sqrt(values @ score**2 / values.sum())
    moved[:, 3:] *= np.exp(effect[:, None] * score)
    return moved / moved.sum(axis=1, keepdims=True)


def rejects(windows, prepared, m):
    """Windows that `judge` calls drift, and those that it would call warn: M above the critical statistic and a test of a small
    p beyond it."""
    asked = ((prepared.critical, prepared.alpha), (prepared.warn_critical, prepared.warn_p))
    found = [m > above for above, _ in asked]
    beyond = np.flatnonzero(found[0] | found[1])
    for at in range(0, len(beyond), TOGETHER):
        own = beyond[at : at + TOGETHER]
        some = Extract(*(getattr(windows, name)[own] for name in Extract.__slots__))
        evidence = weigh(some, prepared.frame, prepared.tolerances, prepared.level, prepared.past)
        for one, (above, p) in zip(found, asked, strict=True):
            one[own] = ((evidence.x > above) & (evidence.p <= p)).any(axis=1)
    return found


def openings(drift, warn, *, clear: int = CLEAR_AFTER) -> int:
    """Incidents that a month of windows opens."""
    count, quiet, is_open = 0, 0, False
    for drifted, warned in zip(drift, warn, strict=True):
        quiet = 0 if drifted or warned else quiet + 1
        if is_open and quiet >= clear:
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
        "early": float(np.mean([month.early for month in months])),
    }  # fmt: skip


def state(months: Sequence[Month], *, pages: float, has_floor: bool) -> str:
    """ "met", or "not met": the mean within the budget up to two standard errors."""
    s = summary(months)
    low = LEAST * pages if has_floor else 0.0
    return "met" if low - 2 * s["error"] <= s["mean"] <= ALLOWED * pages + 2 * s["error"] else "not met"
