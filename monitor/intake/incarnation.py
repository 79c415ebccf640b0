"""Which topic a name stands for: one that is deleted and made anew has the same name, and its offsets begin again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import structlog
from confluent_kafka import KafkaException, TopicCollection, Uuid
from confluent_kafka.admin import AdminClient

from monitor.clock import Clock
from monitor.intake.client import REFUSALS, Listener, refusal
from monitor.intake.rotation import connect

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 1.0
"""How long is waited for an answer: it holds up a checkpoint. A broker takes some milliseconds."""
SILENCE_SECONDS = 5.0
"""How long nothing is asked after no answer came."""

_REACHING = (
    *("bootstrap.", "security.", "sasl.", "ssl.", "enable.sasl.", "enable.ssl."),
    *("client.", "socket.", "reconnect.", "broker."),
)
"""Properties that decide on how brokers are reached; the others are a consumer's, and the library would say so."""


class Incarnations:
    """Asks for the ids that Kafka gives to topics. One thread.

    Old brokers and the embedded one have none to tell: the first question is waited for by nobody, and only who has
    answered it is waited for later.
    """

    def __init__(self, properties: Mapping[str, Any], topics: Collection[str], clock: Clock) -> None:
        """Asks the first question."""
        self._clock = clock
        self._listener = Listener()
        self._client: Any = None
        self._has_answered = False
        self._silent_until = 0.0
        ours = {name: value for name, value in properties.items() if name.startswith(_REACHING)}
        try:
            self._client = connect(AdminClient, {**ours, "log_level": 0}, self._listener)
        except REFUSALS as error:  # the consumer says the same of them
            log.warning("incarnations_not_asked", text=refusal(error))
        self._first = self._ask(topics)

    def of(self, topics: Collection[str]) -> dict[str, str]:
        """The id of each topic now; of those that are told."""
        if not topics or self._clock.monotonic() < self._silent_until:
            return {}
        self._listener.renew()
        if not self._has_answered:
            if not all(answer.done() for answer in self._first.values()):
                return {}
            self._has_answered = bool(self._answers(self._first))
        found = self._answers(self._ask(topics)) if self._has_answered else {}
        if not found:
            self._silent_until = self._clock.monotonic() + SILENCE_SECONDS
            self._first = self._first if self._has_answered else self._ask(topics)
        return found

    def close(self) -> None:
        """Let go of the client. Who leaves that to the garbage collector risks that it runs on a thread of this
        very client, which then ends the process."""
        self._client = None
        self._listener.client = None

    def _ask(self, topics: Collection[str]) -> Mapping[str, Any]:
        """A promise for each; the answers come on a thread of the client library's."""
        if self._client is None:
            return {}
        try:
            asked = TopicCollection(sorted(topics))
            return dict(self._client.describe_topics(asked, request_timeout=2 * ANSWER_SECONDS))
        except (KafkaException, RuntimeError, ValueError):
            return {}

    def _answers(self, asked: Mapping[str, Any]) -> dict[str, str]:
        end = self._clock.monotonic() + ANSWER_SECONDS
        found = {}
        for topic, answer in asked.items():
            try:
                identity = answer.result(max(end - self._clock.monotonic(), 0.0)).topic_id
            except (KafkaException, TimeoutError):
                continue
            if identity is not None and identity != Uuid(0, 0):
                found[topic] = str(identity)
        return found
