from __future__ import annotations

from functools import partial

import pytest

from monitor.intake.embedded import EmbeddedBroker
from tests.intake import keeper


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


@pytest.fixture(params=[True, False], ids=["direct", "plain"])
def connect(request):
    """Makes a consumer that takes records from librdkafka itself, and one that has the client library do it."""
    return partial(keeper.connect, direct=request.param)
