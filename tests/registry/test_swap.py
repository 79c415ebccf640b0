"""From an offer to a reign, by what judges when it is taken: the picture that it was made by may be older."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from monitor.reference.file import digest_of
from monitor.registry.swap import Offer, swap
from monitor.reigns import Reigns, ruled
from monitor.state.log import Entry
from tests.registry.test_poll import base
from tests.registry.versions import content_of, reference_of


@dataclass
class Desk:
    """A judgement without windows, and what became durable."""

    reigns: Reigns = field(default_factory=Reigns)
    stored: list[Entry] = field(default_factory=list)

    def take(self, offer: Offer, *, now: int = 1_000) -> None:
        log = SimpleNamespace(append=lambda _model, entries: self.stored.extend(entries))
        judgement = SimpleNamespace(reigns=self.reigns, context=base(), cursors={})
        swap(log, judgement, offer, now=now)

    def said(self) -> list[tuple[str, str, bool]]:
        return [(one.version, one.digest, one.borrowed) for one in self.reigns.all]


def own(version: str) -> Offer:
    """With its reference."""
    context = ruled(base(), reference_of(version), version=version, borrowed=False)
    content = content_of(version)
    return Offer(version, version, digest_of(content), context=context, content=content)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_version_that_has_its_reference_borrows_none(desk) -> None:
    """The registry failed between two answers, to who was asked by a picture of before the swap: 8 judges by its own."""
    desk.take(own("7"))
    desk.take(own("8"))
    seven, eight = desk.said()
    stored = len(desk.stored)
    desk.take(Offer("8", "8", seven[1], borrowed=True))
    desk.take(Offer("8", "8", ""))
    desk.take(own("8"))
    assert desk.said() == [seven, eight]
    assert len(desk.stored) == stored


def test_the_last_known_reference_is_the_one_that_judges_now(desk) -> None:
    """Not the one that judged when the offer was made, and not the configured one."""
    desk.take(own("7"))
    desk.take(own("8"))
    desk.take(Offer("9", "9", digest_of(content_of("7")), borrowed=True))
    desk.take(Offer("10", "10", ""))
    eight = digest_of(content_of("8"))
    assert desk.said()[2:] == [("9", eight, True), ("10", eight, True)]


def test_a_loan_ends_when_the_reference_comes(desk) -> None:
    """And is not taken again; the very first version is judged by the configured reference, which is no loan."""
    desk.take(Offer("7", "7", ""))
    assert desk.said() == [("7", "", False)]
    desk.take(Offer("8", "8", "", borrowed=True))
    desk.take(Offer("8", "8", "", borrowed=True))
    desk.take(own("8"))
    desk.take(Offer("8", "8", "", borrowed=True))
    assert desk.said() == [("7", "", False), ("8", "", True), ("8", digest_of(content_of("8")), False)]
