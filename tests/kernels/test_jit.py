from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import kernels
from kernels import jit

ROOT = Path(kernels.__file__).parents[1]
TWINS = str(Path(__file__).parent / "test_twins.py")
PROBE = """
import numpy as np
from kernels import jit
from kernels.place import watermark
assert watermark(np.array([50, 40]), 0, 7) == 33
print(jit.tally["compiled"], jit.tally["loaded"], jit.cache.places[0].name)
"""
READ_ONLY = """
import os, pathlib
def refuse(*arguments, **options):
    raise OSError(30, "Read-only file system")
for name in ("write_bytes", "mkdir", "unlink", "replace"):
    setattr(pathlib.Path, name, refuse)
os.utime = refuse
"""


def python(*arguments, cwd=ROOT, **environment):
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "DRIFTLINE_"))}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**keep, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.mark.slow(40)
@pytest.mark.parametrize("mode", [{"NUMBA_DISABLE_JIT": "1"}, {"DRIFTLINE_BOUNDSCHECK": "1"}])
def test_twins_agree_in_every_mode(mode):
    """The same tests pass without the compiler, and compiled with every index checked."""
    done = python("-m", "pytest", "-q", TWINS, **mode)
    assert done.returncode == 0, done.stdout + done.stderr


def test_checked_code_raises_on_a_bad_index(tmp_path):
    """With DRIFTLINE_BOUNDSCHECK=1 an index out of range is an error; that code has its own cache."""
    probe = PROBE + "watermark(np.empty(0, np.int64), 1, 7)"
    done = python("-c", probe, DRIFTLINE_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(tmp_path))
    assert "IndexError" in done.stderr
    assert done.stdout.strip().endswith("-checked")


def test_warm_imports_every_module_and_reports():
    """`warm` names each kernel module once, with a count that ends at the total."""
    seen = []
    warmth = jit.warm(seen.append)
    assert {"bins", "counts", "fold", "latency", "moments", "place"} <= {step.name for step in seen}
    modules = [step for step in seen if "." not in step.name]
    assert [step.done for step in modules] == list(range(1, len(modules) + 1))
    assert {step.of for step in seen} == {len(modules)}
    assert warmth.problem == ""
    if not jit.config.DISABLE_JIT:
        assert warmth.compiled + warmth.loaded >= len(modules)
        assert not jit.is_cold()


@pytest.mark.skipif(jit.config.DISABLE_JIT, reason="nothing is compiled")
def test_only_the_declared_types_are_compiled():
    """A call with other types is refused, so no record ever waits for a compiler."""
    import numpy as np

    from kernels.place import watermark

    with pytest.raises(TypeError, match="No matching definition"):
        watermark(np.zeros(3, np.float32), 0, 1)


def files(directory):
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*-*") if path.is_file())


def test_a_read_only_cache_is_read_where_it_is(tmp_path):
    """An image with a baked cache and a read-only root starts from it, and writes nothing."""
    assert python("-c", PROBE, NUMBA_CACHE_DIR=str(tmp_path)).stdout.startswith("2 0")
    before = files(tmp_path)
    done = python("-c", READ_ONLY + PROBE, NUMBA_CACHE_DIR=str(tmp_path))
    assert done.stdout.startswith("0 2"), done.stderr
    assert files(tmp_path) == before


def test_no_directory_to_write_to_only_costs_time(tmp_path):
    """Where nothing is writable, kernels are compiled at every start and work, and the reason is known."""
    nowhere = tmp_path / "file"
    nowhere.write_text("not a directory", encoding="utf-8")
    copy = package(tmp_path)
    code = PROBE + "print(jit.cache.problem)"
    done = python("-c", code, cwd=copy, HOME=str(nowhere), XDG_CACHE_HOME=str(nowhere))
    assert done.stdout.startswith("2 0"), done.stderr
    assert "Not a directory" in done.stdout


def test_an_installation_that_is_read_only_caches_for_the_user(tmp_path):
    """Installed by root and run by someone else, kernels are compiled once per user."""
    copy = package(tmp_path)
    for expected in ("2 0", "0 2"):
        done = python("-c", PROBE, cwd=copy, XDG_CACHE_HOME=str(tmp_path / "user"))
        assert done.stdout.startswith(expected), done.stderr
    assert len(files(tmp_path / "user")) == 2


def test_a_change_in_any_file_compiles_all_anew(tmp_path):
    """A kernel inlined from another file can never be older than that file."""
    copy = package(tmp_path)
    seen = []
    source = copy / "kernels" / "moments.py"
    for change in ("", "# changed\n"):
        source.write_text(source.read_text(encoding="utf-8") + change, encoding="utf-8")
        done = python("-c", PROBE, cwd=copy, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
        assert done.stdout.startswith("2 0"), done.stderr
        seen.append(done.stdout.split()[-1])
    assert len(set(seen)) == 2


@pytest.mark.slow
def test_garbage_in_the_cache_is_compiled_over(tmp_path):
    """Empty, cut and foreign files, and what does not unpickle, cost one compilation each."""
    environment = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert python("-c", PROBE, **environment).returncode == 0
    for content in (
        b"",
        b"\x80\x05garbage",
        bytes(5000),
        hashlib.sha256(b"no pickle").digest() + b"no pickle",
    ):
        for name in files(tmp_path):
            (tmp_path / name).write_bytes(content)
        assert python("-c", PROBE, **environment).stdout.startswith("2 0")
        assert python("-c", PROBE, **environment).stdout.startswith("0 2")


@pytest.mark.slow
def test_processes_that_start_cold_together_agree(tmp_path):
    """Three starts on an empty cache, one killed in the middle: the others succeed, and the next is warm."""
    copy = package(tmp_path, only=("place", "cut"))
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "kernels.warm"]
    starts = [
        subprocess.Popen(command, cwd=copy, env=environment, stderr=subprocess.DEVNULL) for _ in range(3)
    ]
    while not files(tmp_path) and starts[0].poll() is None:
        time.sleep(0.005)
    starts[0].kill()
    assert [start.wait(200) for start in starts][1:] == [0, 0]
    done = python("-m", "kernels.warm", cwd=copy, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert "compiled" not in done.stderr


def package(tmp_path, only=()):
    """A copy of the kernels that has no cache beside it; of their modules, `only` what is asked for."""
    copy = tmp_path / "package"
    shutil.copytree(ROOT / "kernels", copy / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "kernels" / "__pycache__").write_text("not a directory", encoding="utf-8")
    for path in (copy / "kernels").glob("*.py"):
        if only and path.stem not in {*only, "__init__", "cache", "jit", "layout", "warm"}:
            path.unlink()
    return copy
