"""Windows are measured again when something comes for them that was not there, and ids count in every window they are
predicted in: whatever the order of the logs, crashes and writers that should be dead."""

from __future__ import annotations

import functools
import itertools
import json
import random

import pytest

from monitor.labelled import KIND, Labelled
from monitor.state.log import Ledger
from monitor.window.completeness import Patience
from tests.labels.hourly import heard_until
from tests.labels.test_outcomes import MINUTE, PLAN, START, WAIT, logs_of, sketches_of

END = START + 5 * MINUTE
LATER = START + 5 * MINUTE


class Life:
    """A process that speaks for the model, over a ledger that outlives it."""

    def __init__(self, entries):
        self.entries = entries
        self.labelled = Labelled(PLAN, patience=Patience())
        self.labelled.restore(Ledger("m", 0, entries))

    def measure(self, mark, *, judged=END + 30 * MINUTE, passed=START):
        """[(end, revision, predictions, labels)] of what is measured."""
        found = []
        for one in self.labelled.due(
            dict, judged={"5m": judged}, heard=heard_until(mark), now=mark, passed=passed
        ):
            for entry in self.labelled.entries(one):
                if entry.body is not None:
                    self.entries.setdefault(entry.kind, {})[entry.id] = json.loads(json.dumps(entry.body))
            self.labelled.accept(one)
            whole = one.verdict.scores.get("", {})
            found.append((one.verdict.end, one.verdict.revision, one.verdict.rows, whole.get("labels", 0)))
        return found


def stored(*records):
    """By topic, the newest sketches of a log of which every record is a checkpoint: [[sketches]]."""
    return [sketches_of(source, log, range(1, len(log) + 1)) for source, log in logs_of(*records)]


def flat(parts):
    return list(itertools.chain.from_iterable(parts))


def test_labels_that_come_after_all_revise_their_window():
    """A partition was idle, and is not: the label that it brings is in time by the log. All sketches are asked for, the
    figures are made anew, once, and a restart finds nothing to be revised."""
    predictions, labels = stored(
        ("p", START, "a", 0.9), ("p", START + 1, "b", 0.9), ("p", START + 40 * MINUTE, "z", 0.1),
        ("l", START + 1, "a", 1), ("l", START + 2, "b", 0), ("l", START + 3, "b", 1),
    )  # fmt: skip
    entries = {}
    life = Life(entries)
    life.labelled.observe(flat(predictions) + flat(labels[:1]))
    assert (END, 0, 2, 1) in life.measure(END + WAIT)
    life.labelled.observe(flat(labels[1:2]))
    assert life.labelled.begin_anew(0)
    life.labelled.observe(flat(predictions) + flat(labels[:2]))
    assert life.measure(END + WAIT)[:1] == [(END, 1, 2, 2)]
    life.labelled.observe(flat(labels[2:]))  # b is corrected: as many labels, another figure
    assert not life.labelled.begin_anew(1_000), "not twice in a minute"
    assert life.labelled.begin_anew(60_000)
    life.labelled.observe(flat(predictions) + flat(labels))
    assert life.measure(END + WAIT)[:1] == [(END, 2, 2, 2)]
    revised = entries[KIND][f"5m|{END:015d}"]
    assert (revised["revision"], revised["scores"][""]["accuracy"]) == (2, 1.0)
    again = Life(entries)
    again.labelled.observe(flat(predictions) + flat(labels))
    assert not again.measure(END + WAIT)
    assert not again.labelled.begin_anew(0)


def test_sketches_that_are_gone_revise_nothing():
    """What is left of a window is less than was measured of it."""
    predictions, labels = stored(("p", START, "a", 0.9), ("p", START + 1, "b", 0.9), ("l", START + 1, "a", 1))
    entries = {}
    life = Life(entries)
    life.labelled.observe(flat(predictions) + flat(labels))
    assert life.measure(END + WAIT)[0] == (END, 0, 2, 1)
    for left in (predictions[:1] + labels, predictions, labels):
        again = Life(entries)
        again.labelled.observe(flat(left))
        assert not again.measure(END + WAIT)


def test_labels_of_a_model_that_nobody_uses_take_no_memory():
    """They are taken when the first prediction comes, whenever they were there."""
    predictions, labels = stored(("p", START, "a", 0.9), ("l", START + 1, "a", 1))
    life = Life({})
    life.labelled.observe(flat(labels))
    assert life.labelled.outcomes.join.labels == 0
    assert not life.labelled.begin_anew(0)
    life.labelled.observe(flat(predictions))
    assert not life.measure(END + WAIT)
    assert life.labelled.begin_anew(0)
    life.labelled.observe(flat(labels) + flat(predictions))
    assert life.measure(END + WAIT)[0] == (END, 0, 1, 1)


RECORDS = (
    ("p", START, "a", 0.9), ("p", START + 1, "b", 0.2), ("p", LATER, "a", 0.9),
    ("l", START + 2, "a", 1), ("l", START + 3, "b", 1), ("l", START + 4, "b", 0), ("l", LATER + 9, "a", 0),
)  # fmt: skip
"""An id of two windows, a corrected label, and one that both predictions of an id could have."""


@functools.cache
def stored_after(partition, count):
    """What a partition has made durable last when it has read so many records, one by one."""
    source, log = logs_of(*RECORDS)[partition]
    return sketches_of(source, log, range(1, count + 1))[-1]


def final(entries):
    return {name: (body["rows"], body["scores"]) for name, body in entries[KIND].items()}


def play(order, *, crashes=(), zombie=None, chance=None):
    """What is measured in the end when sketches of two logs come in an order. Before the steps `crashes` whoever speaks for the
    model is replaced; at the step `zombie` one who does not know that it is replaced writes what it has read, again."""
    done, newest, entries = [0, 0], {}, {}
    life = Life(entries)
    for step, at in enumerate(order):
        done[at] += 1
        newest |= {sketch.key: sketch for sketch in stored_after(at, done[at])}
        if step in crashes:
            life = Life(entries)
            life.labelled.observe(list(newest.values()))
        elif zombie == step and done[at] > 1:
            life.labelled.observe(stored_after(at, done[at] - 1))
        life.labelled.observe(stored_after(at, done[at]))
        if chance is not None and chance.random() < 0.3:
            life.measure(END + WAIT, judged=END, passed=-1)
    life.labelled.observe(list(newest.values()))
    if life.labelled.begin_anew(0):
        life.labelled.observe(list(newest.values()))
    life.measure(LATER + 5 * MINUTE + WAIT)
    return final(entries)


def test_every_interleaving_with_a_crash_or_a_zombie_anywhere():
    """All 35 orders of three predictions and four labels, undisturbed, with a crash before each step and with a writer that
    should be dead at each: the same two windows."""
    want = play([0] * 3 + [1] * 4)
    assert [rows for rows, _ in want.values()][:2] == [2, 1]
    for order in sorted(set(itertools.permutations([0] * 3 + [1] * 4))):
        assert play(order) == want
        for step in range(7):
            assert play(order, crashes={step}) == want
            assert play(order, zombie=step) == want


@pytest.mark.parametrize("seed", range(20))
def test_windows_measured_in_between_come_to_the_same(seed):
    """Measured whenever labels are far enough, by lives that end at any moment, while both logs come in any order that lets
    labels be late by the clock and not by the log."""
    chance = random.Random(seed)
    order = [0] * 3 + [1] * 4
    chance.shuffle(order)
    crashes = {step for step in range(7) if chance.random() < 0.4}
    assert play(order, crashes=crashes, zombie=chance.randrange(7), chance=chance) == play([0] * 3 + [1] * 4)
