"""Disks that are full, fail, or hold half a file: row 42."""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import subprocess

import pytest

from monitor.intake import dead_file
from tests.daemon.ask import api, until
from tests.daemon.build import Sent, applied, await_done, stream, verdicts
from tests.daemon.recount import differences, recount
from tests.faults.world import await_read, ends_well, is_exact, partitions_of, pieces

BROKEN = b'{"ts": '


def paused(daemon):
    return {one["paused"] for one in api(daemon.server.url, "partitions")}


def broken(count):
    """Records that cannot be read."""
    return [Sent(number % 3, BROKEN, one.timestamp) for number, one in enumerate(stream(range(1))[:count])]


class Disk:
    """A file system of its own at `folder`; who may not mount one, and is not root, has a folder with rights."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.is_mounted = not self._mount("-t", "tmpfs", "-o", "size=64m", "tmpfs")
        if not self.is_mounted and os.geteuid() == 0:
            pytest.skip("mounting is not permitted here, and root may write where it is not allowed to")

    def set(self, *, writable):
        if self.is_mounted:
            assert self._mount("-o", f"remount,{'rw' if writable else 'ro'}") == 0
            return
        for path in (self.folder, *self.folder.iterdir()):
            path.chmod(0o700 if writable else 0o500)

    @property
    def refusal(self):
        return "Read-only file system" if self.is_mounted else "Permission denied"

    def close(self):
        self.set(writable=True)
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def _mount(self, *words):
        with contextlib.suppress(FileNotFoundError):
            return subprocess.run(
                ["mount", *words, str(self.folder)], capture_output=True, check=False
            ).returncode
        return -1


@pytest.fixture
def disk():
    """Makes disks."""
    with contextlib.ExitStack() as every:
        yield lambda folder: every.enter_context(contextlib.closing(Disk(folder)))


@pytest.mark.slow
def test_row_42_the_disk_of_the_dead_letters_is_full_and_then_fails(make, monkeypatch):
    """Nothing is covered that is not durable, and nothing more is read: which is told, with the reason. When the
    disk takes it again all goes on, and every reject is in the file."""
    scene = make()
    letters = scene.folder / "dead.jsonl"
    letters.symlink_to("/dev/full")
    bad = broken(9)
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
    assert {base64.b64decode(line["value"]) for line in lines} == {BROKEN}
    assert len({(line["partition"], line["offset"]) for line in lines}) == len(bad)


@pytest.mark.slow(25)
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


@pytest.mark.slow
def test_row_42_disks_that_are_read_only(make, disk):
    """One that holds the state: the start is refused with what to do. One that takes the dead letters: what is rejected
    is not covered and nothing more is read, which is told. When they can be written all goes on, and nothing is missing."""
    scene = make()
    state, dead = disk(scene.folder / "state"), disk(scene.folder / "dead")
    letters = dead.folder / "dead.jsonl"
    scene.configure(sources={"predictions": {"dead_letter": {"path": str(letters)}}})
    first, second = pieces(stream(range(4)), 2)
    bad = broken(6)
    first, second = [*bad[:3], *first], [*bad[3:], *second]
    scene.send(first)
    with scene.process() as life:
        ends_well(life, first)
    state.set(writable=False)
    with scene.process() as life:
        assert life.process.wait(60) != 0
        assert state.refusal in life.output
        assert str(state.folder) in life.output
        assert "Traceback" not in life.output
    state.set(writable=True)
    with scene.process() as life:
        await_read(life, first)
        dead.set(writable=False)
        scene.send(second)
        until(
            lambda: any(dead.refusal in one["paused"] for one in partitions_of(life)),
            "the dead letters' disk",
        )
        assert sum(one["applied"] for one in partitions_of(life)) == len(first)
        dead.set(writable=True)
        ends_well(life, [*first, *second])
    is_exact(scene, [*first, *second])
    lines = [json.loads(line) for line in letters.read_text().splitlines()]
    assert len({(line["partition"], line["offset"]) for line in lines}) == len(bad)


@pytest.mark.slow
def test_row_42_the_state_cannot_be_written_any_more(make):
    """While it runs: nothing is covered that is not durable, and the reason is told; once it can be written all is
    counted and judged."""
    scene = make()
    first, second = pieces(stream(range(4)), 2)
    with scene.daemon() as daemon:
        scene.send(first)
        await_done(daemon, len(first))

        def permit(*, writing):
            with daemon.state._db._writing:
                daemon.state._db._writer.execute(f"PRAGMA query_only = {int(not writing)}")

        permit(writing=False)
        scene.send(second)
        until(lambda: any("cannot be written" in why for why in paused(daemon)), "the refusal to be told")
        assert applied(daemon) == len(first)
        permit(writing=True)
        await_done(daemon, len(first) + len(second))
        assert paused(daemon) == {""}
        assert differences(daemon.state, recount([*first, *second]), verdicts(daemon)) == []
