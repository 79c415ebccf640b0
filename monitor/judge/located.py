"""What a diagnosis says of where a drift lies among the sampled rows. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.judge.kind_text import Words
from monitor.judge.prepare import Prepared
from monitor.judge.where import where
from monitor.plan import Shown
from monitor.sample import Sample
from monitor.verdict import Verdict, Window

EVERYWHERE = "everywhere"


def seasonal(window: Window, prepared: Prepared) -> NDArray[np.float64]:
    """How much each sampled row of a reference that is read by season stands for: float64[rows]. Its season has the
    weight that it has in the window."""
    groups = prepared.sample_groups
    there = np.bincount(groups, minlength=len(window.seasons))
    return (window.seasons / np.maximum(there, 1))[groups]


def located(
    verdict: Verdict, window: Window, prepared: Prepared, *, sample: Sample | None, values: Shown
) -> dict[str, Any]:
    """JSON-able: text; sampled, how many rows it is told from; and of a condition features, share (of the excess; where one of these has drifted
    too, of that of the others), rows and before (its share of the rows, and of the reference's) and p (the probability of one as guilty by chance).

    Empty where nothing can be said: without samples of window and reference, and where only segments drift, which are
    named.
    """
    if sample is None or not len(prepared.sample):
        return {}
    frame, named = prepared.of(window).frame, [test.feature for test in verdict.named]
    before, weights = prepared.sample, None
    if prepared.seasons is not None:
        weights = seasonal(window, prepared)
        before, weights = before[weights > 0], weights[weights > 0]
    found = where(sample.codes, before, frame, window.counts, named, rows=window.rows, weights=weights)
    if found is None:
        return {}
    if found.condition is None:
        return {"text": EVERYWHERE, "sampled": len(sample)} if found.is_everywhere else {}
    own = found.condition
    profiles = {profile.name: profile for profile in frame.features}
    return {
        "text": own.text(profiles, Words(values)),
        "features": [literal.feature for literal in own.literals],
        "share": own.share,
        "rows": own.rows,
        "before": own.before,
        "p": own.p,
        "sampled": len(sample),
    }
