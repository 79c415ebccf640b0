"""Cross checks of one model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from monitor.config import pane
from monitor.config.crosscheck_figures import check_figure
from monitor.config.finding import Level, Problem, Steps, nearest
from monitor.config.labelled import check_labels
from monitor.config.quantity import format_duration
from monitor.config.rule import GrammarError, needs_feature, parse_test
from monitor.config.settings import Settings
from monitor.config.stored import check_store
from monitor.config.watched import Column, Feature, Model, Outcome
from monitor.judge.catalogue import FEATURE_MISMATCH, PERFORMANCE
from monitor.plan import LAST_WEEK, PREVIOUS

DAY = 86_400_000
WEEK = 7 * DAY
OWN_WINDOWS = (PREVIOUS, LAST_WEEK)
OWN_FEATURES = ("prediction", "label", "latency", "error")
"""Names that rules may use beside the model's features; inputs cannot be called so."""
WHOLE_MODEL = ("latency", "error")
KIND_OF = {"score": "numeric", "number": "numeric", "class": "categorical"}


def check_model(settings: Settings, name: str, names: Mapping[str, AbstractSet[str]]) -> Iterator[Problem]:
    model, steps = settings.models[name], ("models", name)
    yield from _source(model, steps, names["sources"])
    yield from _windows(model, steps)
    yield from _beside(model, steps)
    yield from _columns(model, steps)
    yield from check_labels(
        model.labels, model.prediction.kind if model.prediction else "", own=settings.source_of(name), steps=steps,
        with_id={source for source, one in settings.sources.items() if one.fields.id}, sources=names["sources"],
    )  # fmt: skip
    yield from check_store(
        model.feature_store,
        {name: rule.when[1] for name, rule in model.rules.items() if rule.when[0] == FEATURE_MISMATCH},
        steps,
    )
    yield from _rules(model, steps)
    yield from _retrain(model, steps, names["targets"])


def _source(model: Model, steps: Steps, sources: AbstractSet[str]) -> Iterator[Problem]:
    if model.source and model.source not in sources:
        yield Problem(
            "unknown-source",
            (*steps, "source"),
            f"there is no source called `{model.source}`",
            suggestion=nearest(model.source, sources),
            help=f"sources: {', '.join(sorted(sources))}",
        )
    if not model.source and len(sources) > 1:
        yield Problem(
            "missing-key",
            (*steps, "source"),
            f"models.{steps[1]}.source is missing",
            at_key=True,
            help=f"there are several sources: {', '.join(sorted(sources))}",
        )


def _windows(model: Model, steps: Steps) -> Iterator[Problem]:
    spans = [span for window in model.windows.values() for span in (window.size, window.step or window.size)]
    for name, window in model.windows.items():
        at = (*steps, "windows", name)
        step = window.step or window.size
        if window.size % step:
            yield Problem(
                "bad-window",
                (*at, "step"),
                f"the step {format_duration(step)} does not divide the size {format_duration(window.size)}",
                help="a window is a whole number of steps",
            )
        if window.timezone != "UTC" and step % DAY and model.season == "none":
            yield Problem(
                "bad-window",
                (*at, "timezone"),
                "a time zone needs a step of whole days, or a season; shorter windows are counted in UTC",
            )
    try:
        if model.pane:
            pane.check(model.pane, spans)
        else:
            pane.choose(spans)
    except pane.PaneError as error:
        at = (*steps, "pane") if model.pane else (*steps, "windows")
        yield Problem(
            "bad-pane",
            at,
            f"models.{steps[1]}: {error}",
            at_key=not model.pane,
            help=f"greatest common divisor of sizes and steps: {format_duration(pane.common(spans))}",
        )


def _beside(model: Model, steps: Steps) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, one in enumerate(model.beside):
        at = (*steps, "beside", index)
        if one.name in seen:
            yield Problem("duplicate-name", at, f"`{one.name}` stands twice")
        if (one.name in OWN_WINDOWS) == bool(one.file):
            wrong = "is a window and has no file" if one.file else "is no window that is known here"
            yield Problem(
                "bad-beside",
                at,
                f"`{one.name}` {wrong}",
                suggestion="" if one.file else nearest(one.name, OWN_WINDOWS),
                help=f"{', '.join(OWN_WINDOWS)}, or another name with the file of a reference; `training` is what every "
                "window is compared with, and no variant but the champion is judged",
            )
        if one.name == LAST_WEEK:
            for name, window in model.windows.items():
                if WEEK % (window.step or window.size):
                    yield Problem("bad-beside", at, f"a week is no whole number of steps of window `{name}`")
        seen.add(one.name)
    if model.beside and not model.reference:
        yield Problem(
            "bad-beside",
            (*steps, "beside"),
            "without a reference there are no bins to compare anything in",
            at_key=True,
        )


def _columns(model: Model, steps: Steps) -> Iterator[Problem]:
    if not model.reference and not model.features and not model.prediction:
        yield Problem(
            "missing-key",
            (*steps, "reference"),
            f"models.{steps[1]} has neither a reference nor features",
            at_key=True,
            help="build one with `driftline reference build`, or name the features",
        )
    for name, feature in model.features.items():
        at = (*steps, "features", name)
        if name in OWN_FEATURES:
            yield Problem(
                "reserved-name",
                at,
                f"a feature cannot be called `{name}`",
                at_key=True,
                help=f"reserved: {', '.join(OWN_FEATURES)}",
            )
        yield from check_column(feature, feature.kind or "", at)
        if not model.reference:
            for key in ("path", "kind", *(("length",) if feature.kind == "vector" else ())):
                if not getattr(feature, key):
                    yield Problem(
                        "missing-key",
                        (*at, key),
                        f"{name}: without a reference, a feature needs a {key}",
                        at_key=True,
                    )
    for role in ("prediction", "label"):
        outcome = getattr(model, role)
        if isinstance(outcome, Outcome):
            yield from check_column(outcome, KIND_OF[outcome.kind], (*steps, role))


def check_column(column: Column, kind: str, steps: Steps) -> Iterator[Problem]:
    if column.range and kind not in {"", "numeric"}:
        yield Problem(
            "bad-contract", (*steps, "range"), f"a range is for numbers; {steps[-1]} is {kind}", at_key=True
        )
    if column.allowed and kind not in {"", "categorical"}:
        yield Problem(
            "bad-contract",
            (*steps, "allowed"),
            f"allowed categories are for categorical features; {steps[-1]} is {kind}",
            at_key=True,
        )
    seen: set[str] = set()
    for index, category in enumerate(column.allowed):
        if category in seen:
            yield Problem(
                "duplicate-category",
                (*steps, "allowed", index),
                "this category stands twice",
                level=Level.WARNING,
            )
        seen.add(category)
    if isinstance(column, Feature) and column.length and kind not in {"", "vector"}:
        yield Problem(
            "bad-contract",
            (*steps, "length"),
            f"a length is for vectors; {steps[-1]} is {kind}",
            at_key=True,
        )
    if column.numbers_in_strings and kind not in {"", "numeric"}:
        yield Problem(
            "bad-contract", (*steps, "numbers_in_strings"), f"{steps[-1]} is {kind}, not numeric", at_key=True
        )
    for test in column.tolerance:
        yield from _test(test, (*steps, "tolerance", test), is_whole=True)


def _test(text: str, steps: Steps, *, is_whole: bool) -> Iterator[Problem]:
    try:
        _, feature = parse_test(text)
    except GrammarError as error:
        yield Problem("bad-test", steps, str(error), suggestion=error.suggestion, at_key=True)
        return
    if feature and is_whole:
        yield Problem("bad-test", steps, "the tolerance of a feature names the test alone", at_key=True)


def known_features(model: Model) -> tuple[str, ...]:
    """Names that rules may use, as far as the configuration alone tells."""
    own = tuple(role for role in ("prediction", "label") if getattr(model, role))
    return (*model.features, *own, *WHOLE_MODEL)


def _rules(model: Model, steps: Steps) -> Iterator[Problem]:
    is_closed = not model.reference
    if model.page_on == "harm" and not any(rule.when.score in PERFORMANCE for rule in model.rules.values()):
        yield Problem(
            "missing-key", (*steps, "page_on"), "pages are sent for harm, and no rule says what that is",
            help="give the model a limit on performance: rules: {harm: accuracy < 0.9}",
        )  # fmt: skip
    for name, rule in model.rules.items():
        at = (*steps, "rules", name)
        if rule.when[0] in PERFORMANCE:
            yield from check_figure(model, rule, (*at, "when"))
        elif is_closed and needs_feature(rule.when) and rule.when.feature not in known_features(model):
            yield unknown_feature(rule.when.feature, (*at, "when"), known_features(model))
        if (
            rule.clear is not None
            and (rule.clear - rule.when.limit) * (-1 if ">" in rule.when.operator else 1) <= 0
        ):
            better = "below" if ">" in rule.when.operator else "above"
            yield Problem(
                "conflict",
                (*at, "clear"),
                f"rules.{name} is over {better} its limit, and {rule.clear:g} is not",
            )
        if rule.do == "retrain":
            yield from _targeted(model, (*at, "do"), f"rules.{name}")
    if model.labels is not None and model.labels.detectors and model.labels.on_change == "retrain":
        yield from _targeted(model, (*steps, "labels", "on_change"), "labels.on_change")
    for test in model.tolerance:
        at = (*steps, "tolerance", test)
        yield from _test(test, at, is_whole=False)
        _, _, feature = test.rstrip(") ").partition("(")
        if feature and is_closed and feature.strip() not in known_features(model):
            yield unknown_feature(feature.strip(), at, known_features(model))


def _targeted(model: Model, at: Steps, what: str) -> Iterator[Problem]:
    if model.retrain.mode == "off" or not model.retrain.target:
        text = f"{what} asks for retraining, but none is set up"
        yield Problem("no-target", at, text, help=f"give models.{at[1]}.retrain a mode and a target")


def unknown_feature(feature: str, steps: Steps, known: tuple[str, ...]) -> Problem:
    return Problem(
        "unknown-feature",
        steps,
        f"there is no feature called `{feature}`",
        suggestion=nearest(feature, known),
        help=f"features: {', '.join(known[:20])}"
        + (f" and {len(known) - 20} more" if len(known) > 20 else ""),
    )


def _retrain(model: Model, steps: Steps, targets: AbstractSet[str]) -> Iterator[Problem]:
    target, mode = model.retrain.target, model.retrain.mode
    if target and target not in targets:
        yield Problem(
            "unknown-target",
            (*steps, "retrain", "target"),
            f"there is no target called `{target}`",
            suggestion=nearest(target, targets),
            help=f"targets: {', '.join(sorted(targets)) or 'none are configured'}",
        )
    if mode == "auto" and not target:
        yield Problem(
            "no-target",
            (*steps, "retrain", "mode"),
            "retraining is automatic, but has no target",
            help="name one of `targets` in retrain.target",
        )
    if mode == "suggest" and not target:
        yield Problem(
            "no-target",
            (*steps, "retrain", "mode"),
            "retraining can be suggested but not approved: it has no target",
            level=Level.WARNING,
        )
