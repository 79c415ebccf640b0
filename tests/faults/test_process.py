"""What is done to the process itself: row 6."""

from __future__ import annotations

import signal
import time

import pytest

from monitor.deliver.receiver import Answer
from tests.daemon.ask import get, until
from tests.daemon.test_kill import finish, scene_of


@pytest.mark.slow(35)
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_row_06_a_second_signal_ends_at_once(make, receiver, second):
    """A stop that waits for a receiver that hangs is cut short, with a status that says so; the next start sends what
    was not acknowledged under the same id, and counts exactly."""
    scene, sent = scene_of(make, receiver)
    receiver.answer_always(Answer(act=lambda _connection: time.sleep(9)))
    with scene.process() as life:
        url = life.url
        receiver.wait_for(1, timeout=60)
        life.signal(signal.SIGTERM)
        until(lambda: get(f"{url}/-/ready")[0] == 503, "not to be ready")
        life.signal(second)
        assert life.process.wait(2) == 1
    receiver.answer_always(Answer())
    finish(scene, sent, receiver)
