"""Two replicas, of which one judges the only model."""

from __future__ import annotations

import socket

import pytest

from tests.daemon.ask import api, get, until
from tests.daemon.build import MODEL, scene
from tests.faults.shared_state import running, shared, topics


@pytest.mark.slow
def test_the_page_of_the_other_says_who_judges_a_model(tmp_path, broker, receiver, monkeypatch):
    """Whichever of them it is: the other names it, and where to look, on its page and in the API."""
    monkeypatch.setattr(
        "monitor.state.kafka.admin.ensure_topics", lambda *_, **__: None
    )  # it cannot be asked
    monkeypatch.setattr("monitor.elsewhere.EVERY", 0.2)
    made = shared(tmp_path, broker, receiver=receiver, make=scene)
    for name, partitions in zip(topics(made), (3, 2, 1, 2), strict=True):
        broker.create_topic(name, partitions=partitions)
    with running(made) as one, running(made) as two:

        def parted():
            found = sorted(
                (len(api(d.server.url, "models")), d.server.port, d.server.url) for d in (one, two)
            )
            return found if [count for count, *_ in found] == [0, 1] else None

        (_, _, url), (_, port, _) = until(parted, "one of them to judge it")
        where = f"{socket.gethostname()}:{port}"
        until(lambda: [e["replica"] for e in api(url, "elsewhere")] == [where], "the other to say so")
        assert where in get(f"{url}/")[1]
        assert where in get(f"{url}/api/v1/models/{MODEL}")[1]
