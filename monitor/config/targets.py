"""Settings of the receivers of retraining requests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from monitor.config.fields import Choice, Flag, SecretText, Text, as_text, parsed
from monitor.config.intake import SECOND
from monitor.config.outward import HeaderName, HeaderValue, Reached, Timeout, Url
from monitor.deliver.presets.catalogue import PRESETS

OPTIONS = tuple(sorted({name for preset in PRESETS.values() for name in (*preset.needs, *preset.takes)}))
"""Settings that belong to some presets and not to others."""
_PRESETS = "; ".join(f"{preset.name}: {preset.text}" for preset in PRESETS.values())


_TEXT = WithJsonSchema({"type": "string"})


def _shaped(pattern: str, right: str) -> BeforeValidator:
    """A text of one shape; it becomes part of an address or of a name over there."""

    def parse(text: str) -> str:
        as_text(text)
        if not re.fullmatch(pattern, text):
            raise ValueError(right)
        return text

    return parsed("bad-value", parse)


_Id = Annotated[str, _shaped(r"[\w.-]+", "an id has letters, digits, dots and dashes"), _TEXT]
_Kubernetes = Annotated[
    str,
    _shaped(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", "a name of Kubernetes is written like retrain-churn"),
    _TEXT,
]
_Repository = Annotated[str, _shaped(r"[\w.-]+/[\w.-]+", "a repository is written like owner/name"), _TEXT]
_Workflow = Annotated[
    str, _shaped(r"[\w.-]+\.ya?ml|\d+", "a workflow is named by its file, like retrain.yml"), _TEXT
]
_Ref = Annotated[str, _shaped(r"[^\s~^:?*\[\\]+", "a branch or a tag, like main"), _TEXT]
_Deployment = Annotated[
    str, _shaped(r"[^/%&<>]+/[^/%&<>]+", "a deployment is written like flow/deployment"), _TEXT
]
_Discriminator = Annotated[
    str, _shaped(r"[\w.-]*", "a discriminator has letters, digits, dots and dashes"), _TEXT
]
_Parameter = Annotated[str, _shaped(r"[A-Za-z_][\w-]*", "a parameter is named like driftline"), _TEXT]


@dataclass(frozen=True, slots=True)
class Place:
    """A target as presets see it, see `monitor.deliver.presets.preset.Where`."""

    url: str
    options: dict[str, str]
    parameters: dict[str, str]


class Target(Reached):
    """A receiver of retraining requests."""

    preset: Annotated[str, Choice(tuple(PRESETS))] = Field(
        default="webhook", description=f"What is asked. {_PRESETS}.", examples=["airflow3"]
    )
    url: Url = Field(
        description="webhook and argo-events: where the request is sent; else the address of the server, of "
        "prefect3 with its /api, of github-* https://api.github.com.",
        examples=["https://ml.example/hooks/retrain"],
    )
    secret: SecretText | None = Field(
        default=None,
        description="Signs each request: whsec_ and base64 of 24 to 64 bytes.",
        examples=["${env:RETRAIN_SECRET}"],
    )
    secret_file: Text = Field(
        default="", description="File that holds the secret.", examples=["/run/secrets/retrain"]
    )
    old_secret: SecretText | None = Field(
        default=None,
        description="Signs too, while a secret is being rotated.",
        examples=["${env:RETRAIN_SECRET_OLD}"],
    )
    old_secret_file: Text = Field(
        default="", description="File that holds the old secret.", examples=["/run/secrets/retrain-old"]
    )
    token: SecretText | None = Field(
        default=None, description="Token sent as Authorization: Bearer.", examples=["${env:RETRAIN_TOKEN}"]
    )
    token_file: Text = Field(
        default="", description="File that holds the token.", examples=["/run/secrets/retrain-token"]
    )
    username: Text = Field(
        default="",
        description="With a password: airflow3 makes a token of them, others take basic authentication.",
        examples=["driftline"],
    )
    password: SecretText | None = Field(
        default=None, description="Its password.", examples=["${env:RETRAIN_PASSWORD}"]
    )
    password_file: Text = Field(
        default="", description="File that holds the password.", examples=["/run/secrets/airflow"]
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default_factory=dict, description="Headers added to each request.", examples=[{"X-Team": "ml"}]
    )
    timeout: Timeout = Field(default=20 * SECOND, description="Limit of one attempt.", examples=["20s"])
    insecure_http: Flag = Field(default=False, description="Allow a URL without TLS.", examples=[True])
    dag: _Id | None = Field(default=None, description="airflow3: the DAG.", examples=["retrain_churn"])
    pipeline: _Id | None = Field(
        default=None,
        description="kfp2: id of the pipeline.",
        examples=["9c9d5b8e-5a1c-4d2b-8f60-1f0a5c1d7e11"],
    )
    pipeline_version: _Id | None = Field(
        default=None,
        description="kfp2: id of the version; the newest otherwise.",
        examples=["0b5f6d52-7d5c-4f55-9a36-2c1b7b0f4a10"],
    )
    experiment: _Id | None = Field(
        default=None,
        description="kfp2: id of the experiment; the default one otherwise.",
        examples=["5f0a2f7e-1c4e-4a57-8b0d-6a3cf2f3d0c2"],
    )
    service_account: _Kubernetes | None = Field(
        default=None, description="kfp2, argo-submit: account the run has.", examples=["retrain"]
    )
    namespace: _Kubernetes | None = Field(
        default=None, description="argo-submit, argo-workflow-events: the namespace.", examples=["ml"]
    )
    template: _Kubernetes | None = Field(
        default=None, description="argo-submit: the WorkflowTemplate.", examples=["retrain-churn"]
    )
    discriminator: _Discriminator | None = Field(
        default=None,
        description="argo-workflow-events: what bindings may tell events apart by.",
        examples=["driftline"],
    )
    repository: _Repository | None = Field(
        default=None, description="github-*: owner and name.", examples=["acme/models"]
    )
    workflow: _Workflow | None = Field(
        default=None, description="github-workflow: file of the workflow.", examples=["retrain.yml"]
    )
    ref: _Ref | None = Field(
        default=None, description="github-workflow: branch or tag; main otherwise.", examples=["main"]
    )
    event_type: Text | None = Field(
        default=None,
        description="github-dispatch: type of the event; driftline-retrain otherwise.",
        examples=["driftline-retrain"],
    )
    deployment: _Deployment | None = Field(
        default=None, description="prefect3: flow and deployment.", examples=["retrain/churn"]
    )
    parameter: _Parameter | None = Field(
        default=None,
        description="Parameter of a run that takes the evidence; driftline otherwise. The pipeline must have it.",
        examples=["driftline"],
    )
    parameters: dict[Text, Text] = Field(
        default_factory=dict,
        description="Parameters given to each run beside it.",
        examples=[{"epochs": "20"}],
    )

    def where(self) -> Place:
        """What the preset may know of it."""
        given = {name: getattr(self, name) for name in OPTIONS if name != "parameters"}
        options = {name: str(text) for name, text in given.items() if text}
        return Place(self.url, options, dict(self.parameters))
