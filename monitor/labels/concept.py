"""Whether what a model gets wrong has changed: river's detectors on the stream of its errors. Evaluate thread only.

The stream is made of what is kept of each measured window (`monitor.labels.steps`): so many labels, so many of them wrong.
Within a window rows have no order, so theirs is drawn, by a seed of the model and the window. Of numbers a window is one
value, the mean absolute error. So all there is to a detector is in the ledger: whoever judges the model after a
restart, or elsewhere, runs it over the same values. It begins anew with every EPOCH windows, over those of the epoch
before, and so knows 100 to 200 windows however long the process lives.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from monitor.plan import ConceptPlan, ModelPlan, WindowSpec
from monitor.verdict import Verdict

EPOCH = 100
"""Windows; half of those that are remembered (`monitor.labelled.HISTORY`)."""
ROWS = 1_000
"""Of a window that has more labels so many are drawn: 200 windows are gone through in a second or two."""
SURE = 3.0
"""Standard errors by which errors of a segment rose that is named."""
NAMED = 3
ERRORS = "errors"


class Change(NamedTuple):
    """A rise of errors that a detector found, and that is not over. JSON-able as a dict.

    found  end of the window in which it was found
    since  start of the windows from which on errors are most unlike those before
    calm   windows on end in which errors were nearer to those before
    """

    found: int
    since: int
    before: float
    after: float
    calm: int = 0


@dataclass(slots=True)
class _Fed:
    """A detector and what it was fed with since it began, or last found something."""

    detector: Any
    of_right: bool = False
    """river's FHDDM looks for a fall of what it is given: rows that are right."""
    steps: list[Verdict] = field(default_factory=list)


@dataclass(slots=True)
class Concept:
    """The detectors of one model."""

    _fed: dict[str, _Fed] = field(default_factory=dict)
    _upto: tuple[int, int, tuple[str, ...]] | None = None
    """Epoch, end of the newest window they were fed with, and which they are."""

    def changes(
        self, verdict: Verdict, history: Sequence[Verdict], *, plan: ModelPlan, spec: WindowSpec
    ) -> dict[str, Change]:
        """By detector, the rises that stand after a window. `history`: the measured windows before it, oldest first."""
        names, epoch = plan.concept.detectors, verdict.end // spec.step // EPOCH
        before = history[-1].end if history else -1
        if self._upto != (epoch, before, names):
            self._fed = {name: _Fed(_made(name, plan), name == "fhddm") for name in names}
            for one in history:
                if one.end // spec.step // EPOCH >= epoch - 1:
                    for fed in self._fed.values():
                        _feed(fed, one, plan)
        self._upto = epoch, verdict.end, names
        stood = recorded(history[-1]) if history else {}
        found = {}
        for name, fed in self._fed.items():
            steps = [*fed.steps, verdict]
            new = _dated(steps, verdict.end) if _feed(fed, verdict, plan) else None
            if change := _standing(stood.get(name), verdict, plan) or new:
                found[name] = change
        return found


def held(changes: Mapping[str, Change]) -> tuple[str, ...]:
    """Names of the rules of changes that hold in this window."""
    return tuple(ConceptPlan.rule(name) for name, change in changes.items() if not change.calm)


def told(
    changes: Mapping[str, Change], history: Sequence[Verdict], kind: str, when: Callable[[int], str]
) -> str:
    """What was found, since when, and in which segments most; "" where nothing stands. `history` has the window itself."""
    parts = []
    for name, change in changes.items():
        numbers = f"{change.before:.3g} to {change.after:.3g}"
        where = _where(history, change, kind)
        parts.append(f"{name}: errors rose from {numbers} since {when(change.since)}{where}")
    return "; ".join(parts) + "." if parts else ""


def _made(name: str, plan: ModelPlan) -> Any:
    """A detector as river makes it. Imported here: only who asks for one waits a second for it."""
    from river import drift

    assert plan.join is not None
    made: Mapping[str, Callable[..., Any]] = {
        "adwin": drift.ADWIN, "page_hinkley": drift.PageHinkley, "ddm": drift.binary.DDM, "eddm": drift.binary.EDDM,
        "fhddm": drift.binary.FHDDM, "hddm_a": drift.binary.HDDMA, "hddm_w": drift.binary.HDDMW,
    }  # fmt: skip
    if plan.join.kind == "number" and name == "adwin":
        return made[name](clock=1)  # it looks at every 32nd value, and one is a whole window here
    return made[name]()


def _feed(fed: _Fed, one: Verdict, plan: ModelPlan) -> bool:
    """Whether a detector finds a change in a window."""
    is_found = False
    for value in _values(one, plan):
        fed.detector.update(not value if fed.of_right else value)
        is_found |= bool(fed.detector.drift_detected)
    fed.steps = [] if is_found else [*fed.steps, one]
    return is_found


def _values(one: Verdict, plan: ModelPlan) -> list[Any]:
    """The errors of a window, row by row: True is wrong; of numbers their mean."""
    wrong, labels = one.outcomes.get(ERRORS, (0, 0))
    if not labels:
        return []
    assert plan.join is not None
    if plan.join.kind == "number":
        return [wrong / labels]
    seed = hashlib.sha256(f"{plan.name}|{one.end}".encode()).digest()[:16]
    rng = np.random.Generator(np.random.Philox(int.from_bytes(seed)))
    rows = np.zeros(int(labels), np.bool_)
    rows[: int(wrong)] = True
    drawn: list[Any] = rng.permutation(rows)[:ROWS].tolist()
    return drawn


def _dated(steps: Sequence[Verdict], end: int) -> Change | None:
    """The rise at which these windows fall apart most; None where errors fell."""
    counts = np.array([one.outcomes.get(ERRORS, (0, 0)) for one in steps], np.float64)
    wrong, labels = counts[:, 0], counts[:, 1]
    before, after = np.cumsum(counts, axis=0)[:-1], counts.sum(axis=0) - np.cumsum(counts, axis=0)[:-1]
    if not len(before):
        return None
    used = (before[:, 1] > 0) & (after[:, 1] > 0)
    gain = np.full(len(before), -math.inf)
    gain[used] = before[used, 0] ** 2 / before[used, 1] + after[used, 0] ** 2 / after[used, 1]
    at = int(np.argmax(gain))
    if not used[at]:
        return None
    first = float(wrong[: at + 1].sum() / labels[: at + 1].sum())
    then = float(wrong[at + 1 :].sum() / labels[at + 1 :].sum())
    return Change(end, steps[at].end, first, then) if then > first else None


def _standing(change: Change | None, verdict: Verdict, plan: ModelPlan) -> Change | None:
    """A rise that was found before, after one more window; it is over once as many as end an incident were calm."""
    wrong, labels = verdict.outcomes.get(ERRORS, (0, 0))
    if change is None or not labels:
        return change
    is_calm = wrong / labels <= (change.before + change.after) / 2
    calm = change.calm + 1 if is_calm else 0
    return change._replace(calm=calm) if calm <= plan.clear_after else None


def recorded(one: Verdict) -> dict[str, Change]:
    return {name: Change(**body) for name, body in one.outcomes.get("changes", {}).items()}


def _where(history: Sequence[Verdict], change: Change, kind: str) -> str:
    """Segments whose errors rose beyond chance, those that rose furthest first."""
    if kind == "number":
        return ""
    rows: dict[str, list[float]] = {}
    for one in history:
        side = 0 if one.end <= change.since else 2
        for segment, scores in one.scores.items():
            if segment and "accuracy" in scores:
                own = rows.setdefault(segment, [0.0] * 4)
                own[side] += (1 - scores["accuracy"]) * scores["labels"]
                own[side + 1] += scores["labels"]
    found = [(own[2] / own[3] - own[0] / own[1], name) for name, own in rows.items() if _rose(own)]
    shown = [f"{name} (by {rise:.3g})" for rise, name in sorted(found, reverse=True)[:NAMED]]
    return f", most in {', '.join(shown)}" if shown else ""


def _rose(own: Sequence[float]) -> bool:
    wrong, rows, wrong_now, rows_now = own
    if not rows or not rows_now:
        return False
    share = (wrong + wrong_now) / (rows + rows_now)
    error = math.sqrt(share * (1 - share) * (1 / rows + 1 / rows_now))
    return wrong_now / rows_now - wrong / rows > SURE * error > 0
