"""A model's registry, for the API and for `/metrics`."""

from __future__ import annotations

from typing import Any

from monitor.registry import families as m
from monitor.view import ModelView, RegistryView
from monitor.web.series import Samples
from monitor.web.shape import moment


def registry(model: ModelView, found: RegistryView | None) -> dict[str, Any] | None:
    """Which version is in production, which judges since when, and what is wrong; None without a registry."""
    if not model.plan.registered:
        return None
    reigns = [
        {
            "version": one.version,
            "named": one.named,
            "reference": one.digest or None,
            "since": moment(one.since),
            "borrowed": one.borrowed,
        }
        for one in model.reigns
    ]
    said = found or RegistryView("", "", "")
    return {
        "url": said.url,
        "name": said.name,
        "mark": said.mark,
        "version": said.version or None,
        "asked": moment(said.asked),
        "error": said.error,
        "lacking": said.lacking,
        "reigns": reigns,
        "others": {name: dict(verdict.others) for name, verdict in model.latest.items() if verdict.others},
    }


def add_registry(samples: Samples, model: ModelView, found: RegistryView | None) -> None:
    """Whether it answers, and what answers beside the version that it names."""
    if found is None:
        return
    name = model.plan.name
    samples[m.UP].append(((name,), float(not found.error)))
    samples[m.REFERENCE].append(((name,), float(not found.lacking)))
    for window, verdict in sorted(model.latest.items()):
        samples[m.OTHER_VERSIONS_RECORDS].append(((name, window), sum(verdict.others.values())))
