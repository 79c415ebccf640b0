"""How soon a change of one feature among twenty is noticed, beside other products at as many false alarms.

    python -m bench.run --only detection

A batch of 100 rows every six hours, and after each of them everybody looks at the newest rows; 2 false alarms in 30 days
are allowed. driftline gets a reference of 32 days, `budget: 2 per 30d`, windows and what is to vote beside psi and ks, and
judges by `monitor.replay`. A product's limits are the lowest with as many false alarms in months without a change; what comes of
them, and of our budget, is then counted in other months. All see the same rows (`bench.detecting.rows`), and an alarm after a
change counts where it is of the feature that changed.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import structlog

from bench.detecting import alarms, ours, rows
from bench.detecting.peers import Arm, Scorer, default_alarms
from bench.figure import absent, figure, say
from bench.machine import seed
from bench.peers.process import NotInstalled, Peer, PeerFailed

LOOKS = 120
"""Of 30 days."""
ALLOWED = 2.0
WINDOWS = (400, 800)
PEERS = {
    "evidently": (("wasserstein", "jensenshannon", "a score of 0.1"), ("psi", "psi", "a score of 0.1"), ("ks", "chisquare", "p 0.05")),
    "nannyml": (("jensen_shannon", "jensen_shannon", "3 sigma"), ("kolmogorov_smirnov", "chi2", "3 sigma, p 0.05")),
    "alibi_detect": (("ks", "chisquare", "p 0.05 / 20"), ("cvm", "chisquare", "p 0.05 / 20")),
}  # fmt: skip
"""Methods for numbers and for categories, those of the product's defaults first, and what is an alarm by default."""
NOTICED = "rows until a change is noticed"


class Sizes(NamedTuple):
    """Seeds: `learnt` months that limits are chosen by, `counted` months, and changes of each kind."""

    learnt: int
    counted: int
    own: int
    """Months that our own are counted in."""
    changes: int


FULL, SMOKE = Sizes(8, 8, 24, 100), Sizes(1, 1, 1, 1)


class Told(NamedTuple):
    """What one way to look at the rows comes to."""

    product: str
    name: str
    false: Sequence[int]
    """By month."""
    delays: Mapping[str, Sequence[int]]
    """Rows, by kind of change."""
    notes: str = ""

    @property
    def label(self) -> str:
        return f"{self.product}: {self.name}"

    @property
    def mean(self) -> float:
        return float(np.mean([np.mean(found) for found in self.delays.values()]))


def figures(*, smoke: bool) -> list[dict[str, Any]]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sizes = SMOKE if smoke else FULL
    mine = judged(sizes)
    others, missing = [], []
    for name in PEERS:
        try:
            with (
                tempfile.TemporaryDirectory() as folder,
                Peer(name, smoke=smoke, program="detect.py") as peer,
            ):
                others += scored(Scorer(peer, Path(folder)), sizes, smoke=smoke)
        except (NotInstalled, PeerFailed) as error:
            missing.append(absent(NOTICED, name, str(error), unit="rows"))
    return [*shown(mine, others), *missing]


def judged(sizes: Sizes) -> list[Told]:
    """Ours, by each way to configure it."""
    calm, found = [], []
    for number in range(max(sizes.own, sizes.changes)):
        with tempfile.TemporaryDirectory() as folder:
            own = ours.Judge(_seed(number), Path(folder))
            if number < sizes.own:
                calm.append(own.month(LOOKS))
            if number < sizes.changes:
                found.append(own.delays())
        say(f"detection: ours, {number + 1} of {max(sizes.own, sizes.changes)}")
    return [
        Told(
            "driftline",
            name,
            [alarms.episodes(month[way]) for month in calm],
            {change.name: [int(one[kind, way]) for one in found] for kind, change in enumerate(rows.CHANGES)},
        )
        for way, name in enumerate(ours.WAYS)
    ]


def scored(scorer: Scorer, sizes: Sizes, *, smoke: bool) -> list[Told]:
    """A peer's, by each of its methods and windows."""
    found = []
    for numeric, categorical, default in PEERS[scorer.peer.name][: 1 if smoke else None]:
        for window in WINDOWS[: 1 if smoke else None]:
            arm = Arm(scorer.peer.name, numeric, categorical, window, default)
            months = [scorer.month(arm, _seed(n), LOOKS) for n in range(sizes.learnt + sizes.counted)]
            limits = alarms.calibrated(months[: sizes.learnt], ALLOWED)
            counted = months[sizes.learnt :]
            false = [alarms.episodes(limits.alarms(one, range(rows.FEATURES)).any(axis=0)) for one in counted]
            delays: dict[str, list[int]] = {change.name: [] for change in rows.CHANGES}
            for number in range(sizes.changes):
                for change in rows.CHANGES:
                    delays[change.name].append(scorer.delay(arm, _seed(number), change, limits))
            notes = f"at its own limits, {default}, {default_alarms(months):.1f} false alarms in 30 days"
            found.append(Told(scorer.peer.label, arm.name, false, delays, notes))
            say(
                f"detection: {scorer.peer.label}, {arm.name}: {found[-1].mean:.0f} rows, {np.mean(false):.1f} false"
            )
    return found


def shown(mine: Sequence[Told], others: Sequence[Told]) -> list[dict[str, Any]]:
    """The first way of ours against the best product for each kind and against each over all kinds, products in the way that is
    best over all kinds as measured here; then every way by itself."""
    one = mine[0]
    products = dict.fromkeys(told.product for told in others)
    best = [
        min((told for told in others if told.product == name), key=lambda told: told.mean)
        for name in products
    ]
    found = [_kind(kind, one, best, others) for kind in one.delays] if best else []
    found += [
        figure(
            f"{NOTICED}, mean of the six kinds", "rows", one.mean, peer=told.mean, against=told.label, goal="<= 1",
            rounds=_seeds(one), notes=_false(one, told),
        )
        for told in best
    ]  # fmt: skip
    return [*found, *(_way(told) for told in (*mine, *others))]


def _kind(kind: str, one: Told, best: Sequence[Told], others: Sequence[Told]) -> dict[str, Any]:
    peer, any_ = (min(ways, key=lambda told: np.mean(told.delays[kind])) for ways in (best, others))
    own, theirs = one.delays[kind], peer.delays[kind]
    return figure(
        f"{NOTICED}, {kind}", "rows", float(np.mean(own)), ours_range=_range(own), peer=float(np.mean(theirs)),
        peer_range=_range(theirs), against=peer.label, goal="<= 1.25", rounds=_seeds(one),
        notes=f"means, 5-95 % in brackets; medians {np.median(own):.0f} against {np.median(theirs):.0f}; soonest of all "
        f"ways {np.mean(any_.delays[kind]):.0f}, {any_.label}",
    )  # fmt: skip


def _way(told: Told) -> dict[str, Any]:
    kinds = "; ".join(
        f"{kind} {np.mean(own):.0f}, median {np.median(own):.0f} ({low:.0f} – {high:.0f})"
        for kind, own in told.delays.items()
        for low, high in [_range(own)]
    )
    return figure(
        f"{NOTICED}, mean of the six kinds: {told.label}", "rows", told.mean,
        rounds=_seeds(told), notes=f"{_false(told)}; {kinds}" + (f"; {told.notes}" if told.notes else ""),
    )  # fmt: skip


def _false(*several: Told) -> str:
    """Of each how many, with the standard error of the mean."""
    parts = []
    for told in several:
        count = len(told.false)
        error = np.std(told.false, ddof=1) / count**0.5 if count > 1 else float("nan")
        parts.append(f"{np.mean(told.false):.2f} ± {error:.2f}")
    return f"false alarms in 30 days {' against '.join(parts)}, in {len(several[0].false)} months"


def _seeds(told: Told) -> int:
    return len(next(iter(told.delays.values())))


def _range(values: Sequence[int]) -> list[float]:
    return [float(value) for value in np.quantile(values, (0.05, 0.95))]


def _seed(number: int) -> int:
    return seed() % 100_000 * 1_000 + number
