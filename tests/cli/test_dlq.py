"""`driftline dlq`, over a real Kafka and over files."""

from __future__ import annotations

import base64
import json

import pytest
from click.testing import CliRunner
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from monitor.cli.dlq import command
from monitor.clock import SystemClock
from monitor.columns import Reject
from monitor.errors import IntakeError, UsageError
from monitor.intake.dead_file import FileDeadLetters
from monitor.intake.dead_letter import PREFIX, TIMESTAMP, error_fields
from monitor.intake.dead_read import NOTES, REQUEUED, TopicLetters
from monitor.intake.dead_topic import TopicDeadLetters
from monitor.intake.produce import Producer
from monitor.intake.range import read_range
from monitor.names import Reason, Source
from tests.intake.records import NOW, batch

VALUES = [b'{"model": "new"}', b"\xff\x00bad", None, b"good", b""]
KEYS = [b"k0", b"\x80", None, b"k3", b""]
HEADERS = [[("h", b"\x00v"), ("h", None)], None, [], None, [(REQUEUED, b"2")]]
TIMES = [NOW + 1000 * n for n in range(5)]
REJECTS = [
    Reject(0, Reason.UNKNOWN_MODEL, "no such model - model - one of churn\x1b[31m", "new"),
    Reject(1, Reason.DECODE, "no JSON - byte 0 - a JSON object"),
    Reject(2, Reason.DECODE, "null value - whole record - a JSON object"),
    Reject(4, Reason.LATE, "too late - ts - above the watermark"),
]


class Place:
    """Dead letters of one input topic, wherever they are kept, and how the commands are told."""

    def __init__(self, kafka, folder, topic, to):
        self.kafka, self.to, self.topic = kafka, to, topic
        self.properties = {"bootstrap.servers": kafka.bootstrap, "log_level": 0}
        self.file = folder / "dead.jsonl"
        self.config = folder / "driftline.yaml"
        place = f"topic: {topic}.dead" if to == "topic" else f"path: {self.file}"
        self.config.write_text(
            f"version: 1\nkafka: {{brokers: ['{kafka.bootstrap}']}}\n"
            f"sources: {{clicks: {{topic: {topic}, fields: {{time: {{path: ts, unit: ms}}}}, "
            f"dead_letter: {{to: {to}, {place}}}}}}}\n"
            "models: {churn: {features: {age: {path: age, kind: numeric}}}}\n"
        )
        forever = {"retention.ms": "-1"}  # the records are of 2023
        kafka.create_topic(topic, partitions=2, config=forever)
        if to == "topic":
            kafka.create_topic(f"{topic}.dead", partitions=3)

    def reject(self, rejects=REJECTS, *, first=0, **changes):
        sink = (
            TopicDeadLetters(f"{self.topic}.dead", self.properties)
            if self.to == "topic"
            else FileDeadLetters(self.file, max_bytes=1 << 20)
        )
        given = {"headers": HEADERS, "keys": KEYS, "timestamps": TIMES, "first": first, **changes}
        rejected = batch(given.pop("values", VALUES), **given)
        rejected.source = Source(self.topic, 1)
        sink.put(rejected, rejects)
        sink.flush()
        sink.close()

    def arrived(self):
        """(partition, key, value, headers, timestamp) of what was sent back, in order."""
        found = []
        for part in read_range(self.properties, self.topic):
            times = part.timestamps.tolist()
            rows = zip(part.keys, part.values, part.headers, times, strict=True)
            found += [(part.source.partition, *row) for row in rows]
        return found

    def run(self, *arguments, **settings):
        options = ["-c", str(self.config), *map(str, arguments[1:])]
        return CliRunner().invoke(command, [arguments[0], *options], catch_exceptions=False, **settings)

    def listed(self, *arguments):
        return json.loads(self.run("list", *arguments, "--output", "json").stdout)


@pytest.fixture(params=["topic", "file"])
def place(request, kafka, tmp_path):
    name = request.node.name.replace("[", ".").strip("]")
    return Place(kafka, tmp_path, name, request.param)


def test_nothing_was_rejected(place):
    """An empty place is no error."""
    assert place.run("list").stdout == "no dead letters\n"
    assert place.run("requeue", "--yes").stdout == "sent back 0 records\n"


def test_list_says_what_is_wrong_with_each(place):
    """Where it lies, where it came from, when, why, how large; no data, and nothing that steers a terminal."""
    place.reject()
    lines = place.run("list").stdout.splitlines()
    assert len(lines) == 4
    assert f"{place.topic}/1/0  2023-11-14T22:13:20  unknown_model        16 B" in lines[0]
    assert "no such model - model - one of churn�[31m" in lines[0]
    assert lines[3].endswith("too late - ts - above the watermark  [2× before]")
    assert "bad" not in "".join(lines)


def test_json_has_the_record_as_it_was(place):
    """Text where it is UTF-8, else base64; null and empty are told apart."""
    place.reject()
    first, second, third, fourth = place.listed()
    assert (first["key"], first["value"]) == ("k0", '{"model": "new"}')
    assert first["headers"] == [{"name": "h", "value": "\x00v"}, {"name": "h", "value": None}]
    assert (first["model"], first["stage"], first["reason"]) == ("new", "map", "unknown_model")
    assert base64.b64decode(second["value_base64"]) == VALUES[1]
    assert base64.b64decode(second["key_base64"]) == KEYS[1]
    assert (third["key"], third["value"], third["headers"]) == (None, None, [])
    assert (fourth["key"], fourth["value"], fourth["times"], fourth["offset"]) == ("", "", 2, 4)


def test_filters(place):
    """By source in any of its names, by reason, by record time, and the newest so many."""
    place.reject()

    def offsets(*arguments):
        return [body["offset"] for body in place.listed(*arguments)]

    assert offsets("--reason", "decode", "--reason", "late") == [1, 2, 4]
    for name in ("clicks", place.topic, f"{place.topic}/1"):
        assert offsets("--source", name) == [0, 1, 2, 4]
    for name in ("click", "click/1", f"{place.topic}/x"):
        with pytest.raises(
            UsageError, match=f"there is no source {name} - --source - one of clicks is right"
        ):
            offsets("--source", name)
    assert offsets("--source", f"{place.topic}/0") == []
    assert offsets("--since", TIMES[1], "--until", TIMES[4]) == [1, 2]
    assert offsets("--limit", 2) == [2, 4]
    assert offsets("--since", "1d") == []


def test_requeue_sends_the_record_as_it_was(place):
    """Key, value, own headers, timestamp and partition; one header more, which counts."""
    place.reject()
    result = place.run("requeue", "--yes")
    assert result.exit_code == 0
    assert result.stdout.endswith("sent back 4 records\n")
    once, thrice = (REQUEUED, b"1"), (REQUEUED, b"3")
    assert place.arrived() == [
        (1, KEYS[0], VALUES[0], [*HEADERS[0], once], TIMES[0]),
        (1, KEYS[1], VALUES[1], [once], TIMES[1]),
        (1, None, None, [once], TIMES[2]),
        (1, b"", b"", [thrice], TIMES[4]),
    ]


@pytest.mark.parametrize("place", ["topic"], indirect=True)
def test_letters_of_before_their_own_time_are_read(place):
    """They had the timestamp of the record; and one of a record without any has none."""
    rejected = batch(VALUES)
    rejected.source = Source(place.topic, 1)
    errors = [(name, text.encode()) for name, text in error_fields(rejected, REJECTS[1]).items()]
    with Producer(place.properties) as producer:
        now = SystemClock().now_ms()
        producer.send(f"{place.topic}.dead", b"x", headers=errors, timestamp=now - 5000)
        producer.send(f"{place.topic}.dead", b"x", headers=[*errors, (TIMESTAMP, b"-1")], timestamp=now)
        producer.flush()
    assert sorted(letter["timestamp"] for letter in place.listed()) == [-1, now - 5000]


def test_nothing_is_sent_twice(place):
    """The same command goes on behind the limit and then has nothing to do; --again sends all the same."""
    place.reject()
    place.reject()  # as after a crash of the daemon
    for count, total in ((2, 2), (2, 4), (0, 4)):
        assert place.run("requeue", "--yes", "--limit", 2).stdout.endswith(f"sent back {count} records\n")
        assert len(place.arrived()) == total
    assert {body["requeued"] for body in place.listed()} == {True}
    assert "[sent back]" in place.run("list", "--reason", "decode").stdout
    place.run("requeue", "--yes", "--again", "--reason", "late")
    assert len(place.arrived()) == 5


def test_a_poison_record_is_not_sent_for_ever(place):
    """What came back three times is refused, and does not use up the limit; --force sends it."""
    place.reject(
        [Reject(4, Reason.DECODE, "bad")], headers=[None] * 4 + [[(REQUEUED, b"3")]], keys=[b"k"] * 5
    )
    place.reject([Reject(0, Reason.DECODE, "bad")], first=10, keys=[b"k"] * 5)
    result = place.run("requeue", "--yes", "--limit", 1)
    assert result.stdout.endswith("sent back 1 records\n")
    assert f"refused {place.topic}/1/4: it was sent back 3 times" in result.stderr
    place.run("requeue", "--yes", "--force")
    assert [headers[-1] for _, _, _, headers, _ in place.arrived()] == [(REQUEUED, b"1"), (REQUEUED, b"4")]


def test_a_dry_run_and_a_no_send_nothing(place):
    """Both show what would go."""
    place.reject()
    dry = place.run("requeue", "--dry-run")
    assert "4 records would go back" in dry.stdout
    assert "sent" not in dry.stdout.splitlines()[-1]
    assert place.run("requeue", input="n\n").exit_code == 1
    assert place.run("requeue").exit_code == 1
    assert place.arrived() == []
    assert place.run("requeue", input="y\n").exit_code == 0
    assert len(place.arrived()) == 4


@pytest.fixture
def topic(kafka, tmp_path, request):
    return Place(kafka, tmp_path, request.node.name, "topic")


@pytest.fixture
def file(kafka, tmp_path, request):
    return Place(kafka, tmp_path, request.node.name, "file")


def test_what_was_kept_without_its_value_is_refused(topic):
    """There is nothing to send; the reason says how large it was."""
    with Producer(topic.properties) as producer:
        errors = {
            "topic": topic.topic,
            "partition": "1",
            "offset": "7",
            "reason": "oversize",
            "value.bytes": "9000",
        }
        headers = [(PREFIX + name, text.encode()) for name, text in errors.items()]
        producer.send(f"{topic.topic}.dead", None, headers=headers)
        producer.send(f"{topic.topic}.dead", b"of somebody else")
        producer.flush()
    result = topic.run("list")
    assert "9,000 B" in result.stdout
    assert "[without its value]" in result.stdout
    assert "passed over 1 that are no dead letters" in result.stderr
    result = topic.run("requeue", "--yes")
    assert "without its value, as the dead-letter topic takes no 9,000 bytes" in result.stderr
    assert topic.arrived() == []


def test_a_record_that_talks_like_a_note_is_a_letter(topic):
    """The headers of the input are untrusted: they hide no letter, and say nothing of others."""
    names = ("topic", "partition", "offset")
    note = [(f"{REQUEUED}.{name}", data) for name, data in zip(names, (b"t", b"1", b"0"), strict=True)]
    topic.reject(headers=[note] * 5)
    assert len(topic.listed()) == 4
    assert TopicLetters(f"{topic.topic}.dead", topic.properties).requeued() == set()


def test_a_shared_topic_gives_only_our_own(topic):
    """Letters of inputs that the configuration does not name are left alone."""
    topic.reject()
    text = topic.config.read_text()
    topic.config.write_text(text.replace(f"topic: {topic.topic},", "topic: another,"))
    assert topic.listed() == []


def test_what_kafka_refuses_is_told_and_not_noted(topic):
    """The partition is gone: the others arrive, and the next run tries the rest again."""
    topic.reject()
    with Producer(topic.properties) as producer:
        errors = {"topic": topic.topic, "partition": "99", "offset": "7", "reason": "decode"}
        headers = [(PREFIX + name, text.encode()) for name, text in errors.items()]
        producer.send(f"{topic.topic}.dead", b"x", headers=headers)
        producer.flush()
    for count in (4, 0):
        with pytest.raises(IntakeError, match=f"1 records were not acknowledged .*{topic.topic}/99/7"):
            topic.run("requeue", "--yes")
        assert len(topic.arrived()) == 4, count


def test_notes_do_not_count_as_letters(topic):
    """They lie in the partition of their letter, without key and value."""
    topic.reject(REJECTS[:1])
    topic.run("requeue", "--yes")
    admin = AdminClient({"bootstrap.servers": topic.kafka.bootstrap})
    places = {TopicPartition(f"{topic.topic}.dead", number): OffsetSpec.latest() for number in range(3)}
    ends = sorted(future.result().offset for future in admin.list_offsets(places).values())
    assert ends == [0, 0, 2]
    assert len(topic.listed()) == 1


def test_a_file_that_was_moved_away(file, tmp_path):
    """--file reads it, and needs a configuration only to send; notes are found wherever it lies beside them."""
    file.reject(REJECTS[:2])
    with file.file.open("ab") as stream:
        stream.write(b'{"topic":"torn')
    moved = file.file.rename(tmp_path / "old.jsonl")
    bare = CliRunner().invoke(command, ["list", "--file", str(moved)], catch_exceptions=False)
    assert len(bare.stdout.splitlines()) == 2
    assert "passed over 1 that" in bare.stderr
    with pytest.raises(UsageError, match="--config FILE is right"):
        CliRunner().invoke(command, ["requeue", "--yes", "--file", str(moved)], catch_exceptions=False)
    assert file.run("requeue", "--file", moved, "--yes", "--limit", 1).exit_code == 0
    with (tmp_path / NOTES).open("ab") as notes:
        notes.write(b'\n{"topic":"torn')
    moved = moved.rename(tmp_path / "older.jsonl")
    assert file.run("requeue", "--file", moved, "--yes").exit_code == 0
    assert file.run("requeue", "--file", moved, "--yes").stdout == "sent back 0 records\n"
    assert len(file.arrived()) == 2


def test_where_notes_cannot_be_written_nothing_is_sent(file, tmp_path):
    """Else the next run would send them again."""
    file.reject()
    (tmp_path / NOTES).mkdir()
    with pytest.raises(IntakeError, match=rf"directory - .*{NOTES}"):
        file.run("requeue", "--yes")
    (tmp_path / NOTES).rmdir()
    assert file.arrived() == []


def test_rejects_that_are_only_counted(file):
    """There is nothing to read, and the text says what keeps them."""
    text = file.config.read_text()
    file.config.write_text(text.replace(f"to: file, path: {file.file}", "to: count"))
    with pytest.raises(UsageError, match="only counted"):
        file.run("list")


def test_mistakes_of_the_user(tmp_path):
    """A missing file, no configuration at all."""
    for arguments, text in ((["--file", str(tmp_path / "no")], "no such file"), ([], "--config FILE")):
        with pytest.raises(UsageError, match=text):
            CliRunner().invoke(command, ["list", *arguments], catch_exceptions=False)
