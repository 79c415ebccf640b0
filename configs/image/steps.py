"""Run the steps of the Dockerfile in a chroot, where no container engine is allowed to run.

    steps.py Dockerfile ROOT --build
    steps.py Dockerfile ROOT --run COMMAND …

Knows ARG, FROM, ENV, WORKDIR, COPY, RUN, USER as this Dockerfile uses them. Both stages share one
root, which is larger than the image and otherwise the same.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

Step = tuple[str, str]


def read(dockerfile: Path) -> list[Step]:
    """Instructions with their continued lines joined."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE)
    joined = re.sub(r"\\\n", " ", text)
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


def build(steps: list[Step], root: Path) -> None:
    """All steps that change the file system."""
    environment, folder = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}, "/"
    for name, text in steps:
        if name == "ARG":
            key, _, value = text.partition("=")
            environment.setdefault(key, shlex.split(value)[0] if value.strip('"') else "")
        elif name == "ENV":
            environment |= _assignments(text, environment)
        elif name == "WORKDIR":
            folder = text
            (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif name == "COPY" and not text.startswith("--from"):
            *sources, target = shlex.split(text)
            for source in sources:
                _copy(Path(source), root / folder.lstrip("/") / target)
        elif name == "RUN":
            print(f"   RUN {text[:100]}", flush=True)
            _chroot(root, ["/bin/sh", "-c", f"cd {folder} && {text}"], environment, user=0)


def run(steps: list[Step], root: Path, command: list[str]) -> int:
    """`command` as the image would run it: its environment, its user, its folder."""
    environment: dict[str, str] = {}
    user, folder = "0:0", "/"
    for name, text in steps:
        if name == "FROM":
            environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
        elif name == "ENV":
            environment |= _assignments(text, environment)
        elif name == "USER":
            user = text
        elif name == "WORKDIR":
            folder = text
    line = f"cd {folder} && exec {shlex.join(command)}"
    return _chroot(root, ["/bin/sh", "-c", line], environment, user=int(user.split(":")[0]))


def _assignments(text: str, known: dict[str, str]) -> dict[str, str]:
    found = dict(part.partition("=")[::2] for part in shlex.split(text))
    return {key: re.sub(r"\$\{(\w+)\}", lambda m: known.get(m[1], ""), value) for key, value in found.items()}


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        return
    if str(target).endswith(("/.", "/")) or target.is_dir():
        target = target / source.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def _chroot(root: Path, command: list[str], environment: dict[str, str], *, user: int) -> int:
    def enter() -> None:
        os.chroot(root)
        os.chdir("/")
        if user:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)

    done = subprocess.run(command, env=environment, preexec_fn=enter, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return done.returncode


def main() -> None:
    dockerfile, root, mode, *command = sys.argv[1:]
    steps = read(Path(dockerfile))
    if mode == "--build":
        build(steps, Path(root))
    else:
        run(steps, Path(root), command)


if __name__ == "__main__":
    main()
