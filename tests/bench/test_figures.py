from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from bench import data, report
from bench.figure import Spent, absent, figure, is_met, pair
from bench.peers import process
from bench.records import BYTES, KINDS, job

MACHINE = {"processor": "P", "cores": 2, "memory_gib": 4.0, "kernel": "Linux", "python": "3.11"}


def group(*figures):
    """A group of results.json."""
    when = {"measured": "2026-01-01T00:00:00+00:00", "revision": "abc", "seed": 1, "load": [0.1, 0.2, 0.3]}
    return {**when, "seconds": 1.0, "machine": MACHINE, "figures": list(figures)}


def test_a_pair_reports_the_median_of_the_rounds_ratios() -> None:
    """A peer that takes four times as long makes us four times as fast, with the spread of the rounds."""
    ours, theirs = iter([1, 1, 2, 1]), iter([4, 4, 4, 5])
    found = pair(
        "n", lambda: Spent(next(ours), 1.0), lambda: Spent(next(theirs), 2.0), 100, 3, unit="x/s", against="p"
    )
    assert (found["ratio"], found["ratio_range"]) == (4.0, [2.0, 5.0])
    assert (found["cpu_ratio"], found["ours"], found["peer"]) == (2.0, 100.0, 25.0)


@pytest.mark.parametrize(
    ("goal", "ratio", "met"),
    [(">= 4", 4.0, True), (">= 4", 3.9, False), ("<= 1.6", 1.7, False), ("", 9.0, None)],
)
def test_a_goal_is_a_limit_of_the_ratio(goal, ratio, met) -> None:
    """Goals are met or not; without a goal there is no answer."""
    assert is_met(figure("n", "u", ratio, peer=1.0, goal=goal)) is met


def test_a_goal_without_a_peer_limits_what_was_measured() -> None:
    """Bytes have no peer."""
    assert is_met(figure("n", "bytes", 5000.0, goal="<= 4096")) is False


def test_the_report_keeps_the_row_of_a_peer_that_is_not_there() -> None:
    """Nothing is left out in silence."""
    text = report.render(
        {"groups": {"decode": group(absent("scan", "polars", "not installed: no wheel", goal=">= 8"))}}
    )
    assert "| scan | polars | ≥ 8 × | not installed: no wheel | – |" in text


def test_the_report_shows_every_goal_and_whether_it_was_met() -> None:
    """A group that was not measured says so beside its goal."""
    met = figure("scan", "records/s", 5.0, peer=1.0, against="msgspec", ratio_range=[4.0, 6.0], goal=">= 4")
    text = report.render({"groups": {"decode": group(met)}})
    assert "| scan | msgspec | ≥ 4 × | 5 (4 – 6) × | met |" in text
    assert text.count("not measured") == len(report.GOALS) - 1


def test_headline_records_have_477_bytes_on_average() -> None:
    """To the byte, whatever the number of rows."""
    assert sum(map(len, job(rows=777).values)) == 777 * BYTES


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_of_record_is_read_without_rejects(kind) -> None:
    """What is measured is counting, not rejecting."""
    work = job(kind, rows=200)
    scanned = work.decoder().scan(work.batches()[0])
    assert ([len(columns) for columns in scanned.columns], scanned.rejects) == ([200], ())
    json.loads(work.values[0])


def test_data_sets_are_drawn_once_and_the_same_for_a_seed(tmp_path, monkeypatch) -> None:
    """Ours and the peers read the same bytes; so does the next run."""
    monkeypatch.setenv("DRIFTLINE_CACHE", str(tmp_path / "a"))
    first = np.load(data.table(100, columns=5, seed=3, current=True))
    monkeypatch.setenv("DRIFTLINE_CACHE", str(tmp_path / "b"))
    again = np.load(data.table(100, columns=5, seed=3, current=True))
    assert first.shape == (5, 100)
    assert np.array_equal(first, again)


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A peer whose program is the text that is written to the returned path."""
    folder = tmp_path / "toy"
    folder.mkdir()
    (tmp_path / "common").symlink_to(process.HERE / "common")
    monkeypatch.setattr(process, "HERE", tmp_path)
    monkeypatch.setattr(process, "ensure", lambda name, smoke: sys.executable)
    return folder / "program.py"


def test_a_peer_answers_with_seconds_and_whatever_it_prints_does_no_harm(program) -> None:
    """Libraries print; answers go another way."""
    program.write_text(
        "from serve import serve\n"
        "def run(times): print('noise'); return {'times': times}\n"
        "serve(['numpy'], run=run)\n"
    )
    with process.Peer("toy") as peer:
        answer = peer.ask("run", times=3)
        assert (answer["times"], answer["seconds"] >= 0) == (3, True)
        assert peer.label == f"toy {np.__version__}"


def test_a_peer_that_fails_says_why(program) -> None:
    """An exception over there is one over here, with its text; so is a program that ends."""
    program.write_text(
        "from serve import serve\ndef run(): raise ValueError('no such column')\nserve([], run=run)\n"
    )
    with process.Peer("toy") as peer, pytest.raises(process.PeerFailed, match="ValueError: no such column"):
        peer.run()
    program.write_text("raise SystemExit('not today')\n")
    with pytest.raises(process.PeerFailed, match="not today"):
        process.Peer("toy")
