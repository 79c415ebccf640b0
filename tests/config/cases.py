"""Configurations and references that the tests of this folder start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from monitor.config.finding import Finding
from monitor.config.load import load
from monitor.config.settings import Settings
from monitor.errors import ConfigError
from monitor.plan import Kind
from monitor.reference.profile import FeatureProfile, Panes, Reference
from monitor.reference.vector import profile_vectors

HEAD = """\
version: 1
kafka: {brokers: ["localhost:9092"]}
sources:
  s: {topic: t}
models:
  m:
    reference: m.ref
"""
"""A valid configuration; the model's settings go on from line 8, indented by four."""
TAIL = 'alerts: {alertmanager: {urls: ["http://localhost:9093"]}}\n'


def settings_of(text: str, environ: Mapping[str, str] | None = None) -> Settings:
    return load(["-"], stdin=text, environ=environ or {})


def findings_of(text: str, environ: Mapping[str, str] | None = None) -> tuple[Finding, ...]:
    """What is wrong with a configuration; errors only."""
    with pytest.raises(ConfigError) as caught:
        settings_of(text, environ)
    assert all(isinstance(finding, Finding) for finding in caught.value.findings)
    return tuple(f for f in caught.value.findings if isinstance(f, Finding) and f.is_error)


def with_model(lines: str) -> str:
    """HEAD with more settings of the model `m`, then TAIL."""
    return HEAD + "".join(f"    {line}\n" for line in lines.splitlines()) + TAIL


def numeric(name: str, path: tuple[str | int, ...] = ()) -> FeatureProfile:
    edges = np.array([0.0, 1.0, 2.0])
    return FeatureProfile(
        name,
        path or (name,),
        Kind.NUMERIC,
        edges,
        np.zeros(2, np.int16),
        (),
        1.0,
        1.0,
        0.0,
        2.0,
        1.0,
        1.0,
        1.0,
    )


def categorical(name: str, *categories: str, kind: Kind = Kind.CATEGORICAL) -> FeatureProfile:
    empty = np.empty(0)
    return FeatureProfile(
        name, (name,), kind, empty, np.empty(0, np.int16), categories, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    )


def vector(name: str, length: int) -> FeatureProfile:
    profile = profile_vectors(np.ones((2, length)), model="m", feature=name)
    return replace(categorical(name, kind=Kind.VECTOR), vector=profile)


def group(name: str, *members: str) -> FeatureProfile:
    profile = profile_vectors(np.ones((2, len(members))), model="m", feature=name)
    traced = replace(profile, traces=(0.4, 0.1, 0.005))
    return replace(categorical(name, kind=Kind.VECTOR), path=(), vector=traced, members=members)


def reference_of(*features: FeatureProfile, digest: str = "d" * 64) -> Reference:
    zeros = np.zeros(1, np.int64)
    panes = Panes(
        zeros,
        np.zeros(2, np.int64),
        np.empty(0, np.int32),
        np.empty(0, np.int64),
        zeros,
        zeros,
        np.zeros(2, np.int64),
        np.empty(0, np.int32),
        np.empty(0, np.int64),
    )
    slots = sum(feature.slots for feature in features)
    return Reference(
        "m",
        "train",
        0,
        {},
        features,
        panes,
        0,
        False,
        0,
        0,
        np.zeros(slots, np.int64),
        np.zeros(1152, np.int64),
        digest,
    )
