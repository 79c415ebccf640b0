"""Looks at our own topics and creates them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

import structlog
from confluent_kafka import ConsumerGroupState, KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined] # its own documentation imports them so
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from monitor.clock import Clock
from monitor.errors import StateError, StateMissing
from monitor.intake.client import REFUSALS, client_properties, describe, refusal
from monitor.state.kafka.commands import create_command, mend_command, reach
from monitor.state.kafka.listener import StateListener
from monitor.state.kafka.topics import TopicSpec, TopicState, missing, scarce, wrong

log = structlog.get_logger(__name__)

TIMEOUT = 10.0
_SEEN_SECONDS = 30.0
"""A topic that was created is known to every broker a moment later."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What was found. `hidden`: topics that the credentials may not see; `brokers`: ids, where it was asked."""

    found: Mapping[str, TopicState]
    hidden: tuple[str, ...] = ()
    brokers: tuple[int, ...] = ()


class TopicAdmin:
    """Raises StateError when the properties are refused, and where the broker does not answer."""

    def __init__(self, properties: Mapping[str, Any], *, clock: Clock, timeout: float = TIMEOUT) -> None:
        self.where = reach(properties)
        self._clock = clock
        self._timeout = timeout
        self._listener = StateListener()
        try:
            self._client = AdminClient(client_properties(_of_a_client(properties), self._listener))
        except REFUSALS as error:
            raise StateError(f"no kafka client - {refusal(error)}") from error

    def look(self, wanted: Sequence[TopicSpec]) -> Standing:
        """What is there of them. Creates nothing, also where the cluster would."""
        found, hidden = {}, []
        asked = self._client.describe_topics(
            TopicCollection([spec.name for spec in wanted]), request_timeout=self._timeout
        )
        for name, answer in asked.items():
            try:
                topic = self._result(answer)
                replicas = [[node.id for node in one.replicas] for one in topic.partitions]
                found[name] = TopicState(len(replicas), replicas=replicas, id=str(topic.topic_id or ""))
            except KafkaException as error:
                code = error.args[0].code()
                if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    hidden.append(name)
                elif code != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise self._unanswered(error) from error
        configs = self._configs(list(found))
        held = {name: replace(state, config=configs.get(name)) for name, state in found.items()}
        return Standing(held, tuple(hidden), self._brokers() if scarce(wanted, held) else ())

    def create(self, wanted: Sequence[TopicSpec]) -> str:
        """Create them, and wait until the brokers know them; why one was refused, "" when none was.

        One that is there by now, as others start with us, is no failure.
        """
        new = [
            NewTopic(spec.name, spec.partitions, spec.replication, config=dict(spec.config))
            for spec in wanted
        ]
        refused = ""
        for name, answer in self._client.create_topics(new, request_timeout=self._timeout).items():
            try:
                self._result(answer)
                log.info("topic_created", topic=name)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    refused = refused or describe(error)
        if not refused:
            self._await(wanted)
        return refused

    def is_joined(self, group: str) -> bool:
        """Whether a consumer group has members. Raises StateError where it may not be seen."""
        try:
            (asked,) = self._client.describe_consumer_groups([group], request_timeout=self._timeout).values()
            if self._result(asked).members:
                return True
            # Of the newer protocol's groups the description has no members.
            listed = self._result(self._client.list_consumer_groups(request_timeout=self._timeout)).valid
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                raise StateError(f"may not be seen - group {group} - allow Describe") from error
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return False
            raise self._unanswered(error) from error
        away = {ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD}
        return any(one.group_id == group and one.state not in away for one in listed)

    def _brokers(self) -> tuple[int, ...]:
        try:
            cluster = self._result(self._client.describe_cluster(request_timeout=self._timeout))
        except KafkaException as error:
            raise self._unanswered(error) from error
        return tuple(sorted(node.id for node in cluster.nodes))

    def _configs(self, names: Sequence[str]) -> dict[str, Mapping[str, str]]:
        """The settings of topics, of those that may be seen."""
        if not names:
            return {}
        found: dict[str, Mapping[str, str]] = {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        answers = self._client.describe_configs(resources, request_timeout=self._timeout)
        for resource, answer in answers.items():
            try:
                entries = self._result(answer)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    raise self._unanswered(error) from error
                log.warning("topic_settings_hidden", topic=resource.name, text="they are not checked")
                continue
            found[resource.name] = {name: str(entry.value) for name, entry in entries.items()}
        return found

    def _await(self, wanted: Sequence[TopicSpec]) -> None:
        end = self._clock.monotonic() + _SEEN_SECONDS
        while absent := missing(wanted, self.look(wanted).found):
            if self._clock.monotonic() > end:
                names = ", ".join(spec.name for spec in absent)
                raise StateError(f"created, but not seen for {_SEEN_SECONDS:g} s - {names} - brokers in sync")
            self._clock.wait(Event(), 0.1)

    def _result(self, answer: Future[Any]) -> Any:
        """Raises KafkaException as the broker answers, StateError when it does not."""
        try:
            return answer.result(self._timeout + 5)
        except TimeoutError as error:
            raise self._unanswered(error) from error
        except KafkaException as error:
            if error.args[0].code() in _SILENT:
                raise self._unanswered(error) from error
            raise

    def _unanswered(self, error: BaseException) -> StateError:
        why = self._listener.reason(self._client, error)
        return StateError(f"no answer ({why}) - kafka.brokers - brokers that can be reached")


def ensure_topics(
    properties: Mapping[str, Any], wanted: Sequence[TopicSpec], *, clock: Clock
) -> tuple[str, ...]:
    """Create what is missing of our own topics; the names of what was created.

    Raises StateMissing where that is not permitted and StateError where a topic is not as it has to be,
    each with the commands that mend it; StateError where the broker does not answer.
    """
    admin = TopicAdmin(properties, clock=clock)
    standing = admin.look(wanted)
    if standing.hidden:
        raise StateError(
            f"topics may not be described - {', '.join(standing.hidden)} - allow it: "
            "driftline topics --principal prints the commands"
        )
    faults = wrong(wanted, standing.found)
    if faults:
        lines = [f"{fault.topic} {fault.text};" for fault in faults]
        commands = [command for fault in faults if (command := mend_command(fault, admin.where))]
        raise StateError(_lines("topics are not as they have to be -", *lines, *_to_run(commands)))
    for spec in scarce(wanted, standing.found):
        log.warning(
            "topic_of_few_replicas",
            topic=spec.name,
            replicas=standing.found[spec.name].replication,
            configured=spec.replication,
            text="driftline topics prints what adds some",
        )
    absent = missing(wanted, standing.found)
    refused = admin.create(absent) if absent else ""
    if refused:
        names = ", ".join(spec.name for spec in absent)
        commands = [create_command(spec, admin.where) for spec in absent]
        absence = f"topics are missing and were not created ({refused}) - {names}"
        raise StateMissing(_lines(f"{absence} - run, as an administrator:", *commands))
    return tuple(spec.name for spec in absent)


def _to_run(commands: Sequence[str]) -> Sequence[str]:
    return ["run, as an administrator:", *commands] if commands else []


def _lines(first: str, *more: str) -> str:
    return "\n  ".join([first, *more])


_SILENT = frozenset(
    {
        KafkaError._TIMED_OUT,  # noqa: SLF001 the library's public names
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._AUTHENTICATION,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._SSL,  # noqa: SLF001
    }
)


def _of_a_client(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if not name.startswith("group.")}
