"""Disks that are full, fail, or hold half a file: row 42."""

from __future__ import annotations

import base64
import errno
import json

import pytest

from monitor.intake import dead_file
from tests.daemon.ask import api, until
from tests.daemon.build import Sent, applied, await_done, stream, verdicts
from tests.daemon.recount import differences, recount
from tests.faults.world import ends_well, pieces


def paused(daemon):
    return {one["paused"] for one in api(daemon.server.url, "partitions")}


@pytest.mark.slow
def test_row_42_the_disk_of_the_dead_letters_is_full_and_then_fails(make, monkeypatch):
    """Nothing is covered that is not durable, and nothing more is read: which is told, with the reason. When the
    disk takes it again all goes on, and every reject is in the file."""
    scene = make()
    letters = scene.folder / "dead.jsonl"
    letters.symlink_to("/dev/full")
    bad = [Sent(number % 3, b'{"ts": ', one.timestamp) for number, one in enumerate(stream(range(1))[:9])]
    first, second, third = pieces(stream(range(6)), 3)
    with scene.daemon() as daemon:
        scene.send(first)
        await_done(daemon, len(first))
        scene.send([*bad[:3], *second])
        until(lambda: any("o space left" in why for why in paused(daemon)), "the full disk to be told")
        assert applied(daemon) == len(first)
        letters.unlink()  # somebody makes room
        sent = [*first, *bad[:3], *second]
        await_done(daemon, len(sent))
        assert paused(daemon) == {""}
        sync = dead_file._sync

        def fail(_path):
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(dead_file, "_sync", fail)
        scene.send([*bad[3:], *third])
        until(
            lambda: any("nput/output error" in why for why in paused(daemon)), "the failing disk to be told"
        )
        assert applied(daemon) == len(sent)
        monkeypatch.setattr(dead_file, "_sync", sync)
        sent += [*bad[3:], *third]
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []
    lines = [json.loads(line) for line in letters.read_text().splitlines()]
    assert {base64.b64decode(line["value"]) for line in lines} == {bad[0].value}
    assert len({(line["partition"], line["offset"]) for line in lines}) == len(bad)


@pytest.mark.slow
def test_row_42_half_a_state_file(make):
    """What does not verify is refused with what to do, and nothing of it is touched; without it, and with the loss
    accepted, all is counted anew."""
    scene = make()
    sent = stream(range(3))
    scene.send(sent)
    with scene.process() as life:
        ends_well(life, sent)
    state = scene.folder / "state" / "state.db"
    whole = state.read_bytes()
    state.write_bytes(whole[: len(whole) // 2])
    with scene.process() as life:
        assert life.process.wait(60) != 0
        assert "--accept-data-loss" in life.output
        assert "Traceback" not in life.output
    assert state.read_bytes() == whole[: len(whole) // 2]
    for rest in state.parent.glob("state.db*"):
        rest.rename(scene.folder / rest.name)
    with scene.process("--accept-data-loss") as life:
        ends_well(life, sent)
    found = scene.found()
    assert differences(found, recount(sent), None) == []
    found.close()
