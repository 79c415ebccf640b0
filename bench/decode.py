"""Bytes to counts against decoding alone: what a user could pick instead, at the same bytes, on one core.

Ours does all of it: scan, contract, panes, counts. The peers decode and drop what they decoded. Each peer runs in
its own environment and process; ours and theirs take turns on one core.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench import data
from bench.figure import absent, pair
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
    with one_core():
        found = [
            _against(name, HEADLINE, "scan + fold", rows, rounds, smoke=smoke, goal=PEERS[name][1])
            for name in PEERS
        ]
        found += _kinds(5_000 if smoke else 50_000, rounds)
    return found


def _kinds(rows: int, rounds: int) -> list[dict[str, Any]]:
    return [_against("msgspec", kind, "scan + fold", rows, rounds) for kind in KINDS if kind is not HEADLINE]


def _against(
    name: str, kind, what: str, rows: int, rounds: int, *, smoke: bool = False, goal: str = ""
) -> dict[str, Any]:
    work = job(kind, rows=rows, seed=seed())
    title = f"{what}, {kind.title}" + ("" if kind is HEADLINE else f", {work.size:.0f} bytes")
    against = f"{name}: {PEERS[name][0]}"
    try:
        with Peer(name, smoke=smoke) as peer:
            peer.load(path=data.lines(work, rows=rows, seed=seed()), fields=fields(work))
            against = f"{peer.label}: {PEERS[name][0]}"
            return pair(
                title,
                bytes_to_counts(work),
                peer.run,
                rows,
                rounds,
                unit="records/s",
                against=against,
                goal=goal,
            )
    except (NotInstalled, PeerFailed) as error:
        return absent(title, against, str(error), goal=goal, unit="records/s")


def fields(work: Job) -> dict[str, Any]:
    """The record's schema in the words of the peers' programs."""
    features = {f.name: "number" if f.kind is Kind.NUMERIC else "text" for f in work.plan.features}
    return {"time": "text" if work.source.time_unit is TimeUnit.RFC3339 else "integer", "features": features}


def bytes_to_counts(work: Job) -> Callable[[], None]:
    """Scan and fold all records of a job into a fresh partition, as the ingest thread does."""
    decoder, batches = work.decoder(), work.batches()

    def run() -> None:
        partition = work.partition()
        for batch in batches:
            scanned = decoder.scan(batch)
            partition.fold(batch, scanned.columns, scanned.rejects)
        assert partition.records == len(work.values)

    return run
