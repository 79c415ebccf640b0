"""What `driftline check` finds without a network: references, secrets, state, memory, series, budget."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.cli.check_line import Line, doubtful, ok, wrong

if TYPE_CHECKING:
    from monitor.config.settings import Settings
    from monitor.config.values import Plans
    from monitor.judge.prepare import Prepared
    from monitor.memory import CellBytes
    from monitor.plan import ModelPlan, WindowSpec
    from monitor.reference.profile import Reference
    from monitor.secret import Secret

SERIES_PER_FEATURE = 3
"""psi, ks_statistic and missing_ratio per window, at most (mmd stands for the first two); feature_drifted once per feature."""
DRAWS = 20_000


def read_references(settings: Settings) -> tuple[dict[str, Reference], list[Line]]:
    """Every reference that can be read, and a line on each."""
    from monitor.config.plans import reference_paths
    from monitor.errors import ReferenceInvalid
    from monitor.reference.file import read

    found: dict[str, Reference] = {}
    lines: list[Line] = []
    paths = reference_paths(settings)
    for model in settings.models:
        subject = f"reference of {model}"
        if model not in paths:
            lines.append(doubtful(subject, "none is configured; all verdicts will be unknown(no_reference)"))
            continue
        try:
            reference = read(paths[model])
        except (ReferenceInvalid, OSError) as error:
            lines.append(wrong(subject, _reason(error)))
            continue
        found[model] = reference
        size = f"{reference.rows} rows, {len(reference.features)} features"
        lines.append(ok(subject, f"{reference.name}, {size}"))
        if reference.model != model:
            lines.append(doubtful(subject, f"it was built for the model {reference.model}, not for {model}"))
        if not reference.timed:
            lines.append(
                doubtful(subject, "it has no event times: tolerances are assumed, the budget is not proven")
            )
    return found, lines


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the file'}: {error.strerror}"
    return str(error)


def check_beside(plan: ModelPlan, reference: Reference) -> Iterator[Line]:
    """References that windows are shown beside can be read, and which features they have."""
    from monitor.errors import ReferenceInvalid
    from monitor.reference.file import read

    own = {(profile.name, profile.kind) for profile in reference.features}
    for name, path in plan.beside.items():
        if not path:
            continue
        subject = f"beside {plan.name}, {name}"
        try:
            other = read(path)
        except (ReferenceInvalid, OSError) as error:
            yield wrong(subject, _reason(error))
            continue
        both = own & {(profile.name, profile.kind) for profile in other.features}
        has = f"{other.name}, {other.rows} rows, {len(both)} of {len(own)} features"
        yield ok(subject, has) if len(both) == len(own) else doubtful(subject, has)


def check_compat(plan: ModelPlan, reference: Reference) -> Iterator[Line]:
    """Of how many features the scores of other products can be had, and of which not."""
    from monitor.judge.compat import extent
    from monitor.reference.summary import feature_counts

    for product in plan.compat:
        extents = {
            profile.name: extent(product, profile, counts) for profile, counts in feature_counts(reference)
        }
        exact, near = (sum(one == kind for one in extents.values()) for kind in ("exact", "near"))
        none = [name for name, one in extents.items() if one == "none"]
        text = f"its scores of {exact} features exactly, of {near} nearly"
        if none:
            text += f", not of {', '.join(none[:5])}{f' and {len(none) - 5} more' if len(none) > 5 else ''}"
        yield ok(f"compat {plan.name}, {product}", f"{text}; configs/compat.md says why")


def check_backend(settings: Settings) -> Line:
    """Where counts will be kept. Raises ConfigError where that cannot be had."""
    from monitor.assembly import backend_of

    backend = backend_of(settings)
    where = "the CPU" if backend.device == "cpu" else backend.device
    return ok("backend", f"{where}; {backend.note}" if backend.note else where)


def check_secrets(plans: Plans) -> Iterator[Line]:
    """Files of secrets can be read and hold what they should; what they hold is never shown."""
    from monitor.config.crosscheck_out import KEY_LENGTH
    from monitor.config.crosscheck_targets import is_signing_secret

    for key, secret in plans.kafka.secrets.items():
        yield from _file(f"kafka.secret_properties.{key}", secret)
    members, pager = plans.alerts.alertmanager, plans.alerts.pagerduty
    if members:
        yield from _file("alerts.alertmembers.password", members.password)
        yield from _file("alerts.alertmembers.bearer_token", members.bearer)
    if pager:
        wrong_length = f"an integration key has {KEY_LENGTH} characters"
        yield from _file(
            "alerts.pagerduty.routing_key",
            pager.routing_key,
            needs=wrong_length,
            test=lambda text: len(text) == KEY_LENGTH,
        )
    for name, server in plans.stores.items():
        yield from _file(f"models.{name}.feature_store.token", server.token)
    for name, registry in plans.registries.items():
        yield from _file(f"models.{name}.registry.password", registry.password)
        yield from _file(f"models.{name}.registry.token", registry.token)
        yield from _file(f"models.{name}.registry.webhook_secret", registry.webhook)
    for name, target in plans.alerts.targets.items():
        for secret in target.secrets:
            yield from _file(
                f"targets.{name}.secret",
                secret,
                needs="whsec_ and base64 of 24 to 64 bytes",
                test=is_signing_secret,
            )
        yield from _file(f"targets.{name}.token", target.token)
        yield from _file(f"targets.{name}.password", target.password)
    yield from _file("web.token", plans.web.token)


def _file(subject: str, secret: Secret, *, needs: str = "", test: object = None) -> Iterator[Line]:
    if not secret.file:
        return
    try:
        text = secret.reveal()
    except (OSError, ValueError) as error:
        yield wrong(subject, _reason(error) if isinstance(error, OSError) else "the file is not UTF-8 text")
        return
    if not text:
        yield wrong(subject, f"{secret.file} is empty")
    elif callable(test) and not test(text):
        yield wrong(subject, f"{secret.file} does not hold {needs}")
    else:
        yield ok(subject, f"{secret.file} can be read")


def check_state(folder: str) -> Line:
    """The state directory can be written to; it is not created here."""
    path = Path(folder)
    nearest = next((parent for parent in (path, *path.absolute().parents) if parent.exists()), Path("/"))
    if not nearest.is_dir():
        return wrong("state", f"{nearest} is not a directory")
    if not os.access(nearest, os.W_OK | os.X_OK):
        return wrong("state", f"{nearest} cannot be written to")
    return ok("state", f"{path} can be written to" if nearest == path else f"{path} will be created")


def check_dead_letters(plans: Plans) -> Iterator[Line]:
    for source in plans.sources:
        if source.dead_letter.to == "file":
            line = check_state(str(Path(source.dead_letter.path).parent))
            if line.sign == "x":
                yield wrong(f"dead letters of {source.name}", line.text)


def check_memory(plans: Plans, references: Mapping[str, Reference], partitions: Mapping[str, int]) -> Line:
    """Bytes of counts at most: every cell as large as it can be; beside it what is likely, most of them sparse.

    `partitions` maps topics to their number of partitions; topics that are missing count one. Where
    records name a version or variant two of them are taken to run side by side.
    """
    from monitor.config.quantity import format_size
    from monitor.labels.room import join_bytes
    from monitor.memory import extent, likely, most

    need: dict[str, tuple[int, int, str]] = {}
    for source in plans.sources:
        for model in (model for model in plans.models if model.source == source.name):
            groups = 2 if source.version or source.variant else 1
            size = extent(model, source.bound, groups=groups, partitions=partitions.get(source.topic, 1))
            cell = _cell_bytes(model, references.get(model.name))
            sums = (
                f"{len(model.features)} features x {size.groups} segments and versions x ({size.open_panes} open panes"
                f" + {size.window_panes} of the longest window) x {size.partitions} partitions"
                f" = {size.cells} cells of {cell.sparse} bytes (sparse) to {cell.packed} (packed), {cell.dense} in use,"
                f" and {cell.sample} for sampled rows"
            )
            need[f"{source.name}, {model.name}"] = most(cell, size), likely(cell, size), sums
            if model.join is not None:
                topics = {one.name: one.topic for one in plans.sources}
                labelled = partitions.get(topics.get(model.join.source, ""), 1)
                waiting = join_bytes(model, groups=groups, partitions=size.partitions, labelled=labelled)
                sums = (
                    f"{model.join.most} predictions that wait (labels.max_open) x {size.partitions} partitions, and"
                    f" {model.join.most_early} labels (labels.max_early) x {labelled} partitions"
                )
                need[f"labels of {model.name}"] = waiting, waiting, sums
    total = _whole(sum(bytes_ for bytes_, _, _ in need.values()))
    expected = _whole(sum(bytes_ for _, bytes_, _ in need.values()))
    detail = f"counts need at most {format_size(total)} of {format_size(plans.memory)}, likely {format_size(expected)}"
    if not all(source.topic in partitions for source in plans.sources):
        detail += ", for one partition per topic"
    if total <= plans.memory:
        return ok("memory", detail)
    largest = max(need, key=lambda name: need[name][0])
    change = "raise memory.max, or take longer panes, a shorter longest window, fewer features, segments, sampled rows, predictions that wait for labels, early labels or partitions"
    return wrong("memory", f"{detail}; most of it {largest}: {need[largest][2]}; {change}")


def _whole(size: int) -> int:
    return ceil(size / (1 << 20)) << 20


def _cell_bytes(model: ModelPlan, reference: Reference | None) -> CellBytes:
    from monitor.memory import cell_bytes

    rules, features = len(model.rules), len(model.features)
    if reference is None:
        words = sum(3 * feature.length for feature in model.features)
        return cell_bytes(
            slots=5 * features,
            numeric=features,
            words=words,
            rules=rules,
            features=features,
            sample=model.sample,
        )
    layout = reference.layout()
    return cell_bytes(
        slots=layout.slots, numeric=layout.numeric, words=layout.vectors.words, rules=rules,
        features=features, sample=model.sample,
    )  # fmt: skip


def check_series(plans: Plans) -> Line:
    """Per-feature series of one exposition, and whether they fit."""
    metrics = plans.metrics
    possible = wanted = 0
    for model in plans.models:
        each = SERIES_PER_FEATURE * len(model.windows) + 1
        features = len(model.features)
        shown = {"all": features, "top": min(metrics.top_k, features), "none": 0}[metrics.per_feature]
        possible += features * each
        wanted += shown * each
    text = f"at most {wanted} per-feature series of {metrics.max_series} allowed ({metrics.per_feature}; all: {possible})"
    return (
        ok("metrics", text)
        if wanted <= metrics.max_series
        else doubtful("metrics", f"{text}; the rest is suppressed")
    )


def check_budget(plan: ModelPlan, reference: Reference) -> Iterator[Line]:
    """Whether the reference has the windows that the budget of a model needs, for each window size."""
    from monitor.judge.prepare import prepare
    from monitor.judge.text import windows_of

    for spec in plan.windows:
        subject = f"budget of {plan.name}, {spec.name}"
        try:
            prepared = prepare(reference, plan, spec)
        except ValueError as error:
            yield wrong(subject, str(error))
            continue
        has = windows_of(prepared)
        if prepared.proven:
            spent = prepared.alpha + (prepared.early.alpha if prepared.early else 0.0)
            low, high = page_range(plan, spec, windows=prepared.windows, alpha=spent)
            per = _period(plan)
            yield ok(
                subject,
                f"{has}; {plan.budget.pages:g} false pages per {per} (5-95 % over references: "
                f"{low:.1f} to {high:.1f}){_early(prepared, plan)}",
            )
        else:
            yield doubtful(subject, f"not proven: {has}{_early(prepared, plan)}")
        yield from _unseen(prepared, plan, reference)
        yield from _power(prepared, plan, reference)


def _early(prepared: Prepared, plan: ModelPlan) -> str:
    """What of the budget looks at open windows may spend."""
    from monitor.config.quantity import format_duration

    early = prepared.early
    if early is None:
        return ""
    share = early.alpha / (early.alpha + prepared.alpha)
    whole = ", at the whole and not at segments" if plan.segments else ""
    return f"; looks at open windows{whole} every {format_duration(early.every)} may spend {share:.0%} of it"


def _unseen(prepared: Prepared, plan: ModelPlan, reference: Reference) -> Iterator[Line]:
    """What is not looked at before it closes, and what is not dated."""
    from monitor.judge.prepare import no_looks

    subject = f"looks of {plan.name}, {prepared.spec.name}"
    dates = "; nor is it said since when there is a drift" if plan.season != "none" else ""
    if reason := no_looks(reference, plan, prepared):
        yield ok(subject, f"none before a window closes: {reason}{dates}")


def _power(prepared: Prepared, plan: ModelPlan, reference: Reference) -> Iterator[Line]:
    """A doubt where ordinary windows are too small to be called ok: they would be unknown for ever."""
    needed, span = prepared.rows.window, len(reference.panes) * reference.pane
    held = reference.rows * prepared.spec.size / span if span else float("inf")
    if held < needed < float("inf"):
        yield doubtful(
            f"power of {plan.name}, {prepared.spec.name}",
            f"windows of the reference hold about {held:,.0f} rows, {needed:,.0f} are needed to see a PSI of "
            f"{prepared.interest:.2g}; smaller ones are unknown, never ok, and resolve no incident",
        )


def _period(plan: ModelPlan) -> str:
    from monitor.config.quantity import format_duration

    return format_duration(plan.budget.period)


def page_range(plan: ModelPlan, spec: WindowSpec, *, windows: int, alpha: float) -> tuple[float, float]:
    """5th and 95th percentile of pages per period over references of this many windows.

    The k-th largest of W exchangeable statistics is exceeded with a probability of
    Beta(k, W + 1 - k), k = floor(alpha (W + 1)); drawn from a fixed seed.
    """
    import numpy as np

    rank = max(int(alpha * (windows + 1) + 1e-9), 1)
    if rank > windows:
        return 0.0, float(plan.budget.period / spec.step)
    draws = np.random.Generator(np.random.Philox(2013)).beta(rank, windows + 1 - rank, DRAWS)
    low, high = np.quantile(draws, (0.05, 0.95)) * (plan.budget.period / spec.step)
    return float(low), float(high)
