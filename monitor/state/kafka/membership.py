"""Which partitions this process judges: a consumer group without consumption."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from monitor import metrics
from monitor.clock import Clock
from monitor.errors import StateError
from monitor.intake.client import REFUSALS, describe, refusal
from monitor.intake.rotation import connect
from monitor.state.kafka.listener import StateListener
from monitor.state.kafka.properties import joining

log = structlog.get_logger(__name__)

_FATAL = KafkaError._FATAL  # noqa: SLF001 the library's public name
_POLL_SECONDS = 0.2
_AGAIN_SECONDS = 5.0
"""Before the group is joined anew after the client has stopped for good."""
_CLOSE_SECONDS = 5.0
"""How long is waited for the group to hear that we leave; it finds out by itself after the session timeout."""


class Membership:
    """A member of the group that shares out the partitions of one topic. None of them is ever read.

    Has a thread of its own, on which alone the client is used, so that no other work delays a rebalance.
    Every member learns of a change at its own time: two of them may name the same partition for a while.
    What is done in its name has to be fenced elsewhere.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        *,
        group: str,
        topic: str,
        clock: Clock,
    ) -> None:
        """Raises StateError when the properties are refused. Joins from here on."""
        self._properties = joining(properties, group)
        self._topic = topic
        self._clock = clock
        self._owned: Mapping[int, int] = MappingProxyType({})
        self._generation = 0
        self._tells_nothing = self._properties.get("group.protocol") == "consumer"
        self._before: Any = None
        """What the library says of a group that it has not met."""
        self._joined = False
        self._ended = threading.Event()
        self._listener, client = self._connect()
        self._thread = threading.Thread(target=self._run, args=(client,), name="membership", daemon=True)
        self._thread.start()

    def owned(self) -> Mapping[int, int]:
        """Partition → in which assignment it came; a number that no other assignment of it has.

        A snapshot: it never changes.
        """
        return self._owned

    @property
    def joined(self) -> bool:
        """Whether the group has given us partitions, or told us that there are none for us."""
        return self._joined

    def close(self) -> None:
        """Leave the group at once, so that others take over without waiting; owns nothing any more."""
        self._ended.set()
        self._thread.join(_CLOSE_SECONDS)
        self._forget()

    def _run(self, first: Consumer) -> None:
        client: Consumer | None = first
        while client is not None:
            self._serve(client)
            self._leave(client)
            client = self._rejoin()

    def _rejoin(self) -> Consumer | None:
        """A new client, after a while; None once closed."""
        while not self._clock.wait(self._ended, _AGAIN_SECONDS):
            try:
                self._listener, client = self._connect()
            except StateError as error:
                log.error("membership_not_resumed", reason=str(error))
            else:
                return client
        return None

    def _serve(self, client: Consumer) -> None:
        """Until `close`, or until the client cannot go on."""
        while not self._ended.is_set():
            try:
                record = client.poll(_POLL_SECONDS)
                self._listener.renew()
            except (KafkaException, RuntimeError) as error:
                log.error("membership_lost", reason=describe(error))
                return
            if record is not None and (refused := record.error()) is not None:
                if refused.code() == _FATAL:  # a consumer is told so here, and nowhere else
                    log.error("membership_lost", reason=refused.str())
                    return
                log.warning("membership_error", reason=refused.name(), text=refused.str())
            self._notice(client)
            if (failure := self._listener.failure()) is not None:
                log.error("callback_raised", text=f"{type(failure).__name__}: {failure}")
            if self._listener.fatal is not None:
                log.error("membership_lost", reason=self._listener.fatal.str())
                return

    def _notice(self, client: Consumer) -> None:
        """A member that is given nothing by heartbeat is told nothing by the library, which then knows of the
        group all the same."""
        if self._tells_nothing and not self._joined:
            self._joined = client.consumer_group_metadata() != self._before

    def _leave(self, client: Consumer) -> None:
        self._forget()
        try:
            client.close()
        except (KafkaException, RuntimeError) as error:
            log.warning("membership_close_failed", reason=describe(error))

    def _forget(self) -> None:
        self._owned, self._joined = MappingProxyType({}), False

    def _connect(self) -> tuple[StateListener, Consumer]:
        listener = StateListener()
        try:
            client = connect(Consumer, self._properties, listener)
            self._before = client.consumer_group_metadata()
            client.subscribe(
                [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
        except REFUSALS as error:
            raise StateError(f"no kafka client - {refusal(error)}") from error
        return listener, client

    def _on_assign(self, client: Consumer, places: list[TopicPartition]) -> None:
        self._listener.guard(self._accept, client, places)
        self._generation += 1
        gained = dict.fromkeys((place.partition for place in places), self._generation)
        self._change("partitions_to_judge", {**self._owned, **gained}, places)
        self._joined = True
        self._listener.answered()

    def _on_revoke(self, client: Consumer, places: list[TopicPartition]) -> None:
        self._release("partitions_given_up", client, places)

    def _on_lost(self, client: Consumer, places: list[TopicPartition]) -> None:
        self._release("partitions_lost", client, places)

    def _accept(self, client: Consumer, places: list[TopicPartition]) -> None:
        """Hold them at their ends, paused: nothing is fetched."""
        ends = [TopicPartition(place.topic, place.partition, OFFSET_END) for place in places]
        client.incremental_assign(ends)
        client.pause(ends)

    def _release(self, event: str, client: Consumer, places: list[TopicPartition]) -> None:
        gone = {place.partition for place in places}
        kept = {partition: since for partition, since in self._owned.items() if partition not in gone}
        self._change(event, kept, places)
        self._listener.guard(client.incremental_unassign, places)

    def _change(self, event: str, owned: dict[int, int], places: list[TopicPartition]) -> None:
        self._owned = MappingProxyType(owned)
        metrics.EVALUATOR_REBALANCES_TOTAL.inc()
        partitions = sorted(place.partition for place in places)
        self._listener.guard(lambda: log.info(event, partitions=partitions, owned=sorted(owned)))
