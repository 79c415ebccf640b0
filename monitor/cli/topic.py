"""How the commands that read a topic on their own reach it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from monitor.errors import UsageError

if TYPE_CHECKING:
    from monitor.config.values import KafkaPlan
    from monitor.reference.spool import Spool


def properties_of(brokers: str, pairs: Sequence[str]) -> dict[str, str]:
    """librdkafka properties of `--brokers` and `--property KEY=VALUE`."""
    found = {"bootstrap.servers": brokers}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"{pair.split('=')[0]!r} is no property - --property - KEY=VALUE is right")
        found[key] = value
    return found


def client_of(kafka: KafkaPlan) -> dict[str, str]:
    """librdkafka properties of a configuration, secrets in clear. Raises UsageError where one cannot be read."""
    try:
        return kafka.client()
    except OSError as error:
        raise UsageError(
            f"a secret cannot be read ({error.strerror}) - {error.filename} - a file that can be read is right"
        ) from error


def spool_topic(topic: str, properties: Mapping[str, str], *, since: str, until: str) -> Spool:
    """The records of a topic between two times, on disk, with a count on stderr."""
    from monitor.clock import SystemClock
    from monitor.intake.range import read_range
    from monitor.reference.spool import Spool

    now = SystemClock().now_ms()
    batches = read_range(
        properties, topic, since_ms=record_time(since, now=now), until_ms=record_time(until, now=now)
    )
    spool = Spool(topic, batches)
    click.echo(f"read {spool.size:,} records of {topic}", err=True)
    return spool


def record_time(text: str, *, now: int, where: str = "--since and --until, --from and --to") -> int | None:
    """Milliseconds since the epoch of `30d` or `30d ago`, an RFC 3339 time or milliseconds; None of ""."""
    from datetime import UTC, datetime

    from monitor.config.quantity import parse_duration

    if not text:
        return None
    if text.isdecimal():
        return int(text)
    try:
        return now - parse_duration(text.removesuffix(" ago"))
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no time - {where} - 2026-11-01T00:00:00Z, or 30d for 30 days ago, is right"
        ) from None
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
