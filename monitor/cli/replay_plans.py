"""Which configurations a backtest compares, and which of them share counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.assembly import Assembly
    from monitor.context import Context
    from monitor.plan import SourcePlan


@dataclass(frozen=True, slots=True)
class Variant:
    """One configuration as it is judged: `contexts` of the models of one source."""

    name: str
    assembly: Assembly
    source: SourcePlan
    contexts: dict[str, Context]

    @property
    def key(self) -> object:
        """Equal for variants that count the same of every record."""
        models = self.assembly.models
        own = ((models[name].plan, name) for name in self.source.models)
        return self.source, tuple((name, p.config, p.lateness, p.champion) for p, name in own)


def variants(
    config: Sequence[str], against: Sequence[str], budgets: Sequence[str], *, source: str | None
) -> list[Variant]:
    """Every configuration with every budget; `against` are comma-separated files each. Of all of them the same
    topic is read."""
    from monitor.assembly import assemble
    from monitor.errors import UsageError

    found: list[Variant] = []
    for files in (list(config), *(text.split(",") for text in against)):
        assembly = assemble(files).without_labels()
        plan = chosen(assembly, source)
        name = ",".join(files)
        contexts = {model: assembly.contexts[model] for model in plan.models}
        for budget in budgets:
            own = f"{name}, {budget}" if against else budget
            found.append(Variant(own, assembly, plan, _with_budget(contexts, budget)))
        if not budgets:
            found.append(Variant(name, assembly, plan, contexts))
    names = [variant.name for variant in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"the same twice - {name} - candidates that differ")
    topics = sorted({variant.source.topic for variant in found})
    if len(topics) > 1:
        raise UsageError(
            f"configurations of several topics - {', '.join(topics)} - one topic, or one file, is read for all"
        )
    return found


def groups(found: Sequence[Variant]) -> list[list[Variant]]:
    """Those that share counts together, in order."""
    keys = list(dict.fromkeys(variant.key for variant in found))
    return [[variant for variant in found if variant.key == key] for key in keys]


def _with_budget(contexts: dict[str, Context], text: str) -> dict[str, Context]:
    from monitor.config.quantity import parse_budget
    from monitor.errors import UsageError
    from monitor.judge.prepare import prepare
    from monitor.plan import Budget

    try:
        budget = Budget(*parse_budget(text))
    except ValueError as error:
        raise UsageError(f"{text!r} is no budget - --budget - {error}") from error
    found = {}
    for name, context in contexts.items():
        plan, reference = replace(context.plan, budget=budget), context.reference
        prepared = {} if reference is None else {w.name: prepare(reference, plan, w) for w in plan.windows}
        found[name] = replace(context, plan=plan, prepared=prepared)
    return found


def chosen(assembly: Assembly, name: str | None) -> SourcePlan:
    """The source of this name, or the only one there is."""
    from monitor.errors import UsageError

    sources = {source.name: source for source in assembly.plans.sources}
    if name is None and len(sources) == 1:
        return next(iter(sources.values()))
    if name not in sources:
        raise UsageError(
            f"which source to replay is not clear - --source - one of {', '.join(sorted(sources))}"
        )
    return sources[name]
