"""What the world does to a daemon: topics that are missing, brokers that are away, disks that are full."""

from __future__ import annotations

import json
import resource
import socket
from dataclasses import dataclass, field

import pytest

from monitor.clock import SystemClock
from monitor.errors import DriftlineError
from tests.daemon.ask import api, get, samples, until
from tests.daemon.build import MODEL, PARTITIONS, START, WINDOW, Sent, await_done, scene, stream, verdicts
from tests.daemon.recount import differences, recount


def test_a_topic_that_is_created_later_is_found(tmp_path, broker, receiver):
    """Until then the daemon is healthy and not ready, and says why; then it reads all of it."""
    made = scene(tmp_path, broker, receiver=receiver)
    broker.call("rd_kafka_mock_topic_set_error", made.topic.encode(), 3)  # unknown topic or partition
    sent = stream(range(2))
    with made.daemon() as daemon:
        url = daemon.server.url
        until(lambda: made.topic in get(f"{url}/-/ready")[1], "the reason to be shown")
        assert get(f"{url}/-/ready")[0] == 503
        assert get(f"{url}/-/healthy")[0] == 200
        assert samples(url)["ready",] == 0
        broker.call("rd_kafka_mock_topic_set_error", made.topic.encode(), 0)
        made.send(sent)
        until(lambda: get(f"{url}/-/ready") == (200, "driftline is Ready.\n"), "readiness")
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []


@pytest.mark.kafka
def test_a_topic_that_is_created_later_is_found_on_real_kafka(kafka, tmp_path):
    """A broker that does not know the topic at all: the group takes it up when it is there."""
    made = scene(tmp_path, kafka, create=False)
    sent = stream(range(2))
    with made.daemon() as daemon:
        until(lambda: made.topic in get(f"{daemon.server.url}/-/ready")[1], "the reason to be shown")
        kafka.create_topic(made.topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
        made.send(sent)
        until(lambda: get(f"{daemon.server.url}/-/ready")[0] == 200, "readiness")
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []


def test_an_empty_topic_is_ready_and_idle(make):
    """No record, no verdict, no alarm: ready, healthy, every partition idle with lag 0."""
    made = make()
    with made.daemon() as daemon:
        url = daemon.server.url
        until(lambda: sum(p["idle"] for p in api(url, "partitions")) == PARTITIONS, "three idle partitions")
        assert get(f"{url}/-/ready")[0] == get(f"{url}/-/healthy")[0] == 200
        assert {p["lag"] for p in api(url, "partitions")} == {0}
        assert api(url, f"models/{MODEL}")["detail"] == "No window has closed yet."
        assert get(f"{url}/")[0] == 200
    assert daemon._incarnations._client is None  # the collector may not be who ends a client: see its `close`
    state = made.found()
    assert state.changes([MODEL], 0)[1] == ()
    state.close()


def test_one_silent_partition_does_not_hold_the_windows(make):
    """Records on one partition only: the others are idle, and the windows close on time and complete."""
    made = make()
    sent = [record for record in stream(range(4)) if record.partition == 1]
    made.send(sent)
    with made.daemon() as daemon:
        await_done(daemon, len(sent))
        found = verdicts(daemon)
        assert differences(daemon.state, recount(sent), found) == []
        assert {verdict["coverage"] for verdict in found.values()} == {1.0}


def test_a_broker_that_is_away_for_seconds_costs_nothing(make, broker, monkeypatch):
    """Down in the middle of the log: healthy, not ready as soon as the client has noticed, whenever the topics are looked at
    next; nothing lost or doubled when it is back."""
    monkeypatch.setattr("monitor.expected.EVERY", 3600.0)
    made = make()
    sent = stream(range(6))
    with made.daemon() as daemon:
        url = daemon.server.url
        made.send(sent[: len(sent) // 2])
        until(lambda: sum(r.applied for r in daemon.view().partitions) > 0, "the first records")
        broker.set_down()
        until(lambda: get(f"{url}/-/ready")[0] == 503, "not to be ready")
        assert get(f"{url}/-/healthy")[0] == 200
        broker.set_up()
        made.send(sent[len(sent) // 2 :])
        await_done(daemon, len(sent))
        until(lambda: get(f"{url}/-/ready")[0] == 200, "to be ready again")
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []


def test_a_callback_that_raises_inside_consume_skips_nothing(make):
    """A defect in a statistics callback makes the client drop the records in hand: they are read again."""
    made = make(kafka={"properties": {"statistics.interval.ms": 100}})
    sent = stream(range(8))
    raised = []

    def broken(_text):
        if daemon.ingest.partitions and len(raised) < 5:
            raised.append(1)
            raise ZeroDivisionError("a defect")

    with made.daemon() as daemon:
        before = samples(daemon.server.url)["internal_errors_total", "ingest"]
        daemon.ingest.consumer._listener._statistics = broken
        for piece in range(8):
            made.send(sent[piece * len(sent) // 8 : (piece + 1) * len(sent) // 8])
        await_done(daemon, len(sent))
        until(lambda: len(raised) == 5, "the callback to raise")
        assert samples(daemon.server.url)["internal_errors_total", "ingest"] > before
        assert get(f"{daemon.server.url}/-/healthy")[0] == 200
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []


def test_dead_letters_that_cannot_be_written_hold_the_stream(make):
    """No offset passes a reject that is not durable; the partition says why; when there is room it goes on."""
    made = make()
    folder = made.folder / "letters"
    folder.write_text("a file where a directory must be")
    made.configure(sources={"predictions": {"dead_letter": {"path": str(folder / "dead.jsonl")}}})
    sent = [*stream(range(2)), Sent(0, b"{broken", START), *stream(range(2, 4))]
    made.send(sent)
    with made.daemon() as daemon:
        url = daemon.server.url
        until(
            lambda: any("dead.jsonl" in p["paused"] for p in api(url, "partitions")), "the reason to be shown"
        )
        # A checkpoint may have come before the reject was met, but none passes it.
        before = sum(one.partition == 0 for one in stream(range(2)))
        # Another partition may have been told of first.
        (held,) = until(
            lambda: [report for report in daemon.view().partitions if report.source.partition == 0],
            "its report",
        )
        assert held.applied <= before
        assert samples(url)["partition_paused", "0", made.topic] == 1
        assert get(f"{url}/-/healthy")[0] == 200
        folder.unlink()
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []
    (line,) = (folder / "dead.jsonl").read_text().splitlines()
    assert json.loads(line)["errors"]["__driftline.errors.reason"] == "decode"


def test_a_full_disk_holds_the_stream_until_there_is_room(make):
    """Checkpoints are refused, reading stops, memory stays flat, the process lives; then all is exact."""
    made = make()
    sent = stream(range(10))
    with made.daemon() as daemon:
        url = daemon.server.url
        made.send(sent[: len(sent) // 2])
        await_done(daemon, len(sent) // 2)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        largest = max(path.stat().st_size for path in (made.folder / "state").iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, limits[1]))
        try:
            made.send(sent[len(sent) // 2 :])
            until(lambda: all(p["paused"] for p in api(url, "partitions")), "the stall to be shown")
            assert get(f"{url}/-/healthy")[0] == 200
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        await_done(daemon, len(sent))
        assert not any(p["paused"] for p in api(url, "partitions"))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []


@dataclass
class JumpingClock(SystemClock):
    """A wall clock that an administrator sets."""

    offset: int = field(default=0)

    def now_ms(self):
        return super().now_ms() + self.offset


@pytest.mark.slow
def test_a_clock_that_jumps_changes_no_count(make):
    """The wall clock of the machine goes an hour forward and two back: counts, verdicts and probes do not mind."""
    clock = JumpingClock()
    made = make()
    sent = stream(range(6), drifting=(2, 3))
    with made.daemon(clock=clock) as daemon:
        for piece, offset in enumerate((0, 3_600_000, -7_200_000)):
            clock.offset = offset
            made.send(sent[piece * len(sent) // 3 : (piece + 1) * len(sent) // 3])
            await_done(daemon, (piece + 1) * len(sent) // 3)
            assert get(f"{daemon.server.url}/-/healthy")[0] == 200
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []


def test_records_deleted_before_they_were_read_are_lost_coverage(make, broker):
    """Retention overtakes a daemon that was down: it goes on at what is left, and the window that lost records is
    not judged as if it were whole."""
    made = make()
    sent = stream(range(6))
    half = [record for record in sent if record.timestamp < START + 3 * WINDOW]
    with made.daemon() as daemon:
        made.send(half)
        await_done(daemon, len(half))
    made.send(sent[len(half) :])
    kept = len(half) // PARTITIONS + 60  # half of the fourth window of partition 0 is gone
    broker.delete_records(made.topic, 0, before=kept)
    left = [
        r
        for r in sent[len(half) :]
        if r.partition or sum(s.partition == 0 for s in sent[: sent.index(r)]) >= kept
    ]
    with made.daemon() as daemon:
        await_done(daemon, len(sent))
        found = verdicts(daemon)
        truth = recount([*half, *left])
        assert {end: verdict["rows"] for end, verdict in found.items()} == {
            end: truth.of_window(end) for end in truth.ends
        }
        touched = found[START + 4 * WINDOW]
        assert (touched["state"], touched["reason"]) == ("unknown", "low_coverage")
        assert [end for end, verdict in found.items() if verdict["coverage"] < 1] == [START + 4 * WINDOW]


@pytest.mark.kafka
def test_a_topic_that_is_made_anew_is_not_mixed_with_the_old_one(kafka, tmp_path):
    """Offsets begin again: the daemon stops at what it cannot place, says so, and counts nothing twice."""
    from confluent_kafka.admin import AdminClient

    made = scene(tmp_path, kafka, create=False)
    kafka.create_topic(made.topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
    sent = stream(range(3))
    made.send(sent)
    with made.daemon() as daemon:
        await_done(daemon, len(sent))
        before = verdicts(daemon)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.delete_topics([made.topic])[made.topic].result(30)
    until(lambda: _created(kafka, made.topic), "the topic to be made anew")
    made.send(stream(range(3, 4)))
    with made.daemon() as daemon:
        url = daemon.server.url
        until(
            lambda: sum("the log ends before" in p["paused"] for p in api(url, "partitions")) == 3,
            "the reason",
        )
        assert get(f"{url}/-/healthy")[0] == 200
        assert {end: verdict["rows"] for end, verdict in verdicts(daemon).items()} == {
            end: verdict["rows"] for end, verdict in before.items()
        }


def _created(kafka, topic):
    from confluent_kafka import KafkaException

    try:
        kafka.create_topic(topic, partitions=PARTITIONS, config={"retention.ms": "-1"})
    except KafkaException:
        return False
    return True


@pytest.mark.slow
def test_an_address_that_is_taken_is_one_line_and_no_stack(make):
    """`run` ends with a status and says which address is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        made = make(web={"listen": f"127.0.0.1:{taken.getsockname()[1]}"})
        with made.process() as life:
            assert life.process.wait(150) == 2
            assert "web.listen" in life.output
            assert "Traceback" not in life.output


@pytest.mark.slow
def test_a_loop_that_fails_ends_the_process_with_a_status(make, monkeypatch):
    """An error nobody foresaw leaves the state of the last checkpoint, not half a batch, and is not hidden."""
    made = make()
    sent = stream(range(3))
    made.send(sent)
    with made.daemon() as daemon:
        until(lambda: daemon.ingest.partitions, "an assignment")
        monkeypatch.setattr("monitor.partition.OpenCells.add", _broken)
        made.send(stream(range(3, 4)))
        until(daemon.stopping.is_set, "the daemon to give up")
        assert "a defect" in daemon.failure
    monkeypatch.undo()
    sent += stream(range(3, 4))
    with made.daemon() as daemon:
        await_done(daemon, len(sent))
        assert differences(daemon.state, recount(sent), verdicts(daemon)) == []


def _broken(self, columns, panes, marks):
    raise DriftlineError("a defect") if panes is None else ZeroDivisionError("a defect")
