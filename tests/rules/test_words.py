from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.rules.tree import report, sources

BANNED = {
    "baseline": "reference",
    "bucket": "bin",
    "handler": "the verb it does",
    "helper": "the noun it is",
    "manager": "the noun it is",
    "message": "record inside, alert outside",
    "monitor": "model",
    "util": "the noun it is",
}
EXCEPTIONS = {
    ("monitor/errors.py", "message"): "the text of an exception",
    ("monitor/deliver/pagerduty.py", "TokenBucket"): "the algorithm's name; no bin of a histogram",
    ("monitor/deliver/receiver.py", "log_message"): "overrides the method of http.server",
    ("monitor/web/security.py", "message"): "ASGI's own word for what send() takes",
}


def words(identifier: str) -> set[str]:
    """camelCase and snake_case words in the singular."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)
    return {part.lower().removesuffix("s") for part in parts}


def names(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every name that this file gives to something."""
    yield from ((1, part.removesuffix(".py")) for part in path.split("/")[1:])
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def test_the_vocabulary_has_no_synonyms() -> None:
    """One thing has one word, in files, classes, functions, arguments and variables."""
    breaches = []
    for path, tree in sources("monitor", "kernels"):
        for line, name in names(path, tree):
            found = sorted(words(name) & BANNED.keys())
            breaches += [
                f"{path}:{line}: {name} - say {BANNED[word]}"
                for word in found
                if (path, name) not in EXCEPTIONS
            ]
            if name == "process":
                breaches.append(f"{path}:{line}: {name} - say what it does")
    report(breaches, "banned words in names")
