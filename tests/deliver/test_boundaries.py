"""Trouble inside delivery: it is counted, waited out, and stops nothing else."""

from __future__ import annotations

import threading

import pytest

from monitor import metrics
from monitor.clock import ManualClock
from monitor.deliver.attempt import SENT, Attempt, Outcome
from monitor.deliver.backoff import WEBHOOK
from monitor.deliver.loop import is_disabled, pending_counts
from monitor.errors import StateError
from monitor.http import Failure
from monitor.state.log import Entry
from tests.deliver.outbox import Outbox
from tests.incident.cases import routes, verdict


class Scripted:
    """An integration that does what it is told."""

    name = "pipeline"
    address = "here"
    backoff = WEBHOOK
    deduplicates = True

    def __init__(self, *acts):
        self.acts = list(acts)

    def ready_in(self):
        return 0.0

    def send(self, intent, body):
        act = self.acts.pop(0) if self.acts else SENT
        if isinstance(act, Exception):
            raise act
        return act() if callable(act) else act


def errors():
    return metrics.INTERNAL_ERRORS_TOTAL.labels("deliver")._value.get()


@pytest.fixture
def box():
    one = Outbox(routes(target="http://127.0.0.1:1"), ManualClock(1_792_000_000_000))
    one.judge(verdict(0))
    return one


def test_an_integration_that_breaks_is_tried_again(box):
    """A defect of ours in one delivery is a retry that is counted, not the end of the thread."""
    before = errors()
    loop = box.deliverer(Scripted(ZeroDivisionError("ours")))
    loop.tick()
    assert errors() == before + 1
    assert box.outcomes() == [("retrain", "retry")]
    box.pump(loop, seconds=10)
    assert box.outcomes() == [("retrain", "sent")]


def test_a_state_log_that_is_away_is_waited_for(box, monkeypatch):
    """Nothing is sent that cannot be recorded first; delivery goes on when the log is back."""
    loop = box.deliverer(Scripted())
    real = box.log.ledger

    def away(*args, **kwargs):
        raise StateError("no space left - state.db - free disk space")

    monkeypatch.setattr(box.log, "ledger", away)
    before = errors()
    assert loop._guarded_tick(threading.Event()) == 10
    assert errors() == before + 1
    monkeypatch.setattr(box.log, "ledger", real)
    loop._guarded_tick(threading.Event())
    assert box.outcomes() == [("retrain", "sent")]


def test_an_entry_that_cannot_be_read_does_not_end_the_thread(box):
    """Whatever an intent of another version looks like, the loop lives to deliver the next one."""
    box.watch.append("flights", [Entry("intent", "odd", {"integration": "pipeline"})])
    before = errors()
    loop = box.deliverer(Scripted())
    assert loop._guarded_tick(threading.Event()) == 10
    assert errors() == before + 1
    box.watch.append("flights", [Entry("intent", "odd", None)])
    loop._guarded_tick(threading.Event())
    assert box.outcomes() == [("retrain", "sent")]


def test_alertmanager_is_told_again_after_trouble_of_ours(receiver, monkeypatch):
    """The member's loop survives the state log and its own defects."""
    box = Outbox(routes(alertmanager=receiver.url), ManualClock(1_792_000_000_000))
    box.judge(verdict(0))
    member = box.member()
    before = errors()
    for trouble in (StateError("away"), ZeroDivisionError("ours")):
        with monkeypatch.context() as patched:
            patched.setattr(box.watch, "ledgers", lambda trouble=trouble: (_ for _ in ()).throw(trouble))
            assert member._guarded_tick() == 10
    assert errors() == before + 2
    member._guarded_tick()
    assert len(receiver.requests) == 1


def test_stop_ends_between_two_requests():
    """A loop that is told to stop finishes the running attempt and begins no other."""
    stop = threading.Event()
    box = Outbox(routes(target="http://127.0.0.1:1"), ManualClock(1_792_000_000_000))
    box.judge(verdict(0), verdict(1, "ok"), verdict(2, "ok"))
    box.log.append("flights", [])
    loop = box.deliverer(Scripted(lambda: (stop.set(), SENT)[1]))
    loop.run(stop)
    assert [state for _, state in box.outcomes()] == ["sent"]
    assert loop.tick(stop) >= 0


def test_metrics_of_a_delivery(box):
    """Attempts and failures are counted apart, with the closed reason."""
    total = metrics.NOTIFICATIONS_TOTAL.labels("pipeline")._value
    failed = metrics.NOTIFICATIONS_FAILED_TOTAL.labels("pipeline", "serverError")._value
    asked = metrics.RETRAIN_REQUESTS_TOTAL.labels("flights", "pipeline")._value
    before = total.get(), failed.get(), asked.get()
    loop = box.deliverer(Scripted(Attempt(Outcome.RETRY, Failure.SERVER_ERROR, "500")))
    box.pump(loop, seconds=10)
    assert (total.get(), failed.get(), asked.get()) == (before[0] + 2, before[1] + 1, before[2] + 2)


def test_the_outbox_is_counted_by_integration(box):
    """What the view shows as pending, and which targets are disabled."""
    assert pending_counts(box.watch.ledgers()) == {"pipeline": 1}
    loop = box.deliverer(Scripted(Attempt(Outcome.DEAD, Failure.CLIENT_ERROR, "410", disable=True)))
    loop.tick()
    assert pending_counts(box.watch.ledgers()) == {}
    assert is_disabled(box.watch.ledgers(), "pipeline", "here")
    assert not is_disabled(box.watch.ledgers(), "pipeline", "elsewhere")
