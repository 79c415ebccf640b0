"""What a process counts of a file of records: one line, to be compared with that of another process.

python -m tests.faults.digests driftline.yaml records.jsonl 100
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np

from monitor.assembly import assemble
from monitor.clock import ManualClock
from monitor.columns import Batch
from monitor.intake.dead_letter import Counted, Limit
from monitor.names import Source
from monitor.partition import Partition
from monitor.state.codec import digest, encode, encode_key
from monitor.steps import fold_batch


def count(config: str, records: str, size: int) -> str:
    """Fold the records in batches of this size; one digest of the sketches and the marker."""
    assembly = assemble([config])
    (plan,) = assembly.plans.sources
    item = assembly.input(plan, Counted())
    partition = Partition(Source(plan.topic, 0), plan, item.models, position=0)
    values = Path(records).read_bytes().splitlines()
    for low in range(0, len(values), size):
        part = values[low : low + size]
        nothing = [None] * len(part)
        offsets = np.arange(low, low + len(part))
        batch = Batch(partition.source, part, nothing, nothing, offsets, 1_760_006_200_000 + offsets)
        fold_batch(batch, partition=partition, item=item, limit=Limit(1, 1000), clock=ManualClock())
    sketches, marker = partition.checkpoint()
    whole = hashlib.sha256(encode(marker))
    for key, content in sorted((encode_key(sketch.key), digest(sketch)) for sketch in sketches):
        whole.update(key + content)
    return f"{whole.hexdigest()} {len(sketches)} {sum(sketch.rows for sketch in sketches)}"


if __name__ == "__main__":
    sys.stdout.write(count(sys.argv[1], sys.argv[2], int(sys.argv[3])) + "\n")
