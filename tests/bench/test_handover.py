"""When `bench.handover` takes a group to be at rest."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from bench import handover
from bench.handover import PARTITIONS, rest


def test_a_group_is_not_at_rest_while_one_that_was_killed_starts(tmp_path, monkeypatch):
    """Its log names the partitions that it had, which the other has by now: to end that one would measure the start."""
    monkeypatch.setattr(handover, "CALM", 0.2)
    monkeypatch.setattr(handover, "PATIENCE", 1.5)
    replicas = SimpleNamespace(folder=tmp_path)
    half = [f"t/{number}" for number in range(PARTITIONS // 2)]
    others = [f"t/{number}" for number in range(PARTITIONS // 2, PARTITIONS)]

    def logged(number, event, sources=()):
        line = {"ts": "2026-11-26T00:00:00Z", "event": event, "sources": list(sources)}
        with (tmp_path / f"replica-{number}.log").open("a") as log:
            log.write(json.dumps(line) + "\n")

    logged(0, "partitions_assigned", half)
    logged(1, "partitions_assigned", others)
    rest(replicas)
    logged(0, "partitions_assigned", others)
    with pytest.raises(RuntimeError, match="did not come to rest"):
        rest(replicas)
    logged(1, "kernels_warm")
    logged(0, "partitions_released", others)
    logged(1, "partitions_assigned", others)
    rest(replicas)
