"""What is told of how the state is opened."""

from __future__ import annotations

from types import SimpleNamespace

from structlog.testing import capture_logs

from monitor import metrics
from monitor.assembly import assemble, open_state
from monitor.clock import ManualClock
from tests.daemon.build import scene


def test_a_start_that_accepts_the_loss_of_state_is_told(tmp_path):
    """In the log, and by a metric for as long as it runs: the option must not stay on unseen."""
    made = scene(tmp_path, SimpleNamespace(bootstrap="127.0.0.1:9"), create=False)
    for accept_loss in (True, False):
        with capture_logs() as told:
            open_state(assemble([str(made.config)]), clock=ManualClock(), accept_loss=accept_loss).close()
        assert ("data_loss_accepted" in {line["event"] for line in told}) == accept_loss
        assert metrics.DATA_LOSS_ACCEPTED._value.get() == accept_loss
