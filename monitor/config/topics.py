"""The topics that driftline writes to, as the configuration wants them."""

from __future__ import annotations

from monitor.config.settings import Settings
from monitor.state.kafka.topics import TopicSpec, spec_of_rejects, specs


def plan_topics(settings: Settings) -> tuple[TopicSpec, ...]:
    """Our own topics, and those of dead letters among them; none where the state is local.

    Sketches are kept as long as the longest window needs them, so the specs change with the windows.
    """
    if settings.state.log != "kafka":
        return ()
    spans = [
        window.size
        + model.allowed_lateness
        + (model.labels.wait if model.labels and model.labels.source else 0)
        for model in settings.models.values()
        for window in model.windows.values()
    ]
    kafka = settings.state.kafka
    return specs(
        kafka.prefix,
        partitions=kafka.partitions,
        model_partitions=kafka.model_partitions,
        replication=kafka.replication,
        retention=max(spans, default=0),
        dead_letters=_dead_letter_topics(settings),
    )


def plan_beside(settings: Settings) -> tuple[TopicSpec, ...]:
    """Topics of dead letters that are not among our own: somebody else's, and created by nobody but them.

    What is said of how they could be made is our habit, no demand.
    """
    own = {spec.name for spec in plan_topics(settings)}
    kafka = settings.state.kafka
    return tuple(
        spec_of_rejects(name, partitions=kafka.partitions, replication=kafka.replication)
        for name in _dead_letter_topics(settings)
        if name not in own
    )


def _dead_letter_topics(settings: Settings) -> list[str]:
    carrying = [name for name in settings.sources if settings.carried_by(name)]
    return sorted(
        {settings.dead_letter_topic(name) for name in carrying if settings.dead_letter_to(name) == "topic"}
    )
