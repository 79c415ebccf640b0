"""Where each setting stands in the files, and what of those lines may be shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.config.finding import Finding, Mark, Problem, Steps, dotted
from monitor.config.sensitive import IN_URL, MASK, is_sensitive, mask_loose, may_show
from monitor.config.substitute import beside
from monitor.config.tree import Branch, Items, Leaf, Node, walk
from monitor.secret import Secret

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, repr=False)
class Origin:
    """The merged tree after substitution, the lines of all files, and the spans of secrets in them.

    `masked` maps a file to line → spans of secrets; a file without a tree is missing from it.
    """

    tree: Node = field(default_factory=lambda: Branch({}, Mark("", 1, 1, 2)))
    lines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    masked: Mapping[str, Mapping[int, Sequence[Span]]] = field(default_factory=dict)

    def node(self, steps: Steps) -> tuple[Steps, Mark | None, Node]:
        """The deepest node on the way to `steps`: (its steps, the place of its key, node)."""
        node, place, at = self.tree, None, 0
        for step in steps:
            if isinstance(node, Branch) and isinstance(step, str) and step in node.entries:
                place, node = node.entries[step]
            elif isinstance(node, Items) and isinstance(step, int) and 0 <= step < len(node.nodes):
                place, node = None, node.nodes[step]
            else:
                break
            at += 1
        return steps[:at], place, node

    def leaf(self, steps: Steps) -> Leaf | None:
        """The scalar at `steps`, also where it is written in shorthand."""
        found, _, node = self.node(steps)
        return node if isinstance(node, Leaf) and len(steps) - len(found) <= 1 else None

    def mark(self, steps: Steps) -> Mark | None:
        """Where the value at `steps` stands; None when it is a default."""
        found, key, node = self.node(steps)
        is_short = isinstance(node, Leaf) and len(steps) - len(found) == 1
        return (key or node.mark) if found == steps or is_short else None

    def beside(self, steps: Steps, name: str) -> Path:
        """A file named at `steps`; a relative one lies beside the configuration file."""
        _, key, node = self.node(steps)
        return beside(name, (key or node.mark).file or "<none>")

    def secret(self, group: Any, field: str, steps: Steps, *, file: str = "") -> Secret:
        """The secret of the twins `field` and `field_file`; a relative file at `steps` lies beside
        the configuration file."""
        path = getattr(group, file or f"{field}_file")
        if path:
            return Secret(file=str(self.beside(steps, path)))
        given = getattr(group, field)
        return given if isinstance(given, Secret) else Secret()

    def locate(self, problem: Problem) -> Finding:
        """The problem with its file, line, masked source line and caret."""
        found, key, node = self.node(problem.steps)
        is_visible = isinstance(node, Leaf) and bool(node.raw)
        mark = problem.mark or (key if key and (problem.at_key or not is_visible) else node.mark)
        is_short = isinstance(node, Leaf) and len(problem.steps) - len(found) == 1 and not problem.at_key
        if found != problem.steps and key and not problem.mark and not is_short:
            mark = key
        if not mark.file:
            return Finding(
                problem.level,
                problem.code,
                dotted(problem.steps),
                problem.text,
                suggestion=problem.suggestion,
                help=problem.help,
            )
        if problem.span and isinstance(node, Leaf) and not problem.mark:
            mark = _narrow(mark, node, problem.span)
        source, caret = self._show(mark)
        return Finding(
            problem.level,
            problem.code,
            dotted(problem.steps),
            problem.text,
            mark,
            source,
            caret,
            problem.suggestion,
            problem.help,
        )

    def _show(self, mark: Mark) -> tuple[str, Span]:
        lines = self.lines.get(mark.file, ())
        if not 0 < mark.line <= len(lines):
            return "", (0, 0)
        line = lines[mark.line - 1].rstrip("\r\n").replace("\t", " ")
        if mark.file not in self.masked:
            shown = mask_loose(line)
            return shown, _clip((mark.column - 1, mark.end - 1), shown)
        spans = sorted(
            [*self.masked[mark.file].get(mark.line, ()), *(m.span() for m in IN_URL.finditer(line))]
        )
        return _mask(line, spans, (mark.column - 1, mark.end - 1))


def read_spans(tree: Node, leaves: Iterable[tuple[Steps, Leaf]] = ()) -> dict[int, list[Span]]:
    """Line → spans of secrets in one file; `leaves` may hold scalars that are not in its tree."""
    spans: dict[int, list[Span]] = {}
    for steps, node in [*((steps, node) for steps, _, node in walk(tree)), *leaves]:
        if isinstance(node, Leaf) and node.text and is_sensitive(steps) and not may_show(node):
            mark = node.mark
            last = max(mark.last, mark.line)
            for line in range(mark.line, last + 1):
                start = mark.column - 1 if line == mark.line else 0
                end = mark.end - 1 if line == last and last == mark.line else 1 << 30
                spans.setdefault(line, []).append((start, end))
    return spans


def _narrow(mark: Mark, leaf: Leaf, span: Span) -> Mark:
    """The mark of a part of a scalar; the whole where quotes or folds may have moved it."""
    quote = 0 if leaf.plain else 1
    if mark.end - mark.column != len(leaf.raw) + 2 * quote:
        return mark
    return Mark(mark.file, mark.line, mark.column + quote + span[0], mark.column + quote + span[1], mark.line)


def _mask(line: str, spans: list[Span], caret: Span) -> tuple[str, Span]:
    shown, at = "", 0
    start, end = caret
    moved_start, moved_end = start, end
    for low, high in spans:
        high = min(high, len(line))  # noqa: PLW2901
        if low < at or low >= high:
            continue
        shown += line[at:low] + MASK
        shift = len(MASK) - (high - low)
        moved_start += shift if start >= high else (low - start if start > low else 0)
        moved_end += shift if end >= high else (low + len(MASK) - end if end > low else 0)
        at = high
    shown += line[at:]
    return shown, _clip((moved_start, moved_end), shown)


def _clip(caret: Span, line: str) -> Span:
    start = min(max(caret[0], 0), len(line))
    return start, max(min(caret[1], len(line)), start + 1)
