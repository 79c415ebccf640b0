"""Brokers of the tests of our own topics."""

from __future__ import annotations

import pytest

from tests.kafka.broker import KafkaBroker, KafkaUnavailable


@pytest.fixture(scope="module")
def frail(tmp_path_factory, kafka):
    """A broker of our own to be stopped; only where there is a broker at all."""
    try:
        running = KafkaBroker(tmp_path_factory.mktemp("frail"))
    except KafkaUnavailable as error:
        pytest.skip(str(error))
    yield running
    running.stop()
