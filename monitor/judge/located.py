"""What a diagnosis says of where a drift lies among the sampled rows. Pure."""

from __future__ import annotations

from typing import Any

from monitor.judge.kind_text import Words
from monitor.judge.prepare import Prepared
from monitor.judge.where import where
from monitor.plan import Shown
from monitor.sample import Sample
from monitor.verdict import Verdict, Window

EVERYWHERE = "everywhere"


def located(
    verdict: Verdict, window: Window, prepared: Prepared, *, sample: Sample | None, values: Shown
) -> dict[str, Any]:
    """JSON-able: text; sampled, how many rows it is told from; and of a condition features, share (of the excess), rows
    and before (its share of the rows, and of the reference's) and p (the probability of one as guilty by chance).

    Empty where nothing can be said: without samples of window and reference, where only segments drift, which are
    named, and where the reference is read by season, as its sampled rows are of all.
    """
    if sample is None or prepared.seasons is not None:
        return {}
    frame, named = prepared.frame, [test.feature for test in verdict.named]
    found = where(sample.codes, prepared.sample, frame, window.counts, named, rows=window.rows)
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
