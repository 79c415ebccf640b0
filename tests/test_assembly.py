"""What is told of how the state is opened."""

from __future__ import annotations

from types import SimpleNamespace

from structlog.testing import capture_logs

from monitor import metrics
from monitor.assembly import assemble, open_state, settled
from monitor.clock import ManualClock
from monitor.intake import protocol
from tests.daemon.build import scene


def test_a_start_that_accepts_the_loss_of_state_is_told(tmp_path):
    """In the log, and by a metric for as long as it runs: the option must not stay on unseen."""
    made = scene(tmp_path, SimpleNamespace(bootstrap="127.0.0.1:9"), create=False)
    for accept_loss in (True, False):
        with capture_logs() as told:
            open_state(assemble([str(made.config)]), clock=ManualClock(), accept_loss=accept_loss).close()
        assert ("data_loss_accepted" in {line["event"] for line in told}) == accept_loss
        assert metrics.DATA_LOSS_ACCEPTED._value.get() == accept_loss


def test_what_the_groups_speak_is_decided_once(tmp_path, monkeypatch):
    """A configuration that is loaded again leaves it as it was decided at the start: the groups are joined by then."""
    monkeypatch.setattr(
        protocol, "decide", lambda *_, **__: protocol.Choice("consumer", "all brokers have it")
    )
    broker = SimpleNamespace(bootstrap="127.0.0.1:9")
    made = scene(tmp_path, broker, create=False, kafka={"properties": {"group.protocol": "auto"}})
    first = settled(assemble([str(made.config)]), ManualClock())
    again = assemble([str(made.config)])
    assert "group.protocol" not in again.plans.kafka.client()
    assert again.joined_as(first).plans.kafka.client()["group.protocol"] == "consumer"
