"""Asks model registries which version is in production, and hands what changed to the evaluate thread.

One thread. It only asks for models that this process speaks for. Whatever a registry says or does not say, the
reference that judges goes on judging: trouble is counted, logged when it changes, and shown.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from monitor import metrics
from monitor.clock import Clock
from monitor.context import Context
from monitor.errors import ReferenceInvalid, RegistryError, StateError, WebhookClosed, WebhookRefused
from monitor.reference.alike import unlike
from monitor.reference.file import digest_of, unpack
from monitor.registry.mlflow import DIGEST, STATUS, Mlflow, Version
from monitor.registry.plan import RegistryPlan
from monitor.registry.prompts import Prompts
from monitor.registry.swap import Offer
from monitor.registry.webhook import models_of
from monitor.reigns import Reign, ruled
from monitor.view import ModelView, RegistryView

log = structlog.get_logger(__name__)

LOOK = 0.2
"""Seconds between two looks at which registry is due."""
LEAST = 1.0
"""Seconds between two questions that webhooks prompt: as often as `every` may be. Who repeats one gains no more."""


@dataclass(slots=True)
class _Asked:
    """What came of asking for one model."""

    due: float = 0.0
    last: float = -LEAST
    """When it was asked; both as of the monotonic clock."""
    status: str = ""
    """Tag that was written last, with its version."""


class Poller:
    """`tick` from one thread; the rest from any."""

    def __init__(
        self,
        *,
        clock: Clock,
        plans: Callable[[], Mapping[str, RegistryPlan]],
        contexts: Callable[[], Mapping[str, Context]],
        shown: Callable[[], Mapping[str, ModelView]],
        swap: Callable[[str, Offer], None],
    ) -> None:
        """`shown`: the models that this process speaks for; `swap` makes a reign durable, or raises StateError."""
        self.views: dict[str, RegistryView] = {}
        self.prompts = Prompts(clock)
        self._clock = clock
        self._plans = plans
        self._contexts = contexts
        self._shown = shown
        self._swap = swap
        self._asked: dict[str, _Asked] = {}
        self._concluded: set[str] = set()
        """Models that were asked for to the end since this process speaks for them: what was said is in force."""

    def start(self, stopping: threading.Event) -> None:
        """Ask until `stopping`, on a thread of its own that nobody has to wait for."""
        threading.Thread(target=self._run, args=(stopping,), name="registry", daemon=True).start()

    def _run(self, stopping: threading.Event) -> None:
        while not self._clock.wait(stopping, LOOK):
            self.tick()

    def was_asked(self, model: str) -> bool:
        """Whether a registry was asked once, whatever came of it: until then nothing is judged without it."""
        return model in self._concluded or model not in self._plans()

    def hear(self, headers: Mapping[str, str], body: bytes) -> tuple[str, ...]:
        """Take a webhook; the models that are asked for because of it. From any thread.

        Raises WebhookClosed and WebhookRefused.
        """
        try:
            models = models_of(self._plans().values(), headers, body, now_ms=self._clock.now_ms())
        except WebhookClosed:
            raise
        except WebhookRefused:
            metrics.REGISTRY_WEBHOOKS_TOTAL.labels("refused").inc()
            raise
        metrics.REGISTRY_WEBHOOKS_TOTAL.labels("prompted" if models else "ignored").inc()
        self.prompts.note(models)
        return models

    def tick(self) -> None:
        """Ask the registries that are due. Raises nothing."""
        plans, shown = dict(self._plans()), dict(self._shown())
        for gone in self.views.keys() - (plans.keys() & shown.keys()):
            del self.views[gone]
            self._concluded.discard(gone)
        for name, plan in plans.items():
            asked, now = self._asked.setdefault(name, _Asked()), self._clock.monotonic()
            is_due = asked.due <= now or (self.prompts.wants(name) and asked.last + LEAST <= now)
            if name not in shown or not (is_due or name not in self._concluded):
                continue
            self.prompts.begin(name)
            asked.last, asked.due = now, now + plan.every / 1000
            try:
                self._ask(plan, asked, shown[name])
            except Exception as error:
                # boundary: a registry must not end the thread that asks all of them
                metrics.INTERNAL_ERRORS_TOTAL.labels("registry").inc()
                log.exception("registry_raised", model=name)
                self._failed(plan, RegistryError(type(error).__name__, reason="bad_answer"))
            self._concluded.add(name)

    def _ask(self, plan: RegistryPlan, asked: _Asked, shown: ModelView) -> None:
        client = Mlflow(plan)
        try:
            version = client.production()
            offer = self._offer(client, version, shown.reigns[-1] if shown.reigns else None)
            if offer is not None:
                self._swap(plan.model, offer)
        except RegistryError as error:
            self._failed(plan, error)
            return
        except StateError as error:
            self._failed(plan, RegistryError(str(error), reason="not_stored"))
            return
        trouble = self.views[plan.model].lacking if plan.model in self.views else ""
        self._answered(plan, version, lacking=trouble)
        if plan.write_tags:
            self._tag(client, asked, shown)

    def _offer(self, client: Mlflow, version: Version, current: Reign | None) -> Offer | None:
        """What is to judge from now on; None where that is what judges. Raises RegistryError."""
        plan, base = client.plan, self._contexts()[client.plan.model]
        named, digest = version.named(plan), version.tags.get(DIGEST, "")
        same = current is not None and current.version == named
        if current is not None and same and not current.borrowed:
            # nothing but a tag says that a version was given a reference: where the configured one judges, ask
            asks = digest != current.digest if digest else not current.digest
            if not asks:
                self._lacks(plan, "")
                return None
        try:
            content = client.reference(version.number)
            context = self._checked(plan, base, content, version, named)
        except RegistryError as error:
            metrics.REGISTRY_ERRORS_TOTAL.labels(plan.model, error.reason).inc()
            if self._lacking(plan) != str(error):
                log.warning("registry_reference", model=plan.model, version=version.number, error=str(error))
            self._lacks(plan, str(error))
            return None if same else _borrow(version, named, current)
        self._lacks(plan, "")
        return Offer(named, version.number, digest_of(content), context=context, content=content)

    def _checked(
        self, plan: RegistryPlan, base: Context, content: bytes, version: Version, named: str
    ) -> Context:
        where = f"{plan.path} of version {version.number} of {plan.name}"
        try:
            reference = unpack(content, where=where)
        except ReferenceInvalid as error:
            raise RegistryError(str(error), reason="bad_reference") from error
        expected = version.tags.get(DIGEST, reference.digest)
        if expected != reference.digest:
            raise RegistryError(
                f"the file is not the one that was pushed: digest {reference.digest[:12]} - {where} - {expected[:12]}",
                reason="bad_reference",
            )
        assert base.reference is not None
        if why := unlike(base.reference, reference):
            raise RegistryError(
                f"{why} - {where} - built with `--bins-of` the reference that the configuration names",
                reason="other_bins",
            )
        return ruled(base, reference, version=named, borrowed=False)

    def _tag(self, client: Mlflow, asked: _Asked, shown: ModelView) -> None:
        """The state of the newest verdict on the version in production, where it has changed."""
        reign = shown.reigns[-1] if shown.reigns else None
        newest = max(
            (one for one in shown.latest.values() if reign is not None and reign.version in one.versions),
            key=lambda one: one.end, default=None,
        )  # fmt: skip
        if reign is None or newest is None or asked.status == (status := f"{reign.named}|{newest.state}"):
            return
        try:
            client.tag(reign.named, STATUS, str(newest.state))
            asked.status = status
        except RegistryError as error:
            self._failed(client.plan, error)

    def _answered(self, plan: RegistryPlan, version: Version, *, lacking: str) -> None:
        if (before := self.views.get(plan.model)) is not None and before.error:
            log.info("registry_answers", model=plan.model, version=version.number)
        self.views[plan.model] = RegistryView(
            plan.url,
            plan.name,
            plan.mark,
            version=version.number,
            asked=self._clock.now_ms(),
            lacking=lacking,
        )

    def _failed(self, plan: RegistryPlan, error: RegistryError) -> None:
        metrics.REGISTRY_ERRORS_TOTAL.labels(plan.model, error.reason).inc()
        before = self.views.get(plan.model) or RegistryView(plan.url, plan.name, plan.mark)
        if before.error != str(error):
            log.warning("registry_trouble", model=plan.model, reason=error.reason, error=str(error))
        self.views[plan.model] = replace(before, error=str(error))

    def _lacking(self, plan: RegistryPlan) -> str:
        found = self.views.get(plan.model)
        return found.lacking if found is not None else ""

    def _lacks(self, plan: RegistryPlan, why: str) -> None:
        before = self.views.get(plan.model) or RegistryView(plan.url, plan.name, plan.mark)
        self.views[plan.model] = replace(before, lacking=why)


def _borrow(version: Version, named: str, current: Reign | None) -> Offer:
    """The last known reference judges a version that has none: at the very first, the configured one, as its own."""
    if current is None:
        return Offer(named, version.number, "")
    return Offer(named, version.number, current.digest, borrowed=True)
