from __future__ import annotations

import os
import shutil
import subprocess
import sys
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
print(jit.config.CACHE_DIR)
assert watermark(np.array([50, 40]), 0, 7) == 33
"""
READ_ONLY = """
import os, tempfile
real = tempfile.TemporaryFile
def refuse(*arguments, dir=None, **options):
    if str(dir).startswith(os.environ["NUMBA_CACHE_DIR"]):
        raise OSError(30, "Read-only file system", str(dir))
    return real(*arguments, dir=dir, **options)
tempfile.TemporaryFile = refuse
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
    jit.warm(lambda name, done, of: seen.append((name, done, of)))
    assert {"bins", "counts", "fold", "latency", "moments", "place"} <= {name for name, _, _ in seen}
    assert [done for _, done, _ in seen] == list(range(1, len(seen) + 1))
    assert {of for _, _, of in seen} == {len(seen)}


@pytest.mark.skipif(jit.config.DISABLE_JIT, reason="nothing is compiled")
def test_only_the_declared_types_are_compiled():
    """A call with other types is refused, so no record ever waits for a compiler."""
    import numpy as np

    from kernels.place import watermark

    with pytest.raises(TypeError, match="No matching definition"):
        watermark(np.zeros(3, np.float32), 0, 1)


def files(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*.nb?"))


def test_a_read_only_cache_is_used_from_a_copy(tmp_path):
    """An image with a baked cache and a read-only root starts from it, and leaves nothing behind."""
    baked, scratch = tmp_path / "baked", tmp_path / "scratch"
    baked.mkdir()
    scratch.mkdir()
    assert python("-c", PROBE, NUMBA_CACHE_DIR=str(baked)).returncode == 0
    before = files(baked)
    assert len(before) >= 4
    done = python(
        "-c", READ_ONLY + PROBE, NUMBA_CACHE_DIR=str(baked), TMPDIR=str(scratch), NUMBA_DEBUG_CACHE="1"
    )
    assert done.returncode == 0, done.stderr
    assert f"data loaded from '{scratch}" in done.stdout
    assert "data saved" not in done.stdout
    assert files(baked) == before
    assert not list(scratch.iterdir())


def test_no_directory_to_write_to_only_costs_time(tmp_path):
    """Where nothing is writable, kernels are compiled at every start and work."""
    nowhere = tmp_path / "file"
    nowhere.write_text("not a directory", encoding="utf-8")
    copy = tmp_path / "package"
    shutil.copytree(ROOT / "kernels", copy / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "kernels" / "__pycache__").write_text("not a directory", encoding="utf-8")
    environment = {"TMPDIR": str(nowhere), "HOME": str(nowhere), "XDG_CACHE_HOME": str(nowhere)}
    code = "import tempfile; tempfile.tempdir = " + repr(str(nowhere)) + PROBE
    done = python("-c", code, cwd=copy, NUMBA_DEBUG_CACHE="1", **environment)
    assert done.returncode == 0, done.stderr
    assert "[cache]" not in done.stdout


def test_an_installation_that_is_read_only_caches_for_the_user(tmp_path):
    """Installed by root and run by someone else, kernels are compiled once per user."""
    copy = tmp_path / "package"
    shutil.copytree(ROOT / "kernels", copy / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "kernels" / "__pycache__").write_text("not a directory", encoding="utf-8")
    done = python("-c", PROBE, cwd=copy, XDG_CACHE_HOME=str(tmp_path / "user"))
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "user")
