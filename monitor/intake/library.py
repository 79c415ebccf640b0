"""The librdkafka inside the client library: functions of its own C interface, and a client's place in memory.

The client library makes a Python object for every record, under the interpreter's lock, which takes longer
than everything that becomes of the record here. So records are taken from librdkafka itself (`fetch.py`);
all else stays with the client library. It says nowhere where its `rd_kafka_t` lies, so that is read from its
object, and believed only when the name that stands there is the client's.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import sysconfig
from functools import cache

import structlog
from confluent_kafka import Consumer, cimpl

log = structlog.get_logger(__name__)

_ADDRESS, _INT, _SIZE = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
_FUNCTIONS = {
    "rd_kafka_version": (_INT, ()),
    "rd_kafka_name": (_ADDRESS, (_ADDRESS,)),
    "rd_kafka_topic_name": (ctypes.c_char_p, (_ADDRESS,)),
    "rd_kafka_queue_new": (_ADDRESS, (_ADDRESS,)),
    "rd_kafka_queue_get_partition": (_ADDRESS, (_ADDRESS, ctypes.c_char_p, ctypes.c_int32)),
    "rd_kafka_queue_forward": (None, (_ADDRESS, _ADDRESS)),
    "rd_kafka_queue_destroy": (None, (_ADDRESS,)),
    "rd_kafka_consume_batch_queue": (ctypes.c_ssize_t, (_ADDRESS, _INT, _ADDRESS, _SIZE)),
    "rd_kafka_message_errstr": (ctypes.c_char_p, (_ADDRESS,)),
    "rd_kafka_message_timestamp": (ctypes.c_int64, (_ADDRESS, _ADDRESS)),
    "rd_kafka_message_headers": (_INT, (_ADDRESS, _ADDRESS)),
    "rd_kafka_header_get_all": (_INT, (_ADDRESS, _SIZE, _ADDRESS, _ADDRESS, _ADDRESS)),
    "rd_kafka_message_destroy": (None, (_ADDRESS,)),
    "rd_kafka_message_leader_epoch": (ctypes.c_int32, (_ADDRESS,)),
}
"""Result and arguments of what is called, as rdkafka.h of version 2 declares them."""
_MAJOR = 2
_KNOWN = 0x0210
"""The newest version, 2.16, that was looked at for where it keeps values: in the broker's answer, unpacked
where it was packed, each with the number of its headers behind it (rdkafka_msgset_reader.c)."""
_STRUCT = 1 << 16
"""Bytes, more than an `rd_kafka_t` takes up to its name (2,728 in version 2.16)."""
_NAME = 128
"""Bytes of the name in it."""


class NotFoundError(Exception):
    """Records cannot be taken from librdkafka itself here; the text says why."""


@cache
def library() -> ctypes.CDLL:
    """The very librdkafka that the client library calls. Raises NotFoundError.

    Looked for through the client library's own module, so that it is never another one of this process.
    """
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise NotFoundError("another Python than the one whose objects are known")
    try:
        found = ctypes.CDLL(cimpl.__file__)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(found, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError, TypeError) as error:
        raise NotFoundError(f"no librdkafka - {error}") from error
    if found.rd_kafka_version() >> 24 != _MAJOR:
        raise NotFoundError(f"librdkafka {found.rd_kafka_version():x} - another version than {_MAJOR}")
    return found


def is_known() -> bool:
    """Whether this librdkafka was looked at more closely than its interface says."""
    return bool(library().rd_kafka_version() >> 16 <= _KNOWN)


def handle_of(client: Consumer, client_id: str) -> int:
    """Address of the client's `rd_kafka_t`. Raises NotFoundError when what lies there is not its.

    The pointer is the first field of the client's object. Nothing is believed: memory is read through
    the system, which refuses a wrong address where a plain look would end the process.
    """
    found = int.from_bytes(_memory(id(client) + object.__basicsize__, 8), sys.byteorder)
    name = _memory(found + _name_offset(), _NAME).partition(b"\0")[0].decode("utf-8", "replace")
    if re.fullmatch(re.escape(client_id) + r"#consumer-\d+", name) is None:
        raise NotFoundError("the client library's object looks different")
    return found


@cache
def _name_offset() -> int:
    """How far into an `rd_kafka_t` its name lies: the library tells of any address, and reads nothing.

    Asked about a piece of zeros. If it did follow a pointer there the answer would lie elsewhere.
    """
    zeros = ctypes.create_string_buffer(_STRUCT)
    start = ctypes.addressof(zeros)
    offset = (library().rd_kafka_name(start) or 0) - start
    if not 0 < offset < _STRUCT - _NAME:
        raise NotFoundError("librdkafka does not say where a name lies")
    return int(offset)


def _memory(address: int, size: int) -> bytes:
    """Bytes of this process. Raises NotFoundError where there are none, and off Linux."""
    try:
        file = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.pread(file, size, address)
        finally:
            os.close(file)
    except (OSError, OverflowError, AttributeError) as error:
        raise NotFoundError(f"memory cannot be read - {error}") from error
    if len(found) < size:
        raise NotFoundError("memory cannot be read")
    return found


@cache
def tell(reason: str) -> None:
    """Log, once for each reason, that records go the longer way."""
    log.info("records_fetched_by_client_library", reason=reason)
