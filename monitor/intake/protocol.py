"""Which protocol the consumer groups speak, where the configuration leaves that to the brokers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple

import structlog
from confluent_kafka import Consumer, ConsumerGroupState, ConsumerGroupType, KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined] # its own documentation imports them so
    AdminClient,
    ConfigResource,
    ResourceType,
)

from monitor.clock import Clock
from monitor.intake.client import REFUSALS, Listener, client_properties, describe
from monitor.names import CLASSIC, CLASSIC_ONLY, CONSUMER, PROTOCOL

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 5.0
"""How long each question may take: the start waits for them."""

_POLL_SECONDS = 0.1
_FATAL = KafkaError._FATAL  # noqa: SLF001 the library's public name
_BROKERS_SAY = "group.coordinator.rebalance.protocols"
_AWAY = {ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD}
_DENIED = {KafkaError.CLUSTER_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED}


class _Quiet(Listener):
    """For questions that may be answered by a refusal: that is told once, as what was chosen because of it."""

    def _note_error(self, error: KafkaError) -> None:
        log.debug("kafka_error", reason=error.name(), text=error.str())

    def _note_line(self, level: int, text: str, *arguments: Any) -> None:
        log.debug("kafka_client", level=level, text=text % arguments if arguments else text)


class Choice(NamedTuple):
    """`protocol`: classic | consumer; `why` it is that, in a sentence."""

    protocol: str
    why: str


class Asked(NamedTuple):
    """What the cluster told. `spoken`: of groups with members, by name."""

    brokers: Mapping[int, Collection[str] | None]
    """The protocols that each broker has; None where it tells of none, as those before Kafka 4 may."""
    spoken: Mapping[str, str]


def decide(
    properties: Mapping[str, Any], groups: Collection[str], *, topic: str, trial: str, clock: Clock
) -> Choice:
    """Ask the brokers, and say in the log what was chosen. `properties` are without the setting itself; `groups` are
    those that will be joined, all by the one protocol that is chosen here. `trial` is a group of nobody's: brokers that
    say that they have the newer protocol refuse it while the feature `group.version` is not switched on, and then so at
    the first heartbeat of a member, which subscribes to `topic`.

    Never raises: what cannot be asked is classic, which every broker has.
    """
    if (choice := _by_properties(properties)) is None:
        try:
            choice = choose(_ask(properties, groups))
            if choice.protocol == CONSUMER and (refusal := _tried(properties, trial, topic, clock)):
                choice = Choice(CLASSIC, refusal)
        except (KafkaException, TimeoutError, *REFUSALS) as error:
            choice = Choice(CLASSIC, _unanswered(error))
    log.info("group_protocol", protocol=choice.protocol, why=choice.why)
    return choice


def choose(asked: Asked) -> Choice:
    """The newer protocol where every broker has it, and no group is spoken to by the older one: Kafka lets no member of
    the newer one in beside `cooperative-sticky`, so that replicas that are replaced one by one would shut each other out."""
    for group, protocol in sorted(asked.spoken.items()):
        if protocol == CLASSIC:
            return Choice(CLASSIC, f"members of {group} speak it; end all replicas to change to another")
    lacking = sorted(number for number, held in asked.brokers.items() if CONSUMER not in (held or ()))
    if lacking or not asked.brokers:
        names = ", ".join(map(str, lacking)) or "none that answers"
        return Choice(CLASSIC, f"not all brokers have the consumer protocol: {names}")
    return Choice(CONSUMER, "all brokers have it")


def _by_properties(properties: Mapping[str, Any]) -> Choice | None:
    held = [name for name in CLASSIC_ONLY if name in properties]
    if not held:
        return None
    return Choice(
        CLASSIC, f"{', '.join(held)} in kafka.properties, which the consumer protocol leaves to the brokers"
    )


def _ask(properties: Mapping[str, Any], groups: Collection[str]) -> Asked:
    of_a_client = {name: value for name, value in properties.items() if not name.startswith("group.")}
    client = AdminClient(client_properties(of_a_client, _Quiet()))
    cluster = _answer(client.describe_cluster(request_timeout=ANSWER_SECONDS))
    resources = [ConfigResource(ResourceType.BROKER, str(node.id)) for node in cluster.nodes]
    answers = client.describe_configs(resources, request_timeout=ANSWER_SECONDS)
    brokers = {int(one.name): _protocols(_answer(answer)) for one, answer in answers.items()}
    return Asked(brokers, _spoken(client, groups))


def _tried(properties: Mapping[str, Any], group: str, topic: str, clock: Clock) -> str:
    """Why a member of the newer protocol is not let in, "" where it is."""
    ours = {PROTOCOL: CONSUMER, "group.id": group, "enable.auto.commit": False}
    theirs = {name: value for name, value in properties.items() if name != "group.instance.id"}
    client = Consumer(client_properties({**theirs, **ours}, _Quiet()))
    try:
        before, end = client.consumer_group_metadata(), clock.monotonic() + ANSWER_SECONDS
        client.subscribe([topic])
        while clock.monotonic() < end:
            record = client.poll(_POLL_SECONDS)
            error = None if record is None else record.error()
            if error is not None and error.code() == _FATAL:
                return f"the brokers have the consumer protocol, and let no member of it in ({error.str()})"
            if client.consumer_group_metadata() != before:
                return ""
        return (
            f"the brokers have the consumer protocol, and let no member of it in within {ANSWER_SECONDS:g} s"
        )
    finally:
        client.close()


def _protocols(entries: Mapping[str, Any]) -> Collection[str] | None:
    entry = entries.get(_BROKERS_SAY)
    return None if entry is None else {one.strip() for one in str(entry.value).lower().split(",")}


def _spoken(client: AdminClient, groups: Collection[str]) -> dict[str, str]:
    """To be asked once the client knows all brokers: it asks those that it knows."""
    listed: Iterable[Any] = _answer(client.list_consumer_groups(request_timeout=ANSWER_SECONDS)).valid
    return {
        one.group_id: CLASSIC if one.type == ConsumerGroupType.CLASSIC else CONSUMER
        for one in listed
        if one.group_id in groups and one.state not in _AWAY
    }


def _answer(future: Future[Any]) -> Any:
    return future.result(ANSWER_SECONDS + 1)


def _unanswered(error: BaseException) -> str:
    first = error.args[0] if error.args else None
    if isinstance(first, KafkaError) and first.code() in _DENIED:
        return "the brokers may not be asked: allow DescribeConfigs of the cluster (driftline topics --principal)"
    return f"the brokers did not say what they have ({describe(error)})"
