"""Disturbs a simulated cluster in as many orders as there is time for, and says what was wrong.

    python -m bench.simulate --schedules 10000 --seed 1

Processes fold, checkpoint, recover, speak for models, judge and deliver with the real code over a simulated
Kafka that loses answers, delays records and compacts; they are killed, stopped, expelled and started anew.
Any schedule can be seen again by itself, with the seed that is printed when something was wrong:

    python -m bench.simulate --level whole --replay 100007

Before that, each protocol with a mistake in it must be found out: a night without findings would mean nothing
otherwise.
"""

from __future__ import annotations

import argparse
import gc
import logging
import multiprocessing
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import structlog

from monitor.errors import DriftlineError
from tests.simulation.ingest import IngestRun
from tests.simulation.ledger import LedgerRun
from tests.simulation.mutants import INGEST, LEDGER, WHOLE
from tests.simulation.whole import WholeRun
from tests.simulation.world import Wrong, changed, told

LEVELS: dict[str, Callable[[int], Any]] = {"ingest": IngestRun, "ledger": LedgerRun, "whole": WholeRun}
SHARES = ["ingest"] * 4 + ["ledger"] * 3 + ["whole"] * 3
"""Of ten schedules of all levels. One of the whole costs as much as two of the others."""
APART = 100_000
"""Schedule n of a run with `--seed` s has the seed s * APART + n, so that nights do not repeat each other."""
MOST = 1_000
"""Schedules in which a mistake must have been found."""


class Ran(NamedTuple):
    """What became of one schedule."""

    level: str
    seed: int
    wrong: str
    counts: Counter[str]
    digest: int
    """Of all that was ever written: the same for the same schedule, whatever machine it ran on."""


def ran(unit: tuple[str, int]) -> Ran:
    """Run one schedule, in a process of a pool."""
    level, seed = unit
    _be_quiet()
    wrong = ""
    run = LEVELS[level](seed)
    begin = time.process_time()
    try:
        with told(seed, level):
            run.run()
    except AssertionError as error:
        wrong = str(error)
    counts = Counter(run.world.counts)
    counts.update(
        steps=run.world.schedule.steps,
        written=run.world.broker.appended,
        compacted=run.world.broker.compacted,
        cpu_ms=round((time.process_time() - begin) * 1000),
    )
    return Ran(level, seed, wrong, counts, zlib.crc32(repr(run.world.broker.history).encode()))


def mistakes(seed: int) -> Iterator[tuple[str, int]]:
    """Each protocol with a mistake, and in how many schedules it was found; MOST + 1 when it was not."""
    runs: dict[str, Callable[[int], Any]] = {
        **{name: partial(_mistaken, made) for name, made in INGEST.items()},
        **{name: partial(LedgerRun, **given) for name, given in LEDGER.items()},
        **dict.fromkeys(WHOLE, WholeRun),
    }
    for name, make in runs.items():
        found = MOST + 1
        for number in range(MOST):
            try:
                with changed(*([WHOLE[name]] if name in WHOLE else [])):
                    make(seed + number).run()
            except (DriftlineError, Wrong):
                found = number + 1
                break
        yield name, found


def _mistaken(made: Callable[[], Any], seed: int) -> IngestRun:
    return IngestRun(seed, protocol=made())


def _be_quiet() -> None:
    """What the code under test logs is of no interest; collected in the middle of a run it costs time."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.collect(0)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _replay(parser: argparse.ArgumentParser, level: str, seed: int) -> int:
    if level not in LEVELS:
        parser.error(f"--replay needs --level - {level} - one of {', '.join(LEVELS)}")
    one = ran((level, seed))
    _say(f"WRONG: {one.wrong}" if one.wrong else _sum_up(level, [one]))
    _say(f"digest {one.digest:08x}")
    return 1 if one.wrong else 0


def _look_for_mistakes(seed: int) -> int:
    """How many were not found."""
    unfound = 0
    for name, number in mistakes(seed):
        is_found = number <= MOST
        unfound += not is_found
        _say(f"found in {number} schedules: {name}" if is_found else f"NOT FOUND in {MOST} schedules: {name}")
    return unfound


def _sum_up(level: str, found: list[Ran]) -> str:
    total: Counter[str] = Counter()
    for one in found:
        total.update(one.counts)
    mean = total.pop("cpu_ms") / len(found)
    parts = ", ".join(f"{total[name]} {name}" for name in sorted(total) if name != "quiet")
    return f"{level}: {len(found)} schedules of {mean:.0f} ms - {parts}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--level", choices=[*LEVELS, "all"], default="all")
    parser.add_argument("--replay", type=int, help="the seed of one schedule, of one level")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if options.replay is not None:
        return _replay(parser, options.level, options.replay)
    begin = time.monotonic()
    first = options.seed * APART
    _be_quiet()
    unfound = _look_for_mistakes(first)
    seeds = range(first, first + options.schedules)
    units = [(SHARES[seed % 10] if options.level == "all" else options.level, seed) for seed in seeds]
    found: list[Ran] = []
    with multiprocessing.get_context("spawn").Pool(max(options.workers, 1)) as pool:
        for one in pool.imap_unordered(ran, units, chunksize=10):
            found.append(one)
            if one.wrong:
                _say(f"WRONG: {one.wrong}")
    seconds = time.monotonic() - begin
    for level in LEVELS:
        if of_level := [one for one in found if one.level == level]:
            _say(_sum_up(level, of_level))
    wrong = sum(bool(one.wrong) for one in found)
    rate = len(found) / seconds
    _say(f"{len(found)} schedules from seed {first} on, {rate:.1f} a second ({seconds:.0f} s): {wrong} wrong")
    return 1 if wrong or unfound else 0


if __name__ == "__main__":
    sys.exit(main())
