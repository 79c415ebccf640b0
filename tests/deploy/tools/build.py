"""Builds Helm, Kustomize, kubeconform and actionlint from the Go modules that go.mod pins: `make deploy-tools`.

Minutes on the first run of a version on a machine, nothing after. The programs lie under DRIFTLINE_CACHE, else in the
user's cache, in a folder named after go.mod and go.sum.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = ("helm", "kustomize", "kubeconform", "actionlint")


def folder() -> Path:
    """Where the programs of these versions are, or will be."""
    cache = Path(os.environ.get("DRIFTLINE_CACHE") or Path.home() / ".cache" / "driftline") / "deploy"
    pinned = (HERE / "go.mod").read_bytes() + (HERE / "go.sum").read_bytes()
    return cache / hashlib.sha256(pinned).hexdigest()[:16]


def is_built() -> bool:
    return all((folder() / name).is_file() for name in PROGRAMS)


def main() -> None:
    if is_built():
        return
    if shutil.which("go") is None:
        sys.exit(
            "go is not installed - make deploy-tools - Go of go.mod's version, or 1.21 and newer to fetch it"
        )
    target = folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as made:
        command = ["go", "install", "-trimpath", "-ldflags=-s -w", "tool"]
        done = subprocess.run(command, cwd=HERE, env={**os.environ, "GOBIN": made}, check=False)
        if done.returncode:
            sys.exit("the programs cannot be built - make deploy-tools - what go says above")
        target.mkdir(exist_ok=True)
        for name in PROGRAMS:
            (Path(made) / name).replace(target / name)


if __name__ == "__main__":
    main()
