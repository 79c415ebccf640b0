"""Where rejected records go, so that none is lost in silence, and when too many do.

The original key, value and headers stay untouched; what is wrong, and when the record was made, stands beside
them in headers named as Kafka Connect names its own, with `__driftline` for `__connect`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from monitor.columns import Batch, Reject
from monitor.errors import DeadLetterError
from monitor.names import Reason
from monitor.plan import DeadLetterPlan

PREFIX = "__driftline.errors."
TIMESTAMP = f"{PREFIX}timestamp"
"""Of a letter in a topic: the record's own in milliseconds, -1 when it has none."""
LONGEST_TEXT = 1024
"""Characters of a header value: Connect's stack traces have exceeded the largest record before."""

STAGES = {
    Reason.DECODE: "decode",
    Reason.DUPLICATE_KEY: "decode",
    Reason.OVERSIZE: "size",
    Reason.DEPTH: "size",
    Reason.WRONG_TYPE: "schema",
    Reason.MISSING_FIELD: "map",
    Reason.UNKNOWN_MODEL: "map",
    Reason.BAD_TIME: "time",
    Reason.FUTURE: "time",
    Reason.LATE: "time",
}


class DeadLetters(Protocol):
    """Takes rejects. One thread at a time: the fold thread puts, the ingest thread does all else when that
    one has nothing left to do."""

    def put(self, batch: Batch, rejects: Sequence[Reject]) -> None:
        """Take the rejects of a batch; never raises for what is wrong outside, `flush` does."""
        ...

    def flush(self) -> None:
        """Make durable all that was put. Raises DeadLetterError: no offset of them may be covered.

        It may be called again; what was put is kept. After a crash some may be there twice, with
        the same topic, partition and offset.
        """
        ...

    def close(self) -> None:
        """Release files and connections. Does not flush."""
        ...


def flush_all(sinks: Mapping[str, DeadLetters], live: Callable[[], None]) -> dict[str, str]:
    """Make the rejects of every topic durable; why it was refused, by topic.

    A sink that does not answer takes its time, so each is asked once for all partitions, and `live` is
    called in between: else the loop would be kept longer than the liveness probe waits.
    """
    refused = {}
    for topic, sink in sinks.items():
        live()
        try:
            sink.flush()
        except DeadLetterError as error:
            refused[topic] = str(error)
    return refused


class Counted:
    """Drops rejects: they are counted, which the operator has said is enough."""

    def put(self, batch: Batch, rejects: Sequence[Reject]) -> None:
        pass

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


class Limit:
    """The share of rejects among the last `over` records of one partition.

    Counts whole batches: those that hold the last `over` records, so that one of 10,000 is judged
    by itself. Until `over` records were seen the missing ones count as good, so that a single bad
    record at the start is no catastrophe. A limit of 1 is never exceeded.
    """

    def __init__(self, limit: float, over: int) -> None:
        self._limit = limit
        self._over = max(over, 1)
        self._seen: deque[tuple[int, int]] = deque()
        """Rejects and records of the batches that may still count, oldest first."""
        self._held = 0

    def exceeds(self, rejects: int, records: int) -> bool:
        """Whether the share would lie above the limit with this batch; if not, the batch is counted."""
        bad, seen = rejects, records
        for old_rejects, old_records in reversed(self._seen):
            if seen >= self._over:
                break
            bad += old_rejects
            seen += old_records
        if self._limit < 1 and bad / max(seen, self._over) > self._limit:
            return True
        self._seen.append((rejects, records))
        self._held += records
        while self._held - self._seen[0][1] >= self._over:
            self._held -= self._seen.popleft()[1]
        return False


def error_fields(batch: Batch, reject: Reject) -> dict[str, str]:
    """What is said about a reject, by header name."""
    fields = {
        "topic": batch.source.topic,
        "partition": str(batch.source.partition),
        "offset": str(int(batch.offsets[reject.index])),
        "class.name": "driftline",
        "stage": STAGES[reject.reason],
        "reason": str(reject.reason),
        "exception.message": reject.detail[:LONGEST_TEXT],
    }
    if reject.model:
        fields["model"] = reject.model[:LONGEST_TEXT]
    return {PREFIX + name: text for name, text in fields.items()}


def open_dead_letters(
    plan: DeadLetterPlan, *, topic: str, properties: Mapping[str, Any], base: str = ""
) -> DeadLetters:
    """The dead letters of an input topic.

    A path is relative to `base`; without one the file is `dead-letters.jsonl`, the topic
    `<input topic>.dead-letters`. `properties` are librdkafka's, used for a topic only.
    """
    if plan.to == "count":
        return Counted()
    if plan.to == "topic":
        from monitor.intake.dead_topic import TopicDeadLetters

        return TopicDeadLetters(plan.path or f"{topic}.dead-letters", properties)
    from monitor.intake.dead_file import FileDeadLetters

    return FileDeadLetters(Path(base) / (plan.path or "dead-letters.jsonl"), max_bytes=plan.max_bytes)
