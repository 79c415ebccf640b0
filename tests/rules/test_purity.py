from __future__ import annotations

from tests.rules.tree import imports, report, sources, within

PURE = ("judge", "incident", "window", "labels", "compare", "backtest")
EFFECTS = (
    *("confluent_kafka", "urllib3", "http", "socket", "ssl", "sqlite3"),
    *("threading", "time", "os", "subprocess", "structlog"),
    *("monitor.config", "monitor.clock", "monitor.http", "monitor.intake", "monitor.web", "monitor.state"),
)
VALUES = ("monitor.state.log",)
"""Plain values that pure code may name although they stand beside effects."""


def test_decisions_are_pure() -> None:
    """What decides about drift, windows and incidents reaches no Kafka, HTTP, SQL, clock or configuration."""
    breaches = [
        f"{path}:{line}: {name}"
        for path, tree in sources(*(f"monitor/{package}" for package in PURE))
        for line, name, _ in imports(tree)
        if within(name, *EFFECTS) and not within(name, *VALUES)
    ]
    report(breaches, "a pure module imports an effect")
