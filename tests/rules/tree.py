"""The tree that the house rules read: files, syntax, and one way to report breaches."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """(path from the root, syntax tree) of every Python file in `folders`."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), parse(path)


@functools.cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def kernels_of(tree: ast.AST) -> Iterator[tuple[Function, str]]:
    """Every compiled function with its first signature; one that is inlined has none."""
    for function in functions(tree):
        for decorator in function.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) in {"kernel", "bare_kernel"}:
                yield function, _signature(decorator.args[0])
            elif ast.unparse(decorator) == "inline":
                yield function, ""


def _signature(text: ast.expr) -> str:
    """The signature as written, with what it shares with others filled in as an array."""
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "array[::1]" for part in parts)


def imports(tree: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """(line, module, whether at import time); `from a import b` yields a.b."""
    inside = {id(node) for function in functions(tree) for node in ast.walk(function)}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            yield node.lineno, name, id(node) not in inside


def within(name: str, *modules: str) -> bool:
    """Whether a dotted name is one of `modules` or inside one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def committed() -> list[Path]:
    """Every file that git tracks or would track; all but hidden ones where there is no git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]
    visible = (p for p in ROOT.rglob("*") if not any(s[0] in "._" for s in p.relative_to(ROOT).parts))
    return [path for path in visible if path.is_file()]


def report(breaches: Iterable[str], rule: str) -> None:
    """Fail with every breach at once, each as file:line: what."""
    found = sorted(set(breaches))
    assert not found, f"{rule}\n" + "\n".join(found)
