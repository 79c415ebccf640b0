"""Somebody who joins the group of a daemon, holds what it is given, and reads nothing of it."""

from __future__ import annotations

import threading
from typing import Self

from confluent_kafka import Consumer

from monitor.names import Source


class Guest:
    """Another member of a group, from `with` to its end. `given`: what it holds."""

    def __init__(self, bootstrap: str, group: str, topic: str) -> None:
        self.given: set[Source] = set()
        self._topic = topic
        self._stop = threading.Event()
        self._client = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "enable.auto.commit": False,
                "log_level": 0,
                "partition.assignment.strategy": "cooperative-sticky",
                # As short as the daemon's: the embedded cluster waits as long for who left in a rebalance.
                "session.timeout.ms": 1000,
                "heartbeat.interval.ms": 100,
            }
        )
        self._thread = threading.Thread(target=self._run, name="guest", daemon=True)

    def __enter__(self) -> Self:
        self._client.subscribe([self._topic], on_assign=self._take, on_revoke=self._give)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)
        self._client.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._client.poll(0.05)

    def _take(self, client, places) -> None:
        client.incremental_assign(places)
        client.pause(places)
        self.given |= {Source(place.topic, place.partition) for place in places}

    def _give(self, client, places) -> None:
        client.incremental_unassign(places)
        self.given -= {Source(place.topic, place.partition) for place in places}
