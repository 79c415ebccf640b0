"""The scanner against msgspec and the standard library, on mutated records.

    python -m bench.fuzz [--records 10000000] [--seed 20261125]

Every record goes through the decoder as the daemon has it, and through one without a scanner. Columns, rejects and
their reasons must be equal to the last bit. Prints what differs and exits with 1 at the first batch that does.
"""

from __future__ import annotations

import argparse
import random
import time
from datetime import UTC, datetime

from tests.intake.mutate import alike, decoders, documents, mutate, schemas
from tests.intake.same import differences

BATCH = 2_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=int(datetime.now(UTC).strftime("%Y%m%d")))
    arguments = parser.parse_args()
    begin = time.monotonic()
    done, declined = fuzz(arguments.records, arguments.seed)
    print(
        f"{done:,} mutated records, seed {arguments.seed}: no difference; {declined:,} declined by the scanner"
        f" ({declined / done:.0%}); {time.monotonic() - begin:.0f} s"
    )


def fuzz(records: int, seed: int) -> tuple[int, int]:
    """Records compared and declined. Raises SystemExit with the records that are read differently."""
    pairs = [decoders(source, models) for source, models in schemas()]
    rng = random.Random(seed)
    sources = [documents(rng, which) for which in range(len(pairs))]
    pools = [[next(source) for _ in range(1_000)] for source in sources]
    done = declined = 0
    while done < records:
        which = rng.randrange(len(pairs))
        pools[which][rng.randrange(1_000)] = next(sources[which])
        values = _alike(rng, pools[which]) if rng.random() < 0.5 else _mixed(rng, pools[which])
        found, more = differences(*pairs[which], values)
        if found:
            raise SystemExit(f"seed {seed}, schema {which}, batch {done // BATCH}:\n" + "\n".join(found[:20]))
        done += BATCH
        declined += more
    return done, declined


def _mixed(rng: random.Random, pool: list[bytes]) -> list[bytes]:
    """Records of many shapes, some or all of them mutated."""
    share = rng.choice((0.02, 0.3, 1.0))
    return [mutate(rng, record) if rng.random() < share else record for record in rng.choices(pool, k=BATCH)]


def _alike(rng: random.Random, pool: list[bytes]) -> list[bytes]:
    """Records of few shapes, in runs: what a producer writes."""
    values: list[bytes] = []
    shapes = rng.choices(pool, k=rng.randint(1, 3))
    while len(values) < BATCH:
        values += alike(rng, rng.choice(shapes), rng.choice((1, 5, 200, BATCH)))
    return values[:BATCH]


if __name__ == "__main__":
    main()
