"""A model that is compared with an online store, as the pages, the API and `/metrics` get it."""

from __future__ import annotations

from dataclasses import replace

from monitor.consistency.tallies import RECORD
from monitor.plan import RawRule, StorePlan
from monitor.verdict import State, Unknown
from monitor.view import ModelView
from tests.web.view import HOSTILE, NOW, calm, verdict

LIMIT = RawRule("skew", "feature_mismatch", "amount_eur", ">", 0.01, 1, "page")
COUNTS = {
    RECORD: (4_000, 190, 212),
    "amount_eur": (4_000, 180, 212),
    "country": (4_000, 2, 0),
    "age": (4_000, 0, 0),
}


def figures(compared: int, mismatched: int, moved: int) -> dict[str, float]:
    ratio = mismatched / compared
    return {
        "feature_mismatch": ratio, "feature_mismatch_low": ratio * 0.8, "feature_mismatch_high": ratio * 1.2 + 0.001,
        "compared": float(compared), "mismatched": float(mismatched), "moved": float(moved),
    }  # fmt: skip


def stored(*, error: str = "", many: int = 0) -> ModelView:
    """`many` more features, all as stored; one has a name that an attacker would choose, and hardly a record."""
    model = calm("rides")
    counts = COUNTS | {f"f{number}": (4_000, 0, 0) for number in range(many)}
    scores = {name: figures(*own) for name, own in counts.items()}
    scores[HOSTILE] = {"compared": 3.0, "mismatched": 1.0, "moved": 0.0}
    one = verdict(
        "rides", "1h", (), state=State.OK, detail="4000 records compared with the online store", rows=4_000,
        scores=scores, rules=("skew",),
    )  # fmt: skip
    features = {name: f"driver_stats:{name}" for name in scores if name != RECORD}
    return replace(
        model,
        plan=replace(model.plan, store=StorePlan({"driver": ("driver",)}, features, limits=(LIMIT,))),
        consistency={"1h": (one,)},
        store={
            "outcomes": {"compared": 4_000, "stale": 12, "failed": 0},
            "error": error,
            "answered": NOW - 2_000,
        },
    )


def waiting() -> ModelView:
    """No answer yet, and no window."""
    model = stored(error="no answer within 10 s - https://feast.example - a feature server that is up")
    return replace(model, consistency={}, store={**model.store, "answered": -1, "outcomes": {}})


def silent() -> ModelView:
    """A window in which too little was compared."""
    model = stored()
    (one,) = model.consistency["1h"]
    few = {name: {"compared": 2.0, "mismatched": 0.0, "moved": 9.0} for name in one.scores}
    unknown = replace(one, scores=few, rules=(), state=State.UNKNOWN, reason=Unknown.NOT_ENOUGH_DATA)
    return replace(model, consistency={"1h": (unknown,)})
