"""Placeholders inside scalars: `${env:VAR}`, `${env:VAR:-default}`, `${env:VAR:?text}`, `${VAR}`,
`${file:/path}`; `$$` is a dollar sign.

Only values are substituted, never keys, after the files are merged; what comes in is not read
again for placeholders, so nothing from the environment can add settings.
"""

from __future__ import annotations

import dataclasses
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from monitor.config.finding import Problem, Steps, nearest
from monitor.config.tree import Branch, Items, Leaf, Node

MAX_FILE = 1 << 20
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SCHEMES = ("env", "file")


class _UnresolvedError(Exception):
    def __init__(self, code: str, text: str, *, suggestion: str = "", help: str = "") -> None:  # noqa: A002
        super().__init__(text)
        self.problem = Problem(code, (), text, suggestion=suggestion, help=help)


def substitute(node: Node, environ: Mapping[str, str]) -> tuple[Node, list[Problem]]:
    """The tree with all placeholders replaced, and what could not be."""
    problems: list[Problem] = []
    return _replace(node, (), environ, problems), problems


def _replace(node: Node, steps: Steps, environ: Mapping[str, str], problems: list[Problem]) -> Node:
    if isinstance(node, Branch):
        entries = {
            key: (mark, _replace(child, (*steps, key), environ, problems))
            for key, (mark, child) in node.entries.items()
        }
        return Branch(entries, node.mark)
    if isinstance(node, Items):
        return Items(
            tuple(_replace(child, (*steps, i), environ, problems) for i, child in enumerate(node.nodes)),
            node.mark,
        )
    return _scalar(node, steps, environ, problems) if "$" in node.text else node


def _scalar(leaf: Leaf, steps: Steps, environ: Mapping[str, str], problems: list[Problem]) -> Leaf:
    text, at = leaf.text, 0
    parts: list[str] = []
    origins: list[str] = []
    while (dollar := text.find("$", at)) >= 0:
        parts.append(text[at:dollar])
        follow = text[dollar + 1 : dollar + 2]
        if follow != "{":
            parts.append("$")
            at = dollar + (2 if follow == "$" else 1)
            continue
        end = text.find("}", dollar)
        span = (dollar, end + 1 if end >= 0 else len(text))
        try:
            value, origin = _lookup(text[dollar + 2 : end] if end >= 0 else None, leaf, environ)
        except _UnresolvedError as error:
            problems.append(dataclasses.replace(error.problem, steps=steps, span=span))
            value, origin = "", "failed"
        parts.append(value)
        origins.append(origin)
        at = span[1]
    parts.append(text[at:])
    whole = len(origins) == 1 and text.startswith("${") and text.find("}") == len(text) - 1
    return dataclasses.replace(leaf, text="".join(parts), origins=tuple(origins), whole=whole)


def _lookup(body: str | None, leaf: Leaf, environ: Mapping[str, str]) -> tuple[str, str]:
    if body is None:
        raise _UnresolvedError(
            "bad-placeholder", "`${` is never closed by `}`", help="write $$ for a dollar sign"
        )
    if "${" in body:
        raise _UnresolvedError("bad-placeholder", "placeholders cannot stand inside each other")
    scheme, colon, rest = body.partition(":")
    if colon and scheme == "file":
        return _read(rest, leaf), "file"
    if not colon or rest[:1] in {"-", "?"}:
        return _environment(body, environ), "env"
    if scheme == "env":
        return _environment(rest, environ), "env"
    raise _UnresolvedError(
        "bad-placeholder",
        f"`{scheme}:` is not a known kind of placeholder",
        suggestion=nearest(scheme, _SCHEMES),
        help="known: ${env:VAR} and ${file:/path}",
    )


def _environment(body: str, environ: Mapping[str, str]) -> str:
    name, mark, rest = body.partition(":")
    if not _NAME.fullmatch(name) or (mark and rest[:1] not in {"-", "?"}):
        raise _UnresolvedError(
            "bad-placeholder",
            f"`{body}` does not name an environment variable",
            help="write ${env:VAR}, ${env:VAR:-default} or ${env:VAR:?text}; $$ for a dollar sign",
        )
    if environ.get(name) or (name in environ and not mark):
        return environ[name]
    if mark and rest[0] == "-":
        return rest[1:]
    if mark:
        raise _UnresolvedError("unset-variable", rest[1:] or f"the environment variable {name} is not set")
    raise _UnresolvedError(
        "unset-variable",
        f"the environment variable {name} is not set",
        suggestion=nearest(name, environ),
        help=f"set it, or write ${{env:{name}:-default}}",
    )


def _read(name: str, leaf: Leaf) -> str:
    path = beside(name, leaf.mark.file)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE:
            raise _UnresolvedError("unreadable-file", f"{path} is not a file of at most 1 MiB")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise _UnresolvedError("unreadable-file", f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise _UnresolvedError("unreadable-file", f"{path} is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")


def beside(name: str, file: str) -> Path:
    """`name` as a path; a relative one starts in the directory of the configuration `file`."""
    return Path(name) if file.startswith("<") else Path(file).parent / name
