"""Batches as they lie on a broker's disk, damaged ones too, put into a partition by hand."""

from __future__ import annotations

import socket
import struct

ZSTD = 4
PRODUCE, VERSION = 0, 7


def _varint(number):
    number = number << 1 ^ number >> 63
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def batch(values, *, timestamp=1000, codec=0, payload=None, flip=None):
    """A batch of format 2. `payload` stands for its records; `flip` is a byte of them that is damaged after the
    checksum was made."""
    records = b""
    for number, value in enumerate(values):
        body = b"\0\0" + _varint(number) + b"\1" + _varint(len(value)) + value + b"\0"
        records += _varint(len(body)) + body
    records = bytearray(records if payload is None else payload)
    head = struct.pack(">hiqqqhii", codec, len(values) - 1, timestamp, timestamp, -1, -1, -1, len(values))
    crc = _crc32c(head + records)
    if flip is not None:
        records[flip] ^= 0x55
    inner = struct.pack(">ibI", 0, 2, crc) + head + records
    return struct.pack(">qi", 0, len(inner)) + inner


def _text(text):
    return struct.pack(">h", len(text)) + text.encode()


def append(broker, topic, partition, data):
    """Have brokers that do not look at them take bytes for a batch; the one that leads the partition does."""
    head = struct.pack(">hhi", PRODUCE, VERSION, 1) + _text("raw") + struct.pack(">hhi", -1, -1, 10_000)
    body = head + struct.pack(">i", 1) + _text(topic) + struct.pack(">iii", 1, partition, len(data)) + data
    answers = [_asked(address, body) for address in broker.bootstrap.split(",")]
    at = 4 + 4 + 2 + len(topic) + 4 + 4
    assert [answer[at : at + 2] for answer in answers].count(b"\0\0") == 1, answers


def _asked(address, body):
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as wire:
        wire.sendall(struct.pack(">i", len(body)) + body)
        (size,) = struct.unpack(">i", wire.recv(4, socket.MSG_WAITALL))
        return wire.recv(size, socket.MSG_WAITALL)
