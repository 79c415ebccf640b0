"""What the soak measures with: kinds of memory, the line, the history that is put there."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench.records import MODEL
from bench.resident import KINDS, kinds, mappings, resident
from bench.soak import BLOCK, _explained, complete, figures, fit
from monitor.clock import ManualClock
from monitor.history import DETAILED, HISTORY, verdict_entry
from monitor.judge.record import from_json, to_json
from monitor.state.local import LocalLog
from tests.judge.test_kept import a_verdict

SMAPS = """\
55d0c0000000-55d0c0100000 r-xp 00000000 08:01 123    /usr/lib/libx y.so
Size:               1024 kB
Rss:                 600 kB
55d0c1000000-55d0c2000000 rw-p 00000000 00:00 0      [heap]
Rss:                3000 kB
7f0004000000-7f0004400000 rw-p 00000000 00:00 0
Rss:                4000 kB
VmFlags: rd wr
7f0004400000-7f0008000000 ---p 00000000 00:00 0
Rss:                   0 kB
7f0008200000-7f0008300000 rw-p 00000000 00:00 0
Rss:                1000 kB
7ffd00000000-7ffd00100000 rw-p 00000000 00:00 0      [stack]
Rss:                 100 kB
"""


def test_what_is_resident_is_told_by_kind() -> None:
    """Heaps are the main one and those at multiples of 64 MiB; all kinds but SQLite's part add up."""
    found = kinds(mappings(SMAPS.splitlines()), {"used": 5000 * 1024, "mapped": 800 * 1024, "sqlite": 7})
    assert [found[kind] // 1024 for kind in KINDS[:-1]] == [5000, 2000, 800, 300, 600]
    assert (sum(found.values()), found["sqlite"]) == (8700 * 1024 + 7, 7)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="no /proc")
def test_a_process_can_be_looked_at() -> None:
    """Without being told anything by it all heaps count as free."""
    found = resident(os.getpid(), {})
    assert found["files"] > 1 << 20
    assert found["heaps in use"] == 0


def test_a_line_through_means_knows_its_slope() -> None:
    """A mebibyte a minute under noise is found within three errors."""
    rng = np.random.default_rng(5)
    times = np.arange(0, 20 * BLOCK, 2.0)
    line = fit(times, 2.0**20 * times / 60 + rng.normal(0, 1e5, len(times)))
    assert abs(line.slope - 2**20) < 3 * line.error < 0.1 * 2**20


def test_a_soak_that_is_too_short_has_no_slope() -> None:
    """A zero without an error would look like success."""
    with pytest.raises(ValueError, match="at least 3"):
        fit(np.arange(0, 2 * BLOCK, 2.0), np.zeros(60))
    with pytest.raises(ValueError, match="1 minutes"):
        figures(minutes=1)


def test_a_daemon_that_is_gone_is_told_of() -> None:
    """A soak that finds nobody says how the daemon ended and what it said."""
    ended = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    daemon = SimpleNamespace(process=ended, output="last words")
    with pytest.raises(RuntimeError, match="exit 3:\nlast words"), _explained(daemon):
        raise ConnectionRefusedError


def test_a_history_is_completed_as_a_daemon_leaves_it(tmp_path) -> None:
    """HISTORY verdicts, the newest DETAILED whole, one after the other, and the known ones as they were."""
    first = replace(a_verdict(), model=MODEL, p=0.5, start=1_000_000_000, end=1_000_060_000)
    second = replace(first, start=first.end, end=first.end + 60_000, rows=77)
    log = LocalLog(tmp_path, clock=ManualClock(0))
    log.append(MODEL, [verdict_entry(first), verdict_entry(second)])
    log.close()
    assert complete(tmp_path) == HISTORY
    log = LocalLog(tmp_path, clock=ManualClock(0))
    bodies = log.ledger(MODEL, kinds=("verdict",)).of("verdict")
    log.close()
    found = [from_json(bodies[name]) for name in sorted(bodies)]
    assert [to_json(one) for one in found[-2:]] == [to_json(first), to_json(second)]
    assert [one.start for one in found[1:]] == [one.end for one in found[:-1]]
    assert [bool(one.tests) for one in found] == [False] * (HISTORY - DETAILED) + [True] * DETAILED
