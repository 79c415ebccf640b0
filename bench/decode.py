"""Bytes to counts against decoding alone: what a user could pick instead, at the same bytes, on one core.

Ours does all of it: scan, contract, panes, counts. The peers decode and drop what they decoded. Each peer runs in
its own environment and process; ours and theirs take turns on one core. Everybody begins with the values as their
own client hands them over, which costs each a copy that is not measured: a bytes object for each record, or, ours,
all of a poll side by side. What ours takes from bytes objects, which it must join first, stands beside it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench import data
from bench.figure import absent, figure, pair, spent
from bench.machine import one_core, seed
from bench.peers.process import NotInstalled, Peer, PeerFailed
from bench.records import HEADLINE, KINDS, Job, job
from monitor.plan import Kind, TimeUnit

PEERS = {
    "msgspec": ("structs declared for the records, decode alone", ">= 4"),
    "orjson": ("loads alone", ""),
    "pyarrow": ("json.read_json alone, schema given, use_threads=False", ">= 8"),
    "polars": ("read_ndjson alone, schema given, POLARS_MAX_THREADS=1", ""),
}


def figures(*, smoke: bool = False) -> list[dict[str, Any]]:
    """The headline record against all peers, then every kind of record against msgspec."""
    rows, rounds = (10_000, 3) if smoke else (100_000, 7)
    few = 5_000 if smoke else 50_000
    with one_core():
        found = _parts(job(HEADLINE, rows=rows, seed=seed()), rounds)
        for name, (what, goal) in PEERS.items():
            jobs = [(job(HEADLINE, rows=rows, seed=seed()), goal)]
            found += _against(name, what, jobs, rounds, smoke=smoke)
        jobs = [(job(kind, rows=few, seed=seed()), "") for kind in KINDS if kind is not HEADLINE]
        found += _against("msgspec", PEERS["msgspec"][0], jobs, rounds, smoke=smoke)
    return found


def _against(
    name: str, what: str, jobs: Sequence[tuple[Job, str]], rounds: int, *, smoke: bool
) -> list[dict[str, Any]]:
    """One peer at the records of each job, with the goal."""
    found: list[dict[str, Any]] = []
    try:
        with Peer(name, smoke=smoke) as peer:
            for work, goal in jobs:
                rows = len(work.values)
                peer.load(path=data.lines(work, rows=rows, seed=seed()), fields=fields(work))
                for apart in (False, True) if work.kind is HEADLINE else (False,):
                    title = _title(work) + (", joined from bytes objects" if apart else "")
                    found.append(
                        pair(
                            title, bytes_to_counts(work, apart=apart), peer.run, rows, rounds, unit="records/s",
                            against=f"{peer.label}: {what}", goal="" if apart else goal,
                        )
                    )  # fmt: skip
    except (NotInstalled, PeerFailed) as error:
        names = {item["name"] for item in found}
        rest = [(work, goal) for work, goal in jobs if _title(work) not in names]
        found += [
            absent(_title(work), f"{name}: {what}", str(error), goal=goal, unit="records/s")
            for work, goal in rest
        ]
    return found


def _parts(work: Job, rounds: int) -> list[dict[str, Any]]:
    """What a record costs us, by step; the bytes that must be touched in any case are the limit."""
    decoder, batches = work.decoder(), work.batches()
    scanned = [decoder.scan(batch) for batch in batches]

    def fold() -> None:
        partition = work.partition()
        for batch, found in zip(batches, scanned, strict=True):
            partition.fold(batch, found.columns, found.rejects)

    apart = work.batches(apart=True)
    packed = [batch.values.data[: len(batch.values.data) // 8 * 8].view(np.int64) for batch in batches]
    steps: dict[str, Callable[[], object]] = {
        "scan": lambda: [decoder.scan(batch) for batch in batches],
        "scan of bytes objects, which are joined first": lambda: [decoder.scan(batch) for batch in apart],
        "place and fold": fold,
        "reading every byte once (a limit, not a step)": lambda: [words.sum() for words in packed],
    }  # fmt: skip
    found = []
    for name, step in steps.items():
        step()
        costs = [spent(step).cpu / len(work.values) * 1e9 for _ in range(rounds)]
        title = f"{name}, {work.kind.title}"
        found.append(
            figure(title, "CPU-ns/record", statistics.median(costs), ours_range=costs, rounds=rounds)
        )
    return found


def _title(work: Job) -> str:
    size = "" if work.kind is HEADLINE else f", {work.size:.0f} bytes"
    return f"scan + fold, {work.kind.title}{size}"


def fields(work: Job) -> dict[str, Any]:
    """The record's schema in the words of the peers' programs."""
    features = {f.name: "number" if f.kind is Kind.NUMERIC else "text" for f in work.plan.features}
    return {"time": "text" if work.source.time_unit is TimeUnit.RFC3339 else "integer", "features": features}


def bytes_to_counts(work: Job, *, apart: bool = False) -> Callable[[], None]:
    """Scan and fold all records of a job into a fresh partition, as the fold thread does."""
    decoder, batches = work.decoder(), work.batches(apart=apart)

    def run() -> None:
        partition = work.partition()
        for batch in batches:
            scanned = decoder.scan(batch)
            partition.fold(batch, scanned.columns, scanned.rejects)
        assert partition.records == len(work.values)

    return run
