"""Everything a replica needs to share its state through Kafka, opened and closed together."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from monitor.clock import Clock
from monitor.state.kafka.admin import TopicAdmin
from monitor.state.kafka.broker import Broker
from monitor.state.kafka.installation import Installation, evaluators
from monitor.state.kafka.log import KafkaLog, Topics
from monitor.state.kafka.membership import Membership


def topics_of(prefix: str) -> Topics:
    """The names of our own topics."""
    return Topics(f"{prefix}.state", f"{prefix}.sketches", f"{prefix}.progress", f"{prefix}.ledger")


def open_cluster(
    properties: Mapping[str, Any],
    *,
    group: str,
    prefix: str,
    clock: Clock,
    stall: int,
    accept_loss: bool = False,
) -> KafkaLog:
    """The state log of a replica, which joins the evaluators of `group`.

    Raises StateMissing where a topic does not exist, and StateError, also where another installation uses them.
    """
    topics = topics_of(prefix)
    with contextlib.ExitStack() as undo:
        broker = Broker(properties, clock=clock, group=group)
        undo.callback(broker.close)
        admin = TopicAdmin(properties, clock=clock)
        installation = Installation(broker, topics.ledger, group=group, is_joined=admin.is_joined)
        installation.admit_at_start(clock)
        membership = Membership(properties, group=evaluators(group), topic=topics.sketches, clock=clock)
        undo.callback(membership.close)
        log = KafkaLog(
            broker,
            topics=topics,
            owned=membership.owned,
            clock=clock,
            stall=stall,
            accept_loss=accept_loss,
            installation=installation,
            joined=lambda: membership.joined,
            closing=(membership.close, broker.close),
        )
        undo.pop_all()
    return log
