"""What `driftline replay` finds without a change, and of changes that are put in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.backtest import delay, null
from monitor.backtest.altered import RowChange
from monitor.backtest.injection import Injection, owner_of, parse, possible, unknown
from monitor.backtest.months import Pool, pool_of
from monitor.backtest.summary import Seen
from monitor.cli.progress import progress
from monitor.cli.replay_plans import Variant
from monitor.cli.replay_text import span
from monitor.config.quantity import parse_duration
from monitor.context import Context
from monitor.errors import UsageError


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was found of one model of one candidate."""

    candidate: str
    model: str
    blocks: str
    null: null.Null | None
    delays: tuple[delay.Delay, ...]


def injections_of(texts: Sequence[str], variants: Sequence[Variant]) -> list[Injection]:
    references = [context.reference for variant in variants for context in variant.contexts.values()]
    names = {profile.name for one in references if one is not None for profile in one.features}
    found = [injection for text in texts for injection in parse(text, names)]
    return list(dict.fromkeys(found))


def draw(
    variants: Sequence[Variant], injections: Sequence[Injection], *, with_null: bool, runs: int, months: float, seed: int
) -> list[Drawn]:  # fmt: skip
    """Windows of each reference's own blocks. Raises UsageError for a change that no model can have."""
    for injection in injections:
        if injection.when:
            raise UsageError(
                f"a time without a log - --inject {injection.written} - --file or --from with it"
            )
    found = []
    for variant in variants:
        contexts = _with_features(variant, injections)
        for name, context in contexts.items():
            with progress(f"{name}: preparing") as tell:
                pool = pool_of(context, tell)
            found.append(
                _drawn(variant, pool, injections, with_null=with_null, runs=runs, months=months, seed=seed)
            )
    return found


def _drawn(
    variant: Variant, pool: Pool, injections: Sequence[Injection], *, with_null: bool, runs: int, months: float, seed: int
) -> Drawn:  # fmt: skip
    model, without_change, delays = pool.context.plan.name, None, []
    if with_null:
        with progress(f"{model}: without a change") as tell:
            without_change = null.measure(pool, runs=runs, months=months, seed=seed, told=tell)
    own = possible(pool.reference, injections)
    if own:
        with progress(f"{model}: with changes") as tell:
            delays = delay.measure(pool, own, runs=runs, seed=seed, told=tell)
    blocks = f"{len(pool.blocks)} blocks of {span(pool.blocks.length)} of {pool.reference.name}"
    return Drawn(variant.name, model, blocks, without_change, tuple(delays))


def _has(context: Context, injection: Injection) -> bool:
    reference = context.reference
    return reference is not None and any(f.name == injection.feature for f in reference.features)


def _with_features(variant: Variant, injections: Sequence[Injection]) -> dict[str, Context]:
    """The models that are drawn: all, or those that have a feature that is changed."""
    for injection in injections:
        own = {name: context for name, context in variant.contexts.items() if _has(context, injection)}
        for context in own.values():
            assert context.reference is not None
            owner_of(context.reference, injection)
        if not own:
            references = [context.reference for context in variant.contexts.values() if context.reference]
            if not references:
                raise UsageError(
                    f"no reference - --inject {injection.written} - one of {', '.join(variant.contexts)} with one"
                )
            raise unknown(injection, list(dict.fromkeys(f.name for r in references for f in r.features)))
    return variant.contexts


def row_changes(variant: Variant, injections: Sequence[Injection], *, now: int) -> list[RowChange]:
    """The changes of a log's rows, for each model that has the feature."""
    found = []
    contexts = _with_features(variant, injections)
    for name, context in contexts.items():
        reference, longest = context.reference, max(spec.size for spec in context.plan.windows)
        if reference is None:
            continue
        for injection in possible(reference, injections):
            since, after = _begins(injection, now)
            found.append(
                RowChange(
                    name,
                    reference,
                    injection,
                    pane=context.plan.pane,
                    since=since,
                    after=longest if after < 0 else after,
                )
            )
    return found


def _begins(injection: Injection, now: int) -> tuple[int, int]:
    """The event time, or how long after the first row; -1 for what is not said."""
    from monitor.cli.topic import record_time

    if not injection.when:
        return -1, -1
    try:
        return -1, parse_duration(injection.when)
    except ValueError:
        found = record_time(injection.when, now=now, where=f"--inject {injection.written}")
        assert found is not None
        return found, 0


@dataclass(frozen=True, slots=True)
class Put:
    """One change of a log's rows, and what one candidate said of it."""

    candidate: str
    change: RowChange
    items: tuple[Seen, ...]

    def found(self) -> delay.Found | None:
        verdicts = [seen.verdict for seen in self.items if seen.verdict.model == self.change.model]
        first = delay.of_log(verdicts, self.change.since)
        if first is None:
            return None
        verdict, windows = first
        return delay.Found(
            windows, self.change.rows_before(verdict.end), verdict.end - self.change.since
        )  # fmt: skip
