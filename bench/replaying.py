"""`driftline replay` of a whole topic, or of a file, in a process of its own. See bench/replay.py.

    python -m bench.replaying CONFIG [FILE]

Prints {"seconds", "cpu", "records"} as JSON: from behind the first batch until all is judged, all threads of the process.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from monitor.assembly import assemble
from monitor.intake.lines import read_lines
from monitor.intake.range import read_range, sources_of
from monitor.names import Source
from monitor.replay import Candidate, Feed, Replay, run


def measure(config: str, file: str) -> dict[str, Any]:
    assembly = assemble([config]).without_labels()
    plan = assembly.plans.sources[0]
    feed = Feed(plan, assembly.decoder(plan), assembly.models_of(plan))
    candidates = [Candidate("", {name: assembly.contexts[name] for name in plan.models})]
    properties = assembly.plans.kafka.client()
    sources = [Source(plan.topic, 0)] if file else sources_of(properties, plan.topic)
    replay = Replay(feed, candidates, sources=sources)
    first, began = 0, (0.0, 0.0)

    def seen(batch: Any) -> None:
        nonlocal first, began
        if not first:
            first, began = len(batch), (time.perf_counter(), time.process_time())

    if file:
        with closing(Path(file).open("rb")) as lines:
            judged = list(run([replay], read_lines(lines, sources[0]), seen))
    else:
        judged = list(run([replay], read_range(properties, plan.topic, direct=True), seen))
    seconds, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    return {"seconds": seconds, "cpu": cpu, "records": replay.tally.records - first, "verdicts": len(judged)}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], "".join(sys.argv[2:]))))
