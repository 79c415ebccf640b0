"""The same records give the same counts in every process: row 58."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.daemon.build import scene, shuffled, stream
from tests.daemon.test_bad_input import bad_inputs, poisoned
from tests.faults.test_clocks import Nowhere

CASES = [
    pytest.param({"PYTHONHASHSEED": "1"}, 1, id="one-by-one"),
    pytest.param({"PYTHONHASHSEED": "2"}, 7, id="sevens"),
    pytest.param({"PYTHONHASHSEED": "3"}, 10_000, id="at-once"),
    # Compiling takes a minute of a processor: once in CI, for both, and for each at night.
    pytest.param(
        {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "cold": ""},
        500,
        id="cold-on-another-processor",
        marks=pytest.mark.slow(70),
    ),
    pytest.param({"cold": ""}, 500, id="cold", marks=pytest.mark.night),
]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Asks a process of its own what it counts."""
    folder = tmp_path_factory.mktemp("same")
    made = scene(folder, Nowhere(), create=False)
    sent = poisoned(
        shuffled([record for record in stream(range(20)) if not record.partition], seed=5),
        [one for one in bad_inputs(2_000_000) if one[1]],
    )
    lines = [
        json.dumps({**json.loads(r.value), "version": f"v{n % 3}"}).encode() if r.key is None else r.value
        for n, r in enumerate(sent)
    ]
    records = folder / "records"
    records.write_bytes(b"\n".join(line.replace(b"\n", b" ") for line in lines))

    def ask(size, **environment):
        if "cold" in environment:
            del environment["cold"]
            environment["NUMBA_CACHE_DIR"] = str(folder / f"cold-{len(environment)}")
        command = [sys.executable, "-m", "tests.faults.digests", str(made.config), str(records), str(size)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
            env={**os.environ, **environment},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return ask


@pytest.fixture(scope="module")
def usual(told):
    return told(500)


@pytest.mark.parametrize(("environment", "size"), CASES)
def test_row_58_seeds_processors_caches_and_batches_change_no_count(told, usual, environment, size):
    """Sketches and marker have the same bytes, late, future and rejected records included."""
    assert told(size, **environment) == usual
    assert int(usual.split()[2]) > 2000
