from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.config.diff import diff
from monitor.config.effective import Mode, render, render_json
from monitor.config.load import load
from monitor.config.plans import build_plans
from monitor.config.report import annotate, to_json
from monitor.config.sensitive import is_sensitive, is_sensitive_key
from monitor.errors import ConfigError
from tests.config.cases import HEAD, settings_of

SECRET = "hunter2-hunter2-hunter2-hunter2-"
SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ALL = (
    HEAD.replace(
        '["localhost:9092"]',
        f'["localhost:9092"], properties: {{sasl.jaas.config: {SECRET}}}, secret_properties: {{sasl.password: {SECRET}}}',
    )
    + f"""\
alerts:
  alertmanager: {{urls: ["http://a:9093"], username: u, password: "{SECRET}"}}
  pagerduty: {{routing_key: {SECRET}}}
targets:
  t:
    url: https://x.example
    secret: {SIGNING}
    old_secret: {SIGNING}
    token: {SECRET}
    headers: {{Authorization: Bearer {SECRET}, X-Api-Key: {SECRET}, X-Team: ml}}
web:
  token: |
    {SECRET}
    second {SECRET}
"""
)


def shows(text: str) -> bool:
    return SECRET in text or "hunter2" in text or SIGNING[6:] in text


def test_nothing_that_prints_settings_shows_a_secret() -> None:
    """repr, str, plans, both redacted forms, origins, warnings and their annotations."""
    settings = settings_of(ALL)
    kept = [repr(settings), str(settings), render(settings), render(settings, mode=Mode.ORIGIN)]
    kept += [json.dumps(render_json(settings)), json.dumps(render_json(settings, mode=Mode.ORIGIN))]
    kept += [repr(settings.warnings), annotate(settings.warnings), json.dumps(to_json(settings.warnings))]
    kept += [repr(settings.origin), repr(settings.alerts), repr(settings.targets["t"].secret)]
    plans = build_plans(settings, {}, without=["m"])
    kept += [
        repr(plans.alerts.alertmanager),
        repr(plans.alerts.pagerduty),
        repr(plans.web),
        repr(plans.kafka.secrets),
    ]
    assert [text for text in kept if shows(text)] == []
    assert "secret-in-clear" in {warning.code for warning in settings.warnings}
    assert plans.kafka.client()["sasl.password"] == SECRET


def test_unredacted_shows_them_on_request() -> None:
    """The one mode that is asked for by name prints secrets."""
    assert shows(render(settings_of(ALL), mode=Mode.UNREDACTED))
    assert "X-Team: ml" in render(settings_of(ALL))


@pytest.mark.parametrize(
    "line",
    [
        "alerts: {alertmanager: {urls: [x], password: SECRET, sise: 3}}",
        "alerts: {alertmanager: {urls: [x], pasword: SECRET}}",
        "alerts: {alertmanager: {sise: 3, urls: ['http://u:SECRET@h']}}",
        "alerts: {pagerduty: {routing_key: 'SECRET SECRET', sise: 3}}",
        "alerts: {pagerduty: {routing_key: {a: SECRET}}}",
        "alerts: {pagerduty: {routing_key: [SECRET, SECRET]}}",
        "targets: {t: {url: https://x.example, secret: SECRET}}",
        "targets: {t: {url: https://x.example, secrets: [SECRET]}}",
        'targets: {t: {url: https://x.example, headers: {Authorization: "SECRET\\nx"}}}',
        "targets: {t: {url: 'https://u:SECRET@x.example'}}",
        "web: {token: SECRET, listen: 5}",
        "web: {token: SECRET, token: SECRET}",
        "web: {token: &a SECRET, listen: *a}",
        "web: {token: SECRET, listen: [",
        "web:\n  token: |\n    SECRET\n    SECRET\n  listen: 5",
        "web: {token: ${env:NONE:-SECRET}, listen: 5}",
        "state: {checkpoint_every: '${env:HELD}'}",
        "state: {dir: '${env:HELD}', log: '${env:HELD}'}",
        "log: {level: '${HELD}'}",
        "metrics: {top_k: '${HELD}', max_series: 'x${HELD}'}",
        "state: {checkpoint_every: '${env:NONE:-SECRET}', stall: '${env:NONE:?gone}'}",
    ],
)
def test_no_error_shows_a_secret(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Source lines are masked, values from the environment are never quoted, misspelt names too."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    text = HEAD + line.replace("SECRET", SECRET) + "\n"
    with pytest.raises(ConfigError) as caught:
        load(["-"], stdin=text, environ={"HELD": SECRET, "GITHUB_ACTIONS": "true"})
    if "NONE:-" in line and "web" not in line:
        return  # a default that is written into the line of an ordinary setting is no secret
    if "listen: *a" in line:
        assert "bad-address" in str(caught.value)
        return  # the value of an ordinary setting, even if it is an alias of a secret's
    assert not shows(str(caught.value))
    assert not shows(repr(caught.value))
    assert not shows(json.dumps(to_json(caught.value.findings)))  # type: ignore[arg-type]
    assert caught.value.__cause__ is None


def test_carets_follow_the_mask() -> None:
    """After a masked secret the caret still stands under its word."""
    with pytest.raises(ConfigError) as caught:
        settings_of(HEAD + f"web: {{token: {SECRET}, listen: 5}}\n")
    lines = str(caught.value).splitlines()
    shown = next(line for line in lines if "<secret>" in line)
    under = lines[lines.index(shown) + 1]
    assert shown[under.index("^") :].startswith("5")


def test_secrets_of_files_are_read_when_used(tmp_path: Path) -> None:
    """A rotated file is seen at once; a relative one lies beside the configuration."""
    (tmp_path / "key").write_text("k" * 32 + "\n", encoding="utf-8")
    config = tmp_path / "c.yaml"
    config.write_text(HEAD + "alerts: {pagerduty: {routing_key_file: key}}\n", encoding="utf-8")
    pager = build_plans(load([str(config)], environ={}), {}, without=["m"]).alerts.pagerduty
    assert pager is not None
    assert pager.routing_key.reveal() == "k" * 32
    (tmp_path / "key").write_text("n" * 32, encoding="utf-8")
    assert pager.routing_key.reveal() == "n" * 32


def test_values_from_files_are_shown_as_placeholders(tmp_path: Path) -> None:
    """What came from `${file:…}` may be a secret wherever it stands."""
    (tmp_path / "x").write_text(SECRET, encoding="utf-8")
    config = tmp_path / "c.yaml"
    config.write_text(HEAD + "    runbook: ${file:x}\n", encoding="utf-8")
    settings = load([str(config)], environ={})
    assert settings.models["m"].runbook == SECRET
    assert not shows(render(settings))
    assert "file:x" in render(settings)


def test_differences_show_no_secret() -> None:
    """A changed secret is a change, without its value."""
    changes = diff(settings_of(ALL), settings_of(ALL.replace(SECRET, "other-" + SECRET[6:])))
    assert {change.path for change in changes} >= {"alerts.pagerduty.routing_key", "web.token"}
    assert not any(shows(repr(change) + change.text) or "other-" in repr(change) for change in changes)


def test_what_is_sensitive() -> None:
    """Names of secrets and their misspellings are; names of files, and names that people chose, are not."""
    for key in (
        "password",
        "pasword",
        "routing_key",
        "tokn",
        "X-Api-Key",
        "Authorization",
        "ssl.key.pem",
        "secrets",
    ):
        assert is_sensitive_key(key), key
    for key in (
        "password_file",
        "ssl.ca.location",
        "security.protocol",
        "topic",
        "keepalive",
        "monkey",
        "listen",
    ):
        assert not is_sensitive_key(key), key
    assert not is_sensitive(("models", "m", "features", "auth_token", "path"))
    assert not is_sensitive(("kafka", "secret_properties", "sasl.password", "file"))
    assert is_sensitive(("kafka", "secret_properties", "anything", "value"))
