"""An embedded broker and a receiver for each test of the daemon."""

from __future__ import annotations

import logging

import pytest
import structlog

from monitor.deliver.receiver import Receiver
from monitor.intake.embedded import EmbeddedBroker
from tests.daemon.build import scene


@pytest.fixture(autouse=True)
def _quiet():
    """JSON lines as in production: the development format takes a second for one traceback."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)],
    )
    yield
    structlog.reset_defaults()


@pytest.fixture
def broker():
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def make(tmp_path, broker, receiver):
    """Scenes on the embedded broker; alerts and requests go to the receiver."""

    def made(name="scene", **change):
        return scene(tmp_path / name, broker, receiver=receiver, **change)

    return made
