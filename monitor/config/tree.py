"""The composed configuration: values that know their file, line and column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from monitor.config.finding import Mark, Steps


class Scalar(str):
    """A value on its way to a setting: its text, and how it was written.

    Settings of type text take the text; all others resolve it by the YAML 1.2 core rules, if it
    was written without quotes or came whole from a substitution.
    """

    __slots__ = ("leaf",)

    leaf: Leaf

    @property
    def is_typed(self) -> bool:
        return self.leaf.plain or self.leaf.whole

    @property
    def shown(self) -> str:
        """What an error may quote: a substituted value is never shown, its placeholder is."""
        return self.leaf.raw if self.leaf.origins else str(self)


@dataclass(frozen=True, slots=True, repr=False)
class Leaf:
    """A scalar. `raw` is its text before substitution, `origins` the schemes substituted in it."""

    text: str
    plain: bool
    mark: Mark
    raw: str = ""
    origins: tuple[str, ...] = ()
    whole: bool = False
    """The whole scalar was one placeholder."""


@dataclass(frozen=True, slots=True, repr=False)
class Branch:
    """A mapping: key → (place of the key, value)."""

    entries: dict[str, tuple[Mark, Node]]
    mark: Mark


@dataclass(frozen=True, slots=True, repr=False)
class Items:
    """A list."""

    nodes: tuple[Node, ...]
    mark: Mark


Node = Leaf | Branch | Items


def merge(base: Node, over: Node) -> Node:
    """`over` laid over `base`: maps are merged, lists and scalars replaced, null removes a key."""
    if not (isinstance(base, Branch) and isinstance(over, Branch)):
        return over
    entries = dict(base.entries)
    for key, (mark, node) in over.entries.items():
        if key not in entries:
            entries[key] = (mark, node)
        elif is_null(node):
            del entries[key]
        else:
            entries[key] = (mark, merge(entries[key][1], node))
    return Branch(entries, over.mark)


def is_null(node: Node) -> bool:
    return isinstance(node, Leaf) and node.plain and node.text in {"", "~", "null", "Null", "NULL"}


def to_data(node: Node) -> Any:
    """Dicts, lists and `Scalar`s, as the settings classes validate them."""
    if isinstance(node, Branch):
        return {key: to_data(child) for key, (_, child) in node.entries.items()}
    if isinstance(node, Items):
        return [to_data(child) for child in node.nodes]
    scalar = Scalar(node.text)
    scalar.leaf = node
    return scalar


def walk(node: Node, steps: Steps = ()) -> Iterator[tuple[Steps, Mark | None, Node]]:
    """Every node with its steps and the place of its key, outer ones first."""
    yield steps, None, node
    if isinstance(node, Branch):
        for key, (mark, child) in node.entries.items():
            for inner, inner_mark, leaf in walk(child, (*steps, key)):
                yield inner, inner_mark or (mark if inner == (*steps, key) else None), leaf
    elif isinstance(node, Items):
        for index, child in enumerate(node.nodes):
            yield from walk(child, (*steps, index))
