"""Cross checks of retraining targets: what their preset needs and takes, their secrets and addresses."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from monitor.config.crosscheck_reach import check_address, twins
from monitor.config.finding import Level, Problem, Steps
from monitor.config.targets import OPTIONS, Target
from monitor.deliver.presets.catalogue import PRESETS
from monitor.deliver.presets.preset import Preset


def check_target(plan: Target, steps: Steps) -> Iterator[Problem]:
    preset = PRESETS[plan.preset]
    yield from _options(plan, preset, steps)
    yield from _secrets(plan, preset, steps)
    yield from _login(plan, preset, steps)
    if plan.url.startswith("http://") and not plan.insecure_http:
        yield Problem(
            "insecure-url",
            (*steps, "url"),
            "the URL has no TLS",
            help="use https://, or allow it: insecure_http: true",
        )
    if not preset.signs and "?" in plan.url:
        yield Problem(
            "bad-url", (*steps, "url"), f"{preset.name} takes the address of a server: paths are added to it"
        )
    yield from check_address(plan, plan.url, (*steps, "url"))


def _options(plan: Target, preset: Preset, steps: Steps) -> Iterator[Problem]:
    known = (*preset.needs, *preset.takes)
    for name in OPTIONS:
        given = bool(getattr(plan, name))
        if name in preset.needs and not given:
            yield Problem(
                "missing-key",
                (*steps, name),
                f"targets.{steps[1]}.{name} is missing: {preset.name} asks for {preset.text}",
                at_key=True,
            )
        if given and name not in known:
            yield Problem(
                "not-taken",
                (*steps, name),
                f"{preset.name} has no use for {name}",
                at_key=True,
                help=f"it takes {', '.join(known) or 'none of these settings'}",
            )
    if all(getattr(plan, name) for name in preset.needs):
        for name, text, right in preset.flaws(plan.where()):
            yield Problem("bad-value", (*steps, name), text, help=right)


def _secrets(plan: Target, preset: Preset, steps: Steps) -> Iterator[Problem]:
    for field in ("secret", "old_secret", "token", "password"):
        yield from twins(plan, field, steps)
    for field in ("secret", "old_secret"):
        given = getattr(plan, field)
        if given and not is_signing_secret(given.value):
            yield Problem(
                "bad-secret",
                (*steps, field),
                "a signing secret is whsec_ and base64 of 24 to 64 bytes",
                help="make one: echo whsec_$(openssl rand -base64 32)",
            )
    if plan.chosen("old_secret") and not plan.chosen("secret"):
        yield Problem(
            "missing-key", (*steps, "secret"), "an old secret needs a new one beside it", at_key=True
        )
    if plan.chosen("secret") and not preset.signs:
        yield Problem(
            "not-taken",
            steps,
            f"{preset.name} verifies no signatures: targets.{steps[1]}.secret has no effect",
            at_key=True,
            help="give it a token_file",
        )


def _login(plan: Target, preset: Preset, steps: Steps) -> Iterator[Problem]:
    if bool(plan.username) != bool(plan.chosen("password")):
        yield Problem("missing-key", steps, "username and password belong together", at_key=True)
    if plan.username and plan.chosen("token"):
        yield Problem("conflict", (*steps, "username"), "a user and a token exclude each other", at_key=True)
    if not (preset.signs and plan.chosen("secret")) and not plan.chosen("token") and not plan.username:
        yield Problem(
            "unsigned",
            steps,
            f"targets.{steps[1]}: requests are neither signed nor authorized",
            level=Level.WARNING,
            at_key=True,
            help=f"give it a {'secret_file or a ' if preset.signs else ''}token_file",
        )


def is_signing_secret(text: str) -> bool:
    """True for a secret of Standard Webhooks."""
    try:
        return text.startswith("whsec_") and 24 <= len(base64.b64decode(text[6:], validate=True)) <= 64
    except (binascii.Error, ValueError):
        return False
