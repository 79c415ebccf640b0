"""From the paths of a model to the arrays that direct the compiled scanner."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels import program as p
from kernels.intern import token_hash
from kernels.program import Program
from kernels.words import PADDING
from monitor.plan import Path

DEEPEST = 128
"""Levels that are scanned in place at most; deeper records go to the slower decoder, which says where
its own limit lies."""
TABLE = 1 << 10
"""Keys that a skipped value may have, times two."""
EXTRA_STEPS = 64
MOST_STEPS = 2_048
"""Values of a record that a template is made of: as many unread ones as read ones, or a few more."""

_TOKENS = {p.TOKEN, p.BOOLEAN, p.MODEL}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A path that is read: its kind, target and extra are those of `kernels.program`."""

    path: Path
    kind: int
    target: int = 0
    extra: int = 0


@dataclass(slots=True)
class _Node:
    field: int
    depth: int
    is_array: bool = False
    children: dict[str | int, int] = dataclasses.field(default_factory=dict)


class _Builder:
    def __init__(self) -> None:
        self.fields: list[list[int]] = []
        self.keys = bytearray()
        self.nodes = [_Node(field=-1, depth=1)]

    def add(self, leaf: Leaf) -> None:
        node = 0
        for place, part in enumerate(leaf.path):
            is_last = place == len(leaf.path) - 1
            self.nodes[node].is_array = isinstance(part, int)
            known = self.nodes[node].children.get(part)
            if known is None:
                known = self._field(node, part)
                if not is_last:
                    self.nodes.append(_Node(field=known, depth=self.nodes[node].depth + 1))
                    self.fields[known][p.FIELD_KIND] = p.NODE
                    self.fields[known][p.FIELD_EXTRA] = len(self.nodes) - 1
            if is_last:
                row = self.fields[known]
                row[p.FIELD_KIND], row[p.FIELD_TARGET], row[p.FIELD_EXTRA] = (
                    leaf.kind,
                    leaf.target,
                    leaf.extra,
                )
            node = self.fields[known][p.FIELD_EXTRA]

    def _field(self, node: int, part: str | int) -> int:
        number = self.nodes[node].children[part] = len(self.fields)
        row = [0] * p.FIELD_COLUMNS
        row[p.FIELD_NODE], row[p.FIELD_NEXT] = node, p.CLOSED
        if isinstance(part, str):
            key = part.encode()
            row[p.FIELD_KEY], row[p.FIELD_KEY_SIZE] = len(self.keys), len(key)
            self.keys += key
        self.fields.append(row)
        return number

    def elements(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """`nodes` and `elements` of the program."""
        rows = np.zeros((len(self.nodes), p.NODE_COLUMNS), np.int32)
        elements: list[int] = []
        for number, node in enumerate(self.nodes):
            rows[number, p.NODE_FIELD], rows[number, p.NODE_DEPTH] = node.field, node.depth
            if node.is_array:
                indices = [part for part in node.children if isinstance(part, int)]
                count = max(indices) + 1
                rows[number, [p.NODE_IS_ARRAY, p.NODE_ELEMENTS, p.NODE_COUNT]] = 1, len(elements), count
                elements += [node.children.get(index, -1) for index in range(count)]
        return rows.reshape(-1), np.array(elements or [-1], np.int32)


def build_program(
    leaves: Sequence[Leaf], *, max_bytes: int, max_depth: int, divisor: int, factor: int
) -> Program:
    """A program that knows no tokens yet. Each path once; they must not contradict each other.

    `divisor`, `factor`: milliseconds of an epoch time are value · factor ÷ divisor.
    """
    builder = _Builder()
    for leaf in leaves:
        builder.add(leaf)
    nodes, elements = builder.elements()
    count, node_count = len(builder.fields), len(builder.nodes)
    rows = count + p.LEARNT + 1
    fields = np.zeros((rows + node_count, p.FIELD_COLUMNS), np.int32)
    fields[:count] = np.array(builder.fields, np.int32).reshape(count, p.FIELD_COLUMNS)
    fields[:, p.FIELD_NEXT] = p.CLOSED
    fields[rows - 1, p.FIELD_KIND] = p.SKIP
    keys = np.zeros(len(builder.keys) + 32 * p.LEARNT + PADDING, np.uint8)
    keys[: len(builder.keys)] = np.frombuffer(builder.keys, np.uint8)
    settings = np.zeros(p.SETTINGS, np.int64)
    settings[p.LIMIT_DEPTH] = min(max_depth, DEEPEST)
    settings[p.LIMIT_BYTES] = max_bytes
    settings[[p.TIME_DIVISOR, p.TIME_FACTOR]] = divisor, factor
    steps = min(2 * count + EXTRA_STEPS, MOST_STEPS)
    settings[[p.LEAVES, p.SCHEMA_FIELDS, p.ROWS, p.STEPS]] = len(leaves), count, rows, steps
    program = Program(
        fields=fields.reshape(-1),
        nodes=nodes,
        elements=elements,
        keys=keys,
        edges=np.zeros((rows + node_count) * p.EDGE + PADDING, np.uint8),
        lookup=np.zeros(1 << (4 * rows).bit_length(), np.int32),
        table=np.zeros(2, np.int32),
        entries=np.zeros(4, np.int64),
        text=np.zeros(PADDING, np.uint8),
        settings=settings,
        counts=np.zeros(p.COUNTS, np.int64),
        objects=np.zeros(DEEPEST, np.int64),
        owners=np.zeros(TABLE, np.int64),
        hashes=np.zeros(TABLE, np.uint64),
        templates=np.zeros(p.TEMPLATE_COLUMNS + p.STEP_COLUMNS * (steps + 1) + count, np.int32),
        patterns=np.zeros(p.TEXT_PER_STEP * steps + PADDING, np.uint8),
        recent=np.zeros(_token_rows(leaves) * p.RECENT, np.int32),
        trace=np.zeros((steps + 2) * p.TRACE_COLUMNS, np.int64),
    )
    forget_keys(program)
    return program


def _token_rows(leaves: Sequence[Leaf]) -> int:
    return 1 + max((leaf.target for leaf in leaves if leaf.kind in _TOKENS), default=0)


def set_entries(program: Program, entries: Mapping[int, int]) -> None:
    """Give BOOLEAN and MODEL fields the entry they compare with, by row of `tokens`; a program knows no
    tokens when it is built."""
    fields = program.fields.reshape(-1, p.FIELD_COLUMNS)[: int(program.settings[p.SCHEMA_FIELDS])]
    for row in fields:
        if row[p.FIELD_KIND] in {p.BOOLEAN, p.MODEL}:
            row[p.FIELD_EXTRA] = entries[int(row[p.FIELD_TARGET])]


def forget_keys(program: Program) -> None:
    """Forget the unread keys that were met, and every order; those of the schema stay."""
    count = int(program.settings[p.SCHEMA_FIELDS])
    fields = program.fields.reshape(-1, p.FIELD_COLUMNS)
    fields[:, p.FIELD_NEXT] = p.CLOSED
    fields[:, p.FIELD_EDGE_SIZE] = 0
    used = max((int(row[p.FIELD_KEY] + row[p.FIELD_KEY_SIZE]) for row in fields[:count]), default=0)
    program.counts[[p.COUNT_FIELDS, p.COUNT_KEYS, p.COUNT_FULL]] = count, used, 0
    program.lookup[:] = 0
    program.templates[:] = 0
    mask = len(program.lookup) - 1
    nodes = program.nodes.reshape(-1, p.NODE_COLUMNS)
    for number in range(count):
        node, start, size = fields[number, [p.FIELD_NODE, p.FIELD_KEY, p.FIELD_KEY_SIZE]].tolist()
        if nodes[node, p.NODE_IS_ARRAY]:
            continue
        place = int(token_hash(program.keys, start, size, node)) & mask
        while program.lookup[place] > 0:
            place = (place + 1) & mask
        program.lookup[place] = number + 1
