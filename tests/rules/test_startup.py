from __future__ import annotations

import os
import subprocess
import sys

from tests.rules.tree import ROOT, report

HEAVY = {
    *("numba", "llvmlite", "numpy", "scipy", "river", "pandas", "pyarrow", "pydantic", "yaml", "msgspec"),
    *("starlette", "uvicorn", "jinja2", "confluent_kafka", "prometheus_client", "urllib3", "sqlite3"),
}


def test_help_imports_nothing_heavy() -> None:
    """`driftline --help` answers at once: what a command needs is imported inside that command."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "monitor", "--help"],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "COVERAGE_PROCESS_START"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert {"monitor", "click"} <= imported
    report((f"monitor/cli/main.py:1: {name}" for name in imported & HEAVY), "imported by --help")
