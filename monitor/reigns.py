"""Which version of a model is judged, by which reference, and since when. Pure, but for what is logged.

A *reign* is a line of the ledger: windows that start at event time `since` or later are of one version, and its rows
alone are judged, by the reference of one digest. Windows that had begun before are those of the reign before, with
the rows of its version alone. So no window has rows of two versions, and which reference judges one is a function of
the ledger and of the counts, the same for a replica that takes over, for a restart and for a replay.

The content of references lies in the ledger too, in parts: whoever speaks for a model needs neither the registry nor
a file of another machine.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import structlog

from monitor import metrics
from monitor.context import Context
from monitor.errors import ReferenceInvalid
from monitor.judge.kept import Kept
from monitor.judge.prepare import prepare
from monitor.reference.alike import unlike
from monitor.reference.file import unpack
from monitor.reference.profile import Reference
from monitor.state.log import Entry, Ledger
from monitor.verdict import Verdict

log = structlog.get_logger(__name__)

KIND, CONTENT = "reign", "content"
"""Of ledger entries: a reign, and a part of a reference's file."""
KEPT = 4
"""Reigns that are kept: windows of the last ones may still be judged or corrected."""
PART = 1 << 20
"""Bytes of a file in one entry: as text four thirds of it, and a batch takes 4 MiB."""
LARGEST = 32 << 20
"""Bytes of a reference from a registry. One of 500 features with a sample of its rows has about 8 MB."""


@dataclass(frozen=True, slots=True)
class Reign:
    """From event time `since` on, rows of `version` are judged by the reference of this digest.

    after     window name → end of the newest window that had been judged when this became known: those are never
              judged by it
    borrowed  the reference is another version's, as this one has none
    """

    number: int
    version: str
    """As records name it."""
    digest: str
    """Of its file; "": the reference that the configuration names."""
    since: int
    after: Mapping[str, int] = field(default_factory=dict)
    borrowed: bool = False
    named: str = ""
    """What the registry calls the version."""

    def entry(self) -> Entry:
        body = {
            "version": self.version, "digest": self.digest, "since": self.since, "after": dict(self.after),
            "borrowed": self.borrowed, "named": self.named,
        }  # fmt: skip
        return Entry(KIND, f"{self.number:08d}", body)

    @classmethod
    def of(cls, identity: str, body: Mapping[str, Any]) -> Self:
        return cls(
            number=int(identity),
            version=str(body["version"]),
            digest=str(body["digest"]),
            since=int(body["since"]),
            after={name: int(end) for name, end in body["after"].items()},
            borrowed=bool(body["borrowed"]),
            named=str(body.get("named", "")),
        )


@dataclass(frozen=True, slots=True)
class Ruling:
    """How one window is judged."""

    context: Context
    outgoing: bool = False
    """A version that came later has rows in the window too: those of this one are what a rollout left over."""
    others: Mapping[str, int] = field(default_factory=dict)
    """Rows of versions that are not judged."""

    @property
    def absent(self) -> str:
        """The detail of a window in which all rows are of others."""
        found = sorted(self.others.items(), key=lambda item: (-item[1], item[0]))
        named = ", ".join(f"{version or '(none)'} ({count})" for version, count in found[:3])
        return (
            f"No rows of version {self.context.plan.version}, which the registry names; of others: {named}."
        )


def choose(
    reigns: Sequence[Reign], name: str, start: int, end: int, *, seen: Mapping[str, int], judged: str | None
) -> Reign | None:
    """The reign that a window is judged in; None where it was judged before there was one.

    The newest that began by `start`. As long as no row of its version has come, and no window was judged by it, the
    one before goes on; and where neither has rows, one that became known later (an outage) is asked.
    seen    rows of the window by version
    judged  version of the newest window of this name that had rows, or of this window if it was judged before
    """
    known = [one for one in reigns if one.after.get(name, -1) < end]
    if not known:
        return None
    at = max((place for place, one in enumerate(known) if one.since <= start), default=0)
    before = [known[at - 1]] if at and judged != known[at].version else []
    for one in (known[at], *before, *known[at + 1 :]):
        if seen.get(one.version, 0):
            return one
    return known[at]


class Reigns:
    """Those of one model, oldest first. Evaluate thread only, but `all`, which is replaced whole."""

    def __init__(self) -> None:
        self.all: tuple[Reign, ...] = ()
        self._references: dict[str, Reference] = {}
        self._contexts: dict[tuple[str, str, bool], Context] = {}
        self._judged: dict[str, str] = {}
        """Window name → version of its newest window that had rows."""

    @property
    def current(self) -> Reign | None:
        return self.all[-1] if self.all else None

    def restore(self, ledger: Ledger, history: Mapping[str, Sequence[Kept]]) -> None:
        """Continue from the ledger; `load` the content of what it names that is not `known`."""
        self.all = tuple(Reign.of(*item) for item in sorted(ledger.of(KIND).items()))
        for name, kept in history.items():
            newest = next((one for one in reversed(kept) if one.rows), None)
            if self.all and newest is not None:
                self._judged[name] = version_of(newest)

    def load(self, contents: Mapping[str, Mapping[str, Any]], model: str) -> None:
        """Read the references of the reigns from entries of kind CONTENT; one that is damaged is counted and left."""
        for digest in {one.digest for one in self.all if one.digest} - self._references.keys():
            try:
                content = joined(contents, digest)
                if content is not None:
                    self._references[digest] = unpack(content, where=f"reference {digest[:12]} of the ledger")
            except ReferenceInvalid as error:
                metrics.INTERNAL_ERRORS_TOTAL.labels("registry").inc()
                log.error("reference_damaged", model=model, digest=digest, error=str(error))

    def begin(self, reign: Reign, context: Context | None) -> None:
        """A reign is durable now; `context` is what `ruled` made, None: of a reference that is known."""
        self.all = (*self.all, reign)[-KEPT:]
        if context is not None and context.reference is not None:
            self._references[reign.digest] = context.reference
            self._contexts[reign.digest, reign.version, reign.borrowed] = context
        needed = {one.digest for one in self.all}
        self._references = {digest: own for digest, own in self._references.items() if digest in needed}
        self._contexts = {key: own for key, own in self._contexts.items() if key[0] in needed}

    def renew(self) -> None:
        """The configuration changed: what was prepared by it is prepared anew when it is needed."""
        self._contexts.clear()

    def accept(self, verdict: Verdict) -> None:
        """Note of which version the newest window of a name was judged."""
        if self.all and verdict.revision == 0 and not verdict.early and verdict.versions:
            self._judged[verdict.window] = next(iter(verdict.versions))

    def ruling(
        self, base: Context, name: str, start: int, end: int, *, seen: Callable[[], Mapping[str, int]],
        judged: str | None = None,
    ) -> Ruling:  # fmt: skip
        """How the window is judged; `judged` as of `choose`, by default as was accepted."""
        if not base.plan.registered or not self.all:
            return Ruling(base)
        rows = seen()
        version = self._judged.get(name) if judged is None else judged
        reign = choose(self.all, name, start, end, seen=rows, judged=version)
        if reign is None:
            return Ruling(base)
        later = {one.version for one in self.all if one.number > reign.number} - {reign.version}
        others = {one: count for one, count in sorted(rows.items()) if one != reign.version}
        return Ruling(self.context(reign, base), any(rows.get(one, 0) for one in later), others)

    def looked(self, base: Context, name: str, start: int, end: int) -> Context | None:
        """What an open window is looked at with; None: not at all, as more than one version may be in question."""
        if not base.plan.registered or not self.all:
            return base
        newest = self.all[-1]
        if newest.since > start or newest.after.get(name, -1) >= end:
            return None
        return self.context(newest, base)

    def context(self, reign: Reign, base: Context) -> Context:
        """What a reign judges with; the configured reference where the reign's own is lost or does not fit."""
        key = (reign.digest, reign.version, reign.borrowed)
        if key not in self._contexts:
            own, reference = self._references.get(reign.digest), base.reference
            assert reference is not None
            if own is not None and not unlike(reference, own):
                reference = own
            elif reign.digest:
                why = "its content is lost" if own is None else unlike(reference, own)
                metrics.INTERNAL_ERRORS_TOTAL.labels("registry").inc()
                log.error("reference_unusable", model=base.plan.name, digest=reign.digest, why=why)
            self._contexts[key] = ruled(base, reference, version=reign.version, borrowed=reign.borrowed)
        return self._contexts[key]

    def outdated(self) -> Iterator[Entry]:
        """Removals of what is not kept when one more reign begins; its references stay while others need them."""
        gone = self.all[: max(len(self.all) + 1 - KEPT, 0)]
        needed = {one.digest for one in self.all[len(gone) :]}
        for one in gone:
            yield Entry(KIND, f"{one.number:08d}", None)
        for digest in {one.digest for one in gone if one.digest} - needed:
            yield from (Entry(CONTENT, f"{digest}/{part:03d}", None) for part in range(LARGEST // PART))


def ruled(base: Context, reference: Reference, *, version: str, borrowed: bool) -> Context:
    """The context in which rows of one version are judged by one reference. Takes seconds for wide models."""
    plan = replace(base.plan, version=version, borrowed=borrowed)
    if base.reference is not None and reference.digest == base.reference.digest:
        return replace(base, plan=plan)
    prepared = {spec.name: prepare(reference, plan, spec) for spec in plan.windows}
    return replace(base, plan=plan, reference=reference, prepared=prepared)


def version_of(kept: Kept) -> str:
    """The version that most rows of a judged window are of; "" where there are none, or they name none."""
    return next(iter(kept.body()["versions"]), "")


def parts(content: bytes, digest: str) -> Iterable[Entry]:
    """The entries that hold the content of a reference file."""
    count = -(-len(content) // PART)
    for part in range(count):
        text = base64.b64encode(content[part * PART : (part + 1) * PART]).decode("ascii")
        yield Entry(CONTENT, f"{digest}/{part:03d}", {"parts": count, "data": text})


def joined(contents: Mapping[str, Mapping[str, Any]], digest: str) -> bytes | None:
    """The content that `parts` took apart; None where a part is missing. Raises ReferenceInvalid."""
    found = [body for identity, body in sorted(contents.items()) if identity.startswith(f"{digest}/")]
    if not found or len(found) < int(found[0]["parts"]):
        return None
    try:
        return b"".join(
            base64.b64decode(body["data"], validate=True) for body in found[: int(found[0]["parts"])]
        )
    except (binascii.Error, ValueError) as error:
        raise ReferenceInvalid(
            f"a part is no base64 - reference {digest[:12]} of the ledger - as it was stored"
        ) from error
