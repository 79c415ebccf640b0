from __future__ import annotations

import hashlib
import os

import pytest

from kernels.cache import COMPLETE, IDLE, KEEP, TORN, Cache, digest

NAME = "driftline-2-0123456789ab"


@pytest.fixture
def cache(tmp_path):
    return Cache([tmp_path], NAME)


def other(base, number, *, idle, suffix=""):
    """The directory of another version that was last used `idle` seconds before a file of today's time."""
    path = base / f"driftline-1-{number:012x}{suffix}"
    path.mkdir()
    (path / "file").write_bytes(b"")
    used = (base / "today").stat().st_mtime - idle
    os.utime(path, (used, used))
    return path


def test_what_is_written_is_read(cache):
    """A payload comes back as it was, the latest of a name."""
    assert cache.read("a") is None
    for payload in (b"one", b"", bytes(range(256)) * 1000):
        cache.write("a", payload)
        assert cache.read("a") == payload
    assert cache.problem == ""


@pytest.mark.parametrize("content", [b"", b"x", bytes(4096), hashlib.sha256(b"code").digest() + b"cod"])
def test_a_torn_file_is_as_good_as_none_and_goes(cache, content):
    """Empty, zeroed, cut and garbled files are removed and not read: machine code runs unchecked."""
    cache.write("a", b"code")
    path = cache.places[0] / "a"
    path.write_bytes(content)
    assert cache.read("a") is None
    assert not path.exists()
    cache.write("a", b"code")
    assert cache.read("a") == b"code"


def test_every_bit_counts(cache):
    """One flipped bit anywhere in a file is found."""
    cache.write("a", b"code")
    path = cache.places[0] / "a"
    whole = path.read_bytes()
    for place in range(len(whole)):
        garbled = bytearray(whole)
        garbled[place] ^= 1
        path.write_bytes(garbled)
        assert cache.read("a") is None


def test_the_first_place_that_takes_a_file_gets_it(tmp_path):
    """A base that cannot be written to is passed over, and read from all the same."""
    (tmp_path / "file").write_text("not a directory")
    cache = Cache([tmp_path / "file", tmp_path / "user"], NAME)
    cache.write("a", b"code")
    assert cache.read("a") == b"code"
    assert cache.problem == ""
    assert (tmp_path / "user" / NAME / "a").exists()


def test_nowhere_to_write_is_said(tmp_path):
    """Where nothing can be stored the reason is kept, nothing is raised and nothing is complete."""
    (tmp_path / "file").write_text("not a directory")
    cache = Cache([tmp_path / "file"], NAME)
    cache.write("a", b"code")
    assert cache.read("a") is None
    assert str(tmp_path / "file") in cache.problem
    cache.finish()
    assert not cache.is_complete


def test_a_full_disk_leaves_nothing_half_done(cache, monkeypatch):
    """A write that fails in the middle keeps the old file, leaves no other, and is told."""
    cache.write("a", b"old")

    def full(path, content):
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    cache.write("a", b"new")
    cache.finish()
    monkeypatch.undo()
    assert "No space left on device" in cache.problem
    assert cache.read("a") == b"old"
    assert [path.name for path in cache.places[0].iterdir()] == ["a"]


def test_finish_marks_and_sweeps(cache, tmp_path):
    """Idle directories of other versions go, all but the newest few; half-written files go when old."""
    (tmp_path / "today").write_bytes(b"")
    cache.write("a", b"code")
    idle = [other(tmp_path, number, idle=IDLE + 60 + number) for number in range(KEEP + 3)]
    young = other(tmp_path, 99, idle=60, suffix="-checked")
    foreign = tmp_path / "driftline-notes"
    foreign.mkdir()
    os.utime(foreign, (0, 0))
    old, new = cache.places[0] / "b.0.tmp", cache.places[0] / "b.1.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, (tmp_path / "today").stat().st_mtime - TORN - 60))
    cache.finish()
    assert cache.is_complete
    assert [path.exists() for path in idle] == [True] * (KEEP - 1) + [False] * 4
    assert young.exists()
    assert foreign.exists()
    assert new.exists()
    assert not old.exists()
    assert sorted(path.name for path in cache.places[0].iterdir()) == ["a", "b.1.tmp", COMPLETE]


def test_a_start_keeps_a_directory_young(cache, tmp_path):
    """A version that is still started from time to time is not idle."""
    cache.write("a", b"code")
    os.utime(cache.places[0], (0, 0))
    Cache([tmp_path], NAME)
    assert cache.places[0].stat().st_mtime > 0


def test_the_digest_sees_every_source_and_version(tmp_path):
    """A byte in any file, a file's name, a new file and each version change the digest; nothing else does."""
    (tmp_path / "a.py").write_text("a = 1\n")
    (tmp_path / "cuda").mkdir()
    (tmp_path / "cuda" / "b.py").write_text("b = 1\n")
    seen = {digest(tmp_path, "1.0"), digest(tmp_path, "1.1")}
    (tmp_path / "cuda" / "b.py").write_text("b = 2\n")
    seen.add(digest(tmp_path, "1.0"))
    (tmp_path / "a.py").rename(tmp_path / "c.py")
    seen.add(digest(tmp_path, "1.0"))
    (tmp_path / "d.py").write_text("")
    seen.add(digest(tmp_path, "1.0"))
    assert len(seen) == 5
    (tmp_path / "README").write_text("not a source")
    os.utime(tmp_path / "d.py", (0, 0))
    assert digest(tmp_path, "1.0") in seen
