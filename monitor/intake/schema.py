"""Dotted paths compiled into one msgspec decoder that reads them and skips everything else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Union

import msgspec
from msgspec.structs import astuple

from monitor.errors import IntakeError
from monitor.plan import Path

LARGEST_INDEX = 65_535
"""Every element before the one that is read becomes a field, so that an index costs its size."""
_UNREADABLE = re.compile(r'["\\\x00-\x1f]')
"""What msgspec refuses in the name of a field: JSON writes it in more than one way."""


@dataclass(frozen=True, slots=True)
class Vector:
    """Stands among types for a JSON array of exactly `length` numbers; null is none."""

    length: int
    __name__ = "array"


Types = frozenset[type | Vector]
ANYTHING: Types = frozenset({object})
"""Leaf that may hold any JSON value, arrays and objects too."""


@dataclass(slots=True)
class _Node:
    """One object or array on the way to a leaf. `columns` are its fields in struct order."""

    leaves: dict[str | int, Types] = field(default_factory=dict)
    nodes: dict[str | int, _Node] = field(default_factory=dict)
    columns: list[tuple[Path, _Node | None]] = field(default_factory=list)
    struct: type[msgspec.Struct] = msgspec.Struct
    empty: msgspec.Struct | None = None


class Schema:
    """Decodes records and turns them into one column per path.

    `leaves` maps each path to the types its value may have; null and absent are always allowed
    and both arrive as None (absent numbers as NaN). Immutable, safe to share between threads.
    Raises IntakeError when paths contradict each other.
    """

    def __init__(self, leaves: Mapping[Path, Types]) -> None:
        root = _Node()
        for path, types in leaves.items():
            _insert(root, path, types)
        _build(root, ())
        self._root = root
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(root.struct).decode
        """Raises msgspec.MsgspecError, UnicodeDecodeError or RecursionError."""

    def columns(self, records: Sequence[Any]) -> dict[Path, tuple[Any, ...]]:
        """The values of every path, one tuple per path, in the order of `records`."""
        found: dict[Path, tuple[Any, ...]] = {}
        _collect(self._root, records, found)
        return found


def show(path: Path) -> str:
    """A path as it is written in configurations: `inputs[0].data[3]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _insert(root: _Node, path: Path, types: Types) -> None:
    node = root
    for depth, part in enumerate(path):
        where = show(path[: depth + 1])
        if isinstance(part, int) and not 0 <= part <= LARGEST_INDEX:
            raise IntakeError(f"array index out of range - {where} - must lie in 0…{LARGEST_INDEX}")
        if isinstance(part, str) and _UNREADABLE.search(part):
            raise IntakeError(
                f"key that cannot be read - {where} - must have no quotes, backslashes or control characters"
            )
        siblings = node.leaves.keys() | node.nodes.keys()
        if any(isinstance(other, int) != isinstance(part, int) for other in siblings):
            raise IntakeError(f"read as an object and as an array - {where} - must be one of them")
        if depth == len(path) - 1:
            if part in node.nodes:
                raise IntakeError(f"read as a value and as an object - {where} - must be one of them")
            node.leaves[part] = node.leaves.get(part, frozenset()) | types
            if len({one.length for one in node.leaves[part] if isinstance(one, Vector)}) > 1:
                raise IntakeError(f"read as vectors of different length - {where} - must be one length")
        else:
            if part in node.leaves:
                raise IntakeError(f"read as a value and as an object - {where} - must be one of them")
            node = node.nodes.setdefault(part, _Node())


def _build(node: _Node, path: Path) -> None:
    """Define the structs of a node and all below it.

    Elements of an array that nobody reads are kept as unparsed bytes: a skip, in msgspec's terms.
    """
    parts = [*node.leaves, *node.nodes]
    is_array = bool(parts) and isinstance(parts[0], int)
    order = range(max(p for p in parts if isinstance(p, int)) + 1) if is_array else parts
    fields: list[tuple[str, Any, Any]] = []
    names: dict[str, str] = {}
    for number, part in enumerate(order):
        name = f"f{number}"
        names[name] = str(part)
        below = node.nodes.get(part)
        if below is not None:
            _build(below, (*path, part))
            fields.append((name, below.struct | None, None))
        elif part in node.leaves:
            fields.append((name, *_leaf(node.leaves[part])))
        else:
            fields.append((name, msgspec.Raw, msgspec.Raw(b"")))
        node.columns.append(((*path, part), below))
    node.struct = msgspec.defstruct(
        "Record",
        fields,
        rename=None if is_array else names,
        array_like=is_array,
        gc=False,
        eq=False,
    )
    node.empty = node.struct()


def _leaf(types: Types) -> tuple[Any, Any]:
    if object in types:
        return Any, None
    members = [_member(kind) for kind in sorted(types, key=lambda kind: kind.__name__)]
    return Union[(*members, None)], float("nan") if types == {float} else None


def _member(kind: type | Vector) -> Any:
    if isinstance(kind, Vector):
        return Annotated[list[float], msgspec.Meta(min_length=kind.length, max_length=kind.length)]
    return kind


def _collect(node: _Node, records: Sequence[Any], found: dict[Path, tuple[Any, ...]]) -> None:
    if None in records:
        records = [node.empty if record is None else record for record in records]
    columns = zip(*map(astuple, records), strict=True) if records else [()] * len(node.columns)
    for (path, below), column in zip(node.columns, columns, strict=bool(node.columns)):
        if below is None:
            found[path] = column
        else:
            _collect(below, column, found)
