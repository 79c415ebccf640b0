"""What people decide: acknowledging incidents, approving and rejecting retraining."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from monitor.clock import Clock
from monitor.context import Context
from monitor.deliver.plan import AlertsPlan
from monitor.errors import StateError, UsageError
from monitor.evaluate import Evaluate
from monitor.incident.intend import acknowledge
from monitor.retrain.rules import approve, reject
from monitor.state.log import Entry, Ledger, StateLog


class Decisions:
    """Called from threads of the web server.

    Each returns why it could not be done, None when it was, and raises LookupError when there is
    nothing of this id here.
    """

    def __init__(
        self,
        state: StateLog,
        evaluate: Evaluate,
        *,
        clock: Clock,
        alerts: Callable[[], AlertsPlan],
        models: Callable[[], Mapping[str, Context]],
        reload: Callable[[], str | None],
        stop: Callable[[], None],
    ) -> None:
        """`models` are those that are configured now, `alerts` where alerts go now. What is approved goes to the target that
        the model has by then."""
        self.reload = reload
        self.quit = stop
        self._state = state
        self._evaluate = evaluate
        self._clock = clock
        self._alerts = alerts
        self._models = models

    def acknowledge(self, incident: str, by: str) -> str | None:
        alerts, now = self._alerts(), self._clock.now_ms()
        return self._decide(
            "incident", incident, lambda ledger: acknowledge(ledger, incident, by=by, alerts=alerts, now=now)
        )

    def approve(self, request: str, by: str) -> str | None:
        now = self._clock.now_ms()
        targets = {name: context.plan.retrain.target for name, context in self._models().items()}
        return self._decide(
            "retrain",
            request,
            lambda ledger: approve(ledger, request, by=by, now=now, target=targets.get(ledger.model)),
        )

    def reject(self, request: str, by: str) -> str | None:
        now = self._clock.now_ms()
        return self._decide("retrain", request, lambda ledger: reject(ledger, request, by=by, now=now))

    def _decide(self, kind: str, identity: str, entries: Callable[[Ledger], Sequence[Entry]]) -> str | None:
        models = self._models()
        ours = self._state.terms(models)
        try:
            for name in ours:
                if identity not in self._state.ledger(name, kinds=(kind,)).of(kind):
                    continue
                with self._evaluate.deciding:
                    self._state.append(name, list(entries(self._state.ledger(name))))
                self._evaluate.refresh()
                return None
        except (UsageError, StateError) as error:
            return str(error)
        refused = self._state.refused(models)
        if refused:
            return f"no such {kind} here - {identity} - {'; '.join(sorted(set(refused.values())))}"
        others = sorted(set(models) - set(ours))
        if others:
            return (
                f"no such {kind} here - {identity} - other replicas speak for {', '.join(others)}: "
                "ask one that shows the model"
            )
        raise LookupError(identity)
