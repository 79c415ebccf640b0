"""The model registry of MLflow, by its REST API. Tested against recorded answers and against a server.

Aliases since MLflow 2.3; stages are deprecated since 2.9 and may be gone from a server that is newer than this file.
A reference is an artifact of the version, at `RegistryPlan.path`; its digest is a tag of the version, so that one that
was replaced is noticed without fetching it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from monitor.errors import DeliveryRefused, RegistryError, RequestError
from monitor.http import Failure, Response, request
from monitor.registry.plan import RegistryPlan

API = "/api/2.0/mlflow"
DIGEST = "driftline.reference"
"""Tag of a version: digest of the reference among its artifacts."""
STATUS = "driftline.status"
"""Tag of a version: state of the newest verdict on it."""
LARGEST = 32 << 20
"""Bytes of a reference."""
PATIENCE = 60.0
"""Seconds for a reference, at least: tens of megabytes that the server takes from an object store."""
MISSING = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})
"""Codes of what is not there: an alias that is not has the second."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a registered model."""

    number: str
    tags: Mapping[str, str] = field(default_factory=dict)

    def named(self, plan: RegistryPlan) -> str:
        """What records call it. Raises RegistryError."""
        if not plan.version_tag:
            return self.number
        name = self.tags.get(plan.version_tag, "")
        if not name:
            raise RegistryError(
                f"version {self.number} lacks the tag {plan.version_tag} - {plan.name} - a version that records can be "
                "told by",
                reason="no_tag",
            )
        return name


class Mlflow:
    """One registered model. Used by one thread; holds nothing but its plan."""

    def __init__(self, plan: RegistryPlan) -> None:
        self.plan = plan

    def production(self) -> Version:
        """The version that is in production. Raises RegistryError."""
        plan = self.plan
        if plan.alias:
            found = self._ask(
                "registered-models/alias", {"name": plan.name, "alias": plan.alias}, missing="no_version"
            )
            return _version(found.get("model_version"), plan)
        body = {"name": plan.name, "stages": [plan.stage]}
        found = self._tell("POST", "registered-models/get-latest-versions", body, missing="no_version")
        versions = [_version(one, plan) for one in found.get("model_versions") or ()]
        if not versions:
            raise RegistryError(
                f"no version is in stage {plan.stage} - {plan.name} - one that is in production",
                reason="no_version",
            )
        return max(versions, key=lambda one: (len(one.number), one.number))

    def version(self, number: str) -> Version:
        """One version. Raises RegistryError."""
        found = self._ask("model-versions/get", self._of(number), missing="no_version")
        return _version(found.get("model_version"), self.plan)

    def reference(self, number: str) -> bytes:
        """The reference among the artifacts of a version; unchecked. Raises RegistryError."""
        query = urlencode(self._of(number) | {"path": self.plan.path})
        http = replace(self.plan.http, max_body=LARGEST, timeout=max(self.plan.http.timeout, PATIENCE))
        answer = self._send("GET", f"/model-versions/get-artifact?{query}", http=http)
        if answer.truncated:
            raise RegistryError(
                f"more than {LARGEST} bytes - {self._artifact(number)} - a reference of fewer features",
                reason="bad_reference",
            )
        if answer.failure is not None:
            missing = answer.status == 404 or _code(answer) in MISSING
            self._refuse(answer, self._artifact(number), "no_reference" if missing else "")
        return answer.body

    def push(self, number: str, content: bytes, digest: str) -> str:
        """Store a reference as an artifact of a version, and note its digest; where it was stored.

        Raises RegistryError, also where the server does not take artifacts and the store has to be written to.
        """
        found = self._ask("model-versions/get-download-uri", self._of(number), missing="no_version")
        uri = str(found.get("artifact_uri", ""))
        parts = urlsplit(uri)
        if parts.scheme != "mlflow-artifacts":
            raise RegistryError(
                f"the server does not take artifacts of version {number} - {uri} - copy the file to "
                f"{uri.rstrip('/')}/{self.plan.path}, then tag the version: {DIGEST}={digest}",
                reason="refused",
            )
        path = "/".join(part.strip("/") for part in (parts.path, self.plan.path))
        http = replace(self.plan.http, timeout=max(self.plan.http.timeout, PATIENCE))
        answer = self._send(
            "PUT", f"/api/2.0/mlflow-artifacts/artifacts/{quote(path)}", body=content, http=http
        )
        if answer.failure is not None:
            self._refuse(answer, self._artifact(number), "")
        self.tag(number, DIGEST, digest)
        return f"{uri.rstrip('/')}/{self.plan.path}"

    def tag(self, number: str, key: str, value: str) -> None:
        """Set a tag of a version. Raises RegistryError."""
        body = self._of(number) | {"key": key, "value": value}
        self._tell("POST", "model-versions/set-tag", body, missing="no_version")

    def _of(self, number: str) -> dict[str, str]:
        return {"name": self.plan.name, "version": number}

    def _artifact(self, number: str) -> str:
        return f"{self.plan.path} of version {number} of {self.plan.name}"

    def _ask(self, call: str, query: Mapping[str, str], *, missing: str) -> dict[str, Any]:
        return self._read(self._send("GET", f"{API}/{call}?{urlencode(query)}"), call, missing)

    def _tell(self, method: str, call: str, body: Mapping[str, Any], *, missing: str) -> dict[str, Any]:
        return self._read(self._send(method, f"{API}/{call}", body=json.dumps(body).encode()), call, missing)

    def _read(self, answer: Response, call: str, missing: str) -> dict[str, Any]:
        if answer.failure is not None:
            self._refuse(answer, self._subject(), missing if _code(answer) in MISSING else "")
        try:
            found = json.loads(answer.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise RegistryError(
                f"no JSON object in the answer to {call} - {self._subject()} - a tracking server",
                reason="bad_answer",
            )
        return found

    def _subject(self) -> str:
        return f"{self.plan.mark} of {self.plan.name}"

    def _refuse(self, answer: Response, subject: str, missing: str) -> None:
        """Raise what an answer that is no success means; `missing`: the reason where what was asked for is not there."""
        if answer.failure is Failure.AUTH:
            raise RegistryError(
                f"answers {answer.status} - {subject} - credentials that may see it", reason="refused"
            )
        if missing:
            raise RegistryError(f"it is not there - {subject} - {_right(missing, self.plan)}", reason=missing)
        raise RegistryError(
            f"answers {answer.status} {_said(answer)} - {subject} - a tracking server that is up",
            reason="unreachable",
        )

    def _send(self, method: str, path: str, *, body: bytes | None = None, http: Any = None) -> Response:
        headers = {"Content-Type": "application/json"} if body is not None and path.startswith(API) else {}
        try:
            return request(
                method, f"{self.plan.url}{path}", plan=http or self.plan.http, headers=headers | self._authorization(),
                body=body,
            )  # fmt: skip
        except RequestError as error:
            raise RegistryError(str(error), reason="unreachable") from error
        except DeliveryRefused as error:
            raise RegistryError(str(error), reason="refused") from error
        except (OSError, UnicodeError) as error:
            raise RegistryError(
                f"a secret cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'}) - registry of {self.plan.model} - "
                "a readable file",
                reason="refused",
            ) from error

    def _authorization(self) -> dict[str, str]:
        if self.plan.token:
            return {"Authorization": f"Bearer {self.plan.token.reveal()}"}
        if self.plan.username:
            pair = f"{self.plan.username}:{self.plan.password.reveal()}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
        return {}


def _version(found: Any, plan: RegistryPlan) -> Version:
    """From an answer; it is untrusted."""
    number = found.get("version") if isinstance(found, dict) else None
    tags = found.get("tags") or [] if isinstance(found, dict) else []
    if not isinstance(number, str) or not number.isdigit() or not isinstance(tags, list):
        raise RegistryError(
            f"no version in the answer - {plan.mark} of {plan.name} - a tracking server", reason="bad_answer"
        )
    pairs = (one for one in tags if isinstance(one, dict))
    return Version(number, {str(one.get("key", "")): str(one.get("value", "")) for one in pairs})


def _code(answer: Response) -> str:
    try:
        return str(json.loads(answer.body).get("error_code", ""))
    except (ValueError, AttributeError):
        return ""


def _said(answer: Response) -> str:
    """What an error says, in a line; of MLflow's own errors alone, other pages may hold anything."""
    return _code(answer)[:80]


def _right(missing: str, plan: RegistryPlan) -> str:
    if missing == "no_reference":
        return f"driftline reference push --model {plan.model}"
    return "a registered model with a version that has it"
