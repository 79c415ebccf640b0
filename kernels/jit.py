"""The one place that names numba options, and everything about compiled code on disk.

House rules of kernels, which the cache relies on:

* A file with kernels imports only the files in SHARED of ours. numba renews a cached kernel when
  its own file changes, not when a file it calls into does; changes of these few are in the name of
  the cache directory instead.
* No fastmath: counts and digests agree between machines and with the naive twins.
* No `parallel=True`: numba's workqueue layer aborts when two threads enter it. Parallelism is the
  daemon's own, one fold per source partition, and the GIL is released.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib
import os
import pickle
import pkgutil
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numba.core.config

config: Any = numba.core.config

ABI = 2
"""Number of the kernel interface: raised when a kernel's signature or an array's meaning changes."""

SHARED = ("jit", "layout", "vote")
"""Modules that any kernel may import; changing one of them compiles every kernel anew."""

CHECKED = os.environ.get("DRIFTLINE_BOUNDSCHECK", "") not in {"", "0"} or bool(config.BOUNDSCHECK)
"""Indices are checked; slow, for tests. Such code has a cache of its own."""

Function = TypeVar("Function", bound=Callable[..., Any])

_CONST = re.compile(r"const (\w+)\[([^\]]*)\]")


def kernel(*signatures: str) -> Callable[[Function], Function]:
    """Compile a function for exactly `signatures` at import, or load it from the cache.

    An argument written `const float64[:, ::1]` is only read, so that read-only arrays (a loaded
    reference) are taken as well. Under NUMBA_DISABLE_JIT=1 the function stays plain Python.
    """
    exact = [_CONST.sub(_readonly, signature) for signature in signatures]

    def compiled(function: Function) -> Function:
        options: dict[str, Any] = {"nogil": True, "boundscheck": CHECKED}
        try:
            return cast(Function, numba.njit(exact, cache=True, **options)(function))
        except (OSError, EOFError, pickle.UnpicklingError):
            pass  # the cache is full, torn or gone: compiling takes seconds, not starting takes all
        except RuntimeError as error:
            if "cannot cache" not in str(error):  # numba found no directory it may write to
                raise
        return cast(Function, numba.njit(exact, **options)(function))

    return compiled


def warm(progress: Callable[[str, int, int], object] | None = None) -> None:
    """Import every kernel module, so that no record ever waits for a compiler.

    `progress(module, done, of)` is called after each module. Seconds on the first start of a
    version on a machine, milliseconds after.
    """
    names = sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if not m.ispkg)
    for done, name in enumerate(names, 1):
        importlib.import_module(f"kernels.{name}")
        if progress is not None:
            progress(name, done, len(names))


def _readonly(match: re.Match[str]) -> str:
    dtype, axes = match.groups()
    layout = "C" if axes.rstrip().endswith("::1") else "A"
    return f"Array({dtype}, {axes.count(',') + 1}, '{layout}', readonly=True)"


def _settle_cache() -> None:
    """Give numba a cache directory named after what its own freshness check does not see.

    A directory that holds compiled kernels but may not be written to (an image with a read-only
    root) is copied to a temporary one, because numba only reads caches it could write.
    """
    here = Path(__file__).parent
    sources = [here / f"{name}.py" for name in SHARED]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    name = f"driftline-{ABI}-{digest}{'-checked' if CHECKED else ''}"
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - never raises
    bases: list[str | Path] = [config.CACHE_DIR] if config.CACHE_DIR else [here / "__pycache__", home]
    places = [Path(base) / name for base in bases]
    chosen = next((place for place in places if _is_writable(place)), None)
    if chosen is None:
        try:
            copy = Path(tempfile.mkdtemp(prefix="driftline-kernels-"))
            atexit.register(shutil.rmtree, copy, ignore_errors=True)
            if places[0].is_dir():
                shutil.copytree(places[0], copy / name)
        except OSError:
            return  # nowhere to write: `kernel` compiles at every start
        chosen = copy / name
    config.CACHE_DIR = str(chosen)


def _is_writable(directory: Path) -> bool:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError:
        return False
    return True


if not config.DISABLE_JIT:
    _settle_cache()
