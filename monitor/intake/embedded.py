"""A Kafka cluster inside this process: librdkafka's mock, which every confluent-kafka wheel holds."""

from __future__ import annotations

import ctypes
from types import TracebackType
from typing import Self

from confluent_kafka import cimpl

from monitor.errors import IntakeError

_PRODUCER = 0
_NOT_AN_ERROR = 0


class EmbeddedBroker:
    """A mock cluster with real client protocol: groups, commits, end offsets, retention by size.

    For the demo and for tests. It keeps everything in memory, and of each partition only the
    newest 5 MiB: a consumer that falls further behind meets a gap. It has no time index (asked
    for the offset of a time it answers "none"), no transactions, no compaction, no security.
    Lives until `close`; usable from any thread. Raises IntakeError when the library refuses.
    """

    def __init__(self, *, brokers: int = 1) -> None:
        library = _library()
        self._library = library
        text = ctypes.create_string_buffer(512)
        conf = library.rd_kafka_conf_new()
        for name, value in ((b"test.mock.num.brokers", str(brokers).encode()), (b"log_level", b"0")):
            if library.rd_kafka_conf_set(conf, name, value, text, len(text)) != _NOT_AN_ERROR:
                raise IntakeError(f"no embedded broker - {name.decode()} - {text.value.decode()}")
        self._handle = library.rd_kafka_new(_PRODUCER, conf, text, len(text))
        if not self._handle:
            raise IntakeError(f"no embedded broker - the client library - {text.value.decode()}")
        self.cluster = library.rd_kafka_handle_mock_cluster(self._handle)
        """Address of the C cluster, for `call`."""
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(self.cluster, 0)
        self.bootstrap: str = library.rd_kafka_mock_cluster_bootstraps(self.cluster).decode()
        """Value for `bootstrap.servers`."""

    def create_topic(self, name: str, *, partitions: int = 1) -> None:
        """Create an empty topic. Topics that are only written to or read get 4 partitions."""
        self.call("rd_kafka_mock_topic_create", name.encode(), partitions, 1)

    def delete_records(self, topic: str, partition: int, *, before: int) -> None:
        """Drop the records below an offset, as retention does."""
        self.call("rd_kafka_mock_partition_delete_records", topic.encode(), partition, ctypes.c_int64(before))

    def set_down(self, broker: int = 1) -> None:
        """Close the connections of a broker and refuse new ones."""
        self.call("rd_kafka_mock_broker_set_down", broker)

    def set_up(self, broker: int = 1) -> None:
        self.call("rd_kafka_mock_broker_set_up", broker)

    def fail(self, api: int, *errors: int) -> None:
        """Answer the next requests of a kind (its number in Kafka's protocol) with these error codes."""
        codes = (ctypes.c_int * len(errors))(*errors)
        function = self._library.rd_kafka_mock_push_request_errors_array
        function(ctypes.c_void_p(self.cluster), ctypes.c_int16(api), ctypes.c_size_t(len(errors)), codes)

    def call(self, function: str, *arguments: object) -> None:
        """Call a function `rd_kafka_mock_…(cluster, *arguments)`. Raises IntakeError when it refuses."""
        if not self._handle:
            raise IntakeError(f"closed - {function} - call it before close")
        code = getattr(self._library, function)(ctypes.c_void_p(self.cluster), *arguments)
        if code != _NOT_AN_ERROR:
            name = self._library.rd_kafka_err2str(code).decode()
            raise IntakeError(f"embedded broker refused - {function} - {name}")

    def close(self) -> None:
        """Stop the cluster and free what it keeps. Clients that are still open find it down."""
        if self._handle:
            self._library.rd_kafka_destroy(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _library() -> ctypes.CDLL:
    """The librdkafka that confluent-kafka runs on, whether the wheel holds it or the system does.

    Symbols are looked up through the extension module: a lookup covers what it is linked to.
    """
    library = ctypes.CDLL(cimpl.__file__)
    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    for name, result, arguments in (
        ("rd_kafka_conf_new", pointer, []),
        ("rd_kafka_conf_set", ctypes.c_int, [pointer, text, text, text, size]),
        ("rd_kafka_new", pointer, [ctypes.c_int, pointer, text, size]),
        ("rd_kafka_handle_mock_cluster", pointer, [pointer]),
        ("rd_kafka_mock_cluster_bootstraps", text, [pointer]),
        ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, [pointer, ctypes.c_int32]),
        ("rd_kafka_destroy", None, [pointer]),
        ("rd_kafka_err2str", text, [ctypes.c_int]),
    ):
        try:
            function = getattr(library, name)
        except AttributeError as error:
            raise IntakeError(
                f"no embedded broker - {name} - confluent-kafka 2.15 or later has it"
            ) from error
        function.restype = result
        function.argtypes = arguments
    return library
