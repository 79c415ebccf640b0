"""What only several settings together can get wrong. Pure: opens no file and no connection."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from monitor.config.crosscheck_model import check_model
from monitor.config.crosscheck_out import check_out
from monitor.config.finding import Level, Problem, nearest
from monitor.config.grouped import check_groups
from monitor.config.intake import DeadLetter
from monitor.config.registered import check_registries
from monitor.config.segmented import check_segments
from monitor.config.settings import Settings
from monitor.names import CLASSIC, CLASSIC_ONLY, CONSUMER, PROTOCOL, PROTOCOLS

CLEAR = re.compile(r"password|secret|\.pem$|jaas", re.IGNORECASE)
OWNED = {
    "bootstrap.servers": "kafka.brokers",
    "metadata.broker.list": "kafka.brokers",
    "group.id": "kafka.group",
    "enable.auto.commit": "",
    "enable.auto.offset.store": "",
    "auto.offset.reset": "sources.<name>.start",
}
"""librdkafka properties that driftline sets itself, and the setting to use instead."""


def crosscheck(settings: Settings, names: Mapping[str, AbstractSet[str]]) -> Iterator[Problem]:
    """Every problem; `names` holds the sources and targets as written, broken ones included."""
    yield from _kafka(settings)
    yield from _sources(settings)
    for name in settings.models:
        yield from check_model(settings, name, names)
        yield from check_segments(settings.models[name], ("models", name))
        yield from check_groups(settings.models[name], ("models", name))
    yield from check_registries(settings)
    yield from check_out(settings)
    yield from _state(settings)


def _kafka(settings: Settings) -> Iterator[Problem]:
    for key in settings.kafka.properties:
        steps = ("kafka", "properties", key)
        if key in OWNED:
            instead = OWNED[key]
            yield Problem(
                "owned-property",
                steps,
                f"kafka.properties: {key} is set by driftline",
                at_key=True,
                help=f"use {instead} instead" if instead else "offsets belong to the state log",
            )
        elif key in settings.kafka.secret_properties:
            yield Problem(
                "conflict", steps, f"{key} stands in properties and in secret_properties", at_key=True
            )
        elif CLEAR.search(key) and _is_literal(settings, steps):
            yield Problem(
                "secret-in-clear",
                steps,
                f"kafka.properties: {key} looks like a secret in clear text",
                level=Level.WARNING,
                at_key=True,
                help="move it to kafka.secret_properties",
            )
    yield from _protocol(settings)
    for key, secret in settings.kafka.secret_properties.items():
        steps = ("kafka", "secret_properties", key)
        if bool(secret.file) == bool(secret.value):
            yield Problem(
                "missing-value" if not secret.file else "conflict",
                steps,
                f"kafka.secret_properties: {key} needs exactly one of file and value",
                at_key=True,
            )
        if key in OWNED:
            yield Problem(
                "owned-property", steps, f"kafka.secret_properties: {key} is set by driftline", at_key=True
            )


def _protocol(settings: Settings) -> Iterator[Problem]:
    """The protocol of the groups is one that there is, and what it leaves to the brokers is not set beside it."""
    properties, steps = settings.kafka.properties, ("kafka", "properties", PROTOCOL)
    protocol = properties.get(PROTOCOL, CLASSIC)
    if protocol not in PROTOCOLS:
        text = f"kafka.properties: {PROTOCOL} is {' | '.join(PROTOCOLS)}, got `{protocol}`"
        yield Problem("bad-value", steps, text, suggestion=nearest(protocol, PROTOCOLS))
    for key in CLASSIC_ONLY if protocol == CONSUMER else ():
        if key in properties:
            yield Problem(
                "conflict",
                ("kafka", "properties", key),
                f"kafka.properties: {key} is not of the consumer protocol, in which the brokers decide on it",
                at_key=True,
                help=f"leave it out, or {PROTOCOL}: {CLASSIC}",
            )


def _state(settings: Settings) -> Iterator[Problem]:
    if settings.state.log != "kafka":
        steps = ("state", "kafka")
        if settings.origin.mark(steps) and not settings.origin.mark(("state", "log")):
            text = "state.kafka has no effect with the default `state.log: local`"
            yield Problem("unused", steps, text, level=Level.WARNING, at_key=True, help="add log: kafka")
        return
    ours = {f"{settings.state.kafka.prefix}.{name}" for name in ("state", "sketches", "progress", "ledger")}
    for name, source in settings.sources.items():
        if source.topic in ours:
            yield Problem(
                "topic-loop",
                ("sources", name, "topic"),
                f"the topic {source.topic} is read and takes the state",
                help="set another state.kafka.prefix",
            )
        if settings.dead_letter_to(name) == "topic" and settings.dead_letter_topic(name) in ours:
            yield Problem(
                "topic-loop",
                ("sources", name, "dead_letter", "topic"),
                f"the topic {settings.dead_letter_topic(name)} takes the dead letters and the state",
                help="give the dead letters a topic of their own",
            )
    named = ("kafka", "properties", "group.instance.id")
    if "group.instance.id" in settings.kafka.properties and _is_literal(settings, named):
        yield Problem(
            "shared-name",
            named,
            "every replica needs a group.instance.id of its own",
            at_key=True,
            help="take it from the pod: ${env:POD_NAME}",
        )


def _is_literal(settings: Settings, steps: tuple[str | int, ...]) -> bool:
    leaf = settings.origin.leaf(steps)
    return leaf is None or not leaf.origins


def _sources(settings: Settings) -> Iterator[Problem]:
    topics: dict[str, str] = {}
    carried = Counter({name: len(settings.carried_by(name)) for name in settings.sources})
    dead = {
        settings.dead_letter_topic(name)
        for name in settings.sources
        if settings.dead_letter_to(name) == "topic"
    }
    for name, source in settings.sources.items():
        steps = ("sources", name)
        if source.topic in topics:
            yield Problem(
                "duplicate-topic",
                (*steps, "topic"),
                f"sources.{topics[source.topic]} already reads the topic {source.topic}",
                help="a topic is read once; it may carry several models",
            )
        topics.setdefault(source.topic, name)
        if source.topic in dead:
            yield Problem(
                "topic-loop",
                (*steps, "topic"),
                f"the topic {source.topic} is read and takes the dead letters",
                help="give the dead letters a topic of their own",
            )
        yield from _carried(settings, name, carried[name])
        yield from _dead_letter(settings, name)


def _carried(settings: Settings, name: str, count: int) -> Iterator[Problem]:
    steps = ("sources", name)
    if not count:
        text = f"sources.{name} carries no model; it is not read"
        yield Problem("unused", steps, text, level=Level.WARNING, at_key=True)
    if count > 1 and not settings.sources[name].fields.model:
        models, are_labels = settings.carried_by(name), settings.labels_of(name)
        what = f"labels of {count} models" if len(are_labels) == count else f"{count} models"
        own = "; or give the labels of each a topic and a source of their own" if are_labels else ""
        yield Problem(
            "ambiguous-model",
            (*steps, "fields"),
            f"sources.{name} carries {what} ({', '.join(models)}) but does not say how to tell them apart",
            at_key=True,
            help=f"name the field that holds the model in every record: fields: {{model: model}}{own}",
        )


def _dead_letter(settings: Settings, name: str) -> Iterator[Problem]:
    to = settings.dead_letter_to(name)
    for key, owner in (("path", "file"), ("topic", "topic")):
        steps = ("sources", name, "dead_letter", key)
        given = getattr(settings.sources[name].dead_letter, key)
        is_default = given == DeadLetter.model_fields[key].default
        if to != owner and settings.origin.mark(steps) and not is_default:
            text = f"sources.{name}.dead_letter.{key} has no effect with `to: {to}`"
            yield Problem("unused", steps, text, level=Level.WARNING, at_key=True)
