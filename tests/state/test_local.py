"""The SQLite state log: kills, owners, disks and files that are not what they should be."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys

import pytest

from monitor.clock import ManualClock
from monitor.errors import StateConflict, StateDamaged, StateError, StateMissing, StateTooNew
from monitor.state.codec import decode_sketch
from monitor.state.database import FILE
from monitor.state.description import describe, read_ledger
from monitor.state.local import LocalLog
from monitor.state.log import Entry
from tests.state.cases import SOURCE, contents, make_key, make_marker, make_progress, make_sketch
from tests.state.child import PANES, sketches


def start_child(directory, *, rounds, fail_point=""):
    environment = {**os.environ, "DRIFTLINE_FAILPOINT": fail_point}
    command = [sys.executable, "-m", "tests.state.child", str(directory), str(rounds)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, bufsize=1
    )


def open_log(directory):
    return LocalLog(directory, clock=ManualClock(0))


def check_whole(directory, said):
    """What is durable is one whole state, not before anything that was said to be done."""
    log = open_log(directory)
    done = dict(line.split() for line in said)
    checkpoint = log.recover(SOURCE)
    applied = checkpoint.marker.applied if checkpoint else 0
    if applied:
        assert contents(checkpoint.sketches) == contents(sketches(applied))
    assert applied in (int(done.get("checkpoint", 0)), int(done.get("checkpoint", 0)) + 1)
    ledger = log.ledger("fraud")
    appended = ledger.of("cursor").get("1h", {"end": 0})["end"]
    assert len(ledger.of("intent")) == appended
    assert appended >= int(done.get("append", 0))
    claimed = int(done.get("claim", 0))
    assert len(ledger.of("claim")) in (claimed, claimed + 1)
    assert not any(log.claim("fraud", "page", n) for n in range(1, claimed + 1))
    log.close()
    return applied, appended, len(ledger.of("claim"))


EXPECTED = {
    "checkpoint.before:2": (1, 1, 1),
    "checkpoint.inside:5": (1, 1, 1),
    "checkpoint.inside:8": (1, 1, 1),
    "checkpoint.after:2": (2, 1, 1),
    "append.before:2": (2, 1, 1),
    "append.inside:3": (2, 1, 1),
    "append.after:2": (2, 2, 1),
    "claim.before:2": (2, 2, 1),
    "claim.inside:2": (2, 2, 1),
    "claim.after:2": (2, 2, 2),
}


@pytest.mark.parametrize("point", EXPECTED)
def test_killed_at_a_fail_point(tmp_path, point):
    """SIGKILL before, inside and after each write: what was durable is whole, the rest is absent."""
    child = start_child(tmp_path, rounds=3, fail_point=point)
    said, _ = child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert check_whole(tmp_path, said.splitlines()[1:]) == EXPECTED[point]


def test_killed_anywhere_again_and_again(tmp_path):
    """SIGKILL at random moments, on one directory: no start loses or repeats what was done."""
    rng, last = random.Random(20), 0
    for _ in range(6):
        child = start_child(tmp_path, rounds=200)
        lines = [child.stdout.readline() for _ in range(1 + rng.randrange(12))]
        child.kill()
        lines += child.stdout.read().splitlines()
        child.wait()
        child.stdout.close()
        child.stdin.close()
        assert int(lines[0].split()[1]) == last + 1
        log = open_log(tmp_path)
        checkpoint = log.recover(SOURCE)
        said = [int(line.split()[1]) for line in lines if line.startswith("checkpoint")]
        last = checkpoint.marker.applied if checkpoint else 0
        assert last in ((said or [last])[-1], (said or [last])[-1] + 1)
        assert len(checkpoint.sketches if checkpoint else ()) == (len(PANES) if last else 0)
        assert contents(checkpoint.sketches if last else ()) == contents(sketches(last) if last else ())
        log.close()


def test_directory_has_one_owner(tmp_path):
    """A second log on the directory is refused by name, in this process and in another."""
    child = start_child(tmp_path, rounds=1)
    assert child.stdout.readline() == "open 1\n"
    with pytest.raises(StateConflict, match=rf"in use by process {child.pid} .* - {tmp_path} - stop that"):
        open_log(tmp_path)
    child.kill()
    child.communicate()
    log = open_log(tmp_path)
    with pytest.raises(StateConflict):
        open_log(tmp_path)
    log.close()
    open_log(tmp_path).close()


def test_refused_owner_leaves_the_state_alone(tmp_path):
    """The attempt to open an owned directory does not raise the term."""
    log = open_log(tmp_path)
    with pytest.raises(StateConflict):
        open_log(tmp_path)
    log.append("fraud", [Entry("clock", "a", {})])
    assert log.ledger("fraud").term == 1
    log.close()


def grow_until_full(log):
    for n in range(1, 200):
        big = make_sketch(make_key(pane=n), seed=n, slots=4000, applied=n)
        log.checkpoint(SOURCE, [big], make_marker(applied=n))


def test_full_disk_undoes_the_checkpoint_and_can_be_repeated(tmp_path):
    """Without space a checkpoint raises StateError, the one before stays, and later it succeeds."""
    log = open_log(tmp_path)
    log._db._writer.execute("PRAGMA max_page_count = 60")
    with pytest.raises(StateError, match=r"no space left - .*state\.db - free disk space"):
        grow_until_full(log)
    before = log.recover(SOURCE)
    assert before.marker.applied == len(before.sketches) > 1
    log._db._writer.execute("PRAGMA max_page_count = 100000")
    n = before.marker.applied + 1
    log.checkpoint(SOURCE, [make_sketch(make_key(pane=n), seed=n, applied=n)], make_marker(applied=n))
    log.close()
    log = open_log(tmp_path)
    assert log.recover(SOURCE).marker.applied == n
    log.close()


def test_read_only_file_is_explained(tmp_path):
    """A state file that cannot be written raises StateError and stays readable."""
    log = open_log(tmp_path)
    log.checkpoint(SOURCE, [], make_marker())
    log._db._writer.execute("PRAGMA query_only = 1")
    with pytest.raises(StateError, match="cannot be written"):
        log.checkpoint(SOURCE, [], make_marker(applied=11))
    assert log.recover(SOURCE).marker.applied == 10
    log.close()


def test_directory_that_cannot_be_used_is_explained(tmp_path):
    """A file in the place of the directory raises StateError that names it."""
    (tmp_path / "state").write_text("x")
    with pytest.raises(StateError, match=r"state directory cannot be used .* - set state\.dir"):
        open_log(tmp_path / "state")


def test_file_that_is_no_database_is_damage(tmp_path):
    """Something else in the place of the state file is not overwritten."""
    (tmp_path / FILE).write_bytes(b"precious" * 1000)
    with pytest.raises(StateDamaged):
        open_log(tmp_path)
    assert (tmp_path / FILE).read_bytes() == b"precious" * 1000


def test_foreign_database_is_refused(tmp_path):
    """A SQLite file of another program is not ours to write."""
    foreign = sqlite3.connect(tmp_path / FILE)
    foreign.execute("CREATE TABLE t (x)")
    foreign.close()
    with pytest.raises(StateDamaged, match="not a driftline state file"):
        open_log(tmp_path)
    with pytest.raises(StateDamaged, match="not a driftline state file"):
        describe(tmp_path)


def test_newer_schema_is_refused(tmp_path):
    """State of a newer driftline is not touched, and the text says what to do; the lock is given back."""
    open_log(tmp_path).close()
    db = sqlite3.connect(tmp_path / FILE)
    db.execute("PRAGMA user_version = 99")
    db.close()
    for _ in range(2):
        with pytest.raises(StateTooNew, match=r"schema 99 .* use the newer driftline"):
            open_log(tmp_path)


def test_damaged_record_is_found(tmp_path):
    """A byte that changed inside the file is found when the record is read, not counted as data."""
    log = open_log(tmp_path)
    log.checkpoint(SOURCE, [make_sketch(seed=1)], make_marker())
    log._db._writer.execute("UPDATE sketches SET body = CAST(substr(body, 1, 40) || 'xxxx' AS BLOB)")
    with pytest.raises(StateDamaged, match="--accept-data-loss"):
        log.recover(SOURCE)
    log.close()


def test_damaged_pages_are_found(tmp_path):
    """Overwritten pages raise StateDamaged that names the file."""
    log = open_log(tmp_path)
    for n in range(1, 30):
        log.checkpoint(SOURCE, [make_sketch(make_key(pane=n), seed=n, slots=2000)], make_marker(applied=n))
    log.close()
    size = (tmp_path / FILE).stat().st_size
    with (tmp_path / FILE).open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    with pytest.raises(StateDamaged, match=r"state\.db"):
        open_log(tmp_path).recover(SOURCE)


def test_forgotten_source_is_gone(tmp_path):
    """`forget` removes the marker, the sketches and the progress of one source partition."""
    log = open_log(tmp_path)
    log.checkpoint(SOURCE, [make_sketch(seed=1)], make_marker())
    log.report(make_progress())
    log.forget(SOURCE)
    assert log.recover(SOURCE) is None
    assert log.changes(["fraud"], 0)[1:] == ((), ())
    log.close()


def test_describe_reads_beside_the_owner(tmp_path):
    """A running daemon's directory can be looked at without disturbing it."""
    log = open_log(tmp_path)
    log.checkpoint(SOURCE, [make_sketch(make_key(pane=p), seed=p) for p in (5, 7)], make_marker())
    log.append("fraud", [Entry("incident", "a", {"n": 1}), Entry("verdict", "b", {})])
    found = describe(tmp_path)
    assert (found.schema, found.term, found.markers) == (1, 1, (make_marker(),))
    (stock,) = found.stocks
    assert (stock.model, stock.sketches, stock.oldest, stock.newest) == ("fraud", 2, 5, 7)
    assert found.entries == {"fraud": {"incident": 1, "verdict": 1}}
    assert read_ledger(tmp_path, "fraud").entries == {"incident": {"a": {"n": 1}}}
    log.close()
    assert describe(tmp_path).markers == found.markers


def test_describe_says_when_there_is_nothing(tmp_path):
    """A directory without state is named, and none is created."""
    with pytest.raises(StateMissing, match=r"no state here - .* - set state\.dir"):
        describe(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_space_comes_back_after_prune(tmp_path):
    """What is pruned shrinks the file, so that a long-lived daemon's state stays bounded."""
    log = open_log(tmp_path)
    for n in range(1, 60):
        log.checkpoint(SOURCE, [make_sketch(make_key(pane=n), seed=n, slots=4000, applied=n)], make_marker(
            applied=n, live={"fraud": n}))  # fmt: skip
    full = describe(tmp_path)
    assert log.prune("fraud", 59) == 58
    log.close()
    assert describe(tmp_path).size < full.stocks[0].bytes / 4


def test_only_live_sketches_are_decoded_when_a_partition_is_recovered(tmp_path, monkeypatch):
    """Days of sketches are kept for the judge; decoding them all at a rebalance would take a minute."""
    log = open_log(tmp_path)
    stored = [make_sketch(make_key(pane=pane), seed=pane) for pane in range(20)]
    stored += [make_sketch(make_key("gone", pane=pane), seed=pane) for pane in range(3)]
    log.checkpoint(SOURCE, stored, make_marker(live={"fraud": 18}))
    decoded = []

    def counting(body):
        decoded.append(body)
        return decode_sketch(body)

    monkeypatch.setattr("monitor.state.local.decode_sketch", counting)
    found = log.recover(SOURCE)
    assert contents(found.sketches) == contents([*stored[18:20], *stored[20:]])
    assert len(decoded) == 5
    log.close()
