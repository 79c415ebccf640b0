from __future__ import annotations

import ast
import re

from tests.rules.tree import functions, kernels_of, report, sources


def array_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef, signature: str) -> list[str]:
    """Names of the parameters that the signature says are arrays."""
    inner = signature[signature.index("(") + 1 : signature.rindex(")")]
    types = re.split(r",(?![^\[(]*[\])])", inner)
    parameters = [argument.arg for argument in function.args.args]
    assert len(types) == len(parameters), f"{function.name}: {len(types)} types, {len(parameters)} parameters"
    return [name for name, kind in zip(parameters, types, strict=True) if "[" in kind]


def test_kernel_docstrings_name_every_array() -> None:
    """Shape and meaning of each array stand at the head of a line; private kernels serve a public one."""
    breaches = []
    for path, tree in sources("kernels"):
        for function, signature in kernels_of(tree):
            if function.name.startswith("_") or not signature:
                continue
            heads = re.findall(
                r"^([a-z_0-9]+(?:, [a-z_0-9]+)*)", ast.get_docstring(function) or "", re.MULTILINE
            )
            named = {name for head in heads for name in head.split(", ")}
            missing = [name for name in array_parameters(function, signature) if name not in named]
            if missing:
                breaches.append(f"{path}:{function.lineno}: {function.name} - {', '.join(missing)}")
    report(breaches, "kernel docstrings leave out arrays")


def test_every_test_says_what_it_shows() -> None:
    """The sentence under a test's name is the documentation of the behaviour."""
    breaches = [
        f"{path}:{function.lineno}: {function.name}"
        for path, tree in sources("tests")
        for function in functions(tree)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    report(breaches, "tests without a sentence")
