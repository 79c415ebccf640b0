"""Everything driftline raises on purpose.

DriftlineError
├── ConfigError            the configuration is invalid (every finding at once; exit 78)
├── ReferenceInvalid         a reference file cannot be built, read or used
│   └── ReferenceTooNew    written by a newer driftline
├── StateError
│   ├── StateMissing       offsets were committed but the state is gone
│   ├── StateDamaged       a stored record does not verify
│   ├── StateTooNew        written by a newer driftline
│   ├── StateConflict      another process owns the state directory
│   ├── StateUnsettled     a write was not acknowledged: it may or may not be there
│   └── StateFenced        another process speaks for this model
│       └── StateForeign   and it is of another installation
├── IntakeError
│   └── DeadLetterError    a rejected record could not be made durable
├── DeliveryRefused        a target is not allowed (address, scheme, redirect)
├── RequestError           a target gave no complete answer; `reason` is the closed reason
│   └── StoreRefused       a feature server answered, and not with features
├── RegistryError          a model registry does not say what is asked; `reason` is the closed reason
└── UsageError             a command was called with arguments that cannot work (exit 2)

Messages have one grammar: what is wrong - where - what would be right.
"""

from __future__ import annotations


class DriftlineError(Exception):
    """Base of every error that is reported to the user without a stack."""


class ConfigError(DriftlineError):
    """The configuration is invalid; `findings` holds every error and warning found.

    Raised only by `monitor.config`. `findings` are `monitor.config.finding.Finding`.
    """

    def __init__(self, message: str, *, findings: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.findings = findings


class ReferenceInvalid(DriftlineError):
    """A reference cannot be built, read or used."""


class ReferenceTooNew(ReferenceInvalid):
    """The reference file was written by a newer driftline."""


class StateError(DriftlineError):
    """The state log cannot be used as it is."""


class StateMissing(StateError):
    """Input was consumed before, but its state is gone."""


class StateDamaged(StateError):
    """A stored record does not verify."""


class StateTooNew(StateError):
    """The state was written by a newer driftline."""


class StateConflict(StateError):
    """Another process owns this state directory."""


class StateUnsettled(StateError):
    """A write was not acknowledged: it may be there, or come to be."""


class StateFenced(StateError):
    """Another process speaks for this model."""


class StateForeign(StateFenced):
    """A process of another installation speaks for this model."""


class IntakeError(DriftlineError):
    """Input cannot be read."""


class DeadLetterError(IntakeError):
    """A rejected record could not be made durable; its offset must not be covered."""


class DeliveryRefused(DriftlineError):
    """A target is not allowed: private address, scheme, redirect."""


class RequestError(DriftlineError):
    """A target gave no complete answer: refused, reset, timed out, TLS.

    `reason` is a `monitor.http.Failure`. Where something of the request was `sent`, the target may have acted.
    """

    def __init__(self, message: str, *, reason: str, sent: bool) -> None:
        super().__init__(message)
        self.reason = reason
        self.sent = sent


class StoreRefused(RequestError):
    """A feature server answered, and not with features. Its own `words` may hold values of records: they are shown to
    somebody who asked with values of his own, and never logged."""

    def __init__(self, message: str, *, reason: str, words: str) -> None:
        super().__init__(message, reason=reason, sent=True)
        self.words = words


class RegistryError(DriftlineError):
    """A model registry does not say what is asked of it; `reason` is one of `monitor.metrics.REGISTRY_REASONS`."""

    def __init__(self, text: str, *, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


class WebhookRefused(DriftlineError):
    """A webhook is not signed with a secret that is known, or not of now."""


class WebhookClosed(WebhookRefused):
    """No webhook is taken, as no secret is configured."""


class UsageError(DriftlineError):
    """A command was called with arguments that cannot work."""
