"""Immutable pictures of the daemon, swapped whole, that the web thread reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.judge.kept import Kept
from monitor.labels.delays import Delays
from monitor.labels.provisional import Provisional
from monitor.names import Source
from monitor.plan import ModelPlan
from monitor.reference.profile import Reference
from monitor.reigns import Reign
from monitor.state.log import Progress
from monitor.verdict import Verdict, Window


@dataclass(frozen=True, slots=True)
class RegistryView:
    """What a model registry said of one model when it was last asked."""

    url: str
    name: str
    """The registered model."""
    mark: str
    """What a version has that is in production, in words."""
    version: str = ""
    """The registry's number of the one that has it; "" before it has answered."""
    asked: int = -1
    """Wall time of its last answer, ms."""
    error: str = ""
    """Why it does not answer; "" when it does."""
    lacking: str = ""
    """Why the version in production is not judged by a reference of its own; "" when it is."""


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model as last judged. `latest` and `windows` are keyed by window name."""

    plan: ModelPlan
    reference: Reference | None
    latest: Mapping[str, Verdict] = field(default_factory=dict)
    windows: Mapping[str, Window] = field(default_factory=dict)
    """The merged counts the latest verdicts were made from."""
    alarms: Mapping[str, Verdict] = field(default_factory=dict)
    """The newest early alarm, by window name."""
    performance: Mapping[str, tuple[Verdict, ...]] = field(default_factory=dict)
    """How well the model did in windows whose labels are in, oldest first, by window name."""
    provisional: Mapping[str, tuple[Provisional, ...]] = field(default_factory=dict)
    """The same of windows whose labels have not all come, oldest first, by window name."""
    delays: Delays | None = None
    """When labels came, of windows that were measured."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """Of the join: ids that are predicted, labelled ones that nobody has predicted, bytes; empty without labels."""
    consistency: Mapping[str, tuple[Verdict, ...]] = field(default_factory=dict)
    """How far windows agree with the online store, oldest first, by window name."""
    store: Mapping[str, Any] = field(default_factory=dict)
    """How the online store is doing: outcomes of records, error, answered; empty without one."""
    history: tuple[Kept, ...] = ()
    """Verdicts, oldest first, bounded."""
    incidents: tuple[Mapping[str, Any], ...] = ()
    """Incident bodies of the ledger, newest first, bounded."""
    retrains: tuple[Mapping[str, Any], ...] = ()
    """Retraining requests of the ledger, newest first, bounded."""
    closed: Mapping[str, int] = field(default_factory=dict)
    """Windows judged since the start, by window name."""
    skipped: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Windows without a verdict, by (window name, reason)."""
    pages_sent: int = 0
    early_sent: int = 0
    """Those of them that looks at open windows brought about."""
    pages_total: int = 0
    """Pages since the start of the process; never falls."""
    early_total: int = 0
    pages_expected: float = 0.0
    """Pages expected by chance so far in the current budget period."""
    early_expected: float = 0.0
    """What of them looks may bring about."""
    blind_since: int = -1
    """Event time, ms, since when there have been only unknown verdicts; -1 until that is a day ago.
    Shorter runs (a night without traffic, a window that was too small) are ordinary."""
    watermark: int = -1
    reigns: tuple[Reign, ...] = ()
    """Which versions are judged by which references, oldest first; empty without a registry."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What another replica says of a model; all but `model` is empty where none has said anything."""

    model: str
    replica: str = ""
    """Host and port of its page, as it knows them: in a cluster the name of a pod."""
    state: str = ""
    end: int = -1
    """Of its latest window."""
    incidents: int = 0
    """Open ones."""
    told: int = -1


@dataclass(frozen=True, slots=True)
class View:
    """Everything the web pages, the API and `/metrics` show. Built by the daemon, read by the web."""

    version: str
    started: int
    now: int
    ready: bool
    ready_reason: str
    """Why it is not ready; "" when it is."""
    models: tuple[ModelView, ...] = ()
    partitions: tuple[Progress, ...] = ()
    """All of the input, whichever process reads them."""
    undescribed: Mapping[str, bool] = field(default_factory=dict)
    """Input topic → whether Kafka did not describe it when it was last asked; of those that it was asked about."""
    arrivals: Mapping[Source, float] = field(default_factory=dict)
    """Seconds until those that are behind will have caught up, where it is known; infinite where they never will."""
    reads: tuple[Source, ...] = ()
    """Those that this process reads."""
    outbox: Mapping[str, int] = field(default_factory=dict)
    """Pending intents by integration."""
    config_redacted: str = ""
    """The effective configuration as YAML, secrets as <secret>."""
    config_ok: bool = True
    config_loaded: int = -1
    checkpoint_last: int = -1
    checkpoint_bytes: int = 0
    backend: str = "numba-cpu"
    """Its name, a hyphen, and what the device calls itself."""
    warm_seconds: float = 0.0
    elsewhere: tuple[Elsewhere, ...] = ()
    """Models of the configuration that other replicas speak for, and show."""
    registries: Mapping[str, RegistryView] = field(default_factory=dict)
    """Of the models that this process speaks for and that are in one, by model."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Models that nobody judges until somebody helps, and why."""
    lacking: Mapping[str, str] = field(default_factory=dict)
    """Topics of ours that are missing, or not as they have to be, and the command that mends that."""
