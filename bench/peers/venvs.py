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
SMALL = ("msgspec", "orjson", "datasketches")
"""Two or three wheels each."""


class NotInstalled(Exception):
    """This machine cannot have the peer; the text says why."""


def names() -> list[str]:
    return sorted(path.parent.name for path in HERE.glob("*/requirements.txt"))


def ensure(name: str, *, smoke: bool = False) -> Path:
    """The peer's interpreter. Raises NotInstalled; asks pip once per run and peer.

    `smoke` installs only what takes seconds, and uses the others where they are installed already.
    """
    if smoke and name not in SMALL and not (_folder(name) / "complete").is_file():
        raise NotInstalled("not installed: left to `make bench`")
    found = _ensured(name)
    if isinstance(found, str):
        raise NotInstalled(found)
    return found


def _folder(name: str) -> Path:
    requirements = HERE / name / "requirements.txt"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    key = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    return cache() / "peers" / f"{name}-{version}-{key}"


@functools.cache
def _ensured(name: str) -> Path | str:
    folder = _folder(name)
    python = folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "complete").is_file():
            return python
        say(f"  installing {name} …")
        shutil.rmtree(folder, ignore_errors=True)
        wrong = install(folder, HERE / name / "requirements.txt")
        if wrong:
            shutil.rmtree(folder, ignore_errors=True)
            return f"not installed: {wrong}"
        (folder / "complete").touch()
    return python


def install(folder: Path, requirements: Path, *options: str) -> str:
    """Why it failed, in a line; "" when it did not. Wheels only: a compiler would make other numbers. `options`: of pip."""
    commands = [
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check",
         "--only-binary", ":all:", *options, "-r", str(requirements)],
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
