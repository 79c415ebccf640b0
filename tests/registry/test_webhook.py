"""What is believed of a webhook, and what it brings about: that the registry is asked, and no more."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import metrics
from monitor.clock import ManualClock
from monitor.deliver.signing import DIGITS, TOLERANCE
from monitor.errors import WebhookClosed, WebhookRefused
from monitor.registry.plan import RegistryPlan
from monitor.registry.poll import Poller
from monitor.registry.prompts import TOLD_FOR, Prompts
from monitor.registry.webhook import models_of
from monitor.secret import Secret
from monitor.view import ModelView
from tests.daemon.build import MODEL
from tests.registry.signed import SECRET, body_of, signed
from tests.registry.test_poll import base, desk  # noqa: F401 a fixture

NOW = 1_790_000_000_000
RECORDED = Path(__file__).parents[1] / "contract" / "recorded" / "mlflow-webhook.json"


def plan(model: str = "scores", *, name: str = "", secret: Secret | None = None) -> RegistryPlan:
    own = Secret(SECRET) if secret is None else secret
    return RegistryPlan(
        model, "https://mlflow.example", name or model, "champion", "", 60_000, "driftline/reference.ref", "",
        write_tags=False, webhook=own,
    )  # fmt: skip


def refused(headers: dict[str, str], body: bytes, *plans: RegistryPlan) -> str:
    with pytest.raises(WebhookRefused) as caught:
        models_of(plans or [plan()], headers, body, now_ms=NOW)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_signed_webhook_names_the_models_of_that_registered_model():
    """All that are in the registry under this name, whatever they are called here; another name is nobody's."""
    plans = [
        plan("a", name="churn"),
        plan("b", name="churn"),
        plan("c"),
        plan("d", name="churn", secret=Secret()),
    ]
    body = body_of("churn")
    assert models_of(plans, signed(body, NOW), body, now_ms=NOW) == ("a", "b")
    other = body_of("example_model")
    assert models_of(plans, signed(other, NOW), other, now_ms=NOW) == ()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"nothing", b'{"data": null}', b'{"data": {"id": 1}}', b"[" * 60_000]
)
def test_what_names_no_model_prompts_nothing(body):
    """Whoever has the secret may send anything; no error comes of it."""
    assert models_of([plan()], signed(body, NOW), body, now_ms=NOW) == ()


def test_without_a_secret_nothing_is_taken():
    """Closed by default: no registry has one, whatever the signature is."""
    body = body_of()
    with pytest.raises(WebhookClosed):
        models_of([plan(secret=Secret())], signed(body, NOW), body, now_ms=NOW)
    with pytest.raises(WebhookClosed):
        models_of([], signed(body, NOW, secret=""), body, now_ms=NOW)


@given(
    place=st.integers(0, 10_000),
    bit=st.integers(0, 7),
    part=st.sampled_from(["body", "delivery", "signature"]),
)
def test_any_bit_that_is_changed_is_refused(place, bit, part):
    """Of the body, of the id, or of the signature."""
    body = body_of()
    headers = signed(body, NOW)
    if part == "body":
        changed = bytearray(body)
        changed[place % len(body)] ^= 1 << bit
        assert "signature" in refused(headers, bytes(changed))
        return
    name = next(one for one in headers if part in one)
    text = headers[name]
    at = place % len(text)
    refused({**headers, name: text[:at] + chr(ord(text[at]) ^ (1 << bit)) + text[at + 1 :]}, body)


@pytest.mark.parametrize(
    "timestamp",
    ["", "now", "-1", "1e9", "²", "١٢٣", "9" * DIGITS, "9" * 5_000, str(NOW), str(NOW // 1000 - TOLERANCE - 1),
     str(NOW // 1000 + TOLERANCE + 1)],
)  # fmt: skip
def test_a_webhook_that_is_not_of_now_is_refused(timestamp):
    """Though it is signed: a delivery that somebody kept is worth nothing after five minutes."""
    body = body_of()
    given = signed(body, NOW)
    headers = signed(body, NOW, timestamp=timestamp)
    assert "timestamp" in refused(headers, body)
    assert models_of([plan()], given, body, now_ms=NOW + TOLERANCE * 1000) == ("scores",)


def test_what_lacks_a_header_is_refused():
    """Any of the three."""
    body = body_of()
    for name in signed(body, NOW):
        refused({key: value for key, value in signed(body, NOW).items() if key != name}, body)
    refused(signed(body, NOW, delivery=""), body)


def test_secrets_are_files_that_are_read_each_time(tmp_path):
    """A rotated one holds at once; one that is empty or gone opens nothing, and nothing is raised."""
    file = tmp_path / "secret"
    own, body = plan(secret=Secret(file=str(file))), body_of()
    refused(signed(body, NOW), body, own)
    file.write_text("")
    refused(signed(body, NOW, secret=""), body, own)
    file.write_text(f"{SECRET}\n")
    assert models_of([own], signed(body, NOW), body, now_ms=NOW) == ("scores",)
    file.write_text("another")
    refused(signed(body, NOW), body, own)
    file.write_bytes(b"\xff\xfe")
    refused(signed(body, NOW), body, own)


def test_each_registry_is_prompted_by_its_own_secret():
    """Two of them have a model of one name: the secret says which was meant."""
    plans = [plan("here", name="churn"), plan("there", name="churn", secret=Secret("other"))]
    body = body_of("churn")
    assert models_of(plans, signed(body, NOW), body, now_ms=NOW) == ("here",)
    assert models_of(plans, signed(body, NOW, secret="other"), body, now_ms=NOW) == ("there",)


def test_a_delivery_of_the_real_server_fits():
    """As it was recorded: headers, body and signature are MLflow's own, of the time that it says."""
    said = json.loads(RECORDED.read_text())
    body = base64.b64decode(said["body"])
    own = plan(name="scores", secret=Secret(said["secret"]))
    at = int(said["headers"]["x-mlflow-timestamp"]) * 1000
    assert models_of([own], said["headers"], body, now_ms=at) == ("scores",)
    with pytest.raises(WebhookRefused):
        models_of([own], said["headers"], body + b" ", now_ms=at)


# What comes of it


def patient(desk, *, every: int = 86_400_000) -> Poller:  # noqa: F811
    """A poller that asks once a day, unless it is prompted."""
    own = desk.fake.plan(every=every, webhook=Secret(SECRET))
    view = ModelView(base().plan, base().reference)
    return Poller(
        clock=desk.clock, plans=lambda: {MODEL: own}, contexts=lambda: {MODEL: base()}, shown=lambda: {MODEL: view},
        swap=lambda _model, offer: desk.offers.append(offer),
    )  # fmt: skip


def counted(outcome: str) -> float:
    return metrics.REGISTRY_WEBHOOKS_TOTAL.labels(outcome)._value.get()


def asked(desk) -> int:  # noqa: F811
    return sum("registered-models/alias" in got.path for got in desk.fake.received())


def test_a_webhook_has_the_registry_asked_now_and_its_answer_is_what_counts(desk):  # noqa: F811
    """It says that version 8 has the alias, and the registry says 7: 7 is offered."""
    poller, before = patient(desk), counted("prompted")
    poller.tick()
    desk.clock.advance(60.0)
    poller.tick()
    assert asked(desk) == 1
    body = body_of(version="8")
    assert poller.hear(signed(body, desk.clock.now_ms()), body) == (MODEL,)
    poller.tick()
    assert (asked(desk), counted("prompted")) == (2, before + 1)
    assert {offer.version for offer in desk.offers} == {"7"}
    desk.fake.aliases["champion"] = "8"
    desk.clock.advance(1.0)
    poller.hear(signed(body, desk.clock.now_ms()), body)
    poller.tick()
    assert desk.offers[-1].version == "8"


def test_who_repeats_a_webhook_has_the_registry_asked_once_a_second_at_most(desk):  # noqa: F811
    """And the last of them is not lost: the second after it the registry is asked once more."""
    poller = patient(desk)
    poller.tick()
    body = body_of()
    desk.clock.advance(5.0)
    headers = signed(body, desk.clock.now_ms())
    for _ in range(40):
        poller.hear(headers, body)
        poller.tick()
        desk.clock.advance(0.1)
    assert asked(desk) == 1 + 4
    desk.clock.advance(1.0)
    poller.tick()
    desk.clock.advance(60.0)
    poller.tick()
    assert asked(desk) == 1 + 4 + 1


def test_forged_webhooks_have_nobody_asked(desk):  # noqa: F811
    """They are counted; those of other models of the registry too, apart."""
    poller, body = patient(desk), body_of()
    poller.tick()
    desk.clock.advance(5.0)
    refusals, ignored = counted("refused"), counted("ignored")
    with pytest.raises(WebhookRefused):
        poller.hear(signed(body, desk.clock.now_ms(), secret="guessed"), body)
    other = body_of("another")
    assert poller.hear(signed(other, desk.clock.now_ms()), other) == ()
    poller.tick()
    assert (asked(desk), counted("refused"), counted("ignored")) == (1, refusals + 1, ignored + 1)


def test_prompts_go_to_the_replica_that_speaks_for_the_model():
    """Once each: what is told again prompts nothing, what is told anew does; rubbish is passed over."""
    clock = ManualClock(NOW)
    here, there = Prompts(clock), Prompts(clock)
    here.note(["churn"])
    assert here.is_untold
    told = here.tell()
    assert not here.is_untold
    there.take([("here:8710", told), ("old", None), ("odd", 3), ("odder", {"churn": "x"})])
    assert there.wants("churn")
    there.begin("churn")
    there.take([("here:8710", here.tell())])
    assert not there.wants("churn")
    clock.advance(1.0)
    here.note(["churn"])
    there.take([("here:8710", here.tell())])
    assert there.wants("churn")
    clock.advance(TOLD_FOR / 1000 + 1)
    assert here.tell() == {}
