"""`make night`: the long runs, in a dated report under bench/reports/.

    python -m bench.night [--only proof,kill,chaos,handover,simulate,fuzz,compat,year,slow,bench,soak] [--date YYYY-MM-DD]

The seed of everything random is the date, except in the proof, which says its own. A step that breaks, or misses a goal
of the proof, does not keep the others from running. The figures measured here are also those of bench/README.md and
bench/PROOF.md afterwards. The whole takes some three hours on two cores; the report is written anew after every step.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bench.figure import say
from bench.machine import processor, revision

HERE = Path(__file__).parent


FUZZED = 10_000_000
"""Mutated records a night."""
NIGHTLY = "10000"
"""Orders in which simulated replicas are disturbed a night; twenty minutes on two cores."""


class Step(NamedTuple):
    title: str
    command: list[str]
    """Of `python -m`."""
    writes: str = ""
    """Option that names a Markdown file for the step to write; else its stdout is the section."""
    markdown: bool = False
    """Whether stdout is Markdown."""


def steps(seed: str) -> dict[str, Step]:
    """What a night consists of, in order."""
    return {
        "proof": Step("What the judge promises", ["bench.proof"], writes="--out"),
        "kill": Step("Kills on real Kafka", ["bench.kill", "--kills", "50", "--seed", seed]),
        "chaos": Step("Replicas disturbed on real Kafka", ["bench.chaos", "--events", "200", "--seed", seed]),
        "handover": Step("Partitions without an owner", ["bench.handover", "--rounds", "5"]),
        "simulate": Step(
            "Replicas disturbed in simulation", ["bench.simulate", "--schedules", NIGHTLY, "--seed", seed]
        ),
        "fuzz": Step("Mutated records", ["bench.fuzz", "--records", str(FUZZED), "--seed", seed]),
        "compat": Step("Scores of other products", ["bench.compat"]),
        "year": Step("The flights of 2013 against January", ["bench.year"], writes="--out"),
        "slow": Step("Slow tests", ["pytest", "-m", "slow or night", "-q", "--color=no"]),
        "bench": Step("Figures", ["bench.run", "--seed", seed], markdown=True),
        "soak": Step("Soak", ["bench.run", "--only", "soak", "--seed", seed], markdown=True),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="steps, separated by commas")
    parser.add_argument("--date", default=datetime.now(UTC).date().isoformat())
    arguments = parser.parse_args()
    seed = arguments.date.replace("-", "")
    known = steps(seed)
    chosen = arguments.only.split(",") if arguments.only else list(known)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        parser.error(f"no step {', '.join(unknown)} - --only - one of {', '.join(known)}")
    machine = f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    seeds = f"Seed {seed}."
    parts = [f"# Night of {arguments.date}", "", f"{machine}, revision {revision()}. {seeds}"]
    report = HERE / "reports" / f"{arguments.date}.md"
    report.parent.mkdir(exist_ok=True)
    failed = []
    for name in chosen:
        say(f"{name}: {known[name].title} …")
        section, code = run(known[name])
        parts += section
        report.write_text("\n".join(parts).rstrip() + "\n")
        if code:
            failed.append(name)
    print(f"wrote {report}")
    if failed:
        raise SystemExit(f"broken: {', '.join(failed)}")


def run(step: Step) -> tuple[list[str], int]:
    """The section of a step and its exit code; progress goes to this process's stderr."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "section.md"
        given = [*step.command, step.writes, str(out)] if step.writes else step.command
        done = subprocess.run([sys.executable, "-m", *given], stdout=subprocess.PIPE, text=True, check=False)
        text, is_markdown = (out.read_text(), True) if out.exists() else (done.stdout, step.markdown)
    text = _nested(text.strip()) if is_markdown else f"```\n{text.strip()}\n```"
    head = f"`python -m {' '.join(step.command)}` ({time.monotonic() - begin:.0f} s, exit {done.returncode})"
    return ["", f"## {step.title}", "", head, "", text], done.returncode


def _nested(text: str) -> str:
    """Markdown whose title gives way to the section's, and whose sections become parts of it."""
    lines = text.split("\n")
    if lines[0].startswith("# "):
        lines = [f"#{line}" if line.startswith("#") else line for line in lines[1:]]
    return "\n".join(lines).strip()


if __name__ == "__main__":
    main()
