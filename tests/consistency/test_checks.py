"""Which stores a process asks, from one configuration to the next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor import metrics
from monitor.clock import SystemClock
from monitor.consistency.checks import Checks
from monitor.deliver.receiver import Receiver
from tests.consistency.peer import FeatureServer, server_plan
from tests.consistency.test_check import batch_of, plan, row
from tests.daemon.ask import until


@pytest.fixture
def checks(monkeypatch):
    monkeypatch.setattr("monitor.consistency.check.EVERY", 0.02)
    found = Checks(SystemClock())
    yield found
    found.end()
    for thread in found.threads:
        thread.join(10)


def show(checks, *rows):
    batch, columns = batch_of(rows)
    checks.offer(batch, [columns])


def test_a_reload_keeps_what_is_as_it_was(checks):
    """A changed plan is asked by anew, one that is gone is not asked any more; the counts stay."""
    with Receiver() as receiver:
        server = FeatureServer(receiver, ("conv_rate", "city"))
        where, model = {"rides": server_plan(receiver.url)}, plan()
        checks.renew([model], where)
        (first,) = checks.threads
        checks.renew([plan()], where)
        assert checks.threads == [first]
        now = SystemClock().now_ms()
        show(checks, row(1, 0.1, "Graz", now))
        until(lambda: server.asked == 1, "a question")
        checks.renew([replace(model, store=replace(model.store, tolerance=0.5))], where)
        until(lambda: not first.is_alive(), "the thread of the other plan to end")
        until(lambda: checks.tallies.oldest("rides") is not None, "what was counted")
        checks.renew([], {})
        show(checks, row(1, 0.1, "Graz", now))
        assert server.asked == 1
        assert checks.tallies.oldest("rides") is not None


def test_a_sample_that_cannot_be_taken_takes_nothing_with_it(checks, monkeypatch):
    """The batch is counted already: its partition must not stop, and not count it once more."""
    checks.renew([plan()], {"rides": server_plan("http://127.0.0.1:9")})

    def broken(self, batch, columns):
        raise RuntimeError("no")

    monkeypatch.setattr("monitor.consistency.check.Check.offer", broken)
    before = metrics.INTERNAL_ERRORS_TOTAL.labels("consistency")._value.get()
    show(checks, row(1, 0.1, "Graz", 0))
    assert metrics.INTERNAL_ERRORS_TOTAL.labels("consistency")._value.get() == before + 1
