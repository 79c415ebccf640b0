"""From the command to ready: `driftline run` on an embedded broker, with cold and with warm kernels.

    python -m bench.start [--smoke]

Each start is a process of its own with a fresh state directory and a cache directory of its own; ready is what
`/-/ready` answers. Rounds alternate cold and warm. "Processor" is what the daemon's own process has used by then, which
a busy machine changes less.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench.figure import figure, say
from monitor.intake.embedded import EmbeddedBroker
from tests.daemon.ask import get, samples, until
from tests.daemon.build import Scene, scene


class Start(NamedTuple):
    """Seconds of one start: until ready, those of it that the kernels took, those on a processor."""

    ready: float
    kernels: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    for item in figures(smoke=parser.parse_args().smoke):
        print(f"{item['name']}: {item['ours']:.2f} s, {item['ours_range']} - {item['notes']}")


def figures(*, smoke: bool) -> list[dict[str, Any]]:
    """Seconds until ready, cold and warm; what is compiled is all of driftline's kernels."""
    runs: dict[str, list[Start]] = {"cold": [], "warm": []}
    with EmbeddedBroker() as broker, tempfile.TemporaryDirectory() as folder:
        for number in range(1 if smoke else 5):
            for name, starts in runs.items():
                place = scene(Path(folder) / f"{name}-{number}", broker)
                starts.append(start(place, Path(folder) / f"cache-{number}"))
                say(f"  {name} start: {starts[-1].ready:.2f} s")
    return [_figure(name, starts, "<= 5" if name == "warm" else "") for name, starts in runs.items()]


def start(place: Scene, cache: Path) -> Start:
    """One start of the daemon with the kernels that `cache` holds; it is ended when it is ready."""
    log = place.folder / "run.log"
    began = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "monitor", "run", "-c", str(place.config)],
            stdout=out,
            stderr=out,
            env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        )
    try:
        url = until(lambda: _url(process, log), "the start", seconds=600)
        until(lambda: get(f"{url}/-/ready")[0] == 200, "readiness", seconds=60)
        ready = time.perf_counter() - began
        spent = get(f"{url}/metrics")[1].split("\nprocess_cpu_seconds_total ")[1].split("\n")[0]
        return Start(ready, samples(url)["kernel_warm_seconds",], float(spent))
    finally:
        process.terminate()
        process.wait(60)


def _figure(name: str, starts: list[Start], goal: str) -> dict[str, Any]:
    kernels, processor = (
        statistics.median(getattr(s, part) for s in starts) for part in ("kernels", "processor")
    )
    ready = [s.ready for s in starts]
    return figure(
        f"{name} start to ready",
        "s",
        statistics.median(ready),
        ours_range=ready,
        rounds=len(starts),
        goal=goal,
        device=f"{len(os.sched_getaffinity(0))} cores",
        notes=f"kernels {kernels:.2f} s; the daemon's own time on a processor {processor:.2f} s",
    )


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    text = log.read_text(errors="replace")
    assert process.poll() is None, text
    lines = [line for line in text.splitlines() if '"started"' in line and line.startswith("{")]
    return json.loads(lines[0])["url"] if lines else ""


if __name__ == "__main__":
    main()
