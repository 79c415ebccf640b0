"""A daemon whose state lies in Kafka, its topics, and what is left in them."""

from __future__ import annotations

import contextlib

from confluent_kafka import OFFSET_END, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

from monitor.clock import SystemClock
from monitor.daemon import Daemon
from monitor.state.kafka.broker import Broker
from monitor.state.kafka.cluster import topics_of
from monitor.state.kafka.log import KafkaLog
from tests.daemon.ask import until
from tests.daemon.build import MODEL
from tests.daemon.recount import differences, recount, stored_verdicts
from tests.faults.world import on_kafka

SHAPE = {"state": 3, "sketches": 2, "progress": 1, "ledger": 2}


def shared(folder, broker, *, receiver, make=on_kafka, **change):
    """A scene over three partitions whose state is in Kafka, that of sources in three partitions."""
    made = make(folder, broker, receiver=receiver)
    shape = {"prefix": f"{made.topic}-own", "partitions": 3, "model_partitions": 2, "replication": 1}
    quick = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 200, "fetch.wait.max.ms": 100}
    made.configure(
        kafka={"properties": quick},
        state={"log": "kafka", "kafka": shape, "checkpoint_every": "1s", "stall": "20s", "max_hold": "10m"},
    )
    made.configure(**change)
    return made


def topics(scene):
    """The names of its own topics."""
    return topics_of(f"{scene.topic}-own")


@contextlib.contextmanager
def running(scene, *, accept_loss=False):
    """The daemon inside this process."""
    daemon = Daemon([str(scene.config)], clock=SystemClock(), accept_loss=accept_loss)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()


@contextlib.contextmanager
def left(scene):
    """The state as a daemon that has ended left it; takes all models over."""
    broker = Broker({"bootstrap.servers": scene.bootstrap}, clock=SystemClock())
    owned = dict.fromkeys(range(SHAPE["ledger"]), 1)
    log = KafkaLog(
        broker, topics=topics(scene), owned=lambda: owned, clock=SystemClock(), closing=(broker.close,)
    )
    try:
        log.attend()
        yield log
    finally:
        log.close()


def wrong(scene, sent):
    """Every way in which what is left is not that of the log."""
    with left(scene) as log:
        return differences(log, recount(sent), stored_verdicts(log))


def reports(daemon):
    """Partition → what is told of it."""
    return {report.source.partition: report for report in daemon.view().partitions}


def await_judged(daemon, sent, *, idle):
    """Wait until all is durable, so many partitions have come to their end, and the last window is judged."""
    ends = recount(sent).ends

    def is_done():
        found = reports(daemon).values()
        is_read = sum(one.applied for one in found) == len(sent) and sum(one.idle for one in found) >= idle
        return is_read and ends <= {verdict.end for verdict in daemon.evaluate.verdicts(MODEL)}

    until(is_done, f"{len(sent)} records to be applied and judged")


class Operator:
    """Does to topics what people do."""

    def __init__(self, bootstrap):
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def set(self, topic, name, value):
        """Change a setting of a topic; None takes the default."""
        kind = AlterConfigOpType.SET if value is not None else AlterConfigOpType.DELETE
        entry = ConfigEntry(name, value, incremental_operation=kind)
        change = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        for future in self._admin.incremental_alter_configs([change]).values():
            future.result(30)

    def delete(self, topic):
        self._admin.delete_topics([topic])[topic].result(30)

        def is_gone():
            with contextlib.suppress(KafkaException):
                return topic not in self._admin.list_topics(timeout=5).topics

        until(is_gone, f"{topic} to be deleted")

    def grow(self, topic, partitions):
        self._admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(30)

    def empty(self, topic, partition):
        """Delete all records of a partition."""
        self.set(topic, "cleanup.policy", "delete")
        for future in self._admin.delete_records([TopicPartition(topic, partition, OFFSET_END)]).values():
            future.result(30)
        self.set(topic, "cleanup.policy", "compact")
