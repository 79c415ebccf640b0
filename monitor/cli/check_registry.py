"""What `driftline check` asks of model registries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from monitor.cli.check_line import Line, doubtful, ok, wrong
from monitor.errors import ReferenceInvalid, RegistryError

if TYPE_CHECKING:
    from monitor.config.values import Plans
    from monitor.reference.profile import Reference
    from monitor.registry.mlflow import Mlflow, Version


def check_registries(plans: Plans, references: Mapping[str, Reference]) -> Iterator[Line]:
    """A version is in production, records can be told by its name, and it has a reference in the right bins."""
    from monitor.registry.mlflow import Mlflow

    for name, plan in plans.registries.items():
        client = Mlflow(plan)
        try:
            version = client.production()
            named = version.named(plan)
        except RegistryError as error:
            yield wrong(f"registry of {name}", str(error))
            continue
        tagged = f", which records call {named}" if plan.version_tag else ""
        yield ok(f"registry of {name}", f"{plan.mark} of {plan.name} is version {version.number}{tagged}")
        if name in references:
            yield _reference(f"reference of version {version.number}", client, version, references[name])


def _reference(subject: str, client: Mlflow, version: Version, base: Reference) -> Line:
    from monitor.reference.alike import unlike
    from monitor.reference.file import unpack

    try:
        reference = unpack(client.reference(version.number), where=client.plan.path)
    except RegistryError as error:
        if error.reason == "no_reference":
            return doubtful(subject, f"{error}; the last known one judges, and what drifts is a ticket")
        return wrong(subject, str(error))
    except ReferenceInvalid as error:
        return wrong(subject, str(error))
    if why := unlike(base, reference):
        return wrong(subject, f"{why}: build it with --bins-of the configured reference")
    return ok(subject, f"{reference.name}, {reference.rows} rows, {reference.digest[:12]}")
