"""What a registry says, and what becomes of it: offers, errors, tags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import pytest

from monitor import metrics
from monitor.clock import ManualClock
from monitor.context import Context
from monitor.deliver.receiver import Receiver
from monitor.errors import RegistryError, StateError
from monitor.judge.prepare import prepare
from monitor.judge.record import from_json
from monitor.reference.alike import unlike
from monitor.reference.file import digest_of, unpack
from monitor.registry.mlflow import DIGEST, STATUS, Mlflow
from monitor.registry.poll import Poller
from monitor.registry.swap import Offer
from monitor.reigns import Reign
from monitor.view import ModelView
from tests.daemon.build import MODEL
from tests.judge.build import plan
from tests.registry.fake import FakeMlflow
from tests.registry.versions import content_of, reference_of


@cache
def base() -> Context:
    known = unpack(content_of("7"), where="test")
    own = replace(plan(known.features), name=MODEL, registered=True)
    return Context(own, known.layout(), known, {spec.name: prepare(known, own, spec) for spec in own.windows})


@dataclass
class Desk:
    """A poller, the registry it asks, and a judgement that takes what it offers."""

    fake: FakeMlflow
    clock: ManualClock
    poller: Poller
    reigns: list[Reign]
    offers: list[Offer]
    wrong: StateError | None = None

    def poll(self) -> None:
        self.clock.advance(1.0)
        self.poller.tick()

    def errors(self, reason: str) -> float:
        return metrics.REGISTRY_ERRORS_TOTAL.labels(MODEL, reason)._value.get()


@pytest.fixture
def desk() -> Iterator[Desk]:
    with Receiver() as receiver:
        fake, clock = FakeMlflow(receiver), ManualClock(1_700_000_000_000)
        reigns: list[Reign] = []
        view = lambda: ModelView(base().plan, base().reference, reigns=tuple(reigns))  # noqa: E731
        plans = {MODEL: fake.plan()}

        def swap(_model: str, offer: Offer) -> None:
            if made.wrong:
                raise made.wrong
            made.offers.append(offer)
            reigns.append(Reign(len(reigns), offer.version, offer.digest, 0, {}, offer.borrowed, offer.named))

        poller = Poller(
            clock=clock,
            plans=lambda: plans,
            contexts=lambda: {MODEL: base()},
            shown=lambda: {MODEL: view()},
            swap=swap,
        )
        made = Desk(fake, clock, poller, reigns, [])
        fake.add("7", content_of("7"))
        fake.add("8", content_of("8"))
        fake.aliases["champion"] = "7"
        yield made


def test_the_version_behind_the_alias_and_its_reference_are_offered_once(desk):
    """Asking again brings nothing, and fetches nothing."""
    assert not desk.poller.was_asked(MODEL)
    for _ in range(3):
        desk.poll()
    assert desk.poller.was_asked(MODEL)
    assert [(one.version, one.digest, one.borrowed) for one in desk.offers] == [
        ("7", digest_of(content_of("7")), False)
    ]
    desk.fake.aliases["champion"] = "8"
    fetched = desk.fake.fetched
    for _ in range(3):
        desk.poll()
    assert desk.fake.fetched == fetched + 1
    offer = desk.offers[-1]
    assert (offer.version, offer.content) == ("8", content_of("8"))
    assert offer.context.plan.version == "8"
    assert offer.context.reference.digest == offer.digest
    found = desk.poller.views[MODEL]
    assert (found.version, found.error, found.lacking, found.mark) == ("8", "", "", "alias champion")


def test_a_reference_that_was_pushed_anew_is_noticed_by_its_tag(desk):
    """Without fetching it each time."""
    desk.poll()
    desk.fake.aliases["champion"] = "8"
    desk.poll()
    again = content_of("7")
    desk.fake.add("8", again, **{DIGEST: digest_of(again)})
    desk.poll()
    assert [one.digest for one in desk.offers[1:]] == [digest_of(content_of("8")), digest_of(again)]
    desk.fake.tags["8"][DIGEST] = "f" * 64
    desk.poll()
    assert len(desk.offers) == 3
    assert "not the one that was pushed" in desk.poller.views[MODEL].lacking


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no_reference"),
        (b"garbage", "bad_reference"),
        (content_of("8")[:-9], "bad_reference"),
        ("bins", "other_bins"),
    ],
    ids=["none", "garbage", "cut", "other bins"],
)
def test_a_version_without_a_usable_reference_borrows_the_last_known_one(desk, content, reason):
    """Counted and shown; and when its own comes, that judges."""
    desk.poll()
    before = desk.errors(reason)
    desk.fake.artifacts.clear()
    desk.fake.add("8", content_of("8", own_bins=True) if content == "bins" else content)
    desk.fake.aliases["champion"] = "8"
    desk.poll()
    desk.poll()
    offer = desk.offers[-1]
    assert (offer.version, offer.digest, offer.borrowed, len(desk.offers)) == (
        "8",
        desk.offers[0].digest,
        True,
        2,
    )
    assert desk.errors(reason) == before + 2
    assert "version 8" in desk.poller.views[MODEL].lacking
    desk.fake.add("8", content_of("8"))
    desk.poll()
    assert (desk.offers[-1].digest, desk.offers[-1].borrowed) == (digest_of(content_of("8")), False)
    assert desk.poller.views[MODEL].lacking == ""


def test_the_very_first_version_is_judged_by_the_configured_reference_where_it_has_none(desk):
    """It is what the operator says is normal for what runs, and no loan."""
    desk.fake.artifacts.clear()
    desk.poll()
    desk.poll()
    assert [(one.digest, one.borrowed) for one in desk.offers] == [("", False)]
    assert "not there" in desk.poller.views[MODEL].lacking
    desk.fake.add("7", content_of("8"))
    desk.poll()
    assert desk.offers[-1].digest == digest_of(content_of("8"))


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda desk: desk.fake.aliases.clear(), "no_version"),
        (lambda desk: setattr(desk.fake, "name", "other"), "no_version"),
        (lambda desk: setattr(desk.fake, "down", 503), "unreachable"),
        (lambda desk: setattr(desk.fake, "down", 200), "bad_answer"),
        (lambda desk: setattr(desk.fake, "token", "other"), "refused"),
        (lambda desk: desk.fake.receiver.stop(), "unreachable"),
        (lambda desk: setattr(desk, "wrong", StateError("full - disk - room")), "not_stored"),
    ],
    ids=["alias deleted", "no model", "503", "no JSON", "401", "gone", "not stored"],
)
def test_trouble_is_counted_and_shown_and_changes_nothing(desk, act, reason):
    """Whatever it is, what judged goes on, and the next answer mends it."""
    desk.poll()
    desk.fake.aliases["champion"] = "8"
    before = desk.errors(reason)
    act(desk)
    desk.poll()
    assert desk.errors(reason) == before + 1
    assert len(desk.offers) == 1
    assert desk.poller.views[MODEL].error
    desk.fake.down, desk.fake.token, desk.fake.name, desk.wrong = 0, "t0ken", MODEL, None
    desk.fake.aliases["champion"] = "8"
    desk.poll()
    if reason != "unreachable" or (desk.fake.down == 0 and desk.fake.receiver._thread.is_alive()):
        assert desk.poller.views[MODEL].error == ""
        assert desk.offers[-1].version == "8"


def test_stages_and_names_by_tag(desk):
    """The newest version in the stage; records may name versions by what a tag says."""
    desk.fake.stages = {"7": "Production", "10": "Production", "9": "Staging"}
    desk.fake.add("10", None, git_sha="c0ffee")
    client = Mlflow(desk.fake.plan(alias="", stage="Production", version_tag="git_sha"))
    version = client.production()
    assert (version.number, version.named(client.plan)) == ("10", "c0ffee")
    with pytest.raises(RegistryError, match="lacks the tag git_sha"):
        client.version("7").named(client.plan)
    desk.fake.stages.clear()
    with pytest.raises(RegistryError, match="no version is in stage Production") as caught:
        client.production()
    assert caught.value.reason == "no_version"


def test_a_reference_is_pushed_and_fetched_back(desk):
    """Its digest becomes a tag; a store that the server does not write to is named, with what to do."""
    client = Mlflow(desk.fake.plan())
    desk.fake.artifacts.clear()
    client.push("8", content_of("8"), "d1gest")
    assert client.reference("8") == content_of("8")
    assert desk.fake.tags["8"][DIGEST] == "d1gest"
    desk.fake.store = "s3://bucket/models"
    with pytest.raises(RegistryError, match=r"copy the file to s3://bucket/models/8/driftline/reference.ref"):
        client.push("8", content_of("8"), "d1gest")


def test_the_state_of_the_version_is_written_where_that_is_asked_for(desk):
    """Once for each change."""
    body = {"model": MODEL, "window": "5m", "start": 0, "end": 1, "revision": 0, "detail": "", "rows": 9, "proven": True,
            "reference": "", "reference_windows": 0, "windows_needed": 0, "coverage": 1.0, "p": 1.0, "statistic": 0.0,
            "alpha": 0.1, "state": "drift", "reason": None, "tests": [], "scores": {}, "rules": [], "offsets": [],
            "versions": {"7": 9}, "blind": []}  # fmt: skip
    desk.poll()
    reign = desk.reigns[-1]
    view = ModelView(base().plan, base().reference, latest={"5m": from_json(body)}, reigns=(reign,))
    poller = Poller(
        clock=desk.clock, plans=lambda: {MODEL: desk.fake.plan(write_tags=True)}, contexts=lambda: {MODEL: base()},
        shown=lambda: {MODEL: view}, swap=lambda *_: None,
    )  # fmt: skip
    for _ in range(3):
        desk.clock.advance(1.0)
        poller.tick()
    assert desk.fake.tags["7"][STATUS] == "drift"
    assert sum(got.path.endswith("set-tag") for got in desk.fake.received()) == 1


def test_bins_that_are_taken_over_are_the_same_bins():
    """Whatever the order of the columns; and counts that do not fit are told apart."""
    assert unlike(reference_of("7"), reference_of("8")) == ""
    assert "other bins of" in unlike(reference_of("7"), reference_of("8", own_bins=True))
    assert reference_of("8").counts.sum() == reference_of("7").counts.sum()
    assert not (reference_of("8").counts == reference_of("7").counts).all()
