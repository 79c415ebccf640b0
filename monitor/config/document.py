"""Strict YAML: one document, YAML 1.2 core scalars, no tags, no merge keys, no duplicate keys."""

from __future__ import annotations

import re
from typing import Any

import yaml

from monitor.config.finding import Mark, Problem, Steps
from monitor.config.tree import Branch, Items, Leaf, Node

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_DEPTH = 40
"""Settings nest nine deep at most; beyond this a file is not a configuration but an attack."""
MAX_NODES = 200_000
"""Aliases multiply nodes: 200,000 is about 5,000 features with a contract each."""

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")


def resolve(text: str) -> str | int | float | bool | None:
    """The value of a scalar written without quotes, by the YAML 1.2 core rules.

    So `1e3` is a number, and `on`, `NO`, `1:30`, `0x1f`, `1_000` and 2026-01-01 are texts; `010` is ten.
    Integers of more than 30 digits are floats.
    """
    if text in {"", "~", "null", "Null", "NULL"}:
        return None
    if text in {"true", "false"}:
        return text == "true"
    if _INT.fullmatch(text):
        return int(text) if len(text) <= 30 else float(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return float("nan") if text in {".nan", ".NaN", ".NAN"} else text


class Composer:
    """Builds the tree of one file, noting every problem it can go on from."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._lines = text.split("\n")
        self._loader = LOADER(text)
        self._anchors: dict[str, Node | None] = {}
        self._nodes = 0
        self.leaves: list[tuple[Steps, Leaf]] = []
        """Every scalar value, those of dropped duplicates too: they may hold secrets."""

    def compose(self) -> Node | None:
        """The tree; None when there is none to go on with (`problems` says why)."""
        try:
            return self._document()
        except yaml.YAMLError as error:
            self._syntax(error)
        except _StopError:
            pass
        finally:
            self._loader.dispose()
        return None

    def _document(self) -> Node | None:
        self._loader.get_event()
        first = self._loader.get_event()
        if isinstance(first, yaml.StreamEndEvent):
            return Branch({}, Mark(self.file, 1, 1, 2))
        node = self._node(self._loader.get_event(), ())
        self._loader.get_event()
        after = self._loader.get_event()
        if not isinstance(after, yaml.StreamEndEvent):
            self._note(
                "yaml-documents",
                (),
                "a second document begins here",
                after,
                help="a configuration is one document; layer files with --config instead",
            )
        if isinstance(node, Leaf) and node.plain and node.text == "":
            return Branch({}, node.mark)
        if not isinstance(node, Branch):
            self.problems.append(
                Problem(
                    "wrong-type",
                    (),
                    "the file holds no settings",
                    mark=node.mark,
                    help="a configuration is a mapping: version, kafka, sources, models, …",
                )
            )
            return None
        return node

    def _node(self, event: Any, steps: Steps) -> Node:
        self._nodes += 1
        if len(steps) > MAX_DEPTH or self._nodes > MAX_NODES:
            self._note(
                "yaml-size",
                steps[:3],
                "nested too deep, or too large",
                event,
                help=f"at most {MAX_DEPTH} levels and {MAX_NODES} values",
            )
            raise _StopError
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, steps)
        if event.tag is not None and not (event.tag == "!" and isinstance(event, yaml.ScalarEvent)):
            self._note(
                "yaml-tag",
                steps,
                f"the tag {event.tag} is not allowed",
                event,
                help="write the plain value; text is quoted",
            )
        anchor = event.anchor
        if anchor:
            self._anchors[anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            leaf = Leaf(event.value, bool(event.implicit[0]), self._mark(event), event.value)
            self.leaves.append((steps, leaf))
            node: Node = leaf
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._items(event, steps)
        else:
            node = self._branch(event, steps)
        if anchor:
            self._anchors[anchor] = node
        return node

    def _alias(self, event: Any, steps: Steps) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            self._note("yaml-alias", steps, f"the alias *{event.anchor} has no anchor before it", event)
            raise _StopError
        self._nodes += _size(node)
        return node

    def _items(self, start: Any, steps: Steps) -> Items:
        nodes: list[Node] = []
        while not isinstance(event := self._loader.get_event(), yaml.SequenceEndEvent):
            nodes.append(self._node(event, (*steps, len(nodes))))
        return Items(tuple(nodes), self._mark(start))

    def _branch(self, start: Any, steps: Steps) -> Branch:
        entries: dict[str, tuple[Mark, Node]] = {}
        while not isinstance(event := self._loader.get_event(), yaml.MappingEndEvent):
            key = self._node(event, steps)
            mark = self._mark(event)
            name = self._key(key, event, steps, entries)
            value = self._node(self._loader.get_event(), (*steps, key.text if isinstance(key, Leaf) else "?"))
            if name is not None:
                entries[name] = (mark, value)
        return Branch(entries, self._mark(start))

    def _key(self, key: Node, event: Any, steps: Steps, seen: dict[str, tuple[Mark, Node]]) -> str | None:
        if not isinstance(key, Leaf) or (key.plain and key.text == ""):
            self._note("yaml-key", steps, "a key must be a text", event)
            return None
        if key.plain and key.text == "<<":
            self._note(
                "yaml-merge-key",
                (*steps, "<<"),
                "merge keys are not part of YAML 1.2",
                event,
                help="an alias may stand for a whole value: features: *common",
            )
            return None
        if key.text in seen:
            first = seen[key.text][0]
            self._note(
                "duplicate-key",
                (*steps, key.text),
                f"the key `{key.text}` stands twice: first in line {first.line}, "
                f"again in line {event.start_mark.line + 1}",
                event,
                help=f"remove one; the first stands at {first}",
            )
            return None
        return key.text

    def _mark(self, event: Any) -> Mark:
        start, end = event.start_mark, event.end_mark
        line = self._lines[start.line] if start.line < len(self._lines) else ""
        last = end.column if end.line == start.line else len(line.rstrip())
        return Mark(
            self.file, start.line + 1, start.column + 1, max(last, start.column + 1) + 1, end.line + 1
        )

    def _note(self, code: str, steps: Steps, text: str, event: Any, *, help: str = "") -> None:  # noqa: A002
        self.problems.append(Problem(code, steps, text, help=help, mark=self._mark(event)))

    def _syntax(self, error: yaml.YAMLError) -> None:
        place = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        text = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
        line = place.line + 1 if place else 1
        column = place.column + 1 if place else 1
        context = getattr(error, "context", None)
        self.problems.append(
            Problem(
                "yaml-syntax",
                (),
                f"not valid YAML: {text}" + (f" ({context})" if context else ""),
                mark=Mark(self.file, line, column, column + 1),
            )
        )


class _StopError(Exception):
    """The rest of the file cannot be read; the problem is noted."""


def _size(node: Node) -> int:
    if isinstance(node, Branch):
        return 1 + sum(1 + _size(child) for _, child in node.entries.values())
    return 1 + sum(map(_size, node.nodes)) if isinstance(node, Items) else 1
