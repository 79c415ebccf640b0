"""How a model registry is asked; plain values built from the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.deliver.plan import HttpPlan
from monitor.secret import Secret


@dataclass(frozen=True, slots=True)
class RegistryPlan:
    """One of `alias` and `stage` is given."""

    model: str
    """As records name it."""
    url: str
    name: str
    """The registered model."""
    alias: str
    stage: str
    every: int
    """Milliseconds."""
    path: str
    """Of the reference, among a version's artifacts."""
    version_tag: str
    """Whose value records name a version by; "": they do by its number."""
    write_tags: bool
    username: str = ""
    password: Secret = field(default_factory=Secret)
    token: Secret = field(default_factory=Secret)
    webhook: Secret = field(default_factory=Secret)
    """What its webhooks are signed with; none is taken without."""
    http: HttpPlan = field(default_factory=HttpPlan)

    @property
    def mark(self) -> str:
        """What a version has that is in production, in words."""
        return f"alias {self.alias}" if self.alias else f"stage {self.stage}"
