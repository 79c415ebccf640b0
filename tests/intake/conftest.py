from __future__ import annotations

import pytest

from monitor.intake.embedded import EmbeddedBroker


@pytest.fixture(scope="module")
def broker():
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture
def topic(broker, request):
    """A topic of three partitions of the test's own."""
    name = request.node.name.replace("[", "-").strip("]")
    broker.create_topic(name, partitions=3)
    return name
