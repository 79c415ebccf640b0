"""The judge's two promises, measured: each test's false-alarm rate, and pages per month.

    python -m bench.proof rates|pages|all [--quick] [--seeds 0-199] [--out PATH]

Prints tables, writes them as Markdown to PATH (and as JSON beside it), and exits with 1 when a
limit is broken. Everything is drawn from seeded generators: the same command prints the same.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.judge import pages as pages_simulation
from tests.judge import rates as rates_simulation
from tests.judge import segment_pages


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["rates", "pages", "all"])
    parser.add_argument("--quick", action="store_true", help="a tenth of the trials and seeds")
    parser.add_argument("--seeds", default="0-199", help="first-last, of the months")
    parser.add_argument("--out", type=Path, help="Markdown file to write; JSON goes beside it")
    options = parser.parse_args(arguments)
    first, last = (int(part) for part in options.seeds.split("-"))
    seeds = range(first, last + 1)
    sections, results, broken = [], {}, []
    if options.what in ("rates", "all"):
        measured = rates_simulation.measure(quick=options.quick, progress=_note)
        sections.append(rates_simulation.table(measured))
        broken += rates_simulation.broken(measured)
        results["rates"] = [rate._asdict() for rate in measured]
    if options.what in ("pages", "all"):
        chosen = seeds[: max(len(seeds) // 10, 1)] if options.quick else seeds
        for simulation in (pages_simulation, segment_pages):
            for setting in simulation.SETTINGS:
                months = simulation.measure(setting, chosen, progress=_note)
                sections.append(pages_simulation.table(setting, months))
                broken += pages_simulation.broken(setting, months)
                results[f"pages {setting.name}"] = [month._asdict() for month in months]
    text = "\n\n".join(sections) + "\n\n" + _conclusion(broken)
    print(text)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n")
        options.out.with_suffix(".json").write_text(
            json.dumps({"broken": broken, **results}, indent=1) + "\n"
        )
    return 1 if broken else 0


def _conclusion(broken: list[str]) -> str:
    if not broken:
        return "No limit is broken."
    return "Broken limits:\n\n" + "\n".join(f"* {line}" for line in broken)


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
