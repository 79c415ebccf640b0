"""`driftline reference push`: a reference becomes an artifact of a model version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitor.cli.options import config_option, emit, keep_log_quiet, output_option
from monitor.errors import RegistryError, UsageError

if TYPE_CHECKING:
    from monitor.config.settings import Settings
    from monitor.registry.plan import RegistryPlan


@click.command("push")
@click.argument("file")
@config_option
@click.option("--model", required=True, help="Name of the model in the configuration.")
@click.option("--version", required=True, metavar="NUMBER", help="Version of the registered model.")
@output_option
def push_command(file: str, config: tuple[str, ...], model: str, version: str, output: str) -> None:
    """Store a reference with a version of the model, in the registry that the configuration names.

    It judges once the version is in production. Refused where its bins are not those of the configured reference:
    build it with --bins-of that one.
    """
    from pathlib import Path

    from monitor.config.load import load
    from monitor.config.plans import reference_paths
    from monitor.reference.alike import unlike
    from monitor.reference.file import read
    from monitor.registry.mlflow import LARGEST, Mlflow

    keep_log_quiet()
    settings = load(config)
    plan = _registry(settings, model, config[-1])
    base, reference = read(reference_paths(settings)[model]), read(file)
    if why := unlike(base, reference):
        raise UsageError(
            f"{why} - {file} - built with --bins-of {reference_paths(settings)[model]} it is right"
        )
    content = Path(file).read_bytes()
    if len(content) > LARGEST:
        raise UsageError(f"{len(content)} bytes - {file} - at most {LARGEST} are right")
    client = Mlflow(plan)
    try:
        client.version(version)
        place = client.push(version, content, reference.digest)
    except RegistryError as error:
        raise UsageError(str(error)) from error
    data = {"model": model, "version": version, "digest": reference.digest, "artifact": place}
    emit(
        data,
        f"version {version} of {plan.name} has the reference {reference.digest[:12]}: {place}",
        output=output,
    )


def _registry(settings: Settings, model: str, file: str) -> RegistryPlan:
    from monitor.config.registered import plan_registries

    plans = plan_registries(settings)
    if model not in plans:
        known = ", ".join(plans) or "no model has one"
        raise UsageError(
            f"no registry for {model!r} - {file} - one of those with models.<name>.registry: {known}"
        )
    return plans[model]
