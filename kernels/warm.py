"""`python -m kernels.warm`: compile every kernel into the cache, with progress on stderr."""

from __future__ import annotations

import sys

from kernels.jit import warm


def main() -> None:
    """Compile, or load from the cache, all kernels."""
    warm(lambda name, done, of: sys.stderr.write(f"kernels {done}/{of} {name}\n"))


if __name__ == "__main__":
    main()
