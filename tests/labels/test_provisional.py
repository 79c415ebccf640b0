"""Windows whose labels have not all come, from the records of both topics to what is shown of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from monitor.labelled import Labelled
from monitor.labels.figures import Basis
from monitor.labels.provisional import newest_label, provisional
from monitor.labels.steps import QUANTILES, edges_of, quantiles
from monitor.names import Source
from monitor.plan import WindowSpec
from monitor.state.log import Ledger, Progress
from monitor.window.completeness import Patience
from monitor.window.heard import Heard
from tests.labels.hourly import BEGIN, HOUR, heard_until
from tests.labels.test_outcomes import LABELS, PLAN, sketches_of

WAIT, HOURS, ROWS = 24 * HOUR, 40, 800
PROMPT = replace(
    PLAN, windows=(WindowSpec("1h", HOUR, HOUR),), segments=(), join=replace(PLAN.join, wait=WAIT)
)


def logs(seed):
    """Both topics and the truth by hour: a 1 is told within hours, a 0 by and by, and a 1 is missed in four of ten."""
    rng, predictions, labels = np.random.default_rng(seed), [], []
    truth = np.zeros((HOURS, 2))
    for hour in range(HOURS):
        for row in range(ROWS):
            at = BEGIN + hour * HOUR + row * HOUR // ROWS
            label = int(rng.random() < 0.3)
            score = 0.8 if rng.random() < (0.6 if label else 0.05) else 0.2
            truth[hour] += [(score >= 0.5) == label, 1]
            predictions.append((at, {"id": f"{hour}-{row}", "score": score, "v": "1"}))
            late = min(rng.exponential(2 * HOUR if label else 10 * HOUR), WAIT - 60_000)
            labels.append((at + int(late), {"ref": {"id": f"{hour}-{row}"}, "label": label}))
    labels.sort(key=lambda one: one[0])
    return predictions, labels, truth[:, 0] / truth[:, 1]


def looked(labelled, mark):
    """Everything that is due at a mark of the labels, accepted, and kept as a ledger would."""
    entries: dict[str, dict[str, dict]] = {}
    due = labelled.due(dict, judged={"1h": BEGIN + HOURS * HOUR}, heard=heard_until(mark), now=mark)
    for one in due:
        for entry in labelled.entries(one):
            entries.setdefault(entry.kind, {})[entry.id] = json.loads(json.dumps(entry.body))
        labelled.accept(one)
    return entries


@pytest.fixture(scope="module")
def told():
    """What is shown once all hours were judged, the truth of each, and what was stored; labels up to then alone."""
    patch = pytest.MonkeyPatch()
    patch.setattr("tests.labels.test_outcomes.PLAN", PROMPT)
    labels_plan = replace(LABELS, windows=PROMPT.windows, join=replace(PROMPT.join, is_label=True))
    patch.setattr("tests.labels.test_outcomes.LABELS", labels_plan)
    predictions, labels, truth = logs(3)
    mark = BEGIN + HOURS * HOUR
    came = [one for one in labels if one[0] <= mark]
    stored = [
        sketch
        for topic, log in (("p", predictions), ("l", came))
        for part in sketches_of(Source(topic, 0), log, [len(log)])
        for sketch in part
    ]
    patch.undo()
    labelled = Labelled(PROMPT, patience=Patience())
    labelled.observe(stored)
    return labelled, truth, looked(labelled, mark), stored


def test_early_labels_mislead_and_what_is_shown_does_not(told):
    """Of the windows that wait for labels those that are two hours old: early labels as they are are off by more than 5
    points, the weighted figure by less than 1 on the mean, and within its bounds."""
    labelled, truth, _, _ = told
    found = [one for one in labelled.provisional["1h"] if one.end <= BEGIN + (HOURS - 2) * HOUR]
    assert len(found) >= 20
    right = np.array([truth[(one.start - BEGIN) // HOUR] for one in found])
    naive = np.array([one.early["accuracy"].value for one in found]) - right
    ours = np.array([one.figures["accuracy"].value for one in found]) - right
    assert {one.basis for one in found} == {Basis.WEIGHTED}
    young = [one.end > BEGIN + (HOURS - 8) * HOUR for one in found]
    assert abs(naive[young].mean()) > 0.05, naive
    assert abs(ours[young].mean()) < 0.01, ours
    assert abs(ours.mean()) < 0.01
    for one, value in zip(found, right, strict=True):
        assert one.figures["accuracy"].low <= value <= one.figures["accuracy"].high
        assert abs(one.labelled / one.predictions - one.expected) < 0.06


def test_delays_are_those_of_measured_windows_and_survive_a_restart(told):
    """A 1 comes soon and a 0 late; the record of a window has them, so that a restarted process knows as much."""
    labelled, _, entries, stored = told
    found = quantiles(labelled.delays)
    hours = {name: dict(zip(QUANTILES, np.array(own) / HOUR, strict=True)) for name, own in found.items()}
    assert hours["1"][0.5] == pytest.approx(2 * np.log(2) + 0.5, abs=0.4)  # from the start of its hour on
    assert hours["0"][0.5] == pytest.approx(10 * np.log(2) + 0.5, abs=1.5)
    assert labelled.delays.counts.sum() == ROWS * len(entries["performance"])
    again = Labelled(PROMPT, patience=Patience())
    again.restore(Ledger("m", 0, entries))
    again.observe(stored)
    looked(again, BEGIN + HOURS * HOUR)
    np.testing.assert_array_equal(again.delays.counts, labelled.delays.counts)
    assert again.provisional == labelled.provisional


def test_no_weights_before_any_window_is_complete(told):
    """Then the labels that came are shown as what they are: early."""
    labelled, _, _, stored = told
    again = Labelled(PROMPT, patience=Patience())
    again.observe(stored)
    looked(again, BEGIN + 10 * HOUR)
    assert again.delays is None
    found = again.provisional["1h"]
    assert {one.basis for one in found} == {Basis.EARLY}
    assert all(np.isnan(one.expected) for one in found)
    assert provisional("1h", 0, HOUR, {}, join=PROMPT.join, until=0, delays=labelled.delays) is None
    assert edges_of(PROMPT.join, HOUR)[-1] == WAIT + HOUR


def test_a_partition_without_labels_holds_no_age_back():
    """Of those that are not idle the one that is furthest behind; where all are, the one that is furthest."""
    heard = Heard("m", [Source("l", at) for at in range(3)], config=None)
    for at, (mark, idle) in enumerate([(500, False), (100, True), (700, False)]):
        heard.take([Progress(Source("l", at), 0, 0, mark, idle=idle, paused="", observed=0)])
    assert newest_label(heard) == 500
    heard.take(
        [Progress(Source("l", at), 0, 0, 300 + at, idle=True, paused="", observed=0) for at in range(3)]
    )
    assert newest_label(heard) == 302
