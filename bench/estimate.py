"""Estimates without labels beside NannyML's CBPE, on the data sets that it publishes: how far apart, and how fast.

    python -m bench.run --only estimate

NannyML brings the rows along: 50,000 of the reference with labels, 50,000 without, in chunks of 5,000. Ours builds a
reference of the scores and labels, counts each chunk in the reference's bins, as a window is counted, and estimates.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.figure import absent, compare, figure, say, spent
from bench.machine import one_core
from bench.peers.process import NotInstalled, Peer, PeerFailed
from kernels.fold import fold
from kernels.layout import BELOW, FIRST_BIN, Layout, allocate, no_rules
from kernels.lookup import lookup
from monitor.labels.estimate import Calibration, Scored, calibrate, estimate, positive_shares
from monitor.plan import Kind
from monitor.reference.build import build
from monitor.reference.calibrated import LABEL
from monitor.reference.profile import Reference
from monitor.reference.table import FeatureDeclaration, Table

CHUNK = 5_000
SETS = {"car loan": 0.65, "work from home": 0.48}
"""The score from which on the predictions that come with each set are 1."""
OURS = {"roc_auc": "auc", "accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "f1"}
NEAR = {"roc_auc": "<= 0.005", "accuracy": "<= 0.005"}
WHOLE, ALONE = "fit and estimate", "estimate"


class Fitted(NamedTuple):
    """A reference, and what the daemon makes of it once, when it is loaded."""

    reference: Reference
    layout: Layout
    calibration: Calibration
    positive: NDArray[np.float64]


def figures(*, smoke: bool) -> list[dict[str, Any]]:
    with one_core():
        try:
            with Peer("nannyml", smoke=smoke, program="estimate.py") as peer:
                return [
                    one for name in list(SETS)[: 1 if smoke else 2] for one in _of(peer, name, smoke=smoke)
                ]
        except (NotInstalled, PeerFailed) as error:
            return [absent(f"{next(iter(SETS))}: largest difference, roc_auc", "nannyml: CBPE", str(error))]


def _of(peer: Peer, name: str, *, smoke: bool) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        peer.load(name=name, folder=folder)
        scores, labels, current = (
            np.load(Path(folder) / f"{f}.npy") for f in ("scores", "labels", "current")
        )
    known = fitted(scores, labels, SETS[name])
    theirs, mine = peer.ask("run")["figures"], estimates(known, current)
    against = f"{peer.label}: CBPE"
    found = []
    for their, our in OURS.items():
        apart = [abs(a - b) for a, b in zip(theirs[their], (one[our] for one in mine), strict=True)]
        say(f"estimate: {name}, {their}: {max(apart):.5f} apart at most")
        found.append(
            figure(
                f"{name}: largest difference, {their}", "of the figure", max(apart), goal=NEAR.get(their, ""),
                rounds=len(apart), notes=f"chunks of {CHUNK:,} rows, {against}",
            )
        )  # fmt: skip
    runs = {
        ALONE: (lambda: estimates(known, current), ">= 50"),
        WHOLE: (lambda: estimates(fitted(scores, labels, SETS[name]), current), ""),
    }
    for what, (ours, goal) in runs.items():
        rounds = 1 if smoke else 7
        ours()
        peer.run(what=what)
        pairs = [(spent(ours), peer.run(what=what)) for _ in range(rounds)]
        found.append(
            compare(
                f"{name}: {what}", [a for a, _ in pairs], [b for _, b in pairs], len(current), unit="rows/s",
                against=against, goal=goal,
            )
        )  # fmt: skip
    return found


def reference_of(scores: np.ndarray, labels: np.ndarray) -> Reference:
    features = (
        FeatureDeclaration("prediction", kind=Kind.NUMERIC),
        FeatureDeclaration(LABEL, kind=Kind.CATEGORICAL, column="label"),
    )
    table = Table({"prediction": scores, "label": labels})
    return build(table, model="m", name="reference", features=features)


def fitted(scores: np.ndarray, labels: np.ndarray, threshold: float) -> Fitted:
    reference = reference_of(scores, labels)
    own = calibrate(reference.calibration[0])
    assert own is not None
    layout = reference.layout()
    lookup(layout)  # the tables that values are counted by, kept with it
    return Fitted(reference, layout, own, positive_shares(reference.features[0].edges, threshold))


def estimates(known: Fitted, scores: np.ndarray) -> list[dict[str, float]]:
    """Of each chunk: figure → value."""
    reference, layout, own, positive = known
    profile = reference.features[0]
    chunks = max(len(scores) // CHUNK, 1)
    chunk = np.full(len(scores), chunks - 1, np.int32)
    whole = np.repeat(np.arange(chunks, dtype=np.int32), CHUNK)
    chunk[: len(whole)] = whole[: len(scores)]
    cells = allocate(layout, cells=chunks, rules=0, reasons=0)
    fold(
        cells, layout, no_rules(layout), cell=chunk, values=scores[None, :],
        codes=np.zeros((layout.categorical, len(scores)), np.int32), latency=np.full(len(scores), np.nan),
        errors=np.zeros(len(scores), np.uint8), offsets=np.arange(len(scores)),
    )  # fmt: skip
    found = []
    for counts in cells.counts[:, : profile.slots]:
        rows = counts[FIRST_BIN:-1].copy()
        rows[0] += counts[BELOW]
        rows[-1] += counts[-1]
        found.append({name: one.value for name, one in estimate([Scored(rows, own)], positive).items()})
    return found
