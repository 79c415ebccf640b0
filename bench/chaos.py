"""Kills, stops and ends replicas at random on a real Kafka, under load, and recounts what they counted.

    python -m bench.chaos --events 200 --seed 1

Three replicas share twelve partitions. Records come at half of what all of it together (broker, replicas and whoever
writes the records, on one machine) can do, as measured before. Every event takes one of them: SIGKILL, SIGSTOP and later SIGCONT
(half of the time after its session has expired, so that it wakes up as a zombie), or SIGTERM. Records come
all the while. At the end the counts of every window must be those of the log by a recount of other code,
every alert, page and request that was decided must have arrived, and none that nobody decided.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.machine import revision
from monitor.deliver.receiver import Receiver
from tests.kafka.broker import ExternalBroker, KafkaBroker
from tests.kafka.lives import differences, undelivered
from tests.kafka.replicas import PROTOCOLS, SESSION, Replicas, quick
from tests.kafka.rush import Pool, write
from tests.kafka.traffic import make_reference

REPLICAS = 3
PARTITIONS = 12
KINDS = ("kill", "zombie", "nap", "term")
PER_WINDOW = 0.9
"""Seconds for a window of the load: 1,000 verdicts are kept of each model, and all are to be compared."""
BURST = (20, 8_000)
"""Windows, and records of each in a partition, by which the capacity is measured."""
BETWEEN = (0.5, 5.0)
"""Seconds between two events."""
DOWN = (0.0, 3.0)
"""Seconds until a replica that ended is started again."""
SETTLE = 240.0


@dataclass(slots=True)
class Report:
    """What was done, and what was wrong."""

    events: Counter[str] = field(default_factory=Counter)
    records: int = 0
    verdicts: int = 0
    incidents: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    wrong: tuple[str, ...] = ()
    clean_exits: int = 0


class Load:
    """Writes windows at a steady rate on a thread of its own."""

    def __init__(
        self, bootstrap: str, topic: str, *, rate: float, pool: Pool | None = None, first: int = 0
    ) -> None:
        """`rate` in records per second; `first` is the number of the first window."""
        self.records, self.windows = 0, first
        self.failure: BaseException | None = None
        self._bootstrap, self._topic = bootstrap, topic
        self._pool = pool or Pool()
        self._rows = round(rate * PER_WINDOW / PARTITIONS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        if self.failure is not None:
            raise RuntimeError("the load ended") from self.failure

    def _run(self) -> None:
        due = time.monotonic()
        try:
            while not self._stop.is_set():
                self.records += write(
                    self._bootstrap,
                    self._topic,
                    self._pool,
                    self.windows,
                    partitions=PARTITIONS,
                    rows=self._rows,
                )
                self.windows += 1
                due = max(due + PER_WINDOW, time.monotonic() - 10 * PER_WINDOW)
                self._stop.wait(max(due - time.monotonic(), 0))
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.failure = error


class Storm:
    """Disturbs replicas, one event after the other."""

    def __init__(self, replicas: Replicas, rng: random.Random, say: Callable[[str], None]) -> None:
        self.events: Counter[str] = Counter()
        self.clean_exits = 0
        self.wrong: list[str] = []
        self._replicas = replicas
        self._rng = rng
        self._say = say
        self._later: list[tuple[float, Callable[[], None]]] = []

    def event(self) -> None:
        """One event on one replica that runs."""
        running = [n for n in self._replicas.running if n not in self._replicas.stopped]
        if not running and not self._later:
            raise RuntimeError(f"all replicas have ended:\n{self._replicas.output[-8000:]}")
        if not running:
            return
        number, kind = self._rng.choice(running), self._rng.choice(KINDS)
        self.events[kind] += 1
        self._say(f"{sum(self.events.values()):>4}  replica {number}: {kind}")
        if kind == "kill":
            self._replicas.signal(number, signal.SIGKILL)
            self._replicas.await_end(number)
            self._in(self._rng.uniform(*DOWN), lambda: self._replicas.start(number))
        elif kind == "term":
            self._replicas.signal(number, signal.SIGTERM)
            status = self._replicas.await_end(number)
            self.clean_exits += status == 0
            if status not in {0, -signal.SIGTERM}:  # the latter before it has begun to listen to signals
                self.wrong.append(f"replica {number} ended with {status} after SIGTERM")
            self._in(self._rng.uniform(*DOWN), lambda: self._replicas.start(number))
        else:
            self._replicas.signal(number, signal.SIGSTOP)
            seconds = (
                self._rng.uniform(0.2, SESSION / 2) if kind == "nap" else SESSION * self._rng.uniform(1.1, 2)
            )
            self._in(seconds, lambda: self._replicas.signal(number, signal.SIGCONT))

    def wait(self, seconds: float) -> None:
        """Do what is due meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._serve()
            time.sleep(min(left, 0.05))

    def calm(self) -> None:
        """Everything runs again."""
        while self._later:
            self._serve()
            time.sleep(0.05)

    def _in(self, seconds: float, act: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, act))

    def _serve(self) -> None:
        now = time.monotonic()
        due = [act for at, act in self._later if at <= now]
        self._later = [(at, act) for at, act in self._later if at > now]
        for act in due:
            act()


def disturb(
    broker: KafkaBroker | ExternalBroker,
    folder: Path,
    *,
    events: int,
    seed: int,
    rate: float | None,
    topic: str,
    protocol: str = "classic",
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run `events` events and compare what is left with the log. Without `rate` it is half of the capacity."""
    begin, rng = time.monotonic(), random.Random(seed)
    broker.create_topic(topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
    reference, pool = make_reference(), Pool()
    with Receiver() as receiver:
        replicas = Replicas(
            folder, bootstrap=broker.bootstrap, topic=topic, reference=reference, receiver=receiver,
            partitions=PARTITIONS, properties=quick(protocol),
        )  # fmt: skip
        try:
            for number in range(REPLICAS):
                replicas.start(number)
            storm = Storm(replicas, rng, say)
            storm.wait(8.0)
            burst = 0
            if rate is None:
                burst, capacity = rush(broker.bootstrap, topic, pool, replicas)
                rate = capacity / 2
                say(f"{burst} records at {capacity:,.0f} a second; from here on {rate:,.0f}")
            load = Load(broker.bootstrap, topic, rate=rate, pool=pool, first=BURST[0] if burst else 0)
            while storm.events.total() < events:
                storm.event()
                storm.wait(rng.uniform(*BETWEEN))
            load.close()
            storm.calm()
            say("calm; waiting for the end of the log")
            truth = pool.recount(broker.bootstrap, topic, reference, partitions=PARTITIONS)
            with replicas.look() as look:
                replicas.await_all(lambda: look.has_finished(truth.ends, receiver), within=SETTLE)
                for number in replicas.running:
                    replicas.signal(number, signal.SIGTERM)
                for number in replicas.running:
                    replicas.await_end(number)
                found = look.found(replicas.output)
        finally:
            replicas.close()
        wrong = storm.wrong + differences(found, truth) + undelivered(found, receiver)
    return Report(
        storm.events, burst + load.records, len(found.verdicts), len(found.incidents),
        time.monotonic() - begin, rate, tuple(wrong), storm.clean_exits,
    )  # fmt: skip


def rush(bootstrap: str, topic: str, pool: Pool, replicas: Replicas) -> tuple[int, float]:
    """Write some windows as fast as can be: how many records, and how many a second were durable in the end."""
    windows, rows = BURST
    begin = time.monotonic()
    sent = sum(
        write(bootstrap, topic, pool, window, partitions=PARTITIONS, rows=rows) for window in range(windows)
    )
    with replicas.look() as look:
        replicas.await_all(lambda: look.applied() >= sent)
    return sent, sent / (time.monotonic() - begin)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=200)
    today = datetime.now(UTC).date().isoformat()
    parser.add_argument("--seed", type=int, default=int(today.replace("-", "")), help="default: the date")
    parser.add_argument("--report", action="store_true", help="write bench/reports/chaos-<date>.md")
    parser.add_argument("--rate", type=float, help="records per second; default: half of the capacity")
    parser.add_argument("--protocol", choices=list(PROTOCOLS), default="classic", help="of the groups")
    parser.add_argument("--keep", type=Path, help="folder for logs, left as they are")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that broker and replicas end with us
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        with KafkaBroker(folder / "kafka") as broker:
            report = disturb(
                broker, folder / "replicas", events=options.events, seed=options.seed, rate=options.rate,
                topic=f"chaos-{time.time_ns()}", protocol=options.protocol, say=_say,
            )  # fmt: skip
    lines = summary(report, seed=options.seed, protocol=options.protocol)
    _say("\n".join(lines))
    if options.report:
        body = "\n".join(
            [f"# Replicas disturbed on {today}", "", f"Revision {revision()}.", "", "```", *lines, "```"]
        )
        name = "chaos" if options.protocol == "classic" else f"chaos-{options.protocol}"
        (Path(__file__).parent / "reports" / f"{name}-{today}.md").write_text(f"{body}\n")
    return 1 if report.wrong else 0


def summary(report: Report, *, seed: int, protocol: str) -> list[str]:
    """What was done and what came of it."""
    done = ", ".join(f"{count} {kind}" for kind, count in sorted(report.events.items()))
    outcome = (
        f"{len(report.wrong)} wrong" if report.wrong else "counts, verdicts, incidents and requests are exact"
    )
    return [
        f"{sum(report.events.values())} events (seed {seed}) on {REPLICAS} replicas and {PARTITIONS} partitions: {done}",
        f"group protocol {protocol}",
        f"{report.records} records, {report.rate:,.0f} a second; {report.verdicts} windows, {report.incidents} incidents",
        f"{report.seconds:.0f} s",
        *(f"WRONG: {one}" for one in report.wrong),
        outcome,
    ]


if __name__ == "__main__":
    sys.exit(main())
