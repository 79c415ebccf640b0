"""Requests to one target: the calls of its preset, authorized, within its limits.

One thread uses a session. The token that a target makes of user and password is kept as long as it is taken.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from monitor.clock import Clock
from monitor.deliver.plan import TargetPlan
from monitor.deliver.presets.catalogue import PRESETS
from monitor.deliver.presets.preset import JSON, Answer, Ask, Call
from monitor.deliver.signing import signature_headers
from monitor.http import Response, request

TOKENS = ("access_token", "token")
"""Where answers to a login have the token."""


class Session:
    def __init__(self, plan: TargetPlan, clock: Clock) -> None:
        self.plan = plan
        self.preset = PRESETS[plan.preset]
        self._clock = clock
        self._token = ""

    def find(self) -> Response | None:
        """The answer to the question that comes first; None where the preset has none."""
        return None if self.preset.find is None else self.call(self.preset.find(self.plan))

    def start(self, ask: Ask) -> Response:
        """Ask for the run. Signed where there are secrets: body and id are equal on every attempt."""
        return self.call(self.preset.start(ask, self.plan), sign=ask.id if self.preset.signs else "")

    def call(self, call: Call, *, sign: str = "") -> Response:
        """One request; where the target has forgotten our token, once more with a new one.

        Raises RequestError, DeliveryRefused, UsageError (a secret that cannot sign) or OSError (one that cannot
        be read). A login that is refused is the answer.
        """
        login = self.preset.login if self.plan.username and not self.plan.token else None
        if login is None:
            return self._request(call, self._given(), sign)
        fresh = not self._token
        if fresh and (refused := self._log_in()) is not None:
            return refused
        answer = self._request(call, f"Bearer {self._token}", sign)
        if answer.status != 401 or fresh:
            return answer
        refused = self._log_in()
        return refused or self._request(call, f"Bearer {self._token}", sign)

    def _log_in(self) -> Response | None:
        """Take a new token; None when there is one, else what was answered."""
        self._token = ""
        assert self.preset.login is not None
        answer = self._request(
            self.preset.login(self.plan, self.plan.username, self.plan.password.reveal()), ""
        )
        found = answer_of(answer)
        self._token = next((str(found[name]) for name in TOKENS if found.get(name)), "")
        if self._token and answer.failure is None:
            return None
        status = answer.status if answer.failure is not None else 401
        return Response(status, answer.headers, b"no token is given to this user and password")

    def _given(self) -> str:
        """The Authorization header of a token, or of user and password. A token may bring its own scheme."""
        if self.plan.token:
            token = self.plan.token.reveal()
            return token if " " in token.strip() else f"Bearer {token}"
        if self.plan.username:
            pair = f"{self.plan.username}:{self.plan.password.reveal()}".encode()
            return f"Basic {base64.b64encode(pair).decode('ascii')}"
        return ""

    def _request(self, call: Call, authorization: str, sign: str = "") -> Response:
        body = None if call.body is None else encode(call.body)
        theirs = dict(self.plan.headers)
        ours = {"Accept": JSON, **({} if body is None else {"Content-Type": JSON}), **call.headers}
        if authorization:
            ours["Authorization"] = authorization
        if sign:
            secrets = [secret.reveal() for secret in self.plan.secrets]
            ours |= signature_headers(sign, body or b"", secrets=secrets, now_ms=self._clock.now_ms())
        taken = {name.lower() for name in ours}
        headers = {**{name: text for name, text in theirs.items() if name.lower() not in taken}, **ours}
        return request(call.method, call.url, plan=self.plan.http, headers=headers, body=body)


def encode(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def answer_of(response: Response) -> Answer:
    """The JSON object of an answer; empty for anything else."""
    try:
        found = json.loads(response.body)
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}
