"""Records straight out of librdkafka, without a Python object for each.

Partitions are forwarded to a queue of our own; what is in it is copied by `kernels/gather.py` with the
interpreter's lock released, and given back to librdkafka before `take` returns.
"""

from __future__ import annotations

import ctypes
from collections.abc import Collection, Iterator

import numpy as np
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_NOT_AVAILABLE, Consumer
from numpy.typing import NDArray

from kernels import gather as g
from kernels.words import PADDING
from monitor.intake.batch import Fault, Run, Taken
from monitor.intake.library import NotFoundError, handle_of, is_known, library, tell
from monitor.intake.packed import Headers, Packed
from monitor.intake.pool import Pool
from monitor.names import Source

_POOLED = 6
"""Blocks that are kept: those of the polls in the pipeline, of the one being folded and of the next."""
_LARGEST = 32 << 20
"""Bytes of a block that is kept. A poll of usual records fills 5 MB; one of the largest ones ten times as
many, which would otherwise be held for ever."""


_CALLED = (
    "rd_kafka_message_timestamp",
    "rd_kafka_message_headers",
    "rd_kafka_header_get_all",
    "rd_kafka_message_destroy",
    "rd_kafka_message_leader_epoch",
)
"""What the kernel calls, in its order."""


class _Start(ctypes.Structure):
    """What `rd_kafka_message_t` begins with."""

    _fields_ = (
        ("err", ctypes.c_int32),
        ("topic", ctypes.c_void_p),
        ("partition", ctypes.c_int32),
        ("payload", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("key", ctypes.c_void_p),
        ("key_size", ctypes.c_size_t),
        ("offset", ctypes.c_int64),
    )


class Queue:
    """A queue of librdkafka that partitions of one consumer are forwarded to.

    Belongs to the consumer's thread. To be closed before the client is: librdkafka waits for its queues.
    """

    def __init__(self, handle: int, most: int) -> None:
        """`handle` is the client's address; `take` may ask for at most `most` records."""
        self._library = library()
        self._handle = handle
        self._pool = Pool(kept=_POOLED, largest=_LARGEST)
        self._records = np.zeros(most, np.int64)
        self._source = np.zeros(most, np.int32)
        self._found = np.zeros((most, g.FOUND), np.int64)
        self._scratch = np.zeros(4, np.int64)
        self._calls = np.array([*map(self._address, _CALLED), self._scratch.ctypes.data], np.int64)
        if not is_known():
            self._calls[g.EPOCH] = 0
        self._queue: int | None = self._library.rd_kafka_queue_new(handle)

    def __del__(self) -> None:
        """The collector calls this before it ends a client that was not closed, which would wait for us."""
        self.close()

    def forward(self, sources: Collection[Source]) -> None:
        """Have the records of these partitions come here, those that wait already first.

        The library forgets it when a partition is given up. Does nothing where it is so already.
        """
        for source in sources if self._queue is not None else ():
            theirs = self._library.rd_kafka_queue_get_partition(
                self._handle, source.topic.encode(), source.partition
            )
            if theirs is not None:
                self._library.rd_kafka_queue_forward(theirs, self._queue)
                self._library.rd_kafka_queue_destroy(theirs)

    def take(self, most: int, timeout: float) -> Taken:
        """At most `most` records, or as many as there are after `timeout` seconds.

        Whatever is raised, the library has its memory back; records in hand are lost then.
        """
        records = self._records[:most]
        count = self._library.rd_kafka_consume_batch_queue(
            self._queue, int(timeout * 1000), records.ctypes.data, len(records)
        )
        records = records[: max(count, 0)]
        try:
            runs = self._copy(records)
            return Taken(runs, [self._fault(int(record)) for record in records[records != 0]])
        finally:
            for record in records[records != 0].tolist():
                self._library.rd_kafka_message_destroy(record)

    def close(self) -> None:
        """Let go of what is queued. The partitions forwarded here hand out nothing any more."""
        queue, self._queue = self.__dict__.get("_queue"), None
        if queue is not None:
            self._library.rd_kafka_queue_destroy(queue)

    def _address(self, name: str) -> int:
        return ctypes.cast(self._library[name], ctypes.c_void_p).value or 0

    def _copy(self, records: NDArray[np.int64]) -> list[Run]:
        source = self._source[: len(records)]
        found = self._found[: g.survey(records, self._calls, source, self._found)]
        if not len(found):
            return []
        total = found.sum(axis=0)
        size = int(total[g.BYTES] + total[g.KEY_BYTES] + total[g.FIELD_BYTES]) + PADDING
        data, out, fields = self._pool.empty(
            ((size,), np.uint8),
            ((g.ROWS, int(total[g.RECORDS])), np.int64),
            ((g.PIECES, int(total[g.FIELDS])), np.int64),
        )
        data[-PADDING:] = 0
        # The records may be all that holds a topic: one that is gone and was given up.
        names = [self._topic(topic) for topic in found[:, g.TOPIC].tolist()]
        g.gather(records, self._calls, source, found, _places(found), data, out, fields)
        sources = [*map(Source, names, found[:, g.PARTITION].tolist())]
        return list(self._runs(sources, found, data, out, fields))

    def _runs(
        self,
        sources: list[Source],
        found: NDArray[np.int64],
        data: NDArray[np.uint8],
        out: NDArray[np.int64],
        fields: NDArray[np.int64],
    ) -> Iterator[Run]:
        """The records of each source."""
        names = Packed(data, fields[g.NAME_START], fields[g.NAME_END])
        contents = Packed(data, fields[g.VALUE_START], fields[g.VALUE_END], fields[g.VALUE_NULL] != 0)
        at = 0
        for source, row in zip(sources, found, strict=True):
            count = int(row[g.RECORDS])
            mine = out[:, at : at + count]
            at += count
            nulls = mine[g.IS_NULL] != 0
            timestamps = mine[g.TIME]
            timestamps[mine[g.KIND] == TIMESTAMP_NOT_AVAILABLE] = -1
            keys: Packed | list[bytes | None] = [None] * count
            if row[g.KEYS]:
                keys = Packed(data, mine[g.KEY_START], mine[g.KEY_END], mine[g.KEY_NULL] != 0)
            headers: Headers | list[None] = [None] * count
            if row[g.FIELDS]:
                headers = Headers(names, contents, mine[g.FIRST], mine[g.LAST])
            yield Run(
                source=source,
                values=Packed(data, mine[g.START], mine[g.END], nulls if nulls.any() else None),
                keys=keys,
                headers=headers,
                offsets=mine[g.OFFSET],
                timestamps=timestamps,
                appended=mine[g.KIND] == TIMESTAMP_LOG_APPEND_TIME,
            )

    def _topic(self, topic: int | None) -> str:
        return (self._library.rd_kafka_topic_name(topic) or b"").decode() if topic else ""

    def _fault(self, record: int) -> Fault:
        start = _Start.from_address(record)
        text = self._library.rd_kafka_message_errstr(record) or b""
        source = Source(self._topic(start.topic), int(start.partition))
        return Fault(source, int(start.err), text.decode("utf-8", "replace"), int(start.offset))


def open_queue(client: Consumer, client_id: str, most: int) -> Queue | None:
    """A queue of this client's; None, and a line in the log, where there is no way to librdkafka."""
    try:
        return Queue(handle_of(client, client_id), most)
    except NotFoundError as error:
        tell(str(error))
        return None


def _places(found: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the records of each source go: values first, then keys, then headers."""
    places = np.zeros((len(found), g.PLACES), np.int64)
    counted = (g.RECORDS, g.BYTES, g.KEY_BYTES, g.FIELDS, g.FIELD_BYTES)
    places[1:] = np.cumsum(found[:-1, counted], axis=0)
    places[:, g.KEY_AT] += found[:, g.BYTES].sum()
    places[:, g.FIELD_AT] += found[:, g.BYTES].sum() + found[:, g.KEY_BYTES].sum()
    return places
