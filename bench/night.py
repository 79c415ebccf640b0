"""`make night`: the full figures, in a dated report under bench/reports/.

    python -m bench.night [--only proof,kill,year,slow,bench] [--date YYYY-MM-DD]

The seed of everything random is the date, except the simulated references of the proof, whose seeds are 0–199.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="proof,kill,year,slow,bench")
    parser.add_argument("--date", default=datetime.now(UTC).date().isoformat())
    arguments = parser.parse_args()
    seed = arguments.date.replace("-", "")
    steps = {
        "proof": ("False alarms and pages per month", ["bench.proof", "all", "--seeds", "0-199"]),
        "kill": ("Kills on real Kafka", ["bench.kill", "--kills", "50", "--seed", seed]),
        "year": ("The flights of 2013 against January", ["bench.year"]),
        "slow": ("Slow tests", ["pytest", "-m", "slow", "-q", "--color=no"]),
        "bench": ("Figures", ["bench.run"]),
    }
    parts = [
        f"# Night of {arguments.date}",
        "",
        f"Python {platform.python_version()}, {_revision()}. Seed {seed}; simulated references: seeds 0–199.",
    ]
    failed = []
    for name in arguments.only.split(","):
        title, command = steps[name]
        text, code, seconds = run(command)
        parts += [
            "",
            f"## {title}",
            "",
            f"`python -m {' '.join(command)}` ({seconds:.0f} s, exit {code})",
            "",
            text,
        ]
        if code:
            failed.append(name)
    report = HERE / "reports" / f"{arguments.date}.md"
    report.parent.mkdir(exist_ok=True)
    report.write_text("\n".join(parts).rstrip() + "\n")
    print(f"wrote {report}")
    if failed:
        raise SystemExit(f"broken: {', '.join(failed)}")


def run(command: list[str]) -> tuple[str, int, float]:
    """What a step reports, its exit code and its duration; progress goes to this process's stderr."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "section.md"
        given = [*command, "--out", str(out)] if command[0] in {"bench.proof", "bench.year"} else command
        done = subprocess.run([sys.executable, "-m", *given], stdout=subprocess.PIPE, text=True, check=False)
        written = out.exists() or command[0] == "bench.run"
        text = out.read_text() if out.exists() else done.stdout
    text = text.strip().removeprefix("# Figures").strip()
    return text if written else f"```\n{text}\n```", done.returncode, time.monotonic() - begin


def _revision() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return f"revision {done.stdout.strip()}" if done.returncode == 0 else "no revision"


if __name__ == "__main__":
    main()
