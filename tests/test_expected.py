"""Which topics there are, and what is said of those that are not."""

from __future__ import annotations

from dataclasses import dataclass, field

from structlog.testing import capture_logs

from monitor.clock import ManualClock
from monitor.expected import AGAIN, EVERY, LOOK, Expected
from monitor.names import Source

TOPICS = ("predictions", "outcomes")


@dataclass
class Kafka:
    """Topics with their partitions; `slow`: seconds until it does not answer."""

    clock: ManualClock
    topics: dict[str, int] = field(default_factory=lambda: {"predictions": 2, "outcomes": 1})
    complaint: str = ""
    complaints: int = 0
    slow: float = 0.0

    def partition_count(self, topic: str) -> int:
        self.clock.advance(self.slow)
        return 0 if self.slow else self.topics.get(topic, 0)


def world():
    clock = ManualClock(1_000_000)
    return clock, Kafka(clock), Expected(clock)


def looked(clock, expected, kafka, *, after=EVERY, times=1, topics=TOPICS):
    """What was logged by so many looks: (event, topic, error)."""
    with capture_logs() as logs:
        for _ in range(times):
            clock.advance(after)
            expected.tick(topics, kafka)
    return [(one["event"], one["topic"], one.get("error", "")) for one in logs]


def test_a_topic_that_is_missing_is_told_of_once_for_each_trouble():
    """By name, in the log, as the reason why we are not ready, and as what the metric is made of; its partitions of before
    are still waited for, and when it is back that is said too."""
    clock, kafka, expected = world()
    assert looked(clock, expected, kafka) == []
    assert expected.lacking == {"predictions": False, "outcomes": False}
    del kafka.topics["outcomes"]
    (told,) = looked(clock, expected, kafka, times=5)
    assert told == (
        "input_topic_missing",
        "outcomes",
        "Kafka knows no topic of this name, or does not show it to us",
    )
    assert expected.lacking == {"predictions": False, "outcomes": True}
    assert "outcomes" in expected.why_not(TOPICS)
    assert expected.of("outcomes") == (Source("outcomes", 0),)
    kafka.topics["outcomes"] = 3
    assert looked(clock, expected, kafka, after=AGAIN, times=3) == [("input_topic_found", "outcomes", "")]
    assert (len(expected.of("outcomes")), expected.why_not(TOPICS)) == (3, "")
    del kafka.topics["outcomes"]
    assert [event for event, *_ in looked(clock, expected, kafka, times=3)] == ["input_topic_missing"]


def test_all_that_is_missing_is_named():
    """Not only the first of them."""
    clock, kafka, expected = world()
    kafka.topics.clear()
    told = looked(clock, expected, kafka, times=2)
    assert [(event, topic) for event, topic, _ in told] == [
        ("input_topic_missing", topic) for topic in TOPICS
    ]
    assert "predictions, outcomes" in expected.why_not(TOPICS)
    assert all("does not answer, or" in error for *_, error in told)


def test_a_broker_that_does_not_answer_is_not_asked_for_all_topics_at_once():
    """It holds up the loop that asks; what was not asked about stands as it was."""
    clock, kafka, expected = world()
    looked(clock, expected, kafka)
    kafka.slow = LOOK + 1
    assert [(event, topic) for event, topic, _ in looked(clock, expected, kafka)] == [
        ("input_topic_missing", "predictions")
    ]
    assert expected.lacking == {"predictions": True, "outcomes": False}


def test_a_topic_that_is_configured_no_more_is_not_missing():
    """A reload took it out."""
    clock, kafka, expected = world()
    del kafka.topics["outcomes"]
    looked(clock, expected, kafka)
    assert looked(clock, expected, kafka, topics=TOPICS[:1]) == []
    assert expected.lacking == {"predictions": False}
    assert expected.why_not(TOPICS[:1]) == ""
