"""An embedded broker and a receiver for each test of the daemon."""

from __future__ import annotations

import functools
import logging

import pytest
import structlog

from monitor.deliver.receiver import Receiver
from monitor.intake.embedded import EmbeddedBroker
from monitor.steps import Cadence
from monitor.window.completeness import Patience
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


@pytest.fixture(autouse=True)
def _brisk(monkeypatch):
    """The daemon inside this process checkpoints, judges and settles more often than the settings allow."""
    monkeypatch.setattr("monitor.daemon.EVALUATE_EVERY", 0.1)
    monkeypatch.setattr("monitor.daemon.Cadence", lambda checkpoint: Cadence(checkpoint=0.2, poll=0.1))
    monkeypatch.setattr("monitor.assembly.Patience", functools.partial(Patience, settle=400))


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
