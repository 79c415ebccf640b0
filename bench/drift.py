"""Whole drift runs in memory, on one core: one reference and one current data set of 20 numeric columns, 1 M rows each.

Ours is bench/drift_run.py; the peers read the same .npy files and hold them as DataFrames before anything is timed.
One run of Evidently takes minutes and one of whylogs a third of one, so that they have fewer rounds; the table says how
many.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench import data, drift_run
from bench.figure import Spent, absent, compare, spent
from bench.machine import one_core
from bench.peers.process import NotInstalled, Peer, PeerFailed

ROWS, SMOKE_ROWS = 1_000_000, 10_000
WHOLE = "reference + fold + scores"
BUILT = "fold + scores on a built reference"


class Match(NamedTuple):
    """What one peer is asked to do, how often, and which of ours is held against it with what goal."""

    peer: str
    what: str
    words: Mapping[str, str]
    rounds: int
    ours: Mapping[str, str]


MATCHES = (
    Match("evidently", "DataDriftPreset end to end", {}, 3, {WHOLE: ">= 100", BUILT: ">= 500"}),
    Match(
        "nannyml",
        "univariate Jensen-Shannon, fit + calculate",
        {"what": "fit and calculate"},
        5,
        {BUILT: ">= 20"},
    ),
    Match("nannyml", "univariate Jensen-Shannon, calculate alone", {"what": "calculate"}, 5, {BUILT: ">= 5"}),
    Match("whylogs", "profile of the current data + drift scores", {"what": "drift"}, 3, {BUILT: ""}),
)


def figures(*, smoke: bool = False) -> list[dict[str, Any]]:
    """Every match; smoke has little data."""
    rows = SMOKE_ROWS if smoke else ROWS
    reference, current = data.table(rows), data.table(rows, current=True)
    runs = {WHOLE: drift_run.whole(reference, current), BUILT: drift_run.built(reference, current)}
    with one_core():
        parts = drift_run.figures(1 if smoke else 5, rows=rows)
        return parts + [figure for match in MATCHES for figure in _match(match, runs, rows, smoke=smoke)]


def _match(
    match: Match, runs: Mapping[str, Callable[[], object]], rows: int, *, smoke: bool
) -> list[dict[str, Any]]:
    unit, against = "values/s", f"{match.peer}: {match.what}"
    titles = {name: f"{name}, {rows:,} × {data.COLUMNS}" for name in match.ours}
    try:
        with Peer(match.peer, smoke=smoke) as peer:
            against = f"{peer.label}: {match.what}"
            _load(peer, SMOKE_ROWS)
            peer.run(**match.words)  # warm: what it imports late must not count as work on the large data
            _load(peer, rows)
            mine, theirs = _rounds(peer, match, runs, 1 if smoke else match.rounds)
    except (NotInstalled, PeerFailed) as error:
        return [
            absent(titles[n], against, str(error), goal=goal, unit=unit) for n, goal in match.ours.items()
        ]
    return [
        compare(titles[n], mine[n], theirs, rows * data.COLUMNS, unit=unit, against=against, goal=goal)
        for n, goal in match.ours.items()
    ]


def _rounds(
    peer: Peer, match: Match, runs: Mapping[str, Callable[[], object]], rounds: int
) -> tuple[dict[str, list[Spent]], Sequence[Spent]]:
    """In each round every one of ours and then the peer, once."""
    mine: dict[str, list[Spent]] = {name: [] for name in match.ours}
    theirs = []
    for _ in range(rounds):
        for name, taken in mine.items():
            taken.append(spent(runs[name]))
        theirs.append(peer.run(**match.words))
    return mine, theirs


def _load(peer: Peer, rows: int) -> None:
    files: dict[str, Path] = {"path": data.table(rows, current=True), "reference": data.table(rows)}
    peer.load(**files)
