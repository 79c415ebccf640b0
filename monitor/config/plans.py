"""From validated settings and references to plain plans."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from monitor.config.columns import plan_columns
from monitor.config.crosscheck_model import WHOLE_MODEL, unknown_feature
from monitor.config.diagnosed import shown
from monitor.config.digest import config_digest
from monitor.config.finding import Problem, Steps
from monitor.config.labelled import label_plan, plan_join
from monitor.config.load import refusal
from monitor.config.outgoing import plan_alerts
from monitor.config.pane import choose
from monitor.config.registered import plan_registries
from monitor.config.rule import TIMED, needs_feature, parse_test
from monitor.config.segmented import plan_segments
from monitor.config.settings import Settings
from monitor.config.stored import plan_server, plan_store
from monitor.config.values import KafkaPlan, LogPlan, MetricsPlan, Plans, StatePlan, TopicsPlan, WebPlan
from monitor.config.watched import LEARN, Model
from monitor.judge.catalogue import FEATURE_MISMATCH, PERFORMANCE
from monitor.plan import (
    Budget,
    ConceptPlan,
    DeadLetterPlan,
    FeaturePlan,
    JoinPlan,
    ModelPlan,
    RawRule,
    RetrainPlan,
    Rule,
    RuleKind,
    SegmentPlan,
    SourcePlan,
    StorePlan,
    TimeUnit,
    WindowSpec,
)
from monitor.reference.profile import Reference
from monitor.segments import PREDICTION


def reference_paths(settings: Settings) -> dict[str, Path]:
    """Model → its reference file, for the models that have one."""
    return {
        name: settings.origin.beside(("models", name, "reference", "file"), model.reference.file)
        for name, model in settings.models.items()
        if model.reference
    }


def beside_paths(settings: Settings, model: str) -> dict[str, str]:
    """Name → file of what the windows of a model are shown beside; "" where there is none."""
    return {
        one.name: str(settings.origin.beside(("models", model, "beside", index, "file"), one.file))
        if one.file
        else ""
        for index, one in enumerate(settings.models[model].beside)
    }


def build_plans(
    settings: Settings, references: Mapping[str, Reference], *, without: Collection[str] = ()
) -> Plans:
    """The plans of `settings`; `references` holds one for every model that names one.

    Models `without` a plan are left out, though not from their sources. Raises ConfigError with
    everything in which the settings and the references do not agree.
    """
    problems: list[Problem] = []
    models = tuple(
        _told(_model(settings, name, references.get(name), problems), settings.models[name])
        for name in settings.models
        if name not in without
    )
    if problems:
        raise refusal([settings.locate(problem) for problem in problems])
    return Plans(
        kafka=plan_kafka(settings),
        sources=plan_sources(settings),
        models=models,
        labels=tuple(
            label_plan(plan, labels)
            for plan in models
            if (labels := settings.models[plan.name].labels) is not None
            and plan.join is not None
            and labels.source
        ),
        alerts=plan_alerts(settings),
        stores={
            plan.name: plan_server(settings.origin, store, ("models", plan.name, "feature_store"))
            for plan in models
            if (store := settings.models[plan.name].feature_store) is not None
        },
        registries=plan_registries(settings),
        state=plan_state(settings),
        metrics=MetricsPlan(
            settings.metrics.per_feature, settings.metrics.top_k, settings.metrics.max_series
        ),
        web=plan_web(settings),
        log=LogPlan(settings.log.format, settings.log.level),
        memory=settings.memory.max,
    )


def plan_kafka(settings: Settings) -> KafkaPlan:
    secrets = {}
    for key, given in settings.kafka.secret_properties.items():
        steps = ("kafka", "secret_properties", key, "file")
        secrets[key] = settings.origin.secret(given, "value", steps, file="file")
    return KafkaPlan(settings.kafka.brokers, settings.kafka.group, dict(settings.kafka.properties), secrets)


def plan_state(settings: Settings) -> StatePlan:
    state, topics = settings.state, settings.state.kafka
    return StatePlan(
        log=state.log,
        dir=state.dir,
        checkpoint=state.checkpoint_every,
        stall=state.stall,
        max_hold=state.max_hold,
        kafka=TopicsPlan(topics.prefix, topics.partitions, topics.model_partitions, topics.replication),
    )


def plan_web(settings: Settings) -> WebPlan:
    web = settings.web
    host, _, port = web.listen.rpartition(":")
    return WebPlan(
        host=host.strip("[]"),
        port=int(port),
        external_url=web.external_url.rstrip("/"),
        enable_lifecycle=web.enable_lifecycle,
        route_prefix=web.route_prefix,
        token=settings.origin.secret(web, "token", ("web", "token_file")),
    )


def plan_sources(settings: Settings) -> tuple[SourcePlan, ...]:
    """One plan per source that carries a model, in the order of the configuration."""
    plans = []
    for name, source in settings.sources.items():
        models = settings.carried_by(name)
        if not models:
            continue
        fields = source.fields
        plans.append(
            SourcePlan(
                name=name,
                topic=source.topic,
                id=fields.id,
                model=fields.model,
                version=fields.version,
                variant=fields.variant,
                error=fields.error,
                models=models,
                start=source.start,
                unreadable=source.unreadable,
                time=fields.time.path if fields.time else (),
                time_unit=TimeUnit(fields.time.unit) if fields.time else TimeUnit.MILLISECONDS,
                latency=fields.latency.path if fields.latency else (),
                latency_unit=TimeUnit(fields.latency.unit) if fields.latency else TimeUnit.MILLISECONDS,
                max_bytes=source.max_bytes,
                max_depth=source.max_depth,
                max_future=source.max_future,
                bound=source.watermark_bound,
                idle=source.idle,
                max_ahead=source.max_ahead,
                dead_letter=_dead_letter(settings, name),
            )
        )
    return tuple(plans)


def _dead_letter(settings: Settings, source: str) -> DeadLetterPlan:
    given, to = settings.sources[source].dead_letter, settings.dead_letter_to(source)
    path = ""
    if to == "topic":
        path = settings.dead_letter_topic(source)
    if to == "file":
        path = str(Path(settings.state.dir) / (given.path or f"dead-letters/{source}.jsonl"))
    return DeadLetterPlan(to, path, given.limit, given.over, given.max_bytes)


def plan_windows(model: Model) -> tuple[tuple[WindowSpec, ...], int]:
    """The windows of a model, and its pane."""
    windows = tuple(
        WindowSpec(name, window.size, window.step or window.size, window.timezone)
        for name, window in model.windows.items()
    )
    spans = [span for window in windows for span in (window.size, window.step)]
    return windows, model.pane or choose(spans)


def plan_rules(features: Iterable[FeaturePlan]) -> tuple[Rule, ...]:
    """The contract rules of features, in their order: null, range, category each."""
    rules = []
    for feature in features:
        if not feature.nullable:
            rules.append(Rule(feature.name, RuleKind.NULL))
        if feature.range != (None, None):
            rules.append(Rule(feature.name, RuleKind.RANGE))
        if feature.allowed:
            rules.append(Rule(feature.name, RuleKind.CATEGORY))
    return tuple(rules)


def _model(settings: Settings, name: str, reference: Reference | None, problems: list[Problem]) -> ModelPlan:
    model, steps = settings.models[name], ("models", name)
    features = plan_columns(model, name, reference, problems)
    windows, pane = plan_windows(model)
    known = (*(feature.name for feature in features), *WHOLE_MODEL)
    limits = _limits(model, name, known, problems)
    segments = plan_segments(model, name, features, reference, problems)
    return ModelPlan(
        name=name,
        source=settings.source_of(name),
        features=features,
        rules=plan_rules(features),
        windows=windows,
        pane=pane,
        budget=Budget(*model.budget),
        config=config_digest(features, pane, settings.sources[settings.source_of(name)], reference, segments),
        early=model.early,
        reference=str(reference_paths(settings)[name]) if reference else "",
        champion=model.champion,
        lateness=model.allowed_lateness,
        min_records=model.min_records,
        tolerance=_tolerance(model, name, known, problems),
        ratio_tolerance=model.ratio_tolerance,
        detectors=model.detectors,
        season=model.season,
        beside=beside_paths(settings, name),
        compat=tuple(dict.fromkeys(model.compat)),
        clear_after=model.clear_after,
        runbook=model.runbook,
        sample=model.diagnosis.sample,
        shown=shown(model.diagnosis, model.contract),
        segments=segments,
        groups=tuple(model.groups),
        join=_join(settings, name, features, reference, segments, problems),
        raw_rules=tuple(rule for rule in limits if rule.score not in TIMED),
        harm=tuple(rule for rule in limits if rule.score in PERFORMANCE),
        store=_store(model, limits, features, steps, problems),
        registered=model.registry is not None,
    )


def _store(
    model: Model,
    limits: list[RawRule],
    features: tuple[FeaturePlan, ...],
    steps: Steps,
    problems: list[Problem],
) -> StorePlan | None:
    if model.feature_store is None:
        return None
    own = [rule for rule in limits if rule.score == FEATURE_MISMATCH]
    plan, wrong = plan_store(model.feature_store, own, features, steps)
    problems.extend(wrong)
    return plan


def _join(
    settings: Settings,
    name: str,
    features: tuple[FeaturePlan, ...],
    reference: Reference | None,
    segments: tuple[SegmentPlan, ...],
    problems: list[Problem],
) -> JoinPlan | None:
    labels, outcome = settings.models[name].labels, settings.models[name].prediction
    if labels is None or outcome is None:
        return None
    prediction = next((feature for feature in features if feature.name == PREDICTION), None)
    if prediction is None:
        text = f"the reference {reference.name if reference else ''} has no prediction for labels to be compared with"
        problems.append(
            Problem("not-in-reference", ("models", name, "labels"), text, at_key=True,
                    help="build it again with the prediction among its columns")
        )  # fmt: skip
        return None
    profiles = reference.features if reference is not None else ()
    scale = next((profile.scale for profile in profiles if profile.name == PREDICTION), 1.0)
    joined = (settings.source_of(name), labels.source) if labels.source else ()
    ids = tuple(settings.sources[one].fields.id for one in joined)
    return plan_join(labels, outcome.kind, prediction=prediction, segments=segments, ids=ids, scale=scale)


def _limits(model: Model, name: str, known: tuple[str, ...], problems: list[Problem]) -> list[RawRule]:
    for rule, limit in model.rules.items():
        when = limit.when
        if needs_feature(when) and when.feature not in known:
            problems.append(unknown_feature(when.feature, ("models", name, "rules", rule, "when"), known))
    return [
        RawRule(rule, *limit.when[:5], limit.do, *limit.when[5:], clear=limit.clear)
        for rule, limit in model.rules.items()
    ]


def _told(plan: ModelPlan, model: Model) -> ModelPlan:
    """With who is told of what, and when."""
    return replace(
        plan,
        concept=_concept(model),
        maintenance=model.maintenance,
        page_on_harm=model.page_on == "harm",
        retrain=_retrain(model),
    )


def _concept(model: Model) -> ConceptPlan:
    own = model.labels
    return ConceptPlan() if own is None else ConceptPlan(tuple(dict.fromkeys(own.detectors)), own.on_change)


def _retrain(model: Model) -> RetrainPlan:
    return RetrainPlan(
        mode=model.retrain.mode,
        windows=min(model.retrain.when),
        cooldown=model.retrain.cooldown,
        max_per_day=model.retrain.max_per_day,
        min_records=model.retrain.min_records,
        target=model.retrain.target,
        paused=model.retrain.paused,
        dry_run=model.retrain.dry_run,
    )


def _tolerance(model: Model, name: str, known: tuple[str, ...], problems: list[Problem]) -> dict[str, float]:
    """Fixed tolerances; what is learnt is absent. A fixed one that some feature learns instead is
    written out for all the others."""
    given: dict[tuple[str, str], float | str] = {}
    for text, value in model.tolerance.items():
        test, feature = parse_test(text)
        given[test, feature] = value
        if feature and feature not in known:
            problems.append(unknown_feature(feature, ("models", name, "tolerance", text), known))
    columns = {**model.features, "prediction": model.prediction, "label": model.label}
    for feature, column in columns.items():
        for text, value in (column.tolerance if column else {}).items():
            given[parse_test(text)[0], feature] = value
    fixed: dict[str, float] = {}
    for (test, feature), value in given.items():
        learnt = {f for (t, f), v in given.items() if t == test and f and v == LEARN}
        if value == LEARN:
            continue
        if feature:
            fixed[f"{test}({feature})"] = float(value)
        elif learnt:
            others = [f for f in known if f not in learnt and (test, f) not in given]
            fixed |= {f"{test}({f})": float(value) for f in others}
        else:
            fixed[test] = float(value)
    return fixed
