"""What a preset is: a small pure description of how one kind of pipeline is asked to run.

Nothing here sends. `monitor.deliver.session` makes requests of what a preset describes, and
`monitor.deliver.target` an attempt of the answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

JSON = "application/json"
CLOUD_EVENT = "application/cloudevents+json; charset=UTF-8"

Answer = Mapping[str, Any]
"""The JSON object of an answer; empty where it holds none."""


class Where(Protocol):
    """What of a target a preset may know: never its secrets. `TargetPlan` is one."""

    @property
    def url(self) -> str: ...
    @property
    def options(self) -> Mapping[str, str]:
        """Settings by name: those of `needs` and `takes` that are given."""
        ...

    @property
    def parameters(self) -> Mapping[str, str]:
        """The operator's own, for every run."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request; `body` is sent as JSON, None is no body."""

    method: str
    url: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for retraining. `event` is the CloudEvent that carries the evidence."""

    id: str
    """The same on every attempt: rt_ and the incident's id."""
    event: Mapping[str, Any]
    found: Answer = field(default_factory=dict)
    """What `Preset.find` was answered."""

    @property
    def note(self) -> str:
        """One line for lists of runs."""
        data = self.event["data"]
        return f"driftline: {data['model']}: {data['cause']}"


@dataclass(frozen=True, slots=True)
class Run:
    """A run that a request has started. `state` is the target's own word, "" before it was asked."""

    id: str
    url: str = ""
    """Its page, for people."""
    state: str = ""
    over: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "url": self.url, "state": self.state, "over": self.over}


Flaw = tuple[str, str, str]
"""A setting, what is wrong with it, what would be right."""


def _no_flaws(_where: Where) -> Iterator[Flaw]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Preset:
    """How one kind of target is asked. Everything is pure; optional steps are None."""

    name: str
    text: str
    """What it starts, for the description of the setting."""
    start: Callable[[Ask, Where], Call]
    success: frozenset[int]
    """Statuses by which a request is taken."""
    duplicate: frozenset[int] = frozenset()
    """Statuses that say that it was taken before."""
    deduplicates: bool = False
    """Whether the target starts one run however often it is asked under one id."""
    refused: frozenset[int] = frozenset()
    """Statuses of 500 and more by which it is known not to have been taken."""
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    """Settings that may be given, beside those that must be."""
    signs: bool = False
    """Whether requests are signed by `secret`: the receiver is somebody's own program."""
    login: Callable[[Where, str, str], Call] | None = None
    """The request that makes a token of user and password; else they go as basic authentication."""
    find: Callable[[Where], Call] | None = None
    """A question that comes first; its answer is `Ask.found`."""
    run: Callable[[Ask, Answer, Where], Run] | None = None
    """The run, of the answer to `start`; of an empty one where it was a duplicate."""
    follow: Callable[[str, Where], Call] | None = None
    """Asks for the state of the run of an id. There is one wherever there is `run`."""
    state: Callable[[Answer], tuple[str, bool]] | None = None
    """The target's word, and whether the run is over."""
    probe: Callable[[Where], Call] | None = None
    """A request that starts nothing and succeeds when a real one may."""
    flaws: Callable[[Where], Iterator[Flaw]] = _no_flaws


def base(where: Where) -> str:
    return where.url.rstrip("/")


def part(where: Where, name: str) -> str:
    """A setting as part of a path; owner/name and flow/deployment stay two parts."""
    return quote(where.options.get(name, ""))


def parameter(where: Where) -> str:
    """Name under which a run is given the event."""
    return where.options.get("parameter", "driftline")


def values(ask: Ask, where: Where) -> dict[str, Any]:
    """Parameters of a run where values have types: numbers and booleans are what they look like."""
    return {**{name: _typed(text) for name, text in where.parameters.items()}, parameter(where): ask.event}


def texts(ask: Ask, where: Where) -> dict[str, str]:
    """Parameters of a run where all values are texts: the event as JSON."""
    event = json.dumps(ask.event, ensure_ascii=False, separators=(",", ":"))
    return {**where.parameters, parameter(where): event}


def _typed(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text
