"""Partitions that are taken away and given back at the worst moment, or that nobody reads, in a group of the real
protocol: rows 8, 9 and 31; and two who judge the same windows: row 49."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from monitor import daemon as whole
from monitor import ingest
from monitor.ingest import Ingest
from monitor.steps import Cadence
from tests.daemon.ask import until
from tests.daemon.build import PARTITIONS, ROWS, START, WINDOW, await_done, stream, verdicts, with_retraining
from tests.daemon.recount import differences, recount
from tests.faults.guest import Guest
from tests.faults.world import alerts_of, pieces

pytestmark = pytest.mark.slow

HEARTBEAT, UNKNOWN_MEMBER = 12, 25


def guest_of(made):
    return Guest(made.bootstrap, f"{made.settings['kafka']['group']}.ingest", made.topic)


def test_row_08_a_partition_is_taken_away_in_the_middle_of_its_recovery(make, monkeypatch):
    """Recoveries are under way when another member joins and leaves again: what was read for an assignment that is over
    counts for nothing, what came back is recovered anew, and the process goes on."""
    made = make()
    sent = stream(range(4))
    first, second = pieces(sent, 2)
    with made.daemon() as daemon:
        made.send(first)
        await_done(daemon, len(first))
    made.send(second)
    gate, asked = threading.Event(), []

    def beside(*given, **named):
        """Recovers on a thread of its own, where it is held."""
        recover = named["state"].recover

        def slowly(source):
            asked.append(source)
            gate.wait(60)
            return recover(source)

        named["state"].recover = slowly
        return Ingest(*given, **{**named, "beside": True})

    monkeypatch.setattr(whole, "Ingest", beside)
    with made.daemon() as daemon:
        until(lambda: daemon.ingest.recovering == PARTITIONS and asked, "a recovery to be under way")
        with guest_of(made) as guest:
            until(lambda: guest.given, "a partition to be taken away")
            taken = set(guest.given)
            until(lambda: daemon.ingest.recovering == PARTITIONS - len(taken), "its recovery to be dropped")
        until(lambda: daemon.ingest.recovering == PARTITIONS, "it to come back")
        assert not daemon.ingest.partitions
        gate.set()
        await_done(daemon, len(sent))
        assert all(asked.count(source) >= 2 for source in taken)
        assert not daemon.ingest.refused
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []


def test_row_09_lost_and_given_back_while_its_batches_are_counted(make, broker, monkeypatch):
    """The group forgets the member while a batch is being counted, and takes it in again at once: nothing of what was
    under way reaches the counts that were recovered, and nothing is missing."""
    fold, gate, reached = ingest.fold_batch, threading.Event(), threading.Event()

    def gated(batch, **named):
        if not gate.is_set():
            reached.set()
            gate.wait(30)
        return fold(batch, **named)

    gate.set()
    monkeypatch.setattr(ingest, "fold_batch", gated)
    monkeypatch.setattr(whole, "Cadence", lambda checkpoint: Cadence(checkpoint=1.0, poll=0.05))
    made = make()
    sent = stream(range(6))
    first, second = pieces(sent, 2)
    with made.daemon() as daemon:
        made.send(first)
        await_done(daemon, len(first))
        drop, lost = daemon.ingest.lost, []

        def losing(sources):
            lost.append((sorted(sources), gate.is_set()))
            threading.Timer(0.2, gate.set).start()
            drop(sources)
            daemon.ingest._next_checkpoint = 0.0

        daemon.ingest.lost = losing
        daemon.ingest._next_checkpoint = float(
            "inf"
        )  # nothing of the second part is stored before it is lost
        gate.clear()
        made.send(second)
        assert reached.wait(30)
        broker.fail(HEARTBEAT, *[UNKNOWN_MEMBER] * 3)
        until(lambda: lost, "the partitions to be lost")
        await_done(daemon, len(sent))
        assert lost[0] == (sorted(daemon.ingest.partitions), False)  # the batch was still being counted
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []


def test_row_31_a_partition_that_nobody_who_reads_owns(make):
    """Another member holds it and reads nothing: its windows are judged without it when they were held long enough, and
    say so; when it comes back they are revised and whole. What was judged meanwhile is no drift."""
    made = make(state={"max_hold": "1s", "stall": "1s"})
    sent = stream(range(3))
    last = START + 3 * WINDOW
    with made.daemon() as daemon:
        until(lambda: len(daemon.ingest._begun) == PARTITIONS, "all partitions to be read")
        with guest_of(made) as guest:
            until(lambda: len(guest.given) == 1, "a partition to be taken away")
            (gone,) = guest.given
            made.send(sent)

            def judged():
                return verdicts(daemon).get(last, {"rows": 0, "coverage": 0, "state": ""})

            until(lambda: judged()["rows"] == (PARTITIONS - 1) * ROWS, f"the last window without {gone}")
            assert judged()["coverage"] == pytest.approx(2 / 3)
            assert judged()["state"] in {"ok", "unknown"}
        await_done(daemon, len(sent))
        until(lambda: judged()["rows"] == PARTITIONS * ROWS and judged()["coverage"] == 1, "the revision")
        assert differences(daemon.state, recount(sent), None) == []


def test_row_49_two_judge_the_same_windows(make, receiver):
    """Neither knows of the other, as a zombie and who was put in its place: what they say of a window is the same, under
    the same ids, and of each request for retraining there is one id."""
    sent = stream(range(7), drifting=range(3, 7))
    one = make("one", **with_retraining(receiver))
    two = make("two", **with_retraining(receiver))
    two.configure(sources={"predictions": {"topic": one.topic}})
    one.send(sent)
    told = []
    for made in (one, two):
        begin = len(receiver.requests)
        with made.daemon() as daemon:
            await_done(daemon, len(sent))
            assert differences(daemon.state, recount(sent), verdicts(daemon)) == []

            def asked(begin=begin):
                return [r for r in receiver.requests[begin:] if r.path == "/hooks/retrain"]

            until(asked, "the request")
            until(lambda begin=begin: alerts_of(receiver.requests[begin:]), "the alert")
            ids = Counter(request.headers["webhook-id"] for request in asked())
            incidents = {alert["annotations"]["incident"] for alert in alerts_of(receiver.requests[begin:])}
            told.append((ids, incidents, verdicts(daemon)))
    assert told[0][:2] == told[1][:2]
    assert set(told[0][0].values()) == {1}
    assert told[0][2] == told[1][2]
