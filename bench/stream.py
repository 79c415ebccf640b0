"""From a real Kafka to counts: the daemon, a loop that only looks at records, and stream frameworks that only decode.

    python -m bench.stream [--records 2000000] [--rounds 5] [--peers quixstreams,bytewax,arroyo]

One topic of 477-byte records, lz4, 4 partitions, on a broker of this machine. Every reader begins at its start, in a
process and a consumer group of its own; the daemon also with an empty state directory, and nothing set in its
configuration that has a default. Readers take turns; rates are taken between the first and the last record.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from bench.figure import absent, figure, say
from bench.machine import ROOT
from bench.peers.process import NotInstalled, Peer, PeerFailed
from bench.topic import PARTITIONS, configure, cpu, fill, running
from monitor.intake.member import TUNED
from tests.daemon.ask import until
from tests.kafka.broker import KafkaBroker

PEERS = {
    "quixstreams": "an application that decodes with orjson and does nothing else",
    "bytewax": "a dataflow that decodes with orjson and does nothing else",
    "arroyo": "a processor that decodes with orjson, commits and does nothing else",
}
AT_ONCE = 1_000
"""Records per call of the bare loop: with 5,000 it is a fifth slower, with 200 no faster."""
DEVICE = "2 cores, the broker on them too"
BARE = "the bare loop, with the client properties that the daemon sets"


class Round(NamedTuple):
    """One reader's turn: records, seconds, its own CPU seconds and the broker's."""

    records: float
    seconds: float
    cpu: float
    broker: float

    @property
    def rate(self) -> float:
        return self.records / self.seconds

    @property
    def cost(self) -> float:
        """CPU seconds per million records."""
        return self.cpu / self.records * 1e6


def figures(
    *, smoke: bool = False, records: int = 2_000_000, rounds: int = 5, peers: tuple[str, ...] = tuple(PEERS)
) -> list[dict[str, Any]]:
    """Rates and CPU time against the bare loop, rates against the frameworks."""
    if smoke:
        records, rounds, peers = 200_000, 1, ()
    with (
        tempfile.TemporaryDirectory() as temporary,
        KafkaBroker(Path(temporary) / "kafka") as broker,
        ExitStack() as stack,
    ):
        topic = "records"
        broker.create_topic(topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
        fill(broker.bootstrap, topic, records)
        say(f"  {records:,} records written")
        others = {name: _started(name, stack) for name in peers}
        read_bare(broker, topic, records)  # the broker's compiler and the page cache are warm then
        ours, bare, plain = [], [], []
        theirs: dict[str, list[Round] | str] = {name: [] for name in peers}
        for number in range(rounds):
            bare.append(read_bare(broker, topic, records))
            ours.append(read_daemon(broker, Path(temporary) / f"daemon-{number}", topic, records))
            plain.append(read_bare(broker, topic, records, at_once=5_000, properties={}))
            say(f"  round {number + 1}: " + ", ".join(map(_text, (ours[-1], bare[-1], plain[-1]))))
            for name, peer in others.items():
                _take(theirs, name, peer, broker, topic, records // 10)
        found = [*_against_bare(ours, bare), _against_defaults(ours, plain)]
        return found + [_against(name, others[name], ours, theirs[name], records // 10) for name in peers]


def _started(name: str, stack: ExitStack) -> Peer | str:
    """The peer, or why there is none."""
    try:
        return stack.enter_context(Peer(name))
    except (NotInstalled, PeerFailed) as error:
        return str(error)


def _take(theirs: Any, name: str, peer: Peer | str, broker: KafkaBroker, topic: str, records: int) -> None:
    """One turn of a framework, with the client properties that the daemon sets."""
    if isinstance(peer, str) or isinstance(theirs[name], str):
        return
    try:
        answer = peer.ask(
            "run", bootstrap=broker.bootstrap, topic=topic, count=records, properties=dict(TUNED)
        )
    except PeerFailed as error:
        theirs[name] = str(error)
        return
    theirs[name].append(Round(answer["records"], answer["seconds"], answer["cpu"], 0.0))
    say(f"  {name}: {_text(theirs[name][-1])}")


def read_bare(
    broker: KafkaBroker, topic: str, records: int, *, at_once: int = AT_ONCE, properties: Any = TUNED
) -> Round:
    pairs = [f"{name}={value}" for name, value in properties.items()]
    command = [
        sys.executable,
        "-m",
        "bench.bare",
        broker.bootstrap,
        topic,
        str(records),
        str(at_once),
        *pairs,
    ]
    before = cpu(broker.pid)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    answer = json.loads(done.stdout)
    return Round(answer["records"], answer["seconds"], answer["cpu"], cpu(broker.pid) - before)


def read_daemon(broker: KafkaBroker, folder: Path, topic: str, records: int) -> Round:
    """From the first look at which something was folded to the moment at which everything was.

    Few looks: each costs the daemon as much as some thousand records.
    """
    config = configure(folder, broker.bootstrap, topic, group=f"daemon-{uuid.uuid4()}")
    with running(config) as daemon:
        first = until(daemon.applied, "the first record", seconds=60)
        began, spent, before = time.time(), daemon.cpu(), cpu(broker.pid)
        while (applied := daemon.applied()) < records:
            if time.time() - began > 300:
                raise RuntimeError(f"{applied} of {records} records in 300 s:\n{daemon.output[-2000:]}")
            time.sleep(0.5)
        used = daemon.cpu() - spent, cpu(broker.pid) - before
        return Round(records - first, daemon.worked() - began, *used)


def _against_bare(ours: list[Round], bare: list[Round]) -> list[dict[str, Any]]:
    notes = "CPU s per million records of the broker beside it: {:.2f} (daemon), {:.2f} (bare loop)".format(
        *(statistics.median(one.broker / one.records * 1e6 for one in side) for side in (ours, bare))
    )
    rates = _pair("Kafka to counts, 477-byte records, lz4, 4 partitions", "records/s", ours, bare, Round.rate)
    costs = _pair("the same, processor time", "CPU-s per million records", ours, bare, Round.cost)
    return [
        figure(**rates, against=BARE, goal=">= 0.8", device=DEVICE, notes=notes),
        figure(**costs, against=BARE, goal="<= 1.6", device=DEVICE, notes=notes),
    ]


def _against_defaults(ours: list[Round], plain: list[Round]) -> dict[str, Any]:
    rates = _pair("Kafka to counts", "records/s", ours, plain, Round.rate)
    notes = "The client waits a second before it fetches on once its queue was full; the daemon sets 2 ms."
    return figure(
        **rates, against="the bare loop, all client properties at their defaults", notes=notes,
        device=DEVICE,
    )  # fmt: skip


def _against(
    name: str, peer: Peer | str, ours: list[Round], theirs: list[Round] | str, records: int
) -> dict[str, Any]:
    title, goal = "Kafka to counts against decoding alone", ">= 5"
    if isinstance(peer, str) or isinstance(theirs, str):
        why = peer if isinstance(peer, str) else str(theirs)
        return absent(title, f"{name}: {PEERS[name]}", why, goal=goal, unit="records/s")
    found = _pair(title, "records/s", ours, theirs, Round.rate)
    costs = [a.cost / b.cost for a, b in zip(ours, theirs, strict=True)]
    return figure(
        **found, against=f"{peer.label}: {PEERS[name]}", goal=goal, cpu_ratio=statistics.median(costs),
        device=DEVICE, notes=f"A framework reads {records:,} records a round.",
    )  # fmt: skip


def _pair(name: str, unit: str, ours: list[Round], peer: list[Round], what: Any) -> dict[str, Any]:
    mine, theirs = [what.fget(one) for one in ours], [what.fget(one) for one in peer]
    ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
    return {
        "name": name, "unit": unit, "ours": statistics.median(mine), "ours_range": mine,
        "peer": statistics.median(theirs), "peer_range": theirs, "ratio": statistics.median(ratios),
        "ratio_range": ratios, "rounds": len(ours),
    }  # fmt: skip


def _text(one: Round) -> str:
    return f"{one.rate / 1e6:.3f} M/s {one.cost:.2f} CPU-s/M (broker {one.broker / one.records * 1e6:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default=",".join(PEERS))
    options = parser.parse_args()
    peers = tuple(filter(None, options.peers.split(",")))
    for item in figures(records=options.records, rounds=options.rounds, peers=peers):
        print(item["name"], item["against"], item["ours"], item["peer"], item["ratio"], item["ratio_range"],
              item["missing"], item["notes"], sep=" | ")  # fmt: skip


if __name__ == "__main__":
    main()
