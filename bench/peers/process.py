"""A peer at work in a process of its own, waiting whenever ours is measured."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

from bench.figure import Spent
from bench.peers.venvs import HERE, NotInstalled, ensure

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS",
     "POLARS_MAX_THREADS", "ARROW_NUM_THREADS", "RAYON_NUM_THREADS"), "1",
)  # fmt: skip
"""Beside these the run holds itself and its peers on one core, see `machine.one_core`."""
QUIET = {
    "DO_NOT_TRACK": "1", "WHYLOGS_NO_ANALYTICS": "True", "NML_DISABLE_USAGE_LOGGING": "1", "PYTHONWARNINGS": "ignore",
    "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1",
}  # fmt: skip
"""Nobody's usage statistics may be timed."""
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""A processor type chosen for our OpenBLAS may not exist in the peer's."""
WITHIN = 1200.0
"""Seconds for one answer."""


class PeerFailed(Exception):
    """The peer's program answered with an error, or ended."""


def environment(**more: str) -> dict[str, str]:
    """For a peer's process: one thread, no statistics, nothing of ours."""
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    return {**kept, **ONE_THREAD, **QUIET, "PYTHONPATH": str(HERE / "common"), **more}


class Peer:
    """A peer's program, started. Raises NotInstalled or PeerFailed. Also a context manager.

    `versions` are those of the packages in the peer's environment.
    """

    def __init__(self, name: str, *, smoke: bool = False, program: str = "program.py") -> None:
        """`smoke`: see `venvs.ensure`."""
        self.name = name
        python = ensure(name, smoke=smoke)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the peer
        self._process = subprocess.Popen(
            [str(python), str(HERE / name / program)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=environment(), cwd=HERE,
        )  # fmt: skip
        try:
            ready = self._read()
        except PeerFailed:
            self.stop()
            raise
        self.python: str = ready["python"]
        self.versions: dict[str, str] = ready["versions"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def label(self) -> str:
        """Name and version of the product."""
        return f"{self.name} {next(iter(self.versions.values()))}"

    def ask(self, command: str, **words: Any) -> dict[str, Any]:
        """One command and its answer; paths may be given as they are."""
        plain = {name: str(word) if isinstance(word, Path) else word for name, word in words.items()}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"cmd": command, **plain}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise PeerFailed(self._ended()) from None
        return self._read()

    def load(self, **words: Any) -> dict[str, Any]:
        return self.ask("load", **words)

    def run(self, **words: Any) -> Spent:
        answer = self.ask("run", **words)
        return Spent(answer["seconds"], answer["cpu"])

    def stop(self) -> None:
        """End it by closing its stdin; kill it if it does not listen."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process.stdout.close()
        self._log.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], WITHIN)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            self._process.kill()
            raise PeerFailed(self._ended() if ready else f"no answer in {WITHIN:g} s")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerFailed(answer["error"])
        return answer

    def _ended(self) -> str:
        code = self._process.wait(10)
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
        return f"its process ended with {code}: {lines[-1][:300]}"


__all__ = ["NotInstalled", "Peer", "PeerFailed", "environment"]
