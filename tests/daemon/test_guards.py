"""Guards of retraining in a daemon of its own: nothing is sent, and what held it back is counted."""

from __future__ import annotations

import pytest

from tests.daemon.ask import samples, until
from tests.daemon.build import MODEL, merged, stream, with_retraining

CASES = {"paused": {"paused": True}, "dry_run": {"dry_run": True}, "min_records": {"min_records": 10**9}}


@pytest.mark.slow
@pytest.mark.parametrize("reason", sorted(CASES))
def test_what_holds_a_request_back_is_counted(make, receiver, reason):
    """From the setting to the metric; a request that was held back is in nobody's list."""
    changes = {"models": {MODEL: {"retrain": CASES[reason]}}}
    scene = make(**merged(with_retraining(receiver), changes))
    scene.send(stream(range(4), drifting=(2, 3)))
    with scene.process() as life:
        series = "retrain_suppressed_total", MODEL, reason
        until(lambda: samples(life.url).get(series), "the guard to be counted")
        assert life.end() == 0, life.output
    assert [request.path for request in receiver.requests if "hooks" in request.path] == []
