"""What an administrator runs where driftline may not do it: Kafka's own commands, to be copied. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from monitor.state.kafka.topics import Fault, TopicSpec, TopicState


class Command(NamedTuple):
    """One line for a shell; `note` says when it is needed, "" for always."""

    text: str
    note: str = ""


def reach(properties: Mapping[str, Any]) -> str:
    """How the commands reach the cluster of these librdkafka properties.

    Kafka's tools take Java's properties, so those of a secured cluster stand in a file of the administrator's.
    """
    brokers = shlex.quote(str(properties.get("bootstrap.servers", "")))
    is_open = str(properties.get("security.protocol", "plaintext")).lower() == "plaintext"
    return f"--bootstrap-server {brokers}" + ("" if is_open else " --command-config admin.properties")


def create_command(spec: TopicSpec, where: str) -> str:
    config = " ".join(f"--config {name}={value}" for name, value in spec.config.items())
    return (
        f"kafka-topics.sh {where} --create --if-not-exists --topic {spec.name} "
        f"--partitions {spec.partitions} --replication-factor {spec.replication} {config}"
    )


def mend_command(fault: Fault, where: str) -> str:
    """ "" where no command mends it: the text of the fault says what does."""
    if not fault.settings:
        return ""
    config = ",".join(
        f"{name}=[{value}]" if "," in value else f"{name}={value}" for name, value in fault.settings.items()
    )
    return (
        f"kafka-configs.sh {where} --alter --entity-type topics --entity-name {fault.topic} "
        f"--add-config {config}"
    )


def reassign_command(spec: TopicSpec, state: TopicState, brokers: Sequence[int], where: str) -> str:
    """Adds replicas up to the configured number; "" where there are not enough brokers."""
    if len(brokers) < spec.replication:
        return ""
    moves = []
    for number, held in enumerate(state.replicas):
        start = number % len(brokers)
        others = [broker for broker in (*brokers[start:], *brokers[:start]) if broker not in held]
        chosen = [*held, *others[: max(spec.replication - len(held), 0)]]
        moves.append({"topic": spec.name, "partition": number, "replicas": chosen})
    plan = json.dumps({"version": 1, "partitions": moves}, separators=(",", ":"))
    return (
        f"kafka-reassign-partitions.sh {where} --execute --reassignment-json-file <(echo {shlex.quote(plan)})"
    )


def acl_commands(
    principal: str,
    where: str,
    *,
    prefix: str,
    group: str,
    inputs: Collection[str],
    dead_letters: Iterable[str] = (),
) -> tuple[Command, ...]:
    """What `principal` ("User:driftline") has to be allowed, and nothing more."""
    start = f"kafka-acls.sh {where} --add --allow-principal {shlex.quote(principal)}"
    own, groups = f"--topic {prefix}. --resource-pattern-type prefixed", shlex.quote(f"{group}.")
    beside = sorted({name for name in dead_letters if not name.startswith(f"{prefix}.")})
    used = "--operation Read --operation Write --operation Describe --operation DescribeConfigs"
    return (
        *(
            Command(f"{start} --operation Read --operation Describe --topic {name}")
            for name in sorted(set(inputs))
        ),
        Command(f"{start} --operation Read --group {groups} --resource-pattern-type prefixed"),
        Command(f"{start} {used} {own}"),
        *(Command(f"{start} --operation Write --operation Describe --topic {name}") for name in beside),
        Command(f"{start} --operation Create {own}", "only if driftline is to create its topics itself"),
        Command(f"{start} --operation IdempotentWrite --cluster", "only for brokers before 2.8"),
        Command(f"{start} --operation DescribeConfigs --cluster", "only for group.protocol: auto"),
        *(
            Command(f"{start} --operation Read --operation Describe --topic {name}", "only for driftline dlq")
            for name in beside
        ),
        *(
            Command(
                f"{start} --operation Write --operation Describe --topic {name}",
                "only for driftline dlq requeue",
            )
            for name in sorted(set(inputs))
        ),
    )
