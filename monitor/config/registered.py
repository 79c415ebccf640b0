"""Settings of the model registry that says which version of a model is judged, and by which reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from monitor.config.crosscheck_reach import allowed_networks, check_address, twins
from monitor.config.fields import Choice, Duration, Flag, SecretText, Text, bounded
from monitor.config.finding import Problem, Steps
from monitor.config.intake import DAY, MINUTE, SECOND
from monitor.config.outward import Reached, Url
from monitor.config.quantity import format_duration
from monitor.deliver.plan import HttpPlan
from monitor.registry.plan import RegistryPlan

if TYPE_CHECKING:
    from monitor.config.settings import Settings

PATH = "driftline/reference.ref"
ALIAS = "champion"


class Registry(Reached):
    """The model registry that a model is in."""

    kind: Annotated[str, Choice(("mlflow",))] = Field(
        default="mlflow", description="What is spoken.", examples=["mlflow"]
    )
    url: Url = Field(description="Address of the tracking server.", examples=["https://mlflow.example"])
    name: Text = Field(
        default="", description="The registered model; left out, of the model's own name.", examples=["churn"]
    )
    alias: Text = Field(
        default="",
        description=f"The version in production is the one with this alias; left out, and without a stage, {ALIAS}.",
        examples=[ALIAS],
    )
    stage: Text = Field(
        default="",
        description="Instead of an alias: the newest version in this stage, where stages are still in use.",
        examples=["Production"],
    )
    every: Annotated[Duration, bounded(SECOND, DAY, format_duration)] = Field(
        default=MINUTE, description="How often the registry is asked.", examples=["1m"]
    )
    path: Text = Field(
        default=PATH, description="Where the reference lies among a version's artifacts.", examples=[PATH]
    )
    version_tag: Text = Field(
        default="",
        description="Records name versions by the value of this tag; left out, by the registry's number.",
        examples=["git_sha"],
    )
    write_tags: Flag = Field(
        default=False,
        description="Write the state of the latest verdict to the version that is judged, as its tag driftline.status.",
        examples=[True],
    )
    username: Text = Field(default="", description="User of basic authentication.", examples=["driftline"])
    password: SecretText | None = Field(
        default=None, description="Its password.", examples=["${env:MLFLOW_TRACKING_PASSWORD}"]
    )
    password_file: Text = Field(
        default="", description="File that holds the password.", examples=["/run/secrets/mlflow"]
    )
    token: SecretText | None = Field(
        default=None,
        description="Token sent as Authorization: Bearer.",
        examples=["${env:MLFLOW_TRACKING_TOKEN}"],
    )
    token_file: Text = Field(
        default="", description="File that holds the token.", examples=["/run/secrets/mlflow-token"]
    )
    webhook_secret: SecretText | None = Field(
        default=None,
        description="What MLflow signs its webhooks with, which have the registry asked at once; without a secret none is "
        "taken.",
        examples=["${env:MLFLOW_WEBHOOK_SECRET}"],
    )
    webhook_secret_file: Text = Field(
        default="", description="File that holds that secret.", examples=["/run/secrets/mlflow-webhook"]
    )
    insecure_http: Flag = Field(default=False, description="Allow http://.", examples=[True])


def check_registry(
    plan: Registry, steps: Steps, *, has_reference: bool, has_version: bool
) -> Iterator[Problem]:
    """`has_version`: whether the records of the model's source name a version."""
    for field in ("password", "token", "webhook_secret"):
        yield from twins(plan, field, steps)
    if bool(plan.username) != bool(plan.chosen("password")):
        yield Problem("missing-key", steps, "username and password belong together", at_key=True)
    if plan.username and plan.chosen("token"):
        yield Problem("conflict", (*steps, "username"), "a user and a token exclude each other", at_key=True)
    if plan.alias and plan.stage:
        yield Problem("conflict", (*steps, "stage"), "an alias and a stage exclude each other", at_key=True)
    if plan.url.startswith("http://") and not plan.insecure_http:
        yield Problem(
            "insecure-url",
            (*steps, "url"),
            "the URL has no TLS",
            help="use https://, or allow it: insecure_http: true",
        )
    if "?" in plan.url or "#" in plan.url:
        yield Problem("bad-url", (*steps, "url"), "the address of a server is right: paths are added to it")
    if plan.path.startswith("/") or ".." in plan.path.split("/"):
        yield Problem(
            "bad-value", (*steps, "path"), "a path below a version's artifacts is right", help=f"path: {PATH}"
        )
    yield from check_address(plan, plan.url, (*steps, "url"))
    model = steps[1]
    if not has_reference:
        yield Problem(
            "missing-key", steps, f"models.{model}.registry needs models.{model}.reference", at_key=True,
            help="its bins are those that all versions are counted in, and it judges until the registry has answered",
        )  # fmt: skip
    if not has_version:
        yield Problem(
            "missing-key", steps, "the records of its source name no version", at_key=True,
            help="say where they do: sources.<name>.fields.version",
        )  # fmt: skip


def check_registries(settings: Settings) -> Iterator[Problem]:
    for name, model in settings.models.items():
        if model.registry is None:
            continue
        source = settings.sources.get(model.source or next(iter(settings.sources), ""))
        yield from check_registry(
            model.registry, ("models", name, "registry"), has_reference=model.reference is not None,
            has_version=source is None or bool(source.fields.version),
        )  # fmt: skip


def plan_registries(settings: Settings) -> dict[str, RegistryPlan]:
    """Model → how its registry is asked."""
    return {
        name: _plan(settings, name, model.registry)
        for name, model in settings.models.items()
        if model.registry is not None
    }


def _plan(settings: Settings, model: str, given: Registry) -> RegistryPlan:
    steps: Steps = ("models", model, "registry")
    ca_file = str(settings.origin.beside((*steps, "ca_file"), given.ca_file)) if given.ca_file else ""
    return RegistryPlan(
        model=model,
        url=given.url.rstrip("/"),
        name=given.name or model,
        alias="" if given.stage else given.alias or ALIAS,
        stage=given.stage,
        every=given.every,
        path=given.path,
        version_tag=given.version_tag,
        write_tags=given.write_tags,
        username=given.username,
        password=settings.origin.secret(given, "password", (*steps, "password_file")),
        token=settings.origin.secret(given, "token", (*steps, "token_file")),
        webhook=settings.origin.secret(given, "webhook_secret", (*steps, "webhook_secret_file")),
        http=HttpPlan(
            timeout=given.timeout / 1000,
            allow_private=allowed_networks(given),
            ca_file=ca_file,
            insecure_http=given.insecure_http,
            max_body=1 << 20,
        ),
    )
