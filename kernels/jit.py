"""The one place that names numba options; `kernels.cache` keeps the compiled code on disk.

House rules of kernels:

* No fastmath: counts and digests agree between machines and with the naive twins.
* No `parallel=True`: numba's workqueue layer aborts when two threads enter it. Parallelism is the
  daemon's own, one fold per source partition, and the GIL is released.
* A kernel may call kernels of other files and is inlined with them: a change of any file of this
  package compiles all of them anew, so none is ever older than what it contains.
* Module level and nothing dynamic: what a kernel reads besides its arguments stands in its source.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import pickle
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import llvmlite.binding
import numba
import numba.core.caching
import numba.core.compiler
import numba.core.config
import numba.core.serialize

from kernels.cache import Cache, digest

config: Any = numba.core.config

ABI = 2
"""Number of the kernel interface: raised when a kernel's signature or an array's meaning changes."""

CHECKED = os.environ.get("DRIFTLINE_BOUNDSCHECK", "") not in {"", "0"} or bool(config.BOUNDSCHECK)
"""Indices are checked; slow, for tests. Such code has a cache of its own."""

Function = TypeVar("Function", bound=Callable[..., Any])

_HERE = Path(__file__).parent
_CONST = re.compile(r"const (\w+)\[([^\]]*)\]")


class Step(NamedTuple):
    """One kernel was compiled, or one module with all it imports is ready."""

    name: str
    done: int
    """Modules that are ready, of all there are."""
    of: int
    compiled: int
    """Kernels that this process has compiled so far; 0 when all came from the cache."""


class Warmth(NamedTuple):
    """All kernels are ready."""

    compiled: int
    loaded: int
    problem: str
    """Why compiled kernels could not be stored, so that the next start is cold again; "" when they were."""


def kernel(*signatures: str) -> Callable[[Function], Function]:
    """Compile a function for exactly `signatures` at import, or load it from the cache.

    An argument written `const float64[:, ::1]` is only read, so that read-only arrays (a loaded
    reference) are taken as well. Under NUMBA_DISABLE_JIT=1 the function stays plain Python.
    """
    return _compiled(signatures, {})


def bare_kernel(*signatures: str) -> Callable[[Function], Function]:
    """As `kernel`, for one that makes no arrays: views of its arguments are all it may hold.

    Nothing counts references then. Where inlined pieces pass many arrays around, a third of the
    scanner's time went into counting them, with one locked instruction for each.
    """
    return _compiled(signatures, {"_nrt": False})


def apart_kernel(*signatures: str) -> Callable[[Function], Function]:
    """As `bare_kernel`, for one whose arrays never overlap: what is stored through one argument is read
    through no other.

    Only then are tables looked up several rows at a time while results are stored.
    """
    return _compiled(signatures, {"_nrt": False}, flags=_apart)


def inline(function: Function) -> Function:
    """A piece of kernels, compiled into each that calls it and never by itself.

    Without a signature: types are those of the call. It makes no arrays, as a bare kernel.
    """
    if config.DISABLE_JIT:
        return function
    return cast(Function, numba.njit(nogil=True, boundscheck=CHECKED, forceinline=True, _nrt=False)(function))


def _compiled(
    signatures: tuple[str, ...],
    options: dict[str, Any],
    *,
    flags: Callable[[Any], Any] | None = None,
) -> Callable[[Function], Function]:
    exact = [_CONST.sub(_readonly, signature) for signature in signatures]

    def compiled(function: Function) -> Function:
        if config.DISABLE_JIT:
            return function
        if function.__closure__:
            raise TypeError(f"kernel depends on where it was made - {function.__qualname__} - pass values in")
        made: Any = numba.njit(nogil=True, boundscheck=CHECKED, **options)(function)
        if flags is not None:
            made._compiler._customize_flags = flags  # noqa: SLF001 - numba has no option for them
        made._cache = _Stored(function)  # noqa: SLF001 - where `cache=True` puts numba's own
        for signature in exact:
            made.compile(signature)
        made.disable_compile()
        return cast(Function, made)

    return compiled


def _apart(flags: Any) -> Any:
    flags.noalias = True
    return flags


def warm(progress: Callable[[Step], object] | None = None, *, backwards: bool = False) -> Warmth:
    """Import every kernel module, so that no record ever waits for a compiler.

    `progress` is called after each kernel that is compiled and after each module. Seconds on the first start of a version on a machine,
    then with a second process that compiles from the other end; milliseconds after. `backwards`
    is that process. Every process begins elsewhere, so that those that start together compile
    different modules and load what the others have done.
    """
    names = sorted(m.name for m in pkgutil.iter_modules([str(_HERE)]) if not m.ispkg)
    begin = os.getpid() % len(names)
    names = names[begin:] + names[:begin]
    with _company(alone=backwards):
        for done, name in enumerate(reversed(names) if backwards else names):
            with _told(progress, done, len(names)):
                importlib.import_module(f"kernels.{name}")
            if progress is not None:
                progress(Step(name, done + 1, len(names), tally["compiled"]))
    if is_cold():
        cache.finish()
    return Warmth(tally["compiled"], tally["loaded"], cache.problem)


def is_cold() -> bool:
    """Whether kernels will have to be compiled, for all that is known before trying."""
    return not config.DISABLE_JIT and not cache.is_complete


@contextmanager
def _told(progress: Callable[[Step], object] | None, done: int, of: int) -> Iterator[None]:
    """Whatever is compiled inside is told: one module may import most of the others."""
    if progress is not None:
        _listeners.append(lambda name: progress(Step(name, done, of, tally["compiled"])))
    try:
        yield
    finally:
        _listeners.clear()


@contextmanager
def _company(*, alone: bool) -> Iterator[None]:
    """A second process that fills the cache from the other end, on a cold start on two cores or more."""
    if alone or not is_cold() or _cores() < 2:
        yield
        return
    try:
        other = subprocess.Popen(
            [sys.executable, "-m", "kernels.warm", "--backwards"],
            cwd=_HERE.parent,
            env={**os.environ, "NUMBA_CACHE_DIR": str(cache.places[0].parent.absolute())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        yield  # it only saves time
        return
    try:
        yield
    finally:
        other.terminate()
        other.wait()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Stored(numba.core.caching._Cache):  # type: ignore[misc]  # noqa: SLF001 - what a dispatcher takes
    """The cache of one kernel, as a numba dispatcher asks for it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    @property
    def cache_path(self) -> str:
        return str(cache.places[0])

    def load_overload(self, sig: str, target_context: Any) -> Any:
        target_context.refresh()
        name = self._name(sig)
        payload = cache.read(name)
        if payload is None:
            return None
        try:
            parts = pickle.loads(payload)  # noqa: S301 - written by us, checked, in a directory of ours
            result = numba.core.compiler.CompileResult._rebuild(target_context, *parts)  # noqa: SLF001
        except Exception:  # noqa: BLE001 boundary: whatever it is, compiling takes seconds, failing takes all
            cache.forget(name)
            return None
        tally["loaded"] += 1
        return result

    def save_overload(self, sig: str, data: Any) -> None:
        tally["compiled"] += 1
        for tell in _listeners:
            tell(f"{self._function.__module__.removeprefix('kernels.')}.{self._function.__name__}")
        if data.library.has_dynamic_globals:
            raise TypeError(f"kernel reads a large array - {self._function.__qualname__} - pass it in")
        cache.write(self._name(sig), numba.core.serialize.dumps(data._reduce()))  # noqa: SLF001

    def enable(self) -> None:
        """Always on."""

    def disable(self) -> None:
        """Always on."""

    def flush(self) -> None:
        """Nothing is held back."""

    def _name(self, signature: str) -> str:
        code = self._function.__code__
        key = hashlib.sha256(f"{signature}\n{code.co_firstlineno}\n".encode() + code.co_code).hexdigest()[:16]
        return f"{self._function.__module__}.{self._function.__qualname__}-{key}"


def _readonly(match: re.Match[str]) -> str:
    dtype, axes = match.groups()
    layout = "C" if axes.rstrip().endswith("::1") else "A"
    return f"Array({dtype}, {axes.count(',') + 1}, '{layout}', readonly=True)"


def _open_cache() -> Cache:
    """NUMBA_CACHE_DIR if it is set; else beside the sources, or the user's own where that is not allowed."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - never raises
    bases = [Path(config.CACHE_DIR)] if config.CACHE_DIR else [_HERE / "__pycache__", Path(home)]
    machine = llvmlite.binding
    features = config.CPU_FEATURES
    name = digest(
        _HERE,
        *(numba.__version__, llvmlite.__version__, sys.version, machine.get_process_triple()),
        config.CPU_NAME or machine.get_host_cpu_name(),
        machine.get_host_cpu_features().flatten() if features is None else features,
        *(config.LOOP_VECTORIZE, config.SLP_VECTORIZE, config.DEBUGINFO_DEFAULT),
    )
    return Cache(bases, f"driftline-{ABI}-{name}{'-checked' if CHECKED else ''}")


_listeners: list[Callable[[str], object]] = []
tally = {"compiled": 0, "loaded": 0}
"""Kernels so far, by where they came from."""
cache = _open_cache()
