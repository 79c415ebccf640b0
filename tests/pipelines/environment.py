"""Virtual environments of the real servers, made when they are first needed.

One per server and state of its requirements.txt, under `machine.cache()`/pipelines: they share no package with ours.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import shutil
import sys
from pathlib import Path

from bench.machine import cache
from bench.peers.venvs import install

HERE = Path(__file__).resolve().parent


class NotInstalled(Exception):
    """This machine cannot have the server; the text says why."""


@functools.cache
def ensure(name: str, *, within: Path = HERE) -> Path:
    """The interpreter that has the server, as `within`/name/requirements.txt says. Raises NotInstalled; takes a minute or
    two the first time."""
    requirements = within / name / "requirements.txt"
    key = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = cache() / "pipelines" / f"{name}-{sys.version_info.major}.{sys.version_info.minor}-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            if wrong := install(
                folder, requirements, "--no-compile"
            ):  # most of what is installed is never imported
                shutil.rmtree(folder, ignore_errors=True)
                raise NotInstalled(f"not installed: {wrong}")
            (folder / "complete").touch()
    return folder / "bin" / "python"
