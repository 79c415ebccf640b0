"""Our own topics: how they have to be, what is said of those that are not, and who may create them."""

from __future__ import annotations

import json
import re
import shlex
import time
from dataclasses import replace
from itertools import pairwise

import pytest
import structlog
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from monitor.clock import SystemClock
from monitor.errors import StateError, StateMissing
from monitor.state.kafka.admin import TopicAdmin, ensure_topics
from monitor.state.kafka.commands import (
    acl_commands,
    create_command,
    mend_command,
    reach,
    reassign_command,
)
from monitor.state.kafka.topics import HOUR, SLACK, TopicState, missing, scarce, specs, wrong

DAY = 24 * HOUR
WHERE = "--bootstrap-server k:9092"


def wanted(prefix="p", **given):
    usual = {"partitions": 3, "model_partitions": 2, "replication": 1, "retention": DAY}
    return specs(prefix, **{**usual, **given})


def as_created(some):
    return {spec.name: TopicState(spec.partitions, spec.config) for spec in some}


def test_each_topic_keeps_what_it_is_for():
    """What is state is only compacted; sketches go once no window can need them; reports fit one partition."""
    found = {spec.name: spec for spec in wanted(retention=7 * DAY)}
    policies = {name: spec.config["cleanup.policy"] for name, spec in found.items()}
    assert policies == {
        "p.state": "compact",
        "p.sketches": "compact,delete",
        "p.ledger": "compact",
        "p.progress": "compact",
    }
    assert found["p.sketches"].config["retention.ms"] == str(7 * DAY + SLACK)
    assert [found[f"p.{name}"].partitions for name in ("state", "sketches", "ledger", "progress")] == [
        *(3, 2, 2, 1)
    ]


@pytest.mark.parametrize(("replication", "in_sync"), [(1, None), (2, None), (3, "2"), (5, "2")])
def test_two_replicas_confirm_a_record_where_there_are_three(replication, in_sync):
    """One may be away, and what was acknowledged survives the loss of another."""
    for spec in wanted(replication=replication, dead_letters=["p.dlq"]):
        assert spec.replication == replication
        assert spec.config.get("min.insync.replicas") == in_sync


def test_dead_letters_below_the_prefix_are_ours_to_create():
    """Others are the operator's; and of a topic of dead letters nothing is asked but that it is there."""
    some = wanted(dead_letters=["p.dlq", "elsewhere", "p.dlq", "px.dlq"])
    assert [spec.name for spec in some[4:]] == ["p.dlq"]
    assert not wrong(some, {"p.dlq": TopicState(50, {"cleanup.policy": "compact"})})


def test_what_is_not_there_is_missing():
    """In the order in which it is created."""
    some = wanted()
    assert missing(some, {}) == some
    assert [spec.name for spec in missing(some, as_created(some[1:3]))] == ["p.state", "p.progress"]
    assert not missing(some, as_created(some))
    assert not wrong(some, as_created(some))


@pytest.mark.parametrize(
    ("topic", "settings", "text", "mended"),
    [
        ("state", {"cleanup.policy": "delete"}, "cleanup.policy is delete, must be compact", None),
        ("state", {"cleanup.policy": "compact,delete"}, "is compact,delete, must be compact", None),
        ("sketches", {"cleanup.policy": "delete, compact"}, "", None),
        ("sketches", {"cleanup.policy": "compact"}, "must be compact,delete", "[compact,delete]"),
        ("sketches", {"retention.ms": "-1"}, "", None),
        ("sketches", {"retention.ms": str(90 * DAY)}, "", None),
        (
            "sketches",
            {"retention.ms": str(DAY)},
            "retention.ms is 86400000, must be at least 259200000",
            None,
        ),
        ("sketches", {"retention.bytes": "1000"}, "retention.bytes is 1000, must be -1", None),
        ("ledger", {"max.message.bytes": "1048588"}, "is 1048588, must be at least 8388608", None),
        ("ledger", {"max.message.bytes": "10000000"}, "", None),
        ("progress", {"segment.ms": "1", "min.insync.replicas": "1"}, "", None),
        ("ledger", {"unclean.leader.election.enable": "true"}, "enable is true, must be false", None),
        ("state", {"message.timestamp.type": "CreateTime"}, "is CreateTime, must be LogAppendTime", None),
        ("state", {"delete.retention.ms": "1000"}, "is 1000, must be at least 3600000", None),
        ("state", {"delete.retention.ms": str(HOUR)}, "", None),
    ],
)
def test_settings_that_would_lose_state_are_faults(topic, settings, text, mended):
    """Those that decide on speed and space are the operator's."""
    some = wanted()
    found = as_created(some)
    state = found[f"p.{topic}"]
    found[f"p.{topic}"] = replace(state, config={**state.config, **settings})
    faults = wrong(some, found)
    assert [fault.topic for fault in faults] == ([f"p.{topic}"] if text else [])
    for fault in faults:
        assert text in fault.text
        (name,) = settings
        value = mended or fault.settings[name]
        assert mend_command(fault, WHERE) == (
            f"kafka-configs.sh {WHERE} --alter --entity-type topics --entity-name p.{topic} "
            f"--add-config {name}={value}"
        )


@pytest.mark.parametrize(
    ("held_by", "in_sync", "is_right"), [(3, "1", False), (3, "2", True), (2, "1", True)]
)
@pytest.mark.parametrize("configured", [1, 3])
def test_what_one_broker_confirms_alone_is_a_fault_where_three_hold_it(
    configured, held_by, in_sync, is_right
):
    """It goes by the brokers that hold the topic: of two, two in sync would mean that none may be away."""
    some = wanted(replication=configured)
    config = {**some[0].config, "min.insync.replicas": in_sync}
    faults = wrong(some, {"p.state": TopicState(3, config, [range(held_by)] * 3)})
    assert [fault.settings for fault in faults] == ([] if is_right else [{"min.insync.replicas": "2"}])


def test_fewer_replicas_than_configured_are_told_and_can_be_added():
    """No fault: it works, and they may be meant to be few. The leader stays; no broker holds a partition twice."""
    some = wanted(replication=3)
    state = TopicState(3, some[0].config, [[2, 1], [1], [3, 2, 1]])
    found = {"p.state": state, "p.ledger": TopicState(2), "p.progress": TopicState(1, None, [[1, 2, 3]])}
    assert not wrong(some, {"p.state": state})
    assert [spec.name for spec in scarce(some, found)] == ["p.state"]
    command = reassign_command(some[0], state, [1, 2, 3, 4], WHERE)
    plan = json.loads(shlex.split(command.partition("<(echo ")[2].removesuffix(")"))[0])
    replicas = [move["replicas"] for move in plan["partitions"]]
    assert [held[0] for held in replicas] == [2, 1, 3]
    assert all(len(set(held)) == 3 for held in replicas)
    assert reassign_command(some[0], state, [1, 2], WHERE) == ""


@pytest.mark.parametrize(
    ("topic", "count", "text"),
    [
        ("state", 4, "set state.kafka.partitions: 4, or another state.kafka.prefix"),
        ("ledger", 1, "set state.kafka.model_partitions: 1, or another state.kafka.prefix"),
        ("progress", 2, "delete it, it is written anew"),
    ],
)
def test_another_number_of_partitions_is_a_fault_without_a_command(topic, count, text):
    """Keys stay where they are, so it is the configuration that has to follow."""
    some = wanted()
    found = {**as_created(some), f"p.{topic}": TopicState(count)}
    (fault,) = wrong(some, found)
    assert fault.text.endswith(text)
    assert mend_command(fault, WHERE) == ""


def test_settings_that_may_not_be_seen_are_not_judged():
    """The number of partitions still is."""
    some = wanted()
    assert not wrong(some, {spec.name: TopicState(spec.partitions) for spec in some})


def test_commands_name_everything():
    """They can be copied as they are; a secured cluster asks for the administrator's own properties."""
    state = wanted(replication=3)[0]
    assert create_command(state, WHERE).startswith(
        f"kafka-topics.sh {WHERE} --create --if-not-exists --topic p.state --partitions 3 "
        "--replication-factor 3 --config cleanup.policy=compact --config segment.bytes=67108864 "
    )
    assert reach({"bootstrap.servers": "a:1,b:2"}) == "--bootstrap-server a:1,b:2"
    assert reach({"bootstrap.servers": "a:1", "security.protocol": "PLAINTEXT"}) == "--bootstrap-server a:1"
    secured = reach({"bootstrap.servers": "a:1", "security.protocol": "SASL_SSL"})
    assert secured == "--bootstrap-server a:1 --command-config admin.properties"
    used = "--operation Read --operation Write --operation Describe --operation DescribeConfigs"
    texts = [
        command.text
        for command in acl_commands(
            "User:CN=a b",
            WHERE,
            prefix="p",
            group="g",
            inputs=["in", "in"],
            dead_letters=["p.dlq", "beside"],
        )
    ]
    assert all(
        text.startswith(f"kafka-acls.sh {WHERE} --add --allow-principal 'User:CN=a b' ") for text in texts
    )
    assert [text.partition("'User:CN=a b' ")[2] for text in texts] == [
        "--operation Read --operation Describe --topic in",
        "--operation Read --group g. --resource-pattern-type prefixed",
        f"{used} --topic p. --resource-pattern-type prefixed",
        "--operation Write --operation Describe --topic beside",
        "--operation Create --topic p. --resource-pattern-type prefixed",
        "--operation IdempotentWrite --cluster",
        "--operation DescribeConfigs --cluster",
        "--operation Read --operation Describe --topic beside",
        "--operation Write --operation Describe --topic in",
    ]


def test_missing_topics_are_created_once(kafka):
    """As they have to be; who comes second finds them."""
    properties, some = {"bootstrap.servers": kafka.bootstrap}, wanted("ensured", dead_letters=["ensured.dlq"])
    created = ensure_topics(properties, some, clock=SystemClock())
    assert created == (
        "ensured.state",
        "ensured.sketches",
        "ensured.ledger",
        "ensured.progress",
        "ensured.dlq",
    )
    assert ensure_topics(properties, some, clock=SystemClock()) == ()
    admin = TopicAdmin(properties, clock=SystemClock())
    assert admin.create(some) == ""  # as when two replicas start together
    found = admin.look(some).found
    for spec in some:
        assert found[spec.name].partitions == spec.partitions
        assert found[spec.name].config.items() >= spec.config.items()


def setting_of(setting, name, properties, some):
    return TopicAdmin(properties, clock=SystemClock()).look(some).found[name].config[setting]


def _until(is_so) -> None:
    until = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_topics_that_are_otherwise_stop_the_start(kafka):
    """With the command that mends what a command can mend; nothing else is created before."""
    properties, some = {"bootstrap.servers": kafka.bootstrap}, wanted("otherwise")
    ensure_topics(properties, some[:2], clock=SystemClock())
    admin = AdminClient(properties)
    change = ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, "otherwise.state", incremental_configs=[change])
    for answer in admin.incremental_alter_configs([resource]).values():
        answer.result(10)
    _until(lambda: setting_of("cleanup.policy", "otherwise.state", properties, some) == "delete")
    with pytest.raises(StateError) as caught:
        ensure_topics(properties, wanted("otherwise", model_partitions=5), clock=SystemClock())
    instead = "set state.kafka.model_partitions: 2, or another state.kafka.prefix"
    where = f"--bootstrap-server {kafka.bootstrap} --alter --entity-type topics"
    assert str(caught.value).splitlines() == [
        "topics are not as they have to be -",
        "  otherwise.state cleanup.policy is delete, must be compact;",
        f"  otherwise.sketches has 2 partitions, must have 5; {instead};",
        "  run, as an administrator:",
        f"  kafka-configs.sh {where} --entity-name otherwise.state --add-config cleanup.policy=compact",
    ]
    assert len(TopicAdmin(properties, clock=SystemClock()).look(some).found) == 2


def test_topics_that_others_made_with_the_defaults_of_the_broker(kafka):
    """Every setting by which state would be lost is told at once, and the commands mend them all."""
    properties, some = {"bootstrap.servers": kafka.bootstrap}, wanted("defaults")
    for spec in some:
        kafka.create_topic(spec.name, partitions=spec.partitions)
    with pytest.raises(StateError) as caught:
        ensure_topics(properties, some, clock=SystemClock())
    commands = [line for line in str(caught.value).splitlines() if "kafka-configs.sh" in line]
    assert len(commands) == len(some)
    assert all("message.timestamp.type=LogAppendTime" in command for command in commands)
    for command in commands:
        alter(properties, command)
    _until(lambda: not wrong(some, TopicAdmin(properties, clock=SystemClock()).look(some).found))
    assert ensure_topics(properties, some, clock=SystemClock()) == ()


def alter(properties, command) -> None:
    """What kafka-configs.sh would do."""
    given = dict(pairwise(shlex.split(command)))
    pairs = re.findall(r"([^=,]+)=(\[[^]]*\]|[^,]*)", given["--add-config"])
    changes = [
        ConfigEntry(name, value.strip("[]"), incremental_operation=AlterConfigOpType.SET)
        for name, value in pairs
    ]
    resource = ConfigResource(ResourceType.TOPIC, given["--entity-name"], incremental_configs=changes)
    client = AdminClient(properties)
    for answer in client.incremental_alter_configs([resource]).values():
        answer.result(10)


def test_a_topic_of_too_few_replicas_is_told_at_the_start(kafka):
    """And starts nevertheless."""
    properties, some = {"bootstrap.servers": kafka.bootstrap}, wanted("few")
    ensure_topics(properties, some, clock=SystemClock())
    structlog.reset_defaults()  # a command that ran before in this process may have been quiet
    with structlog.testing.capture_logs() as told:
        assert ensure_topics(properties, wanted("few", replication=3), clock=SystemClock()) == ()
    few = [one for one in told if one["event"] == "topic_of_few_replicas"]
    assert [(one["topic"], one["replicas"], one["configured"]) for one in few] == [
        (spec.name, 1, 3) for spec in some
    ]


def test_topics_that_cannot_be_created(kafka):
    """The reason, and the commands for whoever can."""
    properties = {"bootstrap.servers": kafka.bootstrap}
    with pytest.raises(
        StateMissing, match=r"^topics are missing and were not created \(.*replicat"
    ) as caught:
        ensure_topics(properties, wanted("toomany", replication=3), clock=SystemClock())
    commands = str(caught.value).splitlines()[1:]
    where = f"--bootstrap-server {kafka.bootstrap}"
    assert commands == [f"  {create_command(spec, where)}" for spec in wanted("toomany", replication=3)]


def test_a_broker_that_is_not_there():
    """StateError in time, with what the client library says of it."""
    admin = TopicAdmin({"bootstrap.servers": "127.0.0.1:1"}, clock=SystemClock(), timeout=1.0)
    with pytest.raises(StateError, match=r"^no answer \(.*refused.*\) - kafka.brokers - "):
        admin.look(wanted())
