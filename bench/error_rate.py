"""How soon a doubled error rate is noticed, beside river's ADWIN at no more false alarms.

    python -m bench.error_rate [--smoke]

Errors of single rows, 5 % until a change and 10 % after it, looked at every 50 rows. Ours are the e-values of
`monitor.judge.early`, summed over the blocks that a change may have begun with (the Shiryaev-Roberts form), against a
reference whose rate is known. The limit of the sum is the lowest with no more false alarms than ADWIN has, its default
confidence, on as many rows; both are then counted once more on rows of another seed.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.figure import figure, say
from monitor.judge.early import WIDTH, Ball, log_e, see

BEFORE, AFTER = 0.05, 0.10
BLOCK = 50
STARTS = 60
"""Blocks that a change may have begun with: 3,000 rows, several times what a look needs to notice it."""
ROWS = 20_000_000
CHANGES = 1_000
CALM = 10_000
"""Rows before a change, to which up to a block is added: it falls anywhere in one."""
LONGEST = 10_000
LIMITS = np.arange(5.0, 25.0, 0.05)
SEED = 20261126

Counts = NDArray[np.int64]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="few rows")
    for item in figures(smoke=parser.parse_args().smoke):
        print(json.dumps(item))


def figures(*, smoke: bool) -> list[dict]:
    rows, changes = (500_000, 50) if smoke else (ROWS, CHANGES)
    tables = [table((first + 1) * BLOCK) for first in range(STARTS)]
    theirs = [adwin(noise(rows, SEED + seed)) for seed in (0, 1)]
    limit = least_limit(tables, blocks(noise(rows, SEED)), theirs[0])
    again = false_alarms(summed(tables, blocks(noise(rows, SEED + 1))), limit)
    say(f"limit {limit:.2f}; false alarms in {rows:,} rows: ADWIN {theirs}, ours {again}")
    ours, peer = [], []
    for turn in range(changes):
        errors, change = changed(SEED + 2 + turn)
        ours.append(delay(np.flatnonzero(summed(tables, blocks(errors)) >= limit) * BLOCK + BLOCK, change))
        peer.append(delay(np.array(list(alarms(errors))), change))
    found, other = statistics.median(ours), statistics.median(peer)
    notes = (
        f"median of {changes:,} changes, mean {statistics.fmean(ours):,.0f} against {statistics.fmean(peer):,.0f}; false alarms "
        f"in {rows:,} rows without a change, of a seed that the limit was not chosen by: {again} against {theirs[1]} "
        f"(chosen where ADWIN had {theirs[0]}); our reference rate is known, ADWIN learns it from {CALM:,} rows; seed {SEED}"
    )
    return [
        figure("an error rate that doubles from 5 % to 10 %, rows until it is noticed, a look every 50", "rows", found,
               peer=other, against="river's ADWIN, delta 0.002, clock 50", goal="<= 1.15", rounds=changes, notes=notes)
    ]  # fmt: skip


def table(rows: int) -> NDArray[np.float64]:
    """log E by the number of errors in so many rows."""
    errors = np.arange(rows + 1)
    counts = np.zeros((rows + 1, 1, WIDTH), np.int64)
    counts[:, 0, 0], counts[:, 0, 1] = errors, rows - errors
    shares = np.zeros((1, WIDTH))
    shares[0, :2] = BEFORE, 1.0 - BEFORE
    one = np.ones(1)
    ball = Ball(shares, shares > 0, one, one * np.inf, one * 0.0)
    return log_e(see(counts, ball), ball)[:, 0]


def summed(tables: Sequence[NDArray[np.float64]], errors: Counts) -> NDArray[np.float64]:
    """log of the sum over starts, at the end of each block; `errors` of the blocks."""
    total = np.concatenate([[0], np.cumsum(errors)])
    found = np.full(len(errors), -np.inf)
    for before, values in enumerate(tables, 1):
        if before <= len(errors):
            found[before - 1 :] = np.logaddexp(found[before - 1 :], values[total[before:] - total[:-before]])
    return found


def least_limit(tables: Sequence[NDArray[np.float64]], errors: Counts, most: int) -> float:
    found = summed(tables, errors)
    return float(next(limit for limit in LIMITS if false_alarms(found, limit) <= most))


def false_alarms(found: NDArray[np.float64], limit: float) -> int:
    """Alarms; after one there is none until its rows have left the sum."""
    count, free = 0, 0
    for at in np.flatnonzero(found >= limit).tolist():
        if at >= free:
            count, free = count + 1, at + STARTS
    return count


def adwin(errors: NDArray[np.bool_]) -> int:
    return sum(1 for _ in alarms(errors))


def alarms(errors: NDArray[np.bool_]) -> Iterator[int]:
    """Rows after which ADWIN says that there was a change."""
    from river.drift import ADWIN

    detector = ADWIN(clock=BLOCK)
    for row, error in enumerate(errors.tolist(), 1):
        detector.update(error)
        if detector.drift_detected:
            yield row


def delay(alarmed: NDArray[np.int64], change: int) -> int:
    """Rows from a change to the first alarm after it."""
    after = alarmed[alarmed > change]
    return int(after[0]) - change if len(after) else LONGEST


def noise(rows: int, seed: int) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(rows) < BEFORE


def changed(seed: int) -> tuple[NDArray[np.bool_], int]:
    """Errors of rows, and how many of these come before the change."""
    rng = np.random.default_rng(seed)
    change = CALM + int(rng.integers(BLOCK))
    return rng.random(change + LONGEST) < np.repeat((BEFORE, AFTER), (change, LONGEST)), change


def blocks(errors: NDArray[np.bool_]) -> Counts:
    whole = len(errors) // BLOCK * BLOCK
    return errors[:whole].reshape(-1, BLOCK).sum(axis=1)


if __name__ == "__main__":
    main()
