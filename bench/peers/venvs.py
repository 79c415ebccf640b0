"""Virtual environments of the peers, made when they are first needed.

    python -m bench.peers.venvs [name …]      install these, or all, and say what came of it

One per peer and state of its requirements.txt, under `machine.cache()`/peers. A peer that cannot be
installed is remembered for the run, with pip's last line as the reason: its rows say so.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from bench.figure import say
from bench.machine import cache

HERE = Path(__file__).resolve().parent
WITHIN = 900
"""Seconds that pip may take."""


class NotInstalled(Exception):
    """This machine cannot have the peer; the text says why."""


def names() -> list[str]:
    return sorted(path.parent.name for path in HERE.glob("*/requirements.txt"))


@functools.cache
def _ensured(name: str) -> Path | str:
    requirements = HERE / name / "requirements.txt"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    key = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = cache() / "peers" / f"{name}-{version}-{key}"
    python = folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "complete").is_file():
            return python
        say(f"  installing {name} …")
        shutil.rmtree(folder, ignore_errors=True)
        wrong = _install(folder, requirements)
        if wrong:
            shutil.rmtree(folder, ignore_errors=True)
            return f"not installed: {wrong}"
        (folder / "complete").touch()
    return python


def ensure(name: str) -> Path:
    """The peer's interpreter. Raises NotInstalled; asks pip once per run and peer."""
    found = _ensured(name)
    if isinstance(found, str):
        raise NotInstalled(found)
    return found


def is_installed(name: str) -> bool:
    """Whether `ensure` would return at once."""
    requirements = HERE / name / "requirements.txt"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    key = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    return (cache() / "peers" / f"{name}-{version}-{key}" / "complete").is_file()


def _install(folder: Path, requirements: Path) -> str:
    """Why it failed, in a line; "" when it did not. Wheels only: a compiler would make other numbers."""
    commands = [
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check",
         "--only-binary", ":all:", "-r", str(requirements)],
    ]  # fmt: skip
    try:
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN)
            if done.returncode:
                lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
                errors = [line for line in lines if line.startswith("ERROR")] or lines or ["pip failed"]
                return errors[-1].removeprefix("ERROR:").strip()[:200]
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)[:200]
    return ""


def main() -> int:
    failed = 0
    for name in sys.argv[1:] or names():
        try:
            print(f"{name}: {ensure(name)}")
        except NotInstalled as error:
            failed += 1
            print(f"{name}: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
