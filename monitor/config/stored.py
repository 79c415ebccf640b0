"""Settings of the comparison of records with an online feature store, and what becomes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, WithJsonSchema

from monitor.config.crosscheck_reach import allowed_networks, check_address, twins
from monitor.config.fields import (
    Choice,
    DottedPath,
    Duration,
    Flag,
    Name,
    Number,
    SecretText,
    Share,
    Text,
    Whole,
    bounded,
    parsed,
)
from monitor.config.finding import Problem, Steps, nearest
from monitor.config.intake import HOUR, MINUTE, SECOND
from monitor.config.origin import Origin
from monitor.config.outward import HeaderName, HeaderValue, Reached, Url
from monitor.config.quantity import format_duration
from monitor.consistency.plan import LONGEST_ANSWER, ServerPlan
from monitor.deliver.plan import HttpPlan
from monitor.judge.catalogue import FEATURE_MISMATCH
from monitor.plan import FeaturePlan, RawRule, StorePlan

MOST_FEATURES = 200


def _reference(text: str) -> str:
    if not re.fullmatch(r"[^\s:]+:[^\s:]+", text):
        raise ValueError("a feature of the store is written like driver_stats:conv_rate")
    return text


Reference = Annotated[str, parsed("bad-value", _reference), WithJsonSchema({"type": "string"})]


class FeatureStore(Reached):
    """An online feature store, which a sample of the model's records is compared with."""

    kind: Annotated[str, Choice(("feast",))] = Field(
        default="feast", description="feast: a feature server of Feast.", examples=["feast"]
    )
    url: Url = Field(
        description="Address of the feature server; /get-online-features is added to it.",
        examples=["https://feast.example"],
    )
    entities: dict[Text, DottedPath] = Field(
        min_length=1,
        description="Join keys of the store, and inputs of its on-demand views: where records have them.",
        examples=[{"driver_id": "driver"}],
    )
    features: dict[Name, Reference] = Field(
        min_length=1,
        max_length=MOST_FEATURES,
        description="Features of the model that come from the store, and what it calls them.",
        examples=[{"conv_rate": "driver_stats:conv_rate"}],
    )
    sample: Share = Field(
        default=1.0, description="Share of the records that is compared, by their hash.", examples=["10%"]
    )
    per_minute: Annotated[Whole, bounded(1, 60_000)] = Field(
        default=300,
        description="Records that each process asks for in a minute, at most; of the others it is counted that there were some.",
        examples=[300],
    )
    tolerance: Annotated[Number, bounded(0, 1)] = Field(
        default=1e-6,
        description="How far numbers may differ, as a share of the larger; what 32-bit floats lose is 0.0000001.",
        examples=[0.001],
    )
    max_age: Annotated[Duration, bounded(SECOND, HOUR, format_duration)] = Field(
        default=MINUTE,
        description="Records are compared no longer than this after their event time: later the store has moved on.",
        examples=["1m"],
    )
    token: SecretText | None = Field(
        default=None, description="Token sent as Authorization: Bearer.", examples=["${env:FEAST_TOKEN}"]
    )
    token_file: Text = Field(
        default="", description="File that holds the token.", examples=["/run/secrets/feast"]
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default_factory=dict, description="Headers added to each request.", examples=[{"X-Team": "ml"}]
    )
    insecure_http: Flag = Field(default=False, description="Allow a URL without TLS.", examples=[True])


def check_store(store: FeatureStore | None, rules: dict[str, str], steps: Steps) -> Iterator[Problem]:
    """What the configuration alone tells. `rules`: the feature of each limit on the ratio of mismatches, "" of none."""
    for name, feature in rules.items():
        at = (*steps, "rules", name, "when")
        if store is None:
            yield Problem(
                "missing-key", at, f"`{FEATURE_MISMATCH}` needs a feature store, and the model has none",
                help="say which: feature_store: {url: https://feast.example, entities: {…}, features: {…}}",
            )  # fmt: skip
        elif feature and feature not in store.features:
            yield Problem(
                "unknown-feature", at, f"`{feature}` is not compared with the feature store",
                suggestion=nearest(feature, tuple(store.features)),
                help=f"feature_store.features: {', '.join(list(store.features)[:20])}",
            )  # fmt: skip
    if store is None:
        return
    at = (*steps, "feature_store")
    yield from twins(store, "token", at)
    if "?" in store.url:
        yield Problem(
            "bad-url", (*at, "url"), "a feature server is named by its address: a path is added to it"
        )
    if store.url.startswith("http://") and not store.insecure_http:
        yield Problem(
            "insecure-url", (*at, "url"), "the URL has no TLS",
            help="use https://, or allow it: insecure_http: true",
        )  # fmt: skip
    yield from check_address(store, store.url, (*at, "url"))


def plan_store(
    store: FeatureStore, limits: list[RawRule], features: tuple[FeaturePlan, ...], steps: Steps
) -> tuple[StorePlan, list[Problem]]:
    """What is compared; and what of it the model does not have."""
    known = [one.name for one in features if not one.members]
    wrong = [
        Problem(
            "unknown-feature", (*steps, "feature_store", "features", name), f"there is no feature called `{name}`",
            suggestion=nearest(name, known), at_key=True, help=f"features: {', '.join(known[:20])}",
        )
        for name in store.features
        if name not in known
    ]  # fmt: skip
    plan = StorePlan(
        entities=dict(store.entities),
        features=dict(store.features),
        share=store.sample,
        per_minute=store.per_minute,
        tolerance=store.tolerance,
        max_age=store.max_age,
        limits=tuple(limits),
    )
    return plan, wrong


def plan_server(origin: Origin, store: FeatureStore, steps: Steps) -> ServerPlan:
    ca_file = str(origin.beside((*steps, "ca_file"), store.ca_file)) if store.ca_file else ""
    return ServerPlan(
        url=store.url.rstrip("/"),
        token=origin.secret(store, "token", (*steps, "token_file")),
        headers=dict(store.headers),
        http=HttpPlan(
            timeout=store.timeout / 1000,
            allow_private=allowed_networks(store),
            ca_file=ca_file,
            insecure_http=store.insecure_http,
            max_body=LONGEST_ANSWER,
        ),
    )
