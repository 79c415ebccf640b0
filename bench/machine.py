"""What the figures were measured on, and where bench keeps what it makes."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OURS = ("numpy", "numba", "msgspec", "confluent-kafka", "scipy")


def cache() -> Path:
    """Folder for virtual environments and data sets: under DRIFTLINE_CACHE, else .cache of the checkout."""
    folder = Path(os.environ.get("DRIFTLINE_CACHE") or ROOT / ".cache")
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def seed() -> int:
    """Seed of everything that is drawn: `bench.run --seed`, the date at night."""
    return int(os.environ.get("DRIFTLINE_BENCH_SEED", "20260101"))


def describe() -> dict[str, Any]:
    """Processor, memory, system and versions."""
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in OURS},
    }


def moment() -> dict[str, Any]:
    """When a group ran and how busy the machine was when it began (load of 1, 5 and 15 minutes)."""
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": revision(),
        "seed": seed(),
        "load": [round(value, 2) for value in os.getloadavg()],
    }


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def revision() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def on_all_cores(function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """What `function` makes of the arguments of each task, in their order, in a process per core. For what is no time."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        yield from pool.map(function, *zip(*tasks, strict=True))


@contextmanager
def one_core() -> Iterator[int]:
    """Hold this thread and the processes that it starts on one core; yields its number.

    Ours and a peer wait for each other, so that both have the whole core when it is their turn.
    """
    allowed = os.sched_getaffinity(0)
    core = max(allowed)
    os.sched_setaffinity(0, {core})
    try:
        yield core
    finally:
        os.sched_setaffinity(0, allowed)
