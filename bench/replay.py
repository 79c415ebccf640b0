"""How fast a backtest reads, beside the daemon: from a real Kafka and from a file.

    python -m bench.replay [--records 2000000] [--rounds 5]

One topic of 477-byte records of 24 features, lz4, 4 partitions, and the same records as a JSON lines file. The daemon and
`driftline replay` take turns, each in a process of its own; rates are taken between the first and the last record.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.figure import figure, say
from bench.machine import ROOT
from bench.records import START, job
from bench.stream import DEVICE, Round, _pair, _text, read_daemon
from bench.topic import PARTITIONS, STEP, configure, fill
from tests.kafka.broker import KafkaBroker


def figures(*, smoke: bool = False, records: int = 2_000_000, rounds: int = 5) -> list[dict[str, Any]]:
    if smoke:
        records, rounds = 200_000, 1
    with tempfile.TemporaryDirectory() as temporary, KafkaBroker(Path(temporary) / "kafka") as broker:
        folder, topic = Path(temporary), "records"
        broker.create_topic(topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
        fill(broker.bootstrap, topic, records)
        file = write(folder / "records.jsonl", records)
        config = configure(folder / "replay", broker.bootstrap, topic, group="replay")
        live, again, lines = [], [], []
        replay(config)  # the broker's compiler and the page cache are warm then
        for number in range(rounds):
            live.append(read_daemon(broker, folder / f"daemon-{number}", topic, records))
            again.append(replay(config))
            lines.append(replay(config, file))
            say(f"  round {number + 1}: " + ", ".join(map(_text, (live[-1], again[-1], lines[-1]))))
    return [
        figure(**_pair("replay of a topic", "records/s", again, live, Round.rate), against="the daemon on the same topic",
               goal=">= 0.7", device=DEVICE),
        figure(**_pair("replay of a file", "records/s", lines, live, Round.rate), against="the daemon on a topic",
               goal=">= 0.7", device=DEVICE),
    ]  # fmt: skip


def write(path: Path, records: int, *, distinct: int = 20_000) -> Path:
    """The records of `bench.topic.fill` as lines."""
    values = job(rows=distinct).values
    heads = [value.split(b'"ts":%d' % (START + n), 1) for n, value in enumerate(values)]
    with path.open("wb") as file:
        for number in range(records):
            before, after = heads[number % distinct]
            file.write(b'%s"ts":%d%s\n' % (before, START + STEP * number, after))
    return path


def replay(config: Path, file: Path | None = None) -> Round:
    command = [sys.executable, "-m", "bench.replaying", str(config), *([str(file)] if file else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    answer = json.loads(done.stdout)
    return Round(answer["records"], answer["seconds"], answer["cpu"], 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for item in figures(records=options.records, rounds=options.rounds):
        print(
            item["name"],
            item["against"],
            item["ours"],
            item["peer"],
            item["ratio"],
            item["ratio_range"],
            sep=" | ",
        )


if __name__ == "__main__":
    main()
