"""A window around a rollout has the figures of each version, beside those of the whole and of segments."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from kernels.join import NUMBER, width_of
from monitor.judge.record import from_json, to_json
from monitor.labelled import KIND
from monitor.labels.shares import measure
from monitor.labels.versions import BY_VERSION, MOST, by_version, left_out, recorded
from monitor.names import Source
from monitor.web.figures import performance
from tests.labels.rows import naive_binary
from tests.labels.test_outcomes import MINUTE, PLAN, START, WAIT, sketches_of
from tests.labels.test_revised import END, Life, flat

KEY = f"5m|{END:015d}"


def rollout(seed, rows=300):
    """A window in the middle of which version 2 takes over, on two partitions, and labels of which a third are corrected,
    once or twice: predictions and labels, [(time, record)]."""
    rng, predictions, labels = np.random.default_rng(seed), [], []
    for row in range(rows):
        at = START + row * 5 * MINUTE // rows
        new = rng.random() < row / rows
        score, is_one = round(float(rng.random()), 3), int(rng.integers(0, 2))
        if not new and rng.random() < 0.8:
            score = round(0.5 * is_one + score / 2, 3)  # the old one was better
        predictions.append((at, {"id": str(row), "score": score, "v": str(1 + new), "k": "abc"[row % 3]}))
        if rng.random() < 0.1:
            continue
        corrected = int(rng.integers(1, 3)) if rng.random() < 1 / 3 else 0
        said = [1 - is_one] * corrected + [is_one]
        labels += [(at + (1 + n) * 30_000, {"ref": {"id": str(row)}, "label": x}) for n, x in enumerate(said)]
    return predictions, sorted(labels, key=lambda one: one[0])


def stored(predictions, labels, cuts=1):
    """What both topics have made durable, of two partitions each."""
    found = []
    for topic, log in (("p", predictions), ("l", labels)):
        for partition in range(2):
            own = (
                log[partition::2]
                if topic == "p"
                else [r for r in log if int(r[1]["ref"]["id"]) % 2 == partition]
            )
            found += flat(
                sketches_of(Source(topic, partition), own, [len(own) * n // cuts for n in range(1, cuts + 1)])
            )
    return found


def window(sketches):
    life = Life({})
    life.labelled.observe(sketches)
    assert life.measure(END + WAIT)[0][0] == END
    return from_json(json.loads(json.dumps(life.entries[KIND][KEY], allow_nan=False)))


def recount(predictions, labels, version):
    """Scores and newest labels of one version, and how many predictions it made."""
    newest = {record["ref"]["id"]: record["label"] for _, record in labels}
    own = [record for _, record in predictions if record["v"] == version]
    known = [record for record in own if record["id"] in newest]
    scores = np.array([record["score"] for record in known])
    return scores, np.array([newest[record["id"]] for record in known]), len(own)


@pytest.mark.parametrize("seed", range(8))
def test_figures_of_each_version_are_those_of_a_recount(seed):
    """Row by row, with the newest label of each id; over any checkpoints."""
    predictions, labels = rollout(seed)
    one = window(stored(predictions, labels))
    found = recorded(one)
    assert left_out(one) == 0
    assert set(found) == {"1", "2"}
    for version, own in found.items():
        scores, truth, count = recount(predictions, labels, version)
        assert (one.versions[version], own["labels"]) == (count, len(truth))
        assert own["label_coverage"] == len(truth) / count
        want = naive_binary(scores, truth, 0.5)
        for name in want.keys() - {"auc"}:
            assert own[name] == pytest.approx(want[name], abs=2e-5), (version, name)
            assert own[f"{name}_low"] <= own[name] <= own[f"{name}_high"]
        assert own["auc"] == pytest.approx(want["auc"], abs=0.01)  # by bins
    assert found["1"]["accuracy"] > one.scores[""]["accuracy"] > found["2"]["accuracy"]
    assert window(stored(predictions, labels, cuts=4)) == one


@pytest.mark.parametrize("seed", range(4))
def test_the_whole_and_segments_are_as_of_one_version(seed):
    """To the last bit; and of a window of one version nothing more is kept: it did as the whole."""
    predictions, labels = rollout(seed)
    several = window(stored(predictions, labels))
    alike = window(stored([(at, {**record, "v": "1"}) for at, record in predictions], labels))
    assert several.scores == alike.scores
    assert (several.detail, several.rows) == (alike.detail, alike.rows)
    assert BY_VERSION not in alike.outcomes
    assert recorded(alike) == {"1": alike.scores[""]}
    rest = {name: own for name, own in several.outcomes.items() if name != BY_VERSION}
    assert rest == alike.outcomes


def prediction(own, version, score=0.9):
    return START + 1, {"id": own, "score": score, "v": version, "k": "a"}


def label(own, value, at):
    return START + at, {"ref": {"id": own}, "label": value}


PAIR = [prediction("1", "1"), prediction("3", "2"), prediction("5", "1"), prediction("7", "2")]


def test_a_revised_window_has_revised_figures_of_its_versions():
    """A label of the second version comes behind all: the first has what it had."""
    life, labels = Life({}), [label("1", 1, 2), label("3", 1, 3), label("5", 0, 4)]
    life.labelled.observe(stored(PAIR, labels))
    life.measure(END + WAIT)
    before = from_json(life.entries[KIND][KEY])
    late = stored(PAIR, [*labels, label("3", 0, 5)])
    life.labelled.observe(late)
    assert life.labelled.begin_anew(0)
    life.labelled.observe(late)
    assert life.measure(END + WAIT)[0] == (END, 1, 4, 3)
    after = from_json(life.entries[KIND][KEY])
    assert recorded(after)["1"] == recorded(before)["1"]
    assert [recorded(one)["2"]["accuracy"] for one in (before, after)] == [1.0, 0.0]


def test_corrections_that_the_whole_does_not_show_revise_too():
    """A label of each version is turned round: as many are right as before. Once; and a record of a release that did not
    tell versions apart stays as it is."""
    labels = [label("1", 1, 2), label("3", 0, 3)]
    turned = [*labels, label("1", 0, 4), label("3", 1, 5)]
    life = Life({})
    life.labelled.observe(stored(PAIR, labels))
    life.measure(END + WAIT)
    before = from_json(life.entries[KIND][KEY])
    untold = json.loads(json.dumps(life.entries))
    del untold[KIND][KEY]["outcomes"][BY_VERSION]
    assert [measure_again(life.entries, turned) for _ in range(2)] == [[(END, 1, 4, 2)], []]
    after = from_json(life.entries[KIND][KEY])
    assert after.scores == before.scores
    assert (recorded(after)["1"]["accuracy"], recorded(after)["2"]["accuracy"]) == (0.0, 1.0)
    assert measure_again(untold, turned) == []
    old = from_json(untold[KIND][KEY])
    assert (recorded(old), left_out(old)) == ({}, 2)


def measure_again(entries, labels):
    life = Life(entries)
    life.labelled.observe(stored(PAIR, labels))
    return life.measure(END + WAIT)


def test_versions_with_most_predictions_have_figures():
    """The rest is said as how many; the API has both, each version of the window with its predictions."""
    rows = [
        prediction(str(2 * (100 * version + row)), f"v{version:02}")
        for version in range(MOST + 3)
        for row in range(1 + version)
    ]
    one = window(stored(rows, [label(record["id"], 1, 5) for _, record in rows]))
    told = performance(one)
    assert list(told["by_version"]) == [f"v{version:02}" for version in range(MOST + 2, 2, -1)]
    assert told["versions_left_out"] == left_out(one) == 3
    assert len(told["versions"]) == MOST + 3
    assert told["by_version"]["v10"]["accuracy"]["value"] == 1.0
    assert told["by_version"]["v10"]["labels"] == told["versions"]["v10"] == 11


def test_bounds_without_an_end_are_kept():
    """JSON has no infinity: the mean error of one number may be anything."""
    plan = replace(PLAN, join=replace(PLAN.join, kind="number"))
    sums = np.zeros(width_of(NUMBER, 2), np.int64)
    sums[:3], sums[-2:] = (1, 65536, 65536), 1
    body = by_version({"1": {0: sums}, "2": {1: sums}}, plan)
    json.dumps(body, allow_nan=False)
    predictions, labels = rollout(0, rows=20)
    one = replace(window(stored(predictions, labels)), outcomes=body, versions={"1": 1, "2": 2})
    assert recorded(from_json(to_json(one))) == {
        "2": measure({1: sums}, plan).scores, "1": measure({0: sums}, plan).scores,
    }  # fmt: skip
