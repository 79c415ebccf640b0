"""The one place that builds everything, and the life of the process around it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

import structlog

from monitor import metrics
from monitor.assembly import Assembly, assemble, open_state, settled
from monitor.clock import Clock
from monitor.config.diff import diff
from monitor.config.values import Plans
from monitor.consistency.checks import Checks
from monitor.decisions import Decisions
from monitor.deliver.start import run_integrations
from monitor.elsewhere import Notices
from monitor.ending import lingering
from monitor.errands import Errands
from monitor.errors import DriftlineError, StateError, UsageError
from monitor.evaluate import Evaluate
from monitor.expected import Expected
from monitor.heap import Heap
from monitor.ingest import Ingest
from monitor.intake.consumer import Consumer
from monitor.intake.dead_letter import open_dead_letters
from monitor.intake.incarnation import Incarnations
from monitor.intake.rotation import Rotation
from monitor.names import content_id
from monitor.registry.start import poller
from monitor.state.kafka.watch import TopicWatch
from monitor.steps import Cadence, Input
from monitor.version import read_version
from monitor.view import View
from monitor.web.app import create
from monitor.web.serve import Server

log = structlog.get_logger(__name__)

STUCK = 30.0
"""Seconds without a tick after which a loop is reported dead; one batch takes well under one."""
EVALUATE_EVERY = 0.5
JOIN = 28.0
"""Seconds that all threads together may take to finish what they are at. A last checkpoint that is refused takes 22
(`turns.ROUND`, and a write that waits for its deadline), and dead letters 5 before that. Web server (10) and state (10)
have the rest of `ending.GRACE`."""


class Daemon:
    """Builds the parts, runs the loops, reloads, stops. `start`, `wait` and `stop` from one thread."""

    def __init__(
        self,
        files: Sequence[str],
        *,
        clock: Clock,
        revision: str = "unknown",
        accept_loss: bool = False,
        warm_seconds: float = 0.0,
    ) -> None:
        """Raises ConfigError, ReferenceInvalid and StateError: nothing runs yet.

        `accept_loss`: begin anew where input was consumed before and its state is gone.
        `warm_seconds`: what the kernels took before; shown, no more.
        """
        self.clock = clock
        self.stopping = threading.Event()
        self.assembly: Assembly = settled(assemble(files), clock)
        self.state = open_state(self.assembly, clock=clock, accept_loss=accept_loss)
        self.ingest: Ingest
        self.evaluate: Evaluate
        self.server: Server
        self._files = tuple(files)
        self._revision = revision
        self._accept_loss = accept_loss
        self._warm_seconds = warm_seconds
        self._started = clock.now_ms()
        self._config_ok = True
        self._config_loaded = self._started
        self._checks = Checks(clock)
        self._expected = Expected(clock)
        self._topics = TopicWatch(
            self.assembly.plans.kafka.client,
            lambda: self.assembly.own_topics,
            clock=clock,
            refusal=lambda: self.ingest.refusal,
            beside=lambda: self.assembly.topics_beside,
            renewed=lambda topics: self._on_ingest.call(lambda: self.state.store_anew(topics)),
        )
        self._threads: list[threading.Thread] = []
        self._delivery_stop = threading.Event()
        self._deliveries: list[threading.Thread] = []
        self._on_ingest = Errands()
        self._on_evaluate = Errands()
        self._reload_lock = threading.Lock()
        self.failure = ""
        """Why a loop ended by itself; "" while none has."""

    def start(self) -> None:
        """Open everything and start the loops. Raises DriftlineError and OSError; then call `stop`."""
        plans = self.assembly.plans
        self._rotation = Rotation(plans.kafka.client, self.clock)
        self._incarnations = Incarnations(plans.kafka.client(), self.assembly.topics.values(), self.clock)
        self._prepare_metrics()
        self._registries = poller(self.clock, lambda: self.assembly, lambda: self.evaluate, self._on_evaluate)
        self.ingest = self._ingest(plans)
        self.evaluate = Evaluate(
            self._checks.contexts(self.assembly.contexts),
            state=self.state,
            clock=self.clock,
            alerts=plans.alerts,
            patience=self.assembly.patience,
            expected=self._expected.of,
            topics=self.assembly.topics,
            was_asked=self._registries.was_asked,
        )
        self._serve(plans)
        self._begin()
        self._deliver()
        self._checks.renew(plans.models, plans.stores)
        backend = self.assembly.backend
        log.info("backend", name=backend.name, device=backend.device, note=backend.note)
        log.info("started", url=self.server.url, models=sorted(self.assembly.models), pid=os.getpid())

    def wait(self) -> None:
        """Block until a stop is asked for or a loop ends by itself."""
        heap = Heap(self.clock)
        while not self.clock.wait(self.stopping, 0.5):
            heap.tick()
            self._rotation.tick()
            if not all(thread.is_alive() for thread in self._threads):
                log.error("loop_ended", loops=[t.name for t in self._threads if not t.is_alive()])
                self.stopping.set()

    def stop(self) -> list[str]:
        """Finish the batch, checkpoint, leave the group, close. Resolved alerts are not sent.

        The names of threads that do not end in time: then nothing is closed, as they use it, and the process has to go.
        """
        self.stopping.set()
        self._delivery_stop.set()
        self._checks.end()
        if left := lingering((*self._threads, *self._deliveries), JOIN, self.clock):
            return left
        if hasattr(self, "ingest") and not self._threads:
            self.ingest.abandon()  # it never ran, and a client that nobody closes keeps the process
        if hasattr(self, "_incarnations"):
            self._incarnations.close()
        if hasattr(self, "server"):
            self.server.stop()
        self.state.close()
        log.info("stopped")
        return []

    def reload(self) -> str | None:
        """Load the configuration again; a bad one changes nothing. The text of the error, or None."""
        with self._reload_lock:
            try:
                assembly = assemble(self._files)
                changes = diff(self.assembly.settings, assembly.settings)
                refused = [change.text for change in changes if change.needs_restart]
                if refused:
                    raise UsageError("; ".join(refused))
                self._apply(assembly.joined_as(self.assembly))
            except (DriftlineError, OSError) as error:
                self._config_ok = False
                log.error("reload_refused", error=str(error))
                return str(error)
            except Exception as error:
                # boundary: a reload must not take the running daemon with it
                self._config_ok = False
                log.exception("reload_raised")
                return f"internal error {type(error).__name__} - the log has its stack"
            self._config_ok = True
            self._config_loaded = self.clock.now_ms()
            log.info("reloaded", changes=[change.text for change in changes])
            return None

    # What the web server reads

    def stuck(self) -> str:
        """The loop that has not ticked in time, "" when all have."""
        now = self.clock.monotonic()
        for name, loop in (("ingest", self.ingest), ("evaluate", self.evaluate)):
            if now - loop.last_tick > STUCK:
                return name
        return ""

    def view(self) -> View:
        """The picture of this moment; cheap."""
        reason, models = self._not_ready(), dict(self.evaluate.models)
        refused = self.state.refused(self.assembly.models)
        spoken = self.evaluate.speaks_for(self.assembly.models)
        return View(
            version=read_version(),
            started=self._started,
            now=self.clock.now_ms(),
            ready=not reason,
            ready_reason=reason,
            models=tuple(models[name] for name in sorted(models)),
            partitions=tuple(self.evaluate.progress[source] for source in sorted(self.evaluate.progress)),
            undescribed=self._expected.lacking,
            arrivals=self.evaluate.arrivals.seconds,
            reads=tuple(self.ingest.partitions),
            outbox=dict.fromkeys(self._outboxes(), 0) | self.evaluate.outbox,
            config_redacted=self.assembly.redacted,
            config_ok=self._config_ok,
            config_loaded=self._config_loaded,
            checkpoint_last=self.ingest.checkpoint_last,
            checkpoint_bytes=self.ingest.checkpoint_bytes,
            backend=f"{self.assembly.backend.name}-{self.assembly.backend.device}",
            warm_seconds=self._warm_seconds,
            elsewhere=self._notices.of(self.assembly.models.keys() - {*spoken, *refused}),
            refused=refused,
            lacking=self._topics.lacking,
            registries=dict(self._registries.views),
        )

    def _not_ready(self) -> str:
        if self.stopping.is_set():
            return "stopping"
        if lacking := sorted(self._topics.lacking):
            return f"topics are missing, or not as they have to be: {', '.join(lacking)}; the log says what to run"
        if why := self._expected.why_not(self.assembly.topics.values()):
            return why
        if not self.ingest.consumer.joined:
            return "no partition is assigned yet"
        if self.ingest.recovering:
            return f"the state of {self.ingest.recovering} partitions is being recovered"
        if not self.evaluate.is_restored:
            return "state is being restored"
        return f"nothing is made durable: {self.ingest.refusal}" if self.ingest.refusal else ""

    # Building

    def _serve(self, plans: Plans) -> None:
        """The page and what comes through it; what replicas tell each other names it."""
        decisions = Decisions(
            self.state,
            self.evaluate,
            clock=self.clock,
            alerts=lambda: self.assembly.plans.alerts,
            models=lambda: self.assembly.contexts,
            reload=self.reload,
            stop=self.stopping.set,
        )
        self._notices = Notices(
            self.state, self.clock, stall=plans.state.stall, tallies=self._checks.tallies,
            prompts=self._registries.prompts,
        )  # fmt: skip
        settings = self.assembly.web(files=self._files, revision=self._revision)
        app = create(self.view, decisions, settings=settings, alive=self.stuck, hear=self._registries.hear)
        self.server = Server(app, plans.web.host, plans.web.port)
        self._notices.replica = f"{socket.gethostname()}:{self.server.port}"

    def _inputs(self, assembly: Assembly) -> dict[str, Input]:
        plans = assembly.plans
        return {
            source.topic: assembly.input(
                source,
                open_dead_letters(source.dead_letter, topic=source.topic, properties=plans.kafka.client()),
                self._checks.offer if plans.stores else None,
            )
            for source in plans.sources
        }

    def _ingest(self, plans: Plans) -> Ingest:
        return Ingest(
            self._inputs(self.assembly),
            connect=self._connect,
            state=self.state,
            clock=self.clock,
            cadence=Cadence(checkpoint=plans.state.checkpoint / 1000),
            accept_loss=self._accept_loss,
            beside=plans.state.log != "local",
            identify=self._incarnations.of,
        )

    def _connect(self, ingest: Ingest) -> Consumer:
        kafka = self.assembly.plans.kafka
        starts = {source.topic: source.start for source in self.assembly.plans.sources}
        properties = kafka.client()
        if self.assembly.plans.state.log == "local":
            # One process owns this state, so it comes back as the member it was: without a name it would
            # wait, after a crash, until the group gives up on its former self.
            folder = Path(self.assembly.plans.state.dir).absolute()
            properties.setdefault("group.instance.id", f"driftline-{content_id(folder)[:13]}")
        return Consumer(
            properties,
            group=kafka.readers,
            topics=starts,
            assignments=ingest,
            clock=self.clock,
            skips=lambda topic: (
                (topic, "skip") in {(s.topic, s.unreadable) for s in self.assembly.plans.sources}
            ),
        )

    def _prepare_metrics(self) -> None:
        plans = self.assembly.plans
        integrations = self._outboxes() + (["alertmanager"] if plans.alerts.alertmanager else [])
        metrics.prepare(
            topics=self.assembly.topics.values(),
            models=self.assembly.models,
            registered=plans.registries,
            integrations=integrations,
            targets=[(plan.name, plan.retrain.target) for plan in plans.models if plan.retrain.target],
        )

    def _outboxes(self) -> list[str]:
        """Integrations that are told once per transition; Alertmanager is told what stands."""
        alerts = self.assembly.plans.alerts
        return [*alerts.targets, *(["pagerduty"] if alerts.pagerduty else [])]

    def _deliver(self) -> None:
        self._delivery_stop = threading.Event()
        self._deliveries = run_integrations(
            self.assembly.plans.alerts,
            self.state,
            self.clock,
            lambda: self.evaluate.speaks_for(self.assembly.models.keys() | self.evaluate.removed),
            self._delivery_stop,
        )

    # Reload: numbered, so that text and code cannot drift apart unnoticed

    def _apply(self, assembly: Assembly) -> None:
        """Swap the configuration between two batches and two judgements.

        1. the ingest thread checkpoints and takes the new inputs; refused, nothing has changed
        2. the evaluate thread takes the new contexts; refused, ingest takes the old inputs again
        3. deliveries stop and start anew; what they know is in the ledger. Online stores are asked as now configured
        """
        before = self.assembly
        self._on_ingest.call(lambda: self.ingest.renew(self._inputs(assembly)))  # 1
        self.assembly = assembly
        self._prepare_metrics()
        try:
            self._on_evaluate.call(  # 2
                lambda: self.evaluate.renew(
                    self._checks.contexts(assembly.contexts),
                    alerts=assembly.plans.alerts,
                    patience=self.assembly.patience,
                    topics=assembly.topics,
                ),
            )
        except StateError:
            self.assembly = before
            self._on_ingest.call(lambda: self.ingest.renew(self._inputs(before)))
            raise
        self._delivery_stop.set()  # 3
        lingering(self._deliveries, JOIN, self.clock)
        self._deliver()
        self._checks.renew(assembly.plans.models, assembly.plans.stores)

    # Loops

    def _begin(self) -> None:
        for name, loop in (("ingest", self._run_ingest), ("evaluate", self._run_evaluate)):
            thread = threading.Thread(target=loop, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
        # not waited for at the end: they write nothing themselves, and brokers and registries may take their time
        self._topics.start(self.stopping)
        self._registries.start(self.stopping)

    def _run_ingest(self) -> None:
        try:
            while not self.stopping.is_set():
                self._expected.tick(self.assembly.topics.values(), self.ingest.consumer)
                self.ingest.tick()
                self._on_ingest.serve()
            self.ingest.close()
        except Exception as error:  # noqa: BLE001 boundary: the process must not linger half alive
            self._end("ingest", error)
            self.ingest.abandon()

    def _end(self, loop: str, error: Exception) -> None:
        """A loop cannot go on: say why, and end the process."""
        expected = isinstance(error, DriftlineError)
        if not expected:
            metrics.INTERNAL_ERRORS_TOTAL.labels(loop).inc()
        log.error("loop_failed", loop=loop, error=str(error), exc_info=None if expected else error)
        self.failure = str(error) or type(error).__name__
        self.stopping.set()

    def _run_evaluate(self) -> None:
        try:
            while not self.clock.wait(self.stopping, EVALUATE_EVERY):
                self.evaluate.tick()
                self._notices.tick(self.evaluate.models)
                self._on_evaluate.serve()
        except Exception as error:  # noqa: BLE001 boundary: as above
            self._end("evaluate", error)
