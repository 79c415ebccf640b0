from __future__ import annotations

from tests.rules.tree import imports, report, sources, within

ONLY_IN = {
    "numba": ("kernels/jit.py", "kernels/words.py", "kernels/product.py", "kernels/foreign.py"),
    "llvmlite": ("kernels/jit.py", "kernels/words.py", "kernels/product.py", "kernels/foreign.py"),
    "cupy": ("kernels/cuda/",),
    "confluent_kafka": ("monitor/intake/", "monitor/state/kafka", "monitor/demo/"),
    "urllib3": ("monitor/http.py",),
    "sqlite3": ("monitor/state/",),
    "pydantic": ("monitor/config/",),
    "yaml": ("monitor/config/",),
    "starlette": ("monitor/web/",),
    "uvicorn": ("monitor/web/",),
    "river": ("monitor/labels/concept.py",),
    "scipy": ("monitor/judge/",),
    "monitor.config": ("monitor/config/", "monitor/daemon.py", "monitor/assembly.py", "monitor/cli/"),
    "monitor.cli": ("monitor/cli/", "monitor/__main__.py"),
    "monitor.demo": ("monitor/demo/", "monitor/cli/"),
}
"""monitor.demo plays the part of the outside world: its broker and producer are Kafka's."""


def test_modules_are_imported_only_where_they_belong() -> None:
    """Kafka, HTTP, SQL, configuration and numba options each have one home."""
    breaches = [
        f"{path}:{line}: {module} - only in {', '.join(homes)}"
        for path, tree in sources("monitor", "kernels")
        for line, name, _ in imports(tree)
        for module, homes in ONLY_IN.items()
        if within(name, module) and not path.startswith(homes)
    ]
    report(breaches, "imported outside its home")


def test_kernels_import_nothing_of_ours() -> None:
    """Kernels know arrays and each other, and nothing of what they are used for."""
    breaches = [
        f"{path}:{line}: {name}"
        for path, tree in sources("kernels")
        for line, name, _ in imports(tree)
        if within(name, "monitor", "tests", "bench")
    ]
    report(breaches, "kernels import too much")


def test_slow_libraries_are_imported_lazily() -> None:
    """scipy and river take seconds to import, so only a function that needs one does."""
    breaches = [
        f"{path}:{line}: {name}"
        for path, tree in sources("monitor")
        for line, name, at_import in imports(tree)
        if at_import and within(name, "scipy", "river")
    ]
    report(breaches, "imported at module level")
