"""What `driftline check` asks of Kafka, Alertmanager and the targets of requests."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from monitor.cli.check_line import Line, doubtful, ok, wrong
from monitor.errors import DeliveryRefused, IntakeError, RequestError, StateError

if TYPE_CHECKING:
    from monitor.config.values import Plans
    from monitor.deliver.plan import AlertmanagerPlan, TargetPlan
    from monitor.state.kafka.topics import TopicSpec


def check_kafka(plans: Plans, *, timeout: float = 10.0) -> tuple[list[Line], dict[str, int]]:
    """A line on the cluster and on each topic; topic → number of partitions."""
    from monitor.intake.metadata import ask

    try:
        found = ask(plans.kafka.client(), timeout=timeout)
    except IntakeError as error:
        return [wrong("kafka", str(error))], {}
    except OSError as error:
        return [wrong("kafka", f"a secret cannot be read: {error.filename}: {error.strerror}")], {}
    lines = [ok("kafka", f"{len(found.brokers)} brokers, {len(found.topics)} topics")]
    wanted = [(f"topic of {source.name}", source.topic) for source in plans.sources]
    wanted += [
        (f"dead letters of {source.name}", source.dead_letter.path)
        for source in plans.sources
        if source.dead_letter.to == "topic" and not _is_own(plans, source.dead_letter.path)
    ]
    for subject, topic in wanted:
        count = found.topics.get(topic, 0)
        if count:
            lines.append(ok(subject, f"{topic}, {count} partitions"))
        else:
            lines.append(
                wrong(
                    subject,
                    f"there is no topic {topic}, or the credentials may not see it"
                    f"{_nearest(topic, found.topics)}",
                )
            )
    return lines, dict(found.topics)


def _is_own(plans: Plans, topic: str) -> bool:
    """Whether it lies among the topics of the state, which `check_topics` looks at."""
    return plans.state.log == "kafka" and topic.startswith(f"{plans.state.kafka.prefix}.")


def check_topics(plans: Plans, wanted: Sequence[TopicSpec]) -> Iterator[Line]:
    """The topics of the state. One that is missing is created at the start, where that is permitted."""
    from monitor.cli.topics import MISSING, describe
    from monitor.clock import SystemClock
    from monitor.state.kafka.admin import TopicAdmin

    if not wanted:
        return
    try:
        standing = TopicAdmin(plans.kafka.client(), clock=SystemClock()).look(wanted)
    except StateError as error:
        yield wrong("topics of the state", str(error))
        return
    for line in describe(wanted, standing):
        if line.text == MISSING:
            yield doubtful(line.subject, "missing; driftline run creates it where it may")
        else:
            yield line


def _nearest(topic: str, topics: object) -> str:
    import difflib

    near = difflib.get_close_matches(topic, list(topics) if isinstance(topics, dict) else [], n=1)
    return f"; did you mean {near[0]}?" if near else ""


def check_receivers(plans: Plans) -> Iterator[Line]:
    """Alertmanagers answer, targets can be reached. PagerDuty is not asked: it has no such request."""
    members = plans.alerts.alertmanager
    if members:
        yield from (_alertmanager(url, members) for url in members.urls)
    for target in plans.alerts.targets.values():
        yield _target(target)


def check_stores(plans: Plans) -> Iterator[Line]:
    """Feature servers serve what is to be compared: they are asked for an entity that is called 0."""
    from monitor.consistency.feast import ask
    from monitor.errors import StoreRefused

    for plan in plans.models:
        if plan.store is None or plan.name not in plans.stores:
            continue
        subject, wanted = f"feature store of {plan.name}", list(dict.fromkeys(plan.store.features.values()))
        entities = {name: ["0"] for name in plan.store.entities}
        try:
            ask(plans.stores[plan.name], wanted, entities)
        except StoreRefused as error:
            yield wrong(subject, f"{error}{f': {error.words}' if error.words else ''}")
        except (RequestError, DeliveryRefused) as error:
            yield wrong(subject, str(error))
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or "not UTF-8 text"
            yield wrong(subject, f"a secret cannot be read: {why}")
        else:
            yield ok(subject, f"serves {len(wanted)} features by {', '.join(entities)}")


def _alertmanager(url: str, plan: AlertmanagerPlan) -> Line:
    import json

    from monitor.http import request

    subject = f"alertmanager {url}"
    try:
        answer = request("GET", f"{url}/api/v2/status", plan=plan.http, headers=_authorization(plan))
    except (RequestError, DeliveryRefused) as error:
        return wrong(subject, str(error))
    except (OSError, UnicodeError) as error:
        return wrong(
            subject, f"a secret cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8 text'}"
        )
    if answer.status != 200:
        return wrong(subject, f"answers {answer.status} to GET /api/v2/status")
    try:
        version = json.loads(answer.body)["versionInfo"]["version"]
    except (ValueError, KeyError, TypeError):
        return wrong(subject, "answers, but not as an Alertmanager does")
    return ok(subject, f"version {version}")


def _authorization(plan: AlertmanagerPlan) -> dict[str, str]:
    if plan.bearer:
        return {"Authorization": f"Bearer {plan.bearer.reveal()}"}
    if plan.username:
        pair = f"{plan.username}:{plan.password.reveal()}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}


def _target(plan: TargetPlan) -> Line:
    """What the request is about is there, and our credentials may see it; a webhook is reached. Nothing is asked for."""
    from monitor.clock import SystemClock
    from monitor.deliver.attempt import Outcome
    from monitor.deliver.plan import AlertsPlan
    from monitor.deliver.target import Target

    subject = f"target {plan.name}"
    found = Target(plan, AlertsPlan(), SystemClock()).probe()
    return (ok if found.outcome is Outcome.SENT else wrong)(subject, found.detail)
