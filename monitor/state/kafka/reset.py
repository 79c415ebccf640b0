"""Removing what the state topic holds of a source partition."""

from __future__ import annotations

from collections.abc import Collection

from monitor.errors import StateError
from monitor.names import Source
from monitor.state.kafka.keys import partition_of_source, prefixes_of
from monitor.state.kafka.log import Topics
from monitor.state.kafka.logs import Logs, Place, Write
from monitor.state.kafka.shared import read


def reset(logs: Logs, topics: Topics, source: Source, keys: Collection[bytes]) -> None:
    """Tombstone `keys`, which are `Recovered.keys`: markers first, so that no part passes for a whole.

    Whoever writes the source meanwhile, or still believes to, makes its next checkpoints void by that.
    Raises StateError when there is something left that was written meanwhile.
    """
    place = Place(topics.state, partition_of_source(source, logs.partitions(topics.state)))
    logs.write([Write(place, key, None) for key in keys])
    left = read(logs, place, prefixes_of(source))
    if left:
        raise StateError(
            f"{len(left)} records came meanwhile - {source} in {place} - "
            "stop what writes this partition, and reset it again"
        )
