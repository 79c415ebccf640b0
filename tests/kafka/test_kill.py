"""The daemon on a real broker, killed; `python -m bench.kill` does the same fifty times."""

from __future__ import annotations

import uuid

import pytest

from bench.kill import Death, torment

PLAN = (Death("checkpoint.inside", 2), Death(after=4.0), Death("append.inside"), Death("send.inside"))


@pytest.mark.night
def test_killed_daemon_counts_exactly(kafka, tmp_path):
    """Killed inside a checkpoint, an append and a send, and at any time: counts are those of the log and every page arrives."""
    report = torment(kafka, tmp_path, PLAN, topic=f"kill-{uuid.uuid4().hex}", undisturbed=False)
    assert report.wrong == ()
    assert set(report.reached) == {death.point for death in PLAN if death.point}
