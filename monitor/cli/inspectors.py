"""Which state log a command looks into: a state directory, or what a configuration names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from monitor.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.config.settings import Settings
    from monitor.config.values import StatePlan
    from monitor.names import Source
    from monitor.state.inventory import Inspector
    from monitor.state.kafka.log import Topics


class Where(NamedTuple):
    """What `--config` and `--state-dir` say."""

    settings: Settings | None
    directory: Path | None
    """None: the state is shared through Kafka."""

    @property
    def plan(self) -> StatePlan:
        from monitor.config.plans import plan_state
        from monitor.config.values import StatePlan

        return StatePlan() if self.settings is None else plan_state(self.settings)

    @property
    def topics(self) -> Topics:
        from monitor.state.kafka.cluster import topics_of

        return topics_of(self.plan.kafka.prefix)

    def properties(self) -> dict[str, str]:
        """How Kafka is reached; nothing where no configuration says it."""
        from monitor.cli.topic import client_of
        from monitor.config.plans import plan_kafka

        return {} if self.settings is None else client_of(plan_kafka(self.settings))

    @contextlib.contextmanager
    def opened(self) -> Iterator[Inspector]:
        """Writes nothing, joins nothing. Raises StateError."""
        if self.directory is not None:
            from monitor.state.inspector import LocalInspector

            found: Inspector = LocalInspector(self.directory)
        else:
            from monitor.clock import SystemClock
            from monitor.state.kafka.broker import ReadingBroker
            from monitor.state.kafka.inspector import KafkaInspector

            logs = ReadingBroker(self.properties(), clock=SystemClock())
            found = KafkaInspector(logs, self.topics, place=self.plan.kafka.prefix, close=logs.close)
        with contextlib.closing(found):
            yield found


def where(config: tuple[str, ...], state_dir: str) -> Where:
    """A directory that is named goes before what the configuration says.

    Raises UsageError where nothing is named, ConfigError.
    """
    from pathlib import Path

    from monitor.config.load import load
    from monitor.config.plans import plan_state

    if not config and not state_dir:
        raise UsageError("nothing says where the state is - state - --config, or --state-dir, is right")
    settings = load(config) if config else None
    if state_dir:
        return Where(settings, Path(state_dir))
    assert settings is not None
    plan = plan_state(settings)
    return Where(settings, Path(plan.dir) if plan.log == "local" else None)


def source_of(text: str) -> Source:
    """The source partition of `topic/3`. Raises UsageError."""
    from monitor.names import Source

    topic, slash, number = text.rpartition("/")
    if not slash or not topic or not number.isdecimal():
        raise UsageError(f"{text!r} is no source partition - SOURCE - topic/3 is right")
    return Source(topic, int(number))
