"""What is done to the process itself: row 6; and what it does with an end that hangs: row 5."""

from __future__ import annotations

import signal
import time

import pytest

from monitor.deliver.receiver import Answer
from tests.daemon.ask import get, until
from tests.daemon.build import stream
from tests.daemon.test_kill import finish, scene_of
from tests.faults.hold import HOLD, MOMENT
from tests.faults.world import BRISK, ends_well, has_read, is_exact


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


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "where"), [("last", "hold.py"), ("close", "daemon.py")])
def test_row_05_an_end_that_hangs_is_ended(make, tmp_path, moment, where):
    """The last checkpoint does not come back, or something at the very end does not, and keeps the interpreter to itself:
    the process ends all the same, says where it stood, and what was not durable is counted by the next one."""
    scene, sent, hold = make(), stream(range(3)), tmp_path / "hold"
    hold.touch()
    scene.send(sent)
    with scene.process(module=BRISK, **{HOLD: str(hold), MOMENT: moment}) as life:
        until(lambda: has_read(life, len(sent), idle=0), "the log to be read")
        assert life.end(within=60) == 1
        assert "most recent call first" in life.output
        assert where in life.output.partition("most recent call first")[2]
    with scene.process(module=BRISK) as life:
        ends_well(life, sent)
    is_exact(scene, sent)
