"""The evaluate loop: sketches to durable intents. Steps 7 to 11 and the picture for step 13.

One thread. Everything it decides is pure (`monitor.judgement`); here are only the effects, in the
order that makes a crash at any point harmless: verdict, cursor, incidents and intents become
durable in one append, and only then is the window taken as judged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import structlog

from monitor import metrics
from monitor.arrival import Arrivals
from monitor.clock import Clock
from monitor.context import Context, fits
from monitor.deliver.loop import pending_counts
from monitor.deliver.plan import AlertsPlan
from monitor.errors import StateDamaged, StateError, StateTooNew
from monitor.incident.forget import forget
from monitor.incident.intend import Intentions, intend
from monitor.incident.model import Incident, cause_of, causes_of
from monitor.incident.severity import is_quiet
from monitor.judgement import Judged, Judgement
from monitor.labelled import Measured
from monitor.names import Source
from monitor.plan import ModelPlan
from monitor.registry.swap import Offer, swap
from monitor.removed import Removed
from monitor.restoring import Restoring
from monitor.retrain.guards import Guard
from monitor.retrain.rules import requests
from monitor.shown import shown
from monitor.state.log import Progress, StateLog
from monitor.verdict import Verdict
from monitor.view import ModelView
from monitor.window.completeness import Patience
from monitor.window.heard import Heard

log = structlog.get_logger(__name__)

KEPT = 48 * 3_600_000
"""Sketches outlive the windows that need them by two days, so that a wrong verdict can be recounted."""
SHOW_EVERY = 5.0
"""Seconds after which a view is renewed though nothing was judged: people acknowledge and approve."""
RESTORE = 5.0
"""Seconds of a turn for judgements that are being restored: others are due meanwhile."""
FORGET_EVERY = 3_600.0
"""Seconds between clean-ups of the ledger."""
UNNAMED = ""
"""Model of the sketches that count records which name no model."""


class Evaluate:
    """Owns the judgements. One thread calls `tick`; `models` may be read by others."""

    def __init__(
        self,
        contexts: Mapping[str, Context],
        *,
        state: StateLog,
        clock: Clock,
        alerts: AlertsPlan,
        patience: Patience,
        expected: Callable[[str], Collection[Source]],
        topics: Mapping[str, str],
        was_asked: Callable[[str], bool] = lambda _model: True,
    ) -> None:
        """`topics` maps a source name to its topic; `expected` gives all partitions of a topic; `was_asked`:
        whether the registry of a model was asked once."""
        self.last_tick = clock.monotonic()
        self.progress: dict[Source, Progress] = {}
        self.models: dict[str, ModelView] = {}
        self.arrivals = Arrivals()
        self.outbox: dict[str, int] = {}
        """Intents not yet delivered, by integration, as of the last tick."""
        self.deciding = threading.Lock()
        """Held from reading a ledger to appending what was decided from it; people decide too."""
        self._state = state
        self._clock = clock
        self._alerts = alerts
        self._patience = patience
        self._expected = expected
        self._topics = dict(topics)
        self._was_asked = was_asked
        self._after = 0
        self._stale = True
        self._shown: dict[str, float] = {}
        self._next_forget = clock.monotonic() + FORGET_EVERY
        self._contexts = dict(contexts)
        self._terms: dict[str, int] = {}
        self._judgements: dict[str, Judgement] = {}
        self._restoring: dict[str, Restoring] = {}
        self._anew: set[str] = set()
        """Models of which all sketches are still to be taken."""
        self._heard: dict[tuple[str, str], Heard] = {}
        self._marks: dict[str, int] = {}
        """Watermark by topic, since the last report."""
        self._removed = Removed(state, clock, self.deciding)
        self._attend()

    @property
    def removed(self) -> frozenset[str]:
        """Models that are not configured any more, and of which there may be something to deliver."""
        return self._removed.names

    def tick(self) -> int:
        """Take what is new and judge what is due; how many windows were judged."""
        self._live()
        try:
            self._attend()
            news = self._take()
        except (StateDamaged, StateTooNew):
            raise
        except StateError as error:
            log.error("state_refused", error=str(error))
            return 0
        judged = 0
        for name, judgement in self._judgements.items():
            self._live()
            try:
                count = self._judge(judgement)
                self._show(judgement, whole=bool(count or news))
            except StateError as error:
                log.error("ledger_refused", model=name, error=str(error))
            except Exception:
                # boundary: trouble with one model must not silence the others
                metrics.INTERNAL_ERRORS_TOTAL.labels("judge").inc()
                log.exception("judge_raised", model=name)
            else:
                judged += count
        try:
            self._removed.look(
                self._contexts, self.progress.values(), alerts=self._alerts, stall=self._patience.stall
            )
            spoken = [*self._judgements, *self.speaks_for(self.removed - self._contexts.keys())]
            self.outbox = pending_counts(
                {name: self._state.ledger(name, kinds=("intent",)) for name in spoken}
            )
            if self._clock.monotonic() >= self._next_forget:
                self._next_forget = self._clock.monotonic() + FORGET_EVERY
                self.forget()
        except StateError as error:  # a full disk: tried again in an hour
            log.error("state_refused", error=str(error))
        return judged

    def _live(self) -> None:
        """Say that the loop lives: each model takes its time where the state log is slow, or does not answer."""
        self.last_tick = self._clock.monotonic()

    def speaks_for(self, models: Collection[str]) -> tuple[str, ...]:
        """Those of `models`, configured or not any more, that this process speaks for; from any thread."""
        return tuple(self._state.terms(models))

    @property
    def is_restored(self) -> bool:
        """Whether there is a picture of every model that this process speaks for."""
        spoken = self._state.terms(self._contexts)
        return self._state.is_settled and spoken.keys() <= dict(self.models).keys()

    def refresh(self) -> None:
        """Show at the next tick what was changed in the ledger from outside; from any thread."""
        self._stale = True

    def renew(
        self, contexts: Mapping[str, Context], *, alerts: AlertsPlan, patience: Patience,
        topics: Mapping[str, str],
    ) -> None:  # fmt: skip
        """Apply a reloaded configuration between two ticks; called on the evaluate thread.

        Raises StateError, and nothing has changed.
        """
        before = self._patience, self._topics
        self._patience, self._topics = patience, dict(topics)
        kept = {
            name: old
            for name, old in self._judgements.items()
            if name in contexts and fits(old.context, contexts[name])
        }
        try:
            terms = dict(self._state.terms(contexts))
            anew = {name: self._restored(contexts[name], terms[name]) for name in terms if name not in kept}
        except StateError:
            self._patience, self._topics = before
            raise
        self._alerts, self._stale = alerts, True
        self._contexts = dict(contexts)
        self._heard.clear()
        for name in self._judgements.keys() - contexts.keys():
            self._removed.end(name, alerts=alerts)
        for name, judgement in kept.items():
            judgement.renew(contexts[name])
        self._anew |= anew.keys()
        self._restoring.clear()
        judgements = {**kept, **anew}
        self._judgements = {name: judgements[name] for name in contexts if name in judgements}
        self._terms.update({name: terms[name] for name in anew})
        self.models = {name: view for name, view in self.models.items() if name in judgements}

    def swap(self, model: str, offer: Offer) -> None:
        """Take what a registry says; called on the evaluate thread. Raises StateError."""
        if model in self._judgements:
            swap(self._state, self._judgements[model], offer, now=self._clock.now_ms())

    def verdicts(self, model: str) -> tuple[Verdict, ...]:
        """The remembered verdicts of a model, by window name, oldest first."""
        history = self._judgements[model].history
        return tuple(kept.verdict() for name in history for kept in tuple(history[name]))

    def forget(self) -> None:
        """Remove what is too old to matter from the state log."""
        for name, judgement in self._judgements.items():
            self._live()
            latest = judgement.latest
            ends = [latest[spec.name].end for spec in judgement.plan.windows if spec.name in latest]
            if len(ends) == len(judgement.plan.windows):
                reach = max(spec.size for spec in judgement.plan.windows) + judgement.plan.lateness + KEPT
                reach += judgement.plan.join.wait if judgement.plan.join is not None else 0
                self._state.prune(name, min(ends) - reach)
        for name in (*self._judgements, *self.speaks_for(self.removed - self._contexts.keys())):
            entries = list(forget(self._state.ledger(name), self._clock.now_ms()))
            if entries:
                self._state.append(name, entries)
        if self.speaks_for([UNNAMED]):
            self._state.prune(UNNAMED, self._clock.now_ms() - KEPT)

    def _attend(self) -> None:
        """Begin with the models that became ours, end with those that others speak for now.

        Raises StateError.
        """
        self._state.attend()
        terms = self._state.terms(self._contexts)
        for name in [name for name in self._judgements if terms.get(name) != self._terms.get(name)]:
            del self._judgements[name]
            self.models.pop(name, None)
            self._heard = {key: one for key, one in self._heard.items() if key[0] != name}
        for name in [name for name, one in self._restoring.items() if terms.get(name) != one.term]:
            del self._restoring[name]
        for name in sorted(terms.keys() - self._judgements.keys() - self._restoring.keys()):
            self._live()
            try:
                self._restoring[name] = self._begin(self._contexts[name], terms[name])
            except StateTooNew:
                raise
            except StateError as error:  # as above
                log.error("ledger_refused", model=name, error=str(error))
                continue
            self._anew.add(name)  # what it needs was read before, for nobody
        self._restore()

    def _restored(self, context: Context, term: int) -> Judgement:
        one = self._begin(context, term)
        while not one.step():
            self._live()
        return one.judgement

    def _begin(self, context: Context, term: int) -> Restoring:
        topic = self._topics[context.plan.source]
        return Restoring(self._state, context, topic=topic, patience=self._patience, term=term)

    def _restore(self) -> None:
        """Go on with judgements that are being restored, for as long as a turn may take."""
        begin = self._clock.monotonic()
        for name, one in list(self._restoring.items()):
            try:
                while not one.step():
                    self._live()
                    if self._clock.monotonic() - begin > RESTORE:
                        self._restoring[name] = self._restoring.pop(name)  # behind those with less
                        return
            except StateError as error:  # of one model; the others go on, and it is tried again
                log.error("ledger_refused", model=name, error=str(error))
                del self._restoring[name]
                continue
            del self._restoring[name]
            self._judgements[name], self._terms[name] = one.judgement, one.term

    def _take(self) -> bool:
        """Take what is new from the state log; whether views must be renewed whole."""
        held = {**self._judgements, **{name: one.judgement for name, one in self._restoring.items()}}
        self._anew.update(name for name, one in held.items() if one.begin_anew(self._clock.now_ms()))
        self._after, sketches, progress = self._state.changes(held, self._after, self._anew & held.keys())
        self._anew.clear()
        changed = [report for report in progress if self.progress.get(report.source) != report]
        self.progress.update({report.source: report for report in changed})
        for heard in self._heard.values():
            heard.take(changed)
        self._marks.clear()
        self.arrivals.note(changed)
        for name, judgement in held.items():
            judgement.observe([sketch for sketch in sketches if sketch.key.model == name])
        stale, self._stale = self._stale, False
        return stale

    def _judge(self, judgement: Judgement) -> int:
        plan = judgement.plan
        if plan.registered and not judgement.reigns.all and not self._was_asked(plan.name):
            return 0  # versions would be mixed that the registry tells apart
        heard = self._hear(plan, plan.source, plan.config)
        count = 0
        for judged in judgement.due(expected=heard.expected, progress=heard, now=self._clock.now_ms()):
            self._commit(judgement, judged)
            count += 1
            self._live()
        return count + self._measure(judgement, heard.passed)

    def _measure(self, judgement: Judgement, passed: int) -> int:
        """Take the figures of windows whose labels are in; `passed`: what the partitions of the predictions are past."""
        plan = judgement.plan
        heard = self._hear(plan, plan.join.source or plan.source, None) if plan.join is not None else None
        count = 0
        for measured in judgement.measures(heard, now=self._clock.now_ms(), passed=passed):
            self._commit(judgement, measured)
            count += 1
            self._live()
        return count

    def _hear(self, plan: ModelPlan, source: str, config: str | None) -> Heard:
        """What is known of the partitions that a model, or its labels, come from."""
        expected = self._expected(self._topics[source])
        heard = self._heard.get((plan.name, source))
        if heard is None or heard.expected is not expected or heard.config != config:
            heard = self._heard[plan.name, source] = Heard(plan.name, expected, config=config)
            heard.take(self.progress.values())
        return heard

    def _held(self, plan: ModelPlan, end: int) -> Guard | None:
        """Retraining waits while a partition is paused, or nobody reports on it: we do not see all that there is."""
        if is_quiet(plan.maintenance, end):
            return Guard.MAINTENANCE
        seen = [self.progress.get(source) for source in self._expected(self._topics[plan.source])]
        return Guard.HEALTH if any(one is None or one.paused for one in seen) else None

    def _commit(self, judgement: Judgement, judged: Judged | Measured) -> None:
        """Step 11: durable first, then taken as judged."""
        plan = judgement.plan
        entries = judgement.entries(judged)
        intentions = Intentions(())
        with self.deciding:
            if judged.transitions:
                intentions = intend(
                    judged.transitions,
                    self._state.ledger(plan.name),
                    plan=plan,
                    alerts=self._alerts,
                    now=self._clock.now_ms(),
                    held=self._held(plan, judged.verdict.end),
                )
            self._state.append(plan.name, [*entries, *intentions.entries])
        judgement.accept(judged)
        for guard in intentions.suppressed:
            metrics.RETRAIN_SUPPRESSED_TOTAL.labels(plan.name, str(guard)).inc()
        verdict = judged.verdict
        if isinstance(judged, Measured):
            log.info("window_measured", model=plan.name, kind=judged.kind, window=verdict.window, end=verdict.end,
                     detail=verdict.detail, rules=list(verdict.rules))  # fmt: skip
            return
        log.info(
            "early_alarm" if verdict.early else "window_judged",
            model=plan.name,
            window=verdict.window,
            start=verdict.start,
            end=verdict.end,
            revision=verdict.revision,
            state=str(verdict.state),
            reason=str(verdict.reason or ""),
            records=verdict.rows,
            p=verdict.p,
            causes=[cause_of(test, where) for where, test in causes_of(verdict)[:3] if test.x > 1],
            transitions=[str(transition.kind) for transition in judged.transitions],
        )

    def _show(self, judgement: Judgement, *, whole: bool) -> None:
        """Renew the picture of a model: whole after a verdict and now and then, else its watermark."""
        name, now = judgement.plan.name, self._clock.monotonic()
        if whole or name not in self.models or now - self._shown[name] >= SHOW_EVERY:
            self.models[name] = self._view(judgement)
            self._shown[name] = now
        else:
            self.models[name] = replace(self.models[name], watermark=self._watermark(judgement.plan))

    def _watermark(self, plan: ModelPlan) -> int:
        topic = self._topics[plan.source]
        if topic not in self._marks:
            found = (self.progress[s].watermark for s in self._expected(topic) if s in self.progress)
            self._marks[topic] = min(found, default=-1)
        return self._marks[topic]

    def _view(self, judgement: Judgement) -> ModelView:
        name = judgement.plan.name
        bodies = self._state.ledger(name, kinds=("incident",)).of("incident").values()
        incidents = [Incident.from_json(body).to_json() for body in bodies]
        retrains = tuple(requests(self._state.ledger(name, kinds=("retrain", "outcome"))))
        watermark = self._watermark(judgement.plan)
        return shown(judgement, incidents=incidents, retrains=retrains, watermark=watermark)
