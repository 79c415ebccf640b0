"""What is kept together when tests run on several workers."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.rules.tree import ROOT
from tests.workers import TOGETHER


def test_what_shares_a_story_stays_on_one_worker(tmp_path):
    """Workers take the tests of an ordinary file apart, and leave those of such a file to one of them."""
    assert all((ROOT / file).is_file() for file in TOGETHER)
    story, other = min(TOGETHER), "tests/faults/test_other.py"
    (tmp_path / story).parent.mkdir(parents=True)
    for file in (story, other):
        (tmp_path / file).write_text(
            "import time, pytest\n@pytest.mark.parametrize('n', range(12))\ndef test_it(n):\n    time.sleep(0.05)\n"
        )
    (tmp_path / "conftest.py").write_text("from tests.workers import pytest_xdist_make_scheduler\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-v",
        "-p",
        "no:cacheprovider",
        "-n",
        "2",
        "--dist",
        "loadgroup",
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    ran = re.findall(r"\[(gw\d)\].* PASSED (\S+?)::", done.stdout)
    assert len(ran) == 24, done.stdout + done.stderr
    assert len({worker for worker, file in ran if file == story}) == 1
    assert len({worker for worker, file in ran if file == other}) == 2
