"""A real Feast: its repository with local files, and its feature server."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.kafka.broker import free_ports
from tests.pipelines.environment import ensure
from tests.pipelines.servers import WITHIN, await_answer, plain_environment, running

HERE = Path(__file__).resolve().parent


def python() -> Path:
    """The interpreter that has Feast. Raises NotInstalled; takes minutes the first time."""
    return ensure("feast", within=HERE)


def make_repository(folder: Path) -> Path:
    """A repository with rows of twenty days, and the newest of them online."""
    for name in ("features.py", "make.py"):
        shutil.copy(HERE / "feast" / name, folder / name)
    done = subprocess.run(
        [str(python()), "make.py"],
        cwd=folder, env=plain_environment(), capture_output=True, text=True, check=False, timeout=WITHIN,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """`feast serve` over a repository; its address."""
    (port,) = free_ports(1)
    command = [str(python()), "-m", "feast.cli.cli", "serve", "-h", "127.0.0.1", "-p", str(port)]
    with running(command, folder, plain_environment()) as process:
        url = f"http://127.0.0.1:{port}"
        await_answer(f"{url}/health", process, folder)
        yield url
