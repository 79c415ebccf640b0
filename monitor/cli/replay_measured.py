"""How well models did in a span of their topics: `driftline replay --labels`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from monitor.replay import END_OF_TIME

if TYPE_CHECKING:
    from monitor.assembly import Assembly
    from monitor.columns import Batch
    from monitor.labelled import Labelled
    from monitor.names import Source
    from monitor.plan import ModelPlan, SourcePlan
    from monitor.state.log import Progress
    from monitor.verdict import Verdict

TAKEN = 200_000
"""Records between two times that counts are handed on: they are held twice then."""
SHOWN = 10
"""Windows of a name in the text."""


class Read(NamedTuple):
    """What a topic held: the newest pane of each model, and how far each partition is."""

    newest: Mapping[str, int]
    progress: tuple[Progress, ...]


def measured(
    assembly: Assembly, source: SourcePlan, *, since: int | None, until: int | None
) -> list[Verdict]:
    """The figures of every window of the models of a source, by the fold and the join of the daemon; both topics are read
    once, the predictions first, and the labels to their end. Raises IntakeError."""
    from monitor.intake.range import read_range, sources_of
    from monitor.labelled import Labelled
    from monitor.window.completeness import Patience

    properties = assembly.plans.kafka.client()
    plans = [
        model.plan for name, model in assembly.models.items() if name in source.models and model.plan.join
    ]
    held = {
        plan.name: Labelled(plan, patience=Patience(settle=0)) for plan in plans if plan.source == source.name
    }
    named = {one.name: one for one in assembly.plans.sources}
    wanted = dict.fromkeys(
        [source.name, *(plan.join.source for plan in plans if plan.join and plan.join.source)]
    )
    read = {
        name: _read(
            assembly, named[name], held, sources_of(properties, named[name].topic),
            read_range(
                properties, named[name].topic, since_ms=since, until_ms=until if name == source.name else None,
                direct=True,
            ),
        )
        for name in wanted
    }  # fmt: skip
    found: list[Verdict] = []
    for name, labelled in held.items():
        assert labelled.plan.join is not None
        own = labelled.plan.join.source or source.name
        found += _figures(labelled, read[source.name].newest.get(name, -1), read[own].progress)
    return found


def _read(
    assembly: Assembly, source: SourcePlan, held: Mapping[str, Labelled], sources: Iterable[Source],
    batches: Iterable[Batch],
) -> Read:  # fmt: skip
    from monitor.partition import Partition
    from monitor.state.log import Progress

    decoder, models = assembly.decoder(source), assembly.models_of(source)
    partitions = {one: Partition(one, source, models, position=0) for one in sources}
    newest: dict[str, int] = {}
    taken = dict.fromkeys(partitions, 0)

    def take(partition: Partition) -> None:
        sketches, marker = partition.checkpoint()
        partition.confirm(marker)
        for sketch in sketches:
            newest[sketch.key.model] = max(
                newest.get(sketch.key.model, -1), sketch.key.pane if sketch.rows else -1
            )
        for name, labelled in held.items():
            labelled.observe([sketch for sketch in sketches if sketch.key.model == name])

    for batch in batches:
        partition = partitions[batch.source]
        scanned = decoder.scan(batch)
        partition.fold(batch, scanned.columns, scanned.rejects)
        if partition.records - taken[batch.source] >= TAKEN:
            taken[batch.source] = partition.records
            take(partition)
    for partition in partitions.values():
        take(partition)
    progress = (
        Progress(one, partition.position, partition.position, partition.watermark, idle=True, paused="",
                 observed=END_OF_TIME)
        for one, partition in partitions.items()
    )  # fmt: skip
    return Read(newest, tuple(progress))


def _figures(labelled: Labelled, newest: int, progress: tuple[Progress, ...]) -> Iterator[Verdict]:
    from monitor.window.grid import next_end
    from monitor.window.heard import Heard

    plan: ModelPlan = labelled.plan
    heard = Heard(plan.name, [one.source for one in progress], config=None)
    heard.take(progress)
    judged = {spec.name: next_end(spec, newest) for spec in plan.windows}
    for one in labelled.due(dict, judged=judged, heard=heard, now=END_OF_TIME):
        labelled.accept(one)
        yield one.verdict


def data(found: list[Verdict]) -> list[dict[str, Any]]:
    """As `/api/v1/models/<name>/performance` has it, oldest first."""
    from monitor.web.figures import performance

    return [{"model": one.model, **performance(one)} for one in found]


def text(found: list[Verdict]) -> list[str]:
    """The last windows of each name."""
    from monitor.web.shape import moment

    lines = []
    for model, window in dict.fromkeys((one.model, one.window) for one in found):
        own = [one for one in found if (one.model, one.window) == (model, window)]
        lines.append(
            f"{model}, {window}: {len(own)} windows with labels"
            + (f", the last {SHOWN}" * (len(own) > SHOWN))
        )
        lines += [f"  {moment(one.end)}  {one.detail}" for one in own[-SHOWN:]]
    return lines or ["no windows with labels"]
