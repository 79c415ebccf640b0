"""Runs the daemon again and again, ends it with SIGKILL, and looks at what it left."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.clock import SystemClock
from monitor.deliver.pagerduty import dedup_key
from monitor.deliver.receiver import Receiver
from monitor.errors import StateMissing
from monitor.failpoint import VARIABLE
from monitor.names import Reason
from monitor.reference.file import write
from monitor.reference.profile import Reference
from monitor.sketch import Sketch
from monitor.state.description import describe, read_ledger
from monitor.state.local import LocalLog
from monitor.state.log import Ledger, Marker
from tests.kafka.traffic import FEATURES, MODEL, PANE, WINDOW, Recount

LATENESS = 30_000
PATIENCE = 120.0
"""Seconds for a life to do what it should; a start takes about four on a busy core."""

_CONFIG = """\
version: 1
kafka:
  brokers: ["{bootstrap}"]
  group: {group}
  properties: {properties}
sources:
  predictions:
    topic: {topic}
    fields: {{id: id, time: {{path: ts, unit: ms}}, version: version}}
    dead_letter: {dead_letter}
    idle: {idle}
models:
  {model}:
    reference: {{file: "{folder}/scores.ref"}}
    budget: 2 per 30d
    windows: {{5m: {{size: 5m}}}}
    pane: 1m
    allowed_lateness: 30s
    features:
{features}
    prediction: {{path: score, kind: score}}
    retrain: {{mode: auto, when: ["drift for 2 windows"], cooldown: 0s, max_per_day: 1000, target: pipeline}}
alerts:
  alertmanager: {{urls: ["{receiver}"], allow_private: [127.0.0.0/8], resend: 1s, resolved_for: 1d}}
  pagerduty:
    url: "{receiver}/v2/enqueue"
    routing_key: "00000000000000000000000000000000"
    allow_private: [127.0.0.0/8]
targets:
  pipeline:
    preset: webhook
    url: "{receiver}/hooks/retrain"
    secret: "whsec_{secret}"
    insecure_http: true
    allow_private: [127.0.0.0/8]
state: {state}
web: {{listen: "127.0.0.1:0"}}
log: {{level: info, format: json}}
"""


@dataclass(frozen=True)
class Found:
    """What a finished run left behind."""

    sketches: tuple[Sketch, ...]
    markers: dict[int, Marker]
    verdicts: dict[int, dict[str, Any]]
    """By end of the window, the newest revision."""
    incidents: frozenset[str]
    newest: frozenset[str]
    pages: frozenset[tuple[str, str]]
    """(dedup_key, action) of every page that the incidents call for."""
    requests: frozenset[str]
    """Retraining requests that the ledger says were sent."""
    divergences: int


class Lives:
    """One state directory and the processes that own it one after the other."""

    def __init__(
        self, folder: Path, *, bootstrap: str, topic: str, reference: Reference, receiver: Receiver
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._topic = topic
        self._config = folder / "driftline.yaml"
        write(reference, folder / "scores.ref")
        self._config.write_text(
            config_text(
                folder,
                bootstrap=bootstrap,
                topic=topic,
                receiver=receiver.url,
                state=f'{{dir: "{folder}/state", checkpoint_every: 1s}}',
                # The next life takes the partitions over at once instead of waiting for the session of the last.
                properties="{group.instance.id: only}",
            )
        )

    @property
    def output(self) -> str:
        """Everything the processes logged."""
        return (self.folder / "driftline.log").read_text(errors="replace")

    def killed_at(self, point: str, *, within: float = PATIENCE) -> bool:
        """One life with this fail-point armed; False when it was not reached, then it is killed there."""
        with self._born(point) as process:
            try:
                process.wait(within)
            except subprocess.TimeoutExpired:
                process.kill()
                return False
            self._must_be_killed(process)
        return True

    def killed_after(self, seconds: float) -> None:
        """One life of this length, counted from the start of the process."""
        with self._born() as process:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
            process.wait()
            self._must_be_killed(process)

    def lived_until(self, done: Callable[[], bool]) -> None:
        """A life that is ended with SIGTERM once `done`; raises when it does not end well."""
        process = self._born()
        try:
            self._live(process, done)
        finally:
            process.kill()
            process.wait()

    def _live(self, process: subprocess.Popen[bytes], done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not done():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the daemon did not finish its work:\n{self.output[-6000:]}")
            time.sleep(0.2)
        process.terminate()
        if process.wait(60):
            raise RuntimeError(f"SIGTERM ended with {process.returncode}:\n{self.output[-6000:]}")

    def has_finished(self, ends: dict[int, int], receiver: Receiver) -> bool:
        """Everything up to `ends` is durable, judged and delivered."""
        state = self.folder / "state"
        try:
            markers = describe(state).markers
        except StateMissing:
            return False
        if {marker.source.partition: marker.applied for marker in markers} != ends:
            return False
        ledger = read_ledger(state, MODEL, kinds=None)
        closed = {body["end"] for body in ledger.of("verdict").values()}
        due = (min(marker.watermark for marker in markers) - LATENESS) // WINDOW * WINDOW
        return due in closed and not ledger.of("intent") and _newest(ledger) <= _told(receiver)

    def found(self) -> Found:
        """The state as the last life left it."""
        log = LocalLog(self.folder / "state", clock=SystemClock())
        try:
            sketches = tuple(log.changes([MODEL], 0)[1])
            markers = {source.partition: log.recover(source).marker for source in log.sources()}
            ledger = log.ledger(MODEL, kinds=None)
        finally:
            log.close()
        return found_of(sketches, markers, ledger, divergences=self.output.count('"state_divergence"'))

    def _born(self, point: str = "") -> subprocess.Popen[bytes]:
        environment = {**os.environ, VARIABLE: point}
        with (self.folder / "driftline.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "monitor", "run", "--config", str(self._config)],
                stdout=log,
                stderr=log,
                env=environment,
            )

    def _must_be_killed(self, process: subprocess.Popen[bytes]) -> None:
        if process.returncode != -signal.SIGKILL:
            raise RuntimeError(
                f"the daemon ended by itself with {process.returncode}:\n{self.output[-6000:]}"
            )


def found_of(
    sketches: tuple[Sketch, ...], markers: dict[int, Marker], ledger: Ledger, *, divergences: int
) -> Found:
    """What a state log holds."""
    verdicts: dict[int, dict[str, Any]] = {}
    for body in sorted(ledger.of("verdict").values(), key=lambda body: body["revision"]):
        verdicts[body["end"]] = dict(body)
    sent = {name for name, body in ledger.of("outcome").items() if body["state"] == "sent"}
    return Found(
        sketches=sketches,
        markers=markers,
        verdicts=verdicts,
        incidents=frozenset(ledger.of("incident")),
        newest=_newest(ledger),
        pages=_pages(ledger),
        requests=frozenset(sent & set(ledger.of("retrain"))),
        divergences=divergences,
    )


def config_text(
    folder: Path,
    *,
    bootstrap: str,
    topic: str,
    receiver: str,
    state: str,
    properties: str = "{}",
    dead_letter: str = "",
    idle: str = "1m",
) -> str:
    """A whole configuration over the records of `traffic`; `state` and `properties` as YAML."""
    inputs = [feature for feature in FEATURES if feature.name != "prediction"]
    return _CONFIG.format(
        bootstrap=bootstrap,
        group=f"{topic}-{folder.name}",
        topic=topic,
        folder=folder,
        model=MODEL,
        receiver=receiver,
        secret=base64.b64encode(bytes(range(32))).decode(),
        state=state,
        properties=properties,
        dead_letter=dead_letter or f'{{to: file, path: "{folder}/dead.jsonl", limit: 100%}}',
        idle=idle,
        features="\n".join(
            f"      {feature.name}: {{path: {'.'.join(map(str, feature.path))}, kind: {feature.kind}}}"
            for feature in inputs
        ),
    )


def differences(found: Found, truth: Recount) -> list[str]:
    """Every way in which the counts are not those of the log; empty when all are exact."""
    wrong = []
    applied = {partition: marker.applied for partition, marker in found.markers.items()}
    if applied != truth.ends:
        wrong.append(f"applied through {applied}, the log ends at {truth.ends}")
    rows: Counter[int] = Counter()
    slots: dict[int, Counter[int]] = {}
    for sketch in found.sketches:
        rows[sketch.key.pane] += sketch.rows
        held = sketch.counts  # read once: it is unpacked each time
        counts = slots.setdefault(sketch.key.pane, Counter())
        counts.update({int(slot): int(held[slot]) for slot in held.nonzero()[0]})
    for pane in sorted(rows.keys() | truth.rows.keys()):
        if rows[pane] != truth.rows[pane]:
            wrong.append(f"pane {pane}: {rows[pane]} rows, {truth.rows[pane]} in the log")
        elif slots.get(pane, Counter()) != truth.slots.get(pane, Counter()):
            wrong.append(f"pane {pane}: slots differ")
    tallies = [item for marker in found.markers.values() for item in (marker.tallies or {}).items()]
    rejects = sum(count for name, count in tallies if name.endswith(f"|{Reason.DECODE}"))
    if rejects != truth.rejects:
        wrong.append(f"{rejects} rejects, {truth.rejects} in the log")
    for end, verdict in found.verdicts.items():
        in_log = sum(truth.rows[pane] for pane in range(end - WINDOW, end, PANE))
        if verdict["rows"] != in_log:
            wrong.append(f"verdict on the window to {end}: {verdict['rows']} rows, {in_log} in the log")
    if found.divergences:
        wrong.append(f"{found.divergences} checkpoints diverged")
    return wrong


def judged_otherwise(found: Found, undisturbed: Found) -> list[str]:
    """Where the verdicts are not those of a run that nobody disturbed; empty when there is none."""
    names = ("state", "rows", "statistic", "p", "offsets")
    mine, theirs = (
        {end: tuple(body[name] for name in names) for end, body in one.verdicts.items()}
        for one in (found, undisturbed)
    )
    ends = sorted(end for end in mine.keys() | theirs.keys() if mine.get(end) != theirs.get(end))
    wrong = [f"window to {end}: {mine.get(end)}, undisturbed {theirs.get(end)}" for end in ends]
    if found.incidents != undisturbed.incidents:
        wrong.append(f"incidents {sorted(found.incidents ^ undisturbed.incidents)} are on one side only")
    return wrong


def undelivered(found: Found, receiver: Receiver) -> list[str]:
    """Every alert, page or request that did not arrive, or that nobody decided; empty when all is well.

    Alertmanager is told what stands, so an incident that a later one of the same labels replaced
    before the next look is not told; pages and requests are single events and arrive every one.
    """
    told, paged, asked = _told(receiver), set(), set()
    for request in list(receiver.requests):
        if request.path == "/v2/enqueue":
            paged.add((request.json()["dedup_key"], request.json()["event_action"]))
        elif not request.path.endswith("/alerts"):
            asked.add(request.headers["webhook-id"])
    return [
        *(f"alert of incident {one} never arrived" for one in sorted(found.newest - told)),
        *(f"alert of an unknown incident {one} arrived" for one in sorted(told - found.incidents)),
        *(f"page {one} never arrived" for one in sorted(found.pages - paged)),
        *(f"unknown page {one} arrived" for one in sorted(paged - found.pages)),
        *(f"request {one} never arrived" for one in sorted(found.requests - asked)),
        *(f"unknown request {one} arrived" for one in sorted(asked - found.requests)),
    ]


def _told(receiver: Receiver) -> set[str]:
    """Incidents that Alertmanager was told of."""
    posts = [request for request in list(receiver.requests) if request.path.endswith("/alerts")]
    return {str(alert["annotations"].get("incident")) for request in posts for alert in request.json()}


def _newest(ledger: Ledger) -> frozenset[str]:
    """The incident that was opened last: the one that speaks for the model's label set."""
    bodies = ledger.of("incident")
    return frozenset([max(bodies, key=lambda name: bodies[name]["opened"])] if bodies else [])


def _pages(ledger: Ledger) -> frozenset[tuple[str, str]]:
    """A trigger for each incident, a resolve for each that is over."""
    pages = set()
    for name, body in ledger.of("incident").items():
        pages.add((dedup_key(name), "trigger"))
        if body["state"] == "resolved":
            pages.add((dedup_key(name), "resolve"))
    return frozenset(pages)
