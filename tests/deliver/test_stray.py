"""Requests to a target that was taken out of the configuration, or renamed."""

from __future__ import annotations

from monitor.clock import ManualClock
from monitor.deliver.backoff import WEBHOOK
from monitor.deliver.stray import Strays
from monitor.retrain.guards import in_flight
from monitor.retrain.rules import requests
from tests.deliver.outbox import Outbox
from tests.incident.cases import routes, verdict


def test_a_request_whose_target_is_gone_ends_as_one_that_is_not_answered():
    """It waits for as long as a target that does not answer is asked, over restarts, and holds others back; then it is
    dead, visibly, and holds nobody back. One whose target is there is left alone."""
    clock = ManualClock()
    outbox = Outbox(routes(target="https://ml.example"), clock)
    outbox.judge(verdict(0))
    (request,) = outbox.entries("intent")
    for known, after, waits in (
        ("other", 0.0, True),
        ("pipeline", WEBHOOK.total, True),
        ("other", 0.0, False),
    ):
        outbox.restart()
        clock.advance(after)
        Strays([known], outbox.watch, clock).tick()
        assert (list(outbox.entries("intent")) == [request]) is waits
        assert in_flight(outbox.log.ledger("flights"), clock.now_ms()) is waits
    (shown,) = requests(outbox.log.ledger("flights"))
    assert (shown["state"], shown["outcome"]["detail"]) == (
        "dead",
        "no target called pipeline is configured any more",
    )
    assert shown["outcome"]["incident"] == shown["incident"]
