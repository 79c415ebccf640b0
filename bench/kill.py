"""Kills the daemon again and again on a real Kafka, and recounts what it counted.

    python -m bench.kill --kills 50

Half of the lives end at named fail-points (before, inside and after each write of a checkpoint, a
ledger append, a claim and a send), half at random moments. Each life has eight windows of fresh
records, four of them drifting. At the end the counts, verdicts, incidents and requests must be
those of the log, of a recount by other code, and of a run that nobody disturbed.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from monitor.deliver.receiver import Receiver
from monitor.failpoint import POINTS
from monitor.reference.profile import Reference
from tests.kafka.broker import ExternalBroker, KafkaBroker
from tests.kafka.lives import Lives, differences, judged_otherwise, undelivered
from tests.kafka.traffic import EPISODE, PARTITIONS, make_reference, produce, recount

PER_LIFE = 2 * EPISODE
"""Windows produced for each life: one episode without and one with drift, so every point is passed."""
MOST = 70
"""Kills; more would span 48 hours of event time, after which panes are pruned and cannot be compared."""
REACHED_WITHIN = 60.0
LONGEST = 8.0
"""Seconds of a life that ends at random; start-up takes about three of them."""


@dataclass(frozen=True, slots=True)
class Death:
    """How a life ends: at the nth pass of a fail-point, or after some seconds."""

    point: str = ""
    nth: int = 1
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """What the kills did."""

    lives: int
    reached: Counter[str]
    """Fail-point → lives that ended there."""
    records: int
    wrong: tuple[str, ...]
    seconds: float


def deaths(kills: int, rng: random.Random) -> list[Death]:
    """Half of them at fail-points, each point about equally often; in random order."""
    named = [Death(POINTS[n % len(POINTS)], rng.randint(1, 3)) for n in range(kills // 2)]
    chance = [Death(after=rng.uniform(0.0, LONGEST)) for _ in range(kills - len(named))]
    plan = named + chance
    rng.shuffle(plan)
    return plan


def torment(
    broker: KafkaBroker | ExternalBroker,
    folder: Path,
    plan: Sequence[Death],
    *,
    topic: str,
    undisturbed: bool = True,
    say=lambda _: None,
) -> Report:
    """Run the lives of `plan` and compare what is left with the log, and with a run that nobody disturbed."""
    begin = time.monotonic()
    broker.create_topic(topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
    reference, reached, sent = make_reference(), Counter(), 0
    with Receiver() as receiver:
        lives = Lives(
            folder / "killed", bootstrap=broker.bootstrap, topic=topic, reference=reference, receiver=receiver
        )
        for number, death in enumerate(plan):
            sent += produce(broker.bootstrap, topic, range(number * PER_LIFE, (number + 1) * PER_LIFE))
            say(f"{number + 1:>3} of {len(plan)}: {_end(lives, death, reached)}")
        truth = recount(broker.bootstrap, topic, reference)
        lives.lived_until(lambda: lives.has_finished(truth.ends, receiver))
        found = lives.found()
        wrong = differences(found, truth) + undelivered(found, receiver)
    if undisturbed:
        say("the same log, undisturbed")
        wrong += _compare(broker, folder, reference, topic, truth, found)
    return Report(len(plan), reached, sent, tuple(wrong), time.monotonic() - begin)


def _end(lives: Lives, death: Death, reached: Counter[str]) -> str:
    if not death.point:
        lives.killed_after(death.after)
        return f"killed after {death.after:.2f} s"
    name = f"{death.point}:{death.nth}"
    if lives.killed_at(name, within=REACHED_WITHIN):
        reached[death.point] += 1
        return f"killed at {name}"
    return f"never came to {name}, killed while idle"


def _compare(broker, folder, reference: Reference, topic: str, truth, found) -> list[str]:
    with Receiver() as receiver:
        calm = Lives(
            folder / "calm", bootstrap=broker.bootstrap, topic=topic, reference=reference, receiver=receiver
        )
        calm.lived_until(lambda: calm.has_finished(truth.ends, receiver))
        undisturbed = calm.found()
    return [f"undisturbed: {one}" for one in differences(undisturbed, truth)] + judged_otherwise(
        found, undisturbed
    )


@contextmanager
def _broker(bootstrap: str, folder: Path) -> Iterator[KafkaBroker | ExternalBroker]:
    if bootstrap:
        yield ExternalBroker(bootstrap)
        return
    with KafkaBroker(folder / "kafka") as broker:
        yield broker


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50, help=f"at most {MOST}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bootstrap", default="", help="a running broker instead of one of our own")
    parser.add_argument("--keep", type=Path, help="folder for state and logs, left as they are")
    options = parser.parse_args()
    if not 0 < options.kills <= MOST:
        parser.error(f"--kills is from 1 to {MOST}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that broker and daemon end with us
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        with _broker(options.bootstrap, folder) as broker:
            plan = deaths(options.kills, random.Random(options.seed))
            report = torment(broker, folder, plan, topic=f"kill-{time.time_ns()}", say=_say)
    _say(
        f"{report.lives} lives ended by SIGKILL (seed {options.seed}), {sum(report.reached.values())} of them "
        f"at {len(report.reached)} of {len(POINTS)} fail-points; {report.records} records; {report.seconds:.0f} s"
    )
    for point in POINTS:
        _say(f"  {point:<18} {report.reached[point]}")
    for one in report.wrong:
        _say(f"WRONG: {one}")
    _say(
        "counts, verdicts, incidents and requests are exact"
        if not report.wrong
        else f"{len(report.wrong)} wrong"
    )
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
