"""From configuration files to the parts that the loops work with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import structlog

from kernels.layout import CATEGORICAL, FIRST_BIN, NUMERIC, VECTOR, VECTOR_SLOTS, Layout
from kernels.select import Backend, BackendMissing, select
from monitor import metrics
from monitor.clock import Clock
from monitor.config.effective import render
from monitor.config.finding import Problem
from monitor.config.load import load, refusal
from monitor.config.plans import build_plans, reference_paths
from monitor.config.settings import Settings
from monitor.config.topics import plan_beside, plan_topics
from monitor.config.values import Plans
from monitor.context import Context
from monitor.intake.dead_letter import DeadLetters
from monitor.intake.decode import Decoder
from monitor.judge.beside import Neighbour, rebinned
from monitor.judge.prepare import prepare
from monitor.partition import Model
from monitor.plan import ConceptPlan, FeaturePlan, Kind, ModelPlan, SourcePlan
from monitor.reference.file import read
from monitor.reference.profile import Reference
from monitor.reference.vector import plain_vector, stacked
from monitor.state.kafka.topics import TopicSpec
from monitor.state.local import LocalLog
from monitor.state.log import StateLog
from monitor.steps import Input, Offer
from monitor.web.settings import PerFeature, WebSettings
from monitor.window.completeness import Patience

log = structlog.get_logger(__name__)

_KINDS = {Kind.NUMERIC: NUMERIC, Kind.VECTOR: VECTOR}
"""Of a layout; all others are categorical there."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """One configuration and everything derived from it; replaced whole on a reload."""

    settings: Settings
    plans: Plans
    references: Mapping[str, Reference | None]
    models: Mapping[str, Model]
    labels: Mapping[str, Model]
    """How labels are counted, by the name of the model they are of."""
    contexts: Mapping[str, Context]
    redacted: str
    """The effective configuration as YAML, secrets as <secret>."""
    backend: Backend

    @property
    def topics(self) -> dict[str, str]:
        """Source name → topic."""
        return {source.name: source.topic for source in self.plans.sources}

    @property
    def own_topics(self) -> tuple[TopicSpec, ...]:
        """Those that have to be there."""
        return plan_topics(self.settings)

    @property
    def topics_beside(self) -> tuple[TopicSpec, ...]:
        """Somebody else's that we write to."""
        return plan_beside(self.settings)

    @property
    def patience(self) -> Patience:
        return Patience(
            idle=max(source.idle for source in self.plans.sources),
            stall=self.plans.state.stall,
            max_hold=self.plans.state.max_hold,
        )

    def web(self, *, files: Sequence[str], revision: str) -> WebSettings:
        plans = self.plans
        return WebSettings(
            enable_lifecycle=plans.web.enable_lifecycle,
            token=plans.web.token,
            per_feature=PerFeature(plans.metrics.per_feature),
            top_k=plans.metrics.top_k,
            max_series=plans.metrics.max_series,
            route_prefix=plans.web.route_prefix,
            flags={"config": ",".join(files)},
            revision=revision,
        )

    def joined_as(self, before: Assembly) -> Assembly:
        """With the brokers as they were reached before: which protocol the groups speak is decided once in a process."""
        return replace(self, plans=replace(self.plans, kafka=before.plans.kafka))

    def without_labels(self) -> Assembly:
        """The same for one who reads predictions alone: nothing is joined, and ids are not read. Limits on performance
        stay where estimates are held against them, too."""
        plans = {
            plan.name: replace(
                plan, join=None, harm=plan.harm if plan.page_on_harm else (), concept=ConceptPlan()
            )
            for plan in self.plans.models
        }
        own = [
            replace(source, models=tuple(name for name in source.models if plans[name].source == source.name))
            for source in self.plans.sources
        ]
        sources = tuple(source for source in own if source.models)
        return replace(
            self,
            plans=replace(self.plans, sources=sources, models=tuple(plans.values()), labels=()),
            models={name: replace(model, plan=plans[name]) for name, model in self.models.items()},
            labels={},
            contexts={name: replace(context, plan=plans[name]) for name, context in self.contexts.items()},
        )

    def models_of(self, source: SourcePlan) -> dict[str, Model]:
        """What is counted of a source: predictions of some models, labels of others."""
        return {name: self._counted(source, name) for name in source.models}

    def _counted(self, source: SourcePlan, name: str) -> Model:
        labels = self.labels.get(name)
        return labels if labels is not None and labels.plan.source == source.name else self.models[name]

    def decoder(self, source: SourcePlan) -> Decoder:
        counted = self.models_of(source)
        references = {
            name: self.references[name] for name, model in counted.items() if model is self.models[name]
        }
        return Decoder(source, {name: model.plan for name, model in counted.items()}, references)

    def input(self, source: SourcePlan, dead_letters: DeadLetters, offer: Offer | None = None) -> Input:
        return Input(source, self.decoder(source), self.models_of(source), dead_letters, offer)


def assemble(files: Sequence[str]) -> Assembly:
    """Load, validate, read the references and prepare the judge.

    Takes seconds for wide models: the judge scores every window of each reference. Raises
    ConfigError with every finding, and ReferenceInvalid.
    """
    settings = load(files)
    backend = backend_of(settings)
    found = {name: read(path) for name, path in reference_paths(settings).items()}
    plans = build_plans(settings, found)
    references = {plan.name: found.get(plan.name) for plan in plans.models}
    models = {}
    labels = {plan.name: Model(plan, _bare_layout(plan), (), backend) for plan in plans.labels}
    contexts = {}
    for plan in plans.models:
        reference = references[plan.name]
        layout = reference.layout() if reference is not None else _bare_layout(plan)
        categories = reference.categories() if reference is not None else ()
        models[plan.name] = Model(plan, layout, categories, backend)
        prepared = (
            {spec.name: prepare(reference, plan, spec) for spec in plan.windows}
            if reference is not None
            else {}
        )
        contexts[plan.name] = Context(plan, layout, reference, prepared, _others(plan, reference))
    return Assembly(settings, plans, references, models, labels, contexts, render(settings), backend)


def _others(plan: ModelPlan, reference: Reference | None) -> dict[str, Neighbour]:
    """The references that are shown beside, in the slots of the model's own."""
    if reference is None:
        return {}
    return {name: rebinned(read(path), reference) for name, path in plan.beside.items() if path}


def settled(assembly: Assembly, clock: Clock) -> Assembly:
    """With `group.protocol: auto` the brokers are asked, once for both groups: they must not speak differently."""
    kafka = assembly.plans.kafka
    if not kafka.is_protocol_open:
        return assembly
    from monitor.intake.protocol import decide
    from monitor.state.kafka.installation import evaluators

    groups = [kafka.readers, evaluators(kafka.group)]
    topic, trial = assembly.plans.sources[0].topic, f"{kafka.group}.trial"
    choice = decide(kafka.client(), groups, topic=topic, trial=trial, clock=clock)
    return replace(assembly, plans=replace(assembly.plans, kafka=kafka.speaking(choice.protocol)))


def open_state(assembly: Assembly, *, clock: Clock, accept_loss: bool = False) -> StateLog:
    """The state log that the configuration names; topics that are missing are created.

    Raises StateError, with the commands that create the topics where that is not permitted.
    """
    plans = assembly.plans
    metrics.DATA_LOSS_ACCEPTED.set(accept_loss)
    if accept_loss:
        log.warning("data_loss_accepted", note="lost state is begun anew without asking; meant for one start")
    if plans.state.log == "local":
        return LocalLog(Path(plans.state.dir), clock=clock)
    from monitor.state.kafka.admin import ensure_topics  # a single process needs none of it
    from monitor.state.kafka.cluster import open_cluster

    properties = plans.kafka.client()
    ensure_topics(properties, plan_topics(assembly.settings), clock=clock)
    return open_cluster(
        properties,
        group=plans.kafka.group,
        prefix=plans.state.kafka.prefix,
        clock=clock,
        stall=plans.state.stall,
        accept_loss=accept_loss,
    )


def backend_of(settings: Settings) -> Backend:
    """Where counts will live. Raises ConfigError where `gpu` is asked for and cannot be had."""
    try:
        return select(settings.backend)
    except BackendMissing as error:
        right = f"{error.right} - or backend: auto, which takes the CPU here"
        problem = Problem("no-backend", ("backend",), error.wrong, help=right)
        raise refusal([settings.locate(problem)]) from error


def _bare_layout(plan: ModelPlan) -> Layout:
    """Slots for a model without a reference: presence, sums and extremes are kept, shares are not."""
    numeric = [feature for feature in plan.features if feature.kind is Kind.NUMERIC]
    edges = np.array([0.0, 1.0])
    slots = [_bare_slots(feature) for feature in plan.features]
    kinds = [_KINDS.get(feature.kind, CATEGORICAL) for feature in plan.features]
    column = [kinds[:place].count(kind) for place, kind in enumerate(kinds)]
    return Layout(
        kind=np.array(kinds, np.int8),
        column=np.array(column, np.int32),
        start=np.cumsum([0, *slots], dtype=np.int32),
        edges=np.tile(edges, len(numeric)),
        edge_start=np.arange(0, 2 * len(numeric) + 1, 2, dtype=np.int32),
        center=np.zeros(len(numeric)),
        scale=np.ones(len(numeric)),
        vectors=stacked([plain_vector(f.length) for f in plan.features if f.kind is Kind.VECTOR]),
    )


def _bare_slots(feature: FeaturePlan) -> int:
    if feature.kind is Kind.NUMERIC:
        return 2 + 3
    if feature.kind is Kind.VECTOR:
        return VECTOR_SLOTS
    return FIRST_BIN + (2 if feature.kind is Kind.BOOLEAN else len(feature.categories or ()))
