"""Replicas on a real Kafka that are replaced one by one by replicas of another configuration, under load."""

from __future__ import annotations

import itertools
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from monitor.deliver.receiver import Receiver
from monitor.reference.build import BuildSettings
from monitor.reference.file import write
from monitor.reference.profile import Reference
from monitor.sketch import Sketch
from tests.daemon.ask import until
from tests.kafka.lives import Found, undelivered
from tests.kafka.replicas import Replicas
from tests.kafka.traffic import PANE, WINDOW, Recount, make_reference, produce, recount

pytestmark = pytest.mark.slow

PARTITIONS = 4
ROWS = 400
FIRST = -300
"""Window from which on traffic is written: long before what the reference knows, and all of it ordinary."""
BETWEEN = 4
"""Windows that are written between one step and the next."""


class Traffic:
    """Writes a window every half second, until it is closed."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.windows = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(bootstrap, topic), daemon=True)
        self._thread.start()

    def await_more(self, count: int) -> None:
        goal = self.windows + count
        until(lambda: self.windows >= goal, "more traffic", seconds=120)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self, bootstrap: str, topic: str) -> None:
        while not self._stop.wait(0.5):
            at = FIRST + self.windows
            produce(bootstrap, topic, range(at, at + 1), partitions=PARTITIONS, rows=ROWS)
            self.windows += 1


@dataclass
class Story:
    """What is left in the end, and what the log holds by the bins of either configuration."""

    found: Found
    old: Recount
    new: Recount
    before: dict[int, dict[str, object]]
    """End → verdict, as it was before the first was replaced."""
    receiver: Receiver
    output: str

    @property
    def configs(self) -> tuple[str, str]:
        """Of the sketches, in the order in which they began."""
        first = {
            one.key.config: one.key.pane for one in sorted(self.found.sketches, key=lambda one: -one.key.pane)
        }
        old, new = sorted(first, key=lambda name: first[name])
        return old, new


def replaced(replicas: Replicas, number: int) -> None:
    """End one as an orchestrator does, and start it anew; until it reads partitions."""
    replicas.signal(number, signal.SIGTERM)
    assert replicas.await_end(number) == 0
    start(replicas, number)


def start(replicas: Replicas, number: int) -> None:
    log = replicas.folder / f"replica-{number}.log"

    def assigned() -> int:
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return sum('"partitions_assigned"' in line for line in lines)

    before = assigned()
    replicas.start(number)
    until(lambda: assigned() > before, f"replica {number} to be given partitions", seconds=120)


@pytest.fixture(scope="module")
def story(kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    topic = f"configured-{time.time_ns()}"
    kafka.create_topic(topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
    old, new = make_reference(), make_reference(BuildSettings(quantiles=16))
    with Receiver() as receiver:
        replicas = Replicas(
            tmp_path_factory.mktemp("configured"), bootstrap=kafka.bootstrap, topic=topic, reference=old,
            receiver=receiver, partitions=PARTITIONS,
        )  # fmt: skip
        traffic = None
        try:
            for number in (0, 1):
                start(replicas, number)
            traffic = Traffic(kafka.bootstrap, topic)
            with replicas.look() as look:
                until(lambda: len(look.ledger().of("verdict")) >= BETWEEN, "the first verdicts", seconds=120)
                traffic.await_more(BETWEEN)
                before = {body["end"]: dict(body) for body in look.ledger().of("verdict").values()}
                configured_anew(replicas, new)
                for number in (0, 1):
                    replaced(replicas, number)
                    traffic.await_more(2 * BETWEEN)
                traffic.close()
                truth = recount(kafka.bootstrap, topic, new, partitions=PARTITIONS)
                replicas.await_all(lambda: look.has_finished(truth.ends, receiver))
                for number in (0, 1):
                    replicas.signal(number, signal.SIGTERM)
                    assert replicas.await_end(number) == 0
                found = look.found(replicas.output)
        finally:
            if traffic is not None:
                traffic.close()
            replicas.close()
        by_old = recount(kafka.bootstrap, topic, old, partitions=PARTITIONS)
        yield Story(found, by_old, truth, before, receiver, replicas.output)


def configured_anew(replicas: Replicas, reference: Reference) -> None:
    """Other bins and another budget."""
    write(reference, replicas.folder / "scores.ref")
    text = replicas.config.read_text()
    assert "budget: 2 per 30d" in text
    replicas.config.write_text(text.replace("budget: 2 per 30d", "budget: 4 per 30d"))


def rows_by_pane(sketches: tuple[Sketch, ...], *configs: str) -> Counter[int]:
    rows: Counter[int] = Counter()
    for one in sketches:
        if one.key.config in configs:
            rows[one.key.pane] += one.rows
    return rows


def test_row_04_replicas_of_another_configuration_count_every_record_once(story: Story) -> None:
    """By the one or the other, whoever reads it: together they are those of the log; and panes that one
    counted alone have its bins exactly."""
    old, new = story.configs
    truth = +story.new.rows
    rows = {name: rows_by_pane(story.found.sketches, name) for name in (old, new)}
    assert +(rows[old] + rows[new]) == truth
    assert {number: marker.applied for number, marker in story.found.markers.items()} == story.new.ends
    alone = Counter[str]()
    for name, other, recounted in ((old, new, story.old), (new, old, story.new)):
        slots: dict[int, Counter[int]] = {}
        for one in story.found.sketches:
            if one.key.config == name and not rows[other][one.key.pane]:
                held = one.counts
                counts = slots.setdefault(one.key.pane, Counter())
                counts.update({int(slot): int(held[slot]) for slot in held.nonzero()[0]})
        for pane, counts in slots.items():
            assert +counts == +recounted.slots.get(pane, Counter()), (name, pane)
            alone[name] += 1
    assert min(alone[old], alone[new]) > WINDOW // PANE
    assert story.found.divergences == 0


def test_row_04_windows_in_which_the_configuration_changed_say_so(story: Story) -> None:
    """Those have not all of their rows, and are not judged as if they had; those before and after have."""
    verdicts = story.found.verdicts
    ends = sorted(verdicts)
    assert [after - end for end, after in itertools.pairwise(ends)] == [WINDOW] * (len(ends) - 1)
    truth = {end: sum(story.new.rows[pane] for pane in range(end - WINDOW, end, PANE)) for end in ends}
    whole = [end for end in ends if verdicts[end]["coverage"] == 1.0]
    odd = [end for end in whole if verdicts[end]["rows"] != truth[end]]
    assert not odd, [(verdicts[end], truth[end]) for end in odd]
    touched = [end for end in ends if end not in whole]
    assert touched
    for end in touched:
        assert (verdicts[end]["state"], verdicts[end]["reason"]) == ("unknown", "low_coverage")
    assert touched == ends[ends.index(touched[0]) : ends.index(touched[-1]) + 1]
    assert min(touched) > max(story.before)
    assert {end: verdicts[end] for end in story.before} == story.before
    assert len([end for end in whole if end > touched[-1]]) >= BETWEEN
    alphas = [
        {verdicts[end]["alpha"] for end in whole if (end < touched[0]) is is_old} for is_old in (True, False)
    ]
    assert max(alphas[0]) < min(alphas[1])


def test_row_04_a_configuration_that_changes_is_no_drift(story: Story) -> None:
    """Nobody is paged for it, and nothing is asked for."""
    assert story.found.incidents == frozenset()
    states = Counter(str(verdict["state"]) for verdict in story.found.verdicts.values())
    assert states.keys() == {"ok", "unknown"}
    assert states["ok"] > 2 * BETWEEN
    assert undelivered(story.found, story.receiver) == []
    told = [request.path for request in story.receiver.requests if request.body not in (b"", b"[]")]
    assert told == []
    events = [json.loads(line)["event"] for line in story.output.splitlines() if line.startswith("{")]
    assert not {"loop_failed", "state_divergence", "state_damaged", "partition_refused"}.intersection(events)
