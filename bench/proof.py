"""`make proof`: the promises of the judge, measured by simulation, in bench/PROOF.md.

    python -m bench.proof [--quick] [--only rates,ratios,power,pages] [--within SECONDS] [--go-on] [--out PATH] [--report]

Everything is drawn from `--seed` and the name of what is measured, so the same command prints the same figures, in
whatever order and on however many cores. What was measured is kept in bench/proof.json part by part: a run that was
broken off, or ended after `--within` seconds, goes on with `--go-on`, with the months of the other column. `--quick` has a
column of its own; the page says how long it took. Exits with 1 when a goal is not met.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import proof_page
from bench.figure import say
from bench.machine import processor, revision
from bench.proof_parts import ROWS, Part, parts

RESULTS = Path(__file__).with_name("proof.json")
PAGE = Path(__file__).with_name("PROOF.md")
SEED = 20261126
DIGITS = 5
"""Significant digits that are kept of a figure."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer references; a column of its own")
    parser.add_argument("--only", default="", help="rows, separated by commas")
    parser.add_argument(
        "--within", type=float, default=float("inf"), help="seconds after which nothing is begun"
    )
    parser.add_argument("--go-on", action="store_true", help="measure what the last run left out")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, help="write the page there, too")
    parser.add_argument("--report", action="store_true", help="write bench/reports/proof-<date>.md, too")
    options = parser.parse_args(arguments)
    chosen = options.only.split(",") if options.only else list(ROWS)
    if unknown := [name for name in chosen if name not in ROWS]:
        parser.error(f"no row {', '.join(unknown)} - --only - one of {', '.join(ROWS)}")
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    column = results.setdefault("quick" if options.quick else "full", {})
    wanted = {part.name: part for part in parts(chosen, quick=options.quick, seed=options.seed)}
    for name in [name for name in column if name.split(":")[0] in chosen]:
        if not options.go_on or name not in wanted:
            del column[name]
    if options.go_on:
        column |= {name: found for name, found in _months(results).items() if name in wanted}
    left = [part for name, part in wanted.items() if name not in column]
    measure(left, column, results, within=options.within, workers=options.workers)
    text, is_met = proof_page.render(results)
    today = datetime.now(UTC).date().isoformat()
    report = Path(__file__).parent / "reports" / f"proof-{today}.md"
    for path in (PAGE, *([options.out] if options.out else []), *([report] if options.report else [])):
        path.write_text(text)
    print(text)
    return 0 if is_met else 1


def measure(
    left: list[Part], column: dict[str, Any], results: dict[str, Any], *, within: float, workers: int
) -> None:
    """Run parts in processes until there are none, or time is up; each is kept when it is done."""
    begin, todo, done = time.monotonic(), list(reversed(left)), 0
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(workers, 1), mp_context=context) as pool:
        running: dict[Future[list[Any]], tuple[Part, float]] = {}
        while running or (todo and time.monotonic() - begin < within):
            while todo and len(running) < workers and time.monotonic() - begin < within:
                part = todo.pop()
                running[pool.submit(part.run)] = (part, time.monotonic())
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                part, since = running.pop(future)
                column[part.name] = {
                    "on": f"{processor()}, {revision()}, {datetime.now(UTC).date()}, seed {part.seed}",
                    "seconds": round(time.monotonic() - since, 1),
                    "rows": _rounded(future.result()),
                }
                done += 1
                say(f"{done} of {len(left)} ({time.monotonic() - begin:.0f} s): {part.name}")
                _keep(results)


def _months(results: dict[str, Any]) -> dict[str, Any]:
    """Parts that are the same in every column: the first months of the full run are those of the quick one."""
    return {
        name: part
        for column in results.values()
        for name, part in column.items()
        if name.startswith("pages:")
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_rounded(one) for one in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _keep(results: dict[str, Any]) -> None:
    """One line per part, so that what changed can be read."""
    lines = []
    for column, found in sorted(results.items()):
        own = [f" {json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found)]
        lines.append(f"{json.dumps(column)}: {{\n" + ",\n".join(own) + "\n}")
    RESULTS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    sys.exit(main())
