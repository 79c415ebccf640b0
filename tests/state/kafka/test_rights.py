"""What a principal has to be allowed: the rights that are printed are enough, on a broker that asks for them."""

from __future__ import annotations

import shlex
from itertools import pairwise

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from monitor.clock import SystemClock
from monitor.columns import Reject
from monitor.errors import IntakeError, StateError, StateMissing
from monitor.intake.dead_read import TopicLetters
from monitor.intake.dead_topic import TopicDeadLetters
from monitor.intake.protocol import decide
from monitor.intake.requeue import requeue
from monitor.names import CLASSIC, CONSUMER, Reason, Source
from monitor.state.kafka.admin import ensure_topics
from monitor.state.kafka.broker import Broker
from monitor.state.kafka.commands import acl_commands, reach
from monitor.state.kafka.logs import Place, Write
from monitor.state.kafka.topics import HOUR, specs
from tests.daemon.ask import until
from tests.intake.records import batch
from tests.kafka.broker import KafkaBroker, KafkaUnavailable, free_ports


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, kafka):
    """A broker that allows only what was allowed; properties of its administrator and of one principal."""
    (port,) = free_ports(1)
    listeners = f"PLAINTEXT://127.0.0.1:{{port}},SASL://127.0.0.1:{port}"
    properties = {
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{{controller}}",
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl.plain.sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule "
        'required user_driftline="secret";',
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    try:
        running = KafkaBroker(tmp_path_factory.mktemp("guarded"), properties=properties)
    except KafkaUnavailable as error:
        pytest.skip(str(error))
    principal = {
        "bootstrap.servers": f"127.0.0.1:{port}",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "driftline",
        "sasl.password": "secret",
    }
    yield {"bootstrap.servers": running.bootstrap}, principal
    running.stop()


def allow(administrator, command) -> None:
    """What kafka-acls.sh would do."""
    pairs = list(pairwise(shlex.split(command)))
    given = dict(pairs)
    kind = ResourceType.TOPIC if "--topic" in given else ResourceType.GROUP
    name = given.get("--topic") or given.get("--group", "")
    if "--cluster" in command:
        kind, name = (
            ResourceType.BROKER,
            "kafka-cluster",
        )  # what the library calls a cluster, and Kafka names it
    pattern = ResourcePatternType[given.get("--resource-pattern-type", "literal").upper()]
    operations = [value for option, value in pairs if option == "--operation"]
    names = {"DescribeConfigs": AclOperation.DESCRIBE_CONFIGS}
    bindings = [
        AclBinding(
            kind,
            name,
            pattern,
            given["--allow-principal"],
            "*",
            names.get(operation) or AclOperation[operation.upper()],
            AclPermissionType.ALLOW,
        )
        for operation in operations
    ]
    client = AdminClient(administrator)
    for answer in client.create_acls(bindings).values():
        answer.result(10)


def test_the_rights_that_are_printed_are_enough(guarded):
    """Without them the topics are not even seen; with them all but creating works, then that too."""
    administrator, principal = guarded
    some = specs("driftline", partitions=3, model_partitions=2, replication=1, retention=HOUR)
    commands = acl_commands(
        "User:driftline", reach(administrator), prefix="driftline", group="driftline", inputs=["in"]
    )
    with pytest.raises(StateError, match=r"^topics may not be described - driftline\.state, .* --principal"):
        ensure_topics(principal, some, clock=SystemClock())
    for command in commands:
        if not command.note:
            allow(administrator, command.text)
    with pytest.raises(
        StateMissing, match=r"were not created \(.*[Aa]uthorization failed.*\) - driftline\.state"
    ):
        ensure_topics(principal, some, clock=SystemClock())
    (creating,) = [command.text for command in commands if "create" in command.note]
    allow(administrator, creating)
    assert len(ensure_topics(principal, some, clock=SystemClock())) == 4
    assert ensure_topics(principal, some, clock=SystemClock()) == ()
    broker, place = Broker(principal, clock=SystemClock()), Place("driftline.ledger", 1)
    try:
        assert broker.write([Write(place, b"k", b"v")]) == [0]
        assert [record.value for record in broker.read(place, 0)] == [b"v"]
    finally:
        broker.close()


def answer_of(properties, group):
    """What a member of the group hears: that it is one, or why it may not be."""
    heard: list[str] = []
    member = Consumer({**properties, "group.id": group})
    member.subscribe(["driftline.groups"], on_assign=lambda *_: heard.append("a member"))
    while not heard:
        if (found := member.poll(0.1)) is not None and found.error():
            heard.append(str(found.error()))
    member.close()
    return heard[0]


def test_the_rights_are_those_of_our_own_groups(guarded):
    """Another installation's group may be called like ours with something after it: it is none of ours."""
    administrator, principal = guarded
    client = AdminClient(administrator)
    for answer in client.create_topics([NewTopic("driftline.groups", 1, 1)]).values():
        answer.result(10)
    for command in acl_commands(
        "User:driftline", reach(administrator), prefix="driftline", group="driftline", inputs=["in"]
    ):
        if not command.note:
            allow(administrator, command.text)
    assert answer_of(principal, "driftline.ingest") == "a member"
    assert answer_of(principal, "driftline.eval") == "a member"
    assert "uthorization" in answer_of(principal, "driftline-staging.ingest")


def test_the_right_to_ask_brokers_for_their_protocols(guarded):
    """Without it `group.protocol: auto` is classic, and the line says what is lacking; with it, it is what they have."""
    administrator, principal = guarded
    client = AdminClient(administrator)
    for answer in client.create_topics([NewTopic("asked-in", 1, 1)]).values():
        answer.result(10)
    commands = acl_commands(
        "User:driftline", reach(administrator), prefix="asked", group="asked", inputs=["asked-in"]
    )
    for command in commands:
        if not command.note:
            allow(administrator, command.text)

    def ask():
        groups = ("asked.ingest", "asked.eval")
        return decide(principal, groups, topic="asked-in", trial="asked.trial", clock=SystemClock())

    without = ask()
    assert (without.protocol, "DescribeConfigs of the cluster" in without.why) == (CLASSIC, True), without
    (asking,) = [command.text for command in commands if "group.protocol" in command.note]
    allow(administrator, asking)
    until(lambda: ask().protocol == CONSUMER, "the right to be known")


def test_the_rights_to_send_dead_letters_back_are_printed_apart(guarded):
    """The daemon only writes them. Who lists them has to read them, who sends them back has to write the input."""
    administrator, principal = guarded
    client = AdminClient(administrator)
    for answer in client.create_topics([NewTopic("rights-in", 1, 1), NewTopic("dead", 1, 1)]).values():
        answer.result(10)
    commands = acl_commands(
        "User:driftline",
        reach(administrator),
        prefix="rights",
        group="rights",
        inputs=["rights-in"],
        dead_letters=["dead"],
    )

    def grant(note):
        texts = [command.text for command in commands if command.note == note]
        assert texts
        for text in texts:
            allow(administrator, text)

    grant("")
    rejected = batch([b"bad"])
    rejected.source = Source("rights-in", 0)
    sink, held = TopicDeadLetters("dead", principal), TopicLetters("dead", principal)
    sink.put(rejected, [Reject(0, Reason.DECODE, "bad")])
    sink.flush()
    sink.close()
    with pytest.raises(IntakeError, match=r"[Aa]uthorization"):
        list(held.read())
    grant("only for driftline dlq")
    letters = list(held.read())
    (unsent,) = requeue(letters, held, principal)
    assert "authorization" in unsent.why.lower()
    grant("only for driftline dlq requeue")
    assert not list(requeue(letters, held, principal))
    assert held.requeued() == {letter.origin for letter in letters}
