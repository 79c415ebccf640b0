"""The state log in Kafka: what it brings with it, and what it rules out."""

from __future__ import annotations

import pytest

from monitor.config.plans import build_plans
from monitor.config.topics import plan_topics
from tests.config.cases import HEAD, TAIL, findings_of, settings_of, with_model

KAFKA = "state: {log: kafka}\n"
DAY = 86_400_000


def sources(text: str) -> str:
    """HEAD with another source."""
    return HEAD.replace("s: {topic: t}", text)


def test_sketches_are_kept_as_long_as_the_longest_window_needs_them() -> None:
    """Its lateness and two days in which nobody judges come on top."""
    settings = settings_of(with_model("windows: {1h: 1h, 1w: 7d}\nallowed_lateness: 1d") + KAFKA)
    found = {topic.name: topic for topic in plan_topics(settings)}
    assert list(found) == [
        *("driftline.state", "driftline.sketches", "driftline.ledger", "driftline.progress", "driftline.dlq"),
    ]
    assert found["driftline.sketches"].config["retention.ms"] == str((7 + 1 + 2) * DAY)
    assert found["driftline.state"].partitions == 12
    assert found["driftline.state"].config["min.insync.replicas"] == "2"


def test_a_local_state_needs_no_topics() -> None:
    """Not even those of dead letters, which are the operator's then."""
    text = sources("s: {topic: t, dead_letter: {to: topic}}") + TAIL
    assert plan_topics(settings_of(text)) == ()


@pytest.mark.parametrize(
    ("dead_letter", "state", "to", "path"),
    [
        ("", "", "file", "driftline-state/dead-letters/s.jsonl"),
        ("", KAFKA, "topic", "driftline.dlq"),
        ("", "state: {log: kafka, kafka: {prefix: x}}\n", "topic", "x.dlq"),
        ("dead_letter: {topic: own}", KAFKA, "topic", "own"),
        ("dead_letter: {path: a.jsonl}", "", "file", "driftline-state/a.jsonl"),
        ("dead_letter: {to: file}", KAFKA, "file", "driftline-state/dead-letters/s.jsonl"),
        ("dead_letter: {to: count}", KAFKA, "count", ""),
        ("dead_letter: {to: topic}", "", "topic", "driftline.dlq"),
    ],
)
def test_dead_letters_go_where_the_state_goes(dead_letter: str, state: str, to: str, path: str) -> None:
    """Unless the configuration says where: a process of a cluster has no disk that lasts."""
    settings = settings_of(sources(f"s: {{topic: t, {dead_letter}}}") + TAIL + state)
    (source,) = build_plans(settings, {}, without=["m"]).sources
    assert (source.dead_letter.to, source.dead_letter.path) == (to, path)
    assert not settings.warnings
    own = [topic.name for topic in plan_topics(settings)]
    assert (path in own) == (bool(state) and path.endswith(".dlq"))


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("s: {topic: driftline.sketches}", "sources.s.topic"),
        ("s: {topic: driftline.dlq}", "sources.s.topic"),
        ("s: {topic: t, dead_letter: {topic: driftline.ledger}}", "sources.s.dead_letter.topic"),
    ],
)
def test_topics_of_the_state_are_for_nothing_else(source: str, path: str) -> None:
    """Neither read as input nor given dead letters; nor are these read as input."""
    assert [(f.code, f.path) for f in findings_of(sources(source) + TAIL + KAFKA)] == [("topic-loop", path)]
    if "dlq" not in source:
        assert not settings_of(sources(source.replace("driftline", "other")) + TAIL + KAFKA).warnings


def test_topics_without_their_log_are_doubtful() -> None:
    """Who says how they are called and not that they are used may believe they are."""
    text = HEAD + TAIL + "state: {kafka: {prefix: x}}\n"
    assert [(w.code, w.path) for w in settings_of(text).warnings] == [("unused", "state.kafka")]
    both = HEAD + TAIL + "state: {log: local, kafka: {prefix: x}}\n"
    assert not settings_of(both).warnings
