"""Which tests of a run on several workers go to the same one."""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = frozenset(
    f"tests/faults/{name}.py"
    for name in ("test_cluster_configured", "test_cluster_replicas", "test_network", "test_secrets")
)
"""Files whose tests share what takes minutes: a story of replicas, which they look at, or a broker of its own."""


class Together(LoadScopeScheduling):
    """The tests of such a file stay together and begin first; of all others each goes where a worker is free.

    Takes the place of `--dist loadgroup`: the marks of that one are lost on the way since pytest 9.2, in silence.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        return file if file in TOGETHER else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log) -> Together | None:
    return Together(config, log) if config.getoption("dist") == "loadgroup" else None
