"""`python -m kernels.warm`: compile every kernel into the cache, with progress on stderr."""

from __future__ import annotations

import sys

from kernels.jit import Step, warm


def main() -> None:
    """Compile, or load from the cache, all kernels; fail when they cannot be stored."""
    warmth = warm(_show, backwards="--backwards" in sys.argv[1:])
    if warmth.problem:
        raise SystemExit(f"kernels are not stored: {warmth.problem}")


def _show(step: Step) -> None:
    how = f", {step.compiled} compiled" if step.compiled else ""
    sys.stderr.write(f"kernels {step.done}/{step.of} {step.name}{how}\n")


if __name__ == "__main__":
    main()
