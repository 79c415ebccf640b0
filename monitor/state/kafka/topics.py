"""Our own topics: how each has to be, and what is wrong with those that are there. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

HOUR = 3_600_000
SLACK = 48 * HOUR
"""How much longer than the longest window sketches are kept: a weekend without a process that judges."""
LEAST_KEPT = HOUR
"""How long tombstones stay at least: nobody takes longer to read a topic of ours from the start to the end."""
LARGEST = 8 << 20
"""Bytes of a record. Sketches come in parts, a batch of ledger entries does not."""


class Fault(NamedTuple):
    """What is wrong with a topic, and what mends it: settings of it to change, or a sentence."""

    topic: str
    text: str
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How a topic is created. `setting` names where its partitions are configured.

    A topic without one only has to be there; everything else about it is the operator's.
    """

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]
    setting: str = ""


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic that is there. `config` is None where the credentials may not see it.

    `replicas`: of each partition the ids of the brokers that hold it, the preferred leader first. `id`: which topic
    it is of those that had the name, "" where brokers do not tell.
    """

    partitions: int
    config: Mapping[str, str] | None = None
    replicas: Sequence[Sequence[int]] = ()
    id: str = ""

    @property
    def replication(self) -> int:
        """Brokers that hold the partition with the fewest; 0 where it is not known."""
        return min(map(len, self.replicas), default=0)


def specs(
    prefix: str,
    *,
    partitions: int,
    model_partitions: int,
    replication: int,
    retention: int,
    dead_letters: Iterable[str] = (),
) -> tuple[TopicSpec, ...]:
    """The topics below `prefix`, those of `dead_letters` that lie there among them.

    `retention`: milliseconds that sketches have to be kept, `SLACK` not among them.
    """

    def spec(name: str, count: int, setting: str, **more: str) -> TopicSpec:
        config = {**_COMPACTED, **more, **_durable(replication)}
        return TopicSpec(f"{prefix}.{name}", count, replication, config, setting)

    kept = {
        "cleanup.policy": "compact,delete",
        "retention.ms": str(retention + SLACK),
        "retention.bytes": "-1",
    }
    large = {"max.message.bytes": str(LARGEST)}
    ours = (
        spec("state", partitions, "state.kafka.partitions", **large, **_EAGER),
        spec("sketches", model_partitions, "state.kafka.model_partitions", **large, **kept),
        spec("ledger", model_partitions, "state.kafka.model_partitions", **large),
        spec("progress", 1, "one partition", **_EAGER),
    )
    rejects = sorted({name for name in dead_letters if name.startswith(f"{prefix}.")})
    return (
        *ours,
        *(spec_of_rejects(name, partitions=partitions, replication=replication) for name in rejects),
    )


def spec_of_rejects(name: str, *, partitions: int, replication: int) -> TopicSpec:
    """A topic of dead letters."""
    config = {"cleanup.policy": "delete", **_durable(replication)}
    return TopicSpec(name, partitions, replication, config)


def missing(wanted: Iterable[TopicSpec], found: Mapping[str, TopicState]) -> tuple[TopicSpec, ...]:
    """Those that are not there."""
    return tuple(spec for spec in wanted if spec.name not in found)


def wrong(wanted: Iterable[TopicSpec], found: Mapping[str, TopicState]) -> tuple[Fault, ...]:
    """What would lose state, or find it no more, in the topics that are there."""
    return tuple(
        fault
        for spec in wanted
        if spec.setting and spec.name in found
        for fault in _faults(spec, found[spec.name])
    )


def scarce(wanted: Iterable[TopicSpec], found: Mapping[str, TopicState]) -> tuple[TopicSpec, ...]:
    """Those of our own that fewer brokers hold than is configured.

    What is there works, and only its administrator knows whether it is to be so: a warning, no fault.
    """
    return tuple(
        spec
        for spec in wanted
        if spec.setting and 0 < found.get(spec.name, TopicState(0)).replication < spec.replication
    )


_COMPACTED = {
    "cleanup.policy": "compact",
    "segment.bytes": str(64 << 20),
    "segment.ms": str(HOUR),
    "delete.retention.ms": str(24 * HOUR),
    "message.timestamp.type": "LogAppendTime",
    "unclean.leader.election.enable": "false",
}
"""Only closed segments are compacted, so they are closed early. A reader that takes a day from the start to
the end still meets every tombstone; `owner.py` refuses to read for more than half of that. That day begins when
compaction first meets the tombstone, however late: `min.compaction.lag.ms` would not make it longer, and leave
more to be read. Ages are the broker's: a process whose clock is wrong loses nothing, and
is not refused. A broker that lacks what was acknowledged must not lead: offsets would be given out twice, and
they are the terms by which those who speak for a model are told apart."""
_EAGER = {"min.cleanable.dirty.ratio": "0.1"}
"""Keys are rewritten at every checkpoint: what is dirty is most of what a recovery has to read."""


def _durable(replication: int) -> dict[str, str]:
    """With three replicas one may be away, and what was acknowledged is still held twice."""
    return {"min.insync.replicas": "2"} if replication >= 3 else {}


def _faults(spec: TopicSpec, state: TopicState) -> Iterator[Fault]:
    if state.partitions != spec.partitions:
        yield _partitions(spec, state.partitions)
    config = state.config
    if config is None:
        return
    held_to = {name: value for name, value in spec.config.items() if name not in _durable(3)}
    held_to |= _durable(state.replication or spec.replication)
    settings: dict[str, str] = {}
    texts = []
    for name, rule in _RULES.items():
        value = held_to.get(name)
        given = config.get(name, value)
        if value is not None and given is not None and not rule.holds(given, value):
            settings[name] = value
            texts.append(f"{name} is {given}, must be {rule.must.format(value)}")
    if texts:
        yield Fault(spec.name, "; ".join(texts), settings)


def _partitions(spec: TopicSpec, found: int) -> Fault:
    """Keys stay in the partition that they were put in, so no command adds or removes any."""
    text = f"has {found} partitions, must have {spec.partitions}"
    if spec.partitions == 1:
        return Fault(spec.name, f"{text}; delete it, it is written anew", {})
    return Fault(spec.name, f"{text}; set {spec.setting}: {found}, or another state.kafka.prefix", {})


def _same_policy(found: str, wanted: str) -> bool:
    return {part.strip() for part in found.split(",")} == set(wanted.split(","))


def _at_least(found: str, wanted: str) -> bool:
    return int(found) >= int(wanted)


def _unlimited_or_at_least(found: str, wanted: str) -> bool:
    return int(found) < 0 or (int(wanted) >= 0 and int(found) >= int(wanted))


def _lasting(found: str, _wanted: str) -> bool:
    return int(found) >= LEAST_KEPT


class _Rule(NamedTuple):
    holds: Callable[[str, str], bool]
    """What is found, what is wanted."""
    must: str = "{}"


_RULES = {
    "cleanup.policy": _Rule(_same_policy),
    "max.message.bytes": _Rule(_at_least, "at least {}"),
    "retention.ms": _Rule(_unlimited_or_at_least, "at least {}"),
    "retention.bytes": _Rule(_unlimited_or_at_least),
    "min.insync.replicas": _Rule(_at_least, "at least {}"),
    "unclean.leader.election.enable": _Rule(str.__eq__),
    "message.timestamp.type": _Rule(str.__eq__),
    "delete.retention.ms": _Rule(_lasting, f"at least {LEAST_KEPT}"),
}
"""What an existing topic is held to. All else decides on speed and space, and is the operator's. How many have to
be in sync goes by the replicas that there are: of one that has fewer than is configured no two can be."""
