"""One figure: what `figures()` of every file in bench/ returns a list of, and how a pair is measured.

A figure is a dict of plain values, so that it can be written to bench/results.json as it is:

    name         what was measured
    unit         of `ours` and `peer`: "records/s", "CPU-s per million records", "bytes", …
    ours, peer   medians; `peer` None where nothing is compared
    ours_range   [smallest, largest]; `peer_range` likewise
    against      what the peer is and does; "" without one
    ratio        median over the rounds of ours ÷ peer in `unit`; None where there is no peer
    ratio_range  [smallest, largest] of the rounds
    cpu_ratio    the same from CPU time instead of wall time; None where it was not taken
    rounds       measurements of each side, which alternate
    goal         ">= 4", "<= 1.6" or "": a limit for `ratio`, or for `ours` where there is no ratio
    device       "1 core", "2 cores", a GPU's name
    notes        what a reader must know to read the number rightly
    missing      "" or why there is no number: the row stays in the table
"""

from __future__ import annotations

import operator
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

COMPARE = {">=": operator.ge, "<=": operator.le}


class Spent(NamedTuple):
    """Seconds of one run: on the wall, and of all threads on the processor."""

    seconds: float
    cpu: float


def figure(
    name: str,
    unit: str,
    ours: float | None,
    *,
    peer: float | None = None,
    against: str = "",
    ratio: float | None = None,
    ratio_range: Sequence[float] | None = None,
    cpu_ratio: float | None = None,
    ours_range: Sequence[float] | None = None,
    peer_range: Sequence[float] | None = None,
    rounds: int = 1,
    goal: str = "",
    device: str = "1 core",
    notes: str = "",
    missing: str = "",
) -> dict[str, Any]:
    """A figure whose values were measured elsewhere; `ratio` is worked out where it is not given."""
    if ratio is None and ours is not None and peer:
        ratio = ours / peer
    return {
        "name": name, "unit": unit, "ours": ours, "ours_range": _span(ours_range), "peer": peer,
        "peer_range": _span(peer_range), "against": against, "ratio": ratio, "ratio_range": _span(ratio_range),
        "cpu_ratio": cpu_ratio, "rounds": rounds, "goal": goal, "device": device, "notes": notes,
        "missing": missing,
    }  # fmt: skip


def spent(call: Callable[[], Any]) -> Spent:
    """Run once. A call that returns Spent, because it ran in another process, is believed."""
    cpu, begin = time.process_time(), time.perf_counter()
    result = call()
    took = Spent(time.perf_counter() - begin, time.process_time() - cpu)
    return result if isinstance(result, Spent) else took


def pair(
    name: str,
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    count: float,
    rounds: int,
    *,
    unit: str,
    against: str,
    goal: str = "",
    device: str = "1 core",
    notes: str = "",
    warm: bool = True,
) -> dict[str, Any]:
    """`count` things per call, ours and the peer's calls alternating; rates per second of wall time.

    Alternating, because a machine whose speed drifts then favours neither side. `warm` runs both once before.
    """
    if warm:
        spent(ours)
        spent(peer)
    mine, theirs = [], []
    for _ in range(rounds):
        mine.append(spent(ours))
        theirs.append(spent(peer))
    return compare(
        name, mine, theirs, count, unit=unit, against=against, goal=goal, device=device, notes=notes
    )


def compare(
    name: str,
    mine: Sequence[Spent],
    theirs: Sequence[Spent],
    count: float,
    *,
    unit: str,
    against: str,
    goal: str = "",
    device: str = "1 core",
    notes: str = "",
) -> dict[str, Any]:
    """The figure of rounds that were measured in turn: one of `mine` and one of `theirs` a round."""
    ratios = [b.seconds / a.seconds for a, b in zip(mine, theirs, strict=True)]
    busy = [b.cpu / a.cpu for a, b in zip(mine, theirs, strict=True) if a.cpu > 0]
    rates, others = [count / a.seconds for a in mine], [count / b.seconds for b in theirs]
    say(f"  {name}: {statistics.median(ratios):.2f} x {against}")
    return figure(
        name, unit, count / statistics.median(a.seconds for a in mine), ours_range=rates,
        peer=count / statistics.median(b.seconds for b in theirs), peer_range=others, against=against,
        ratio=statistics.median(ratios), ratio_range=ratios, cpu_ratio=statistics.median(busy) if busy else None,
        rounds=len(ratios), goal=goal, device=device, notes=notes,
    )  # fmt: skip


def absent(name: str, against: str, why: str, *, goal: str = "", unit: str = "") -> dict[str, Any]:
    """The row of a peer that could not be run here."""
    return figure(name, unit, None, against=against, goal=goal, rounds=0, missing=why)


def is_met(item: dict[str, Any]) -> bool | None:
    """Whether the goal was reached; None where there is none, or no number to hold against it."""
    measured = item["ratio"] if item["ratio"] is not None else item["ours"]
    if not item["goal"] or measured is None:
        return None
    sign, limit = item["goal"].split()
    return bool(COMPARE[sign](measured, float(limit)))


def say(text: str) -> None:
    """Progress, for the person who waits; results go to stdout."""
    print(text, file=sys.stderr, flush=True)


def _span(values: Sequence[float] | None) -> list[float] | None:
    return [min(values), max(values)] if values else None
