"""What was said between driftline and a real server: written down once, and spoken again by a peer ever after."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.deliver.receiver import Answer, Received, Receiver
from monitor.http import request
from tests.deliver.pipelines import write
from tests.incident.cases import LOOPBACK

RECORDED = Path(__file__).parents[1] / "contract" / "recorded"
PASSED = ("accept", "authorization", "content-type")
"""Headers that a server may look at."""


@dataclass
class Recorder:
    """Stands between, passes on, and keeps `said`: one entry for each request with its answer."""

    server: str
    receiver: Receiver
    said: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.receiver.answer_always(
            Answer(act=lambda connection: write(connection, self._pass(connection.received)))
        )

    def _pass(self, got: Received) -> Answer:
        headers = {name: text for name, text in got.headers.items() if name in PASSED}
        answer = request(
            got.method, self.server + got.path, plan=LOOPBACK, headers=headers, body=got.body or None
        )
        self.said.append(
            {**asked(got), "status": answer.status, "answer": masked(json.loads(answer.body or b"null"))}
        )
        return Answer(answer.status, answer.body)

    def store(self, name: str) -> None:
        text = json.dumps(self.said, indent=1, ensure_ascii=False, sort_keys=True)
        (RECORDED / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


@dataclass
class Player:
    """Answers as the server did, as long as it is asked as the server was."""

    said: list[dict[str, Any]]
    receiver: Receiver
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._left = iter(self.said)
        self.receiver.answer_always(
            Answer(act=lambda connection: write(connection, self._answer(connection.received)))
        )

    def _answer(self, received: Received) -> Answer:
        got, expected = asked(received), next(self._left, None)
        if expected is None or got != {name: expected[name] for name in got}:
            self.wrong.append(f"{got} - where the server was asked {expected}")
            return Answer(400)
        return Answer(expected["status"], json.dumps(expected["answer"]).encode())


def recorded(name: str) -> list[dict[str, Any]]:
    return list(json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8")))


def asked(got: Received) -> dict[str, Any]:
    """Of a request what the server goes by. The evidence is ours to change: its keys are left out."""
    body = json.loads(got.body) if got.body else None
    for place in ("conf", "parameters"):
        if body and place in body:
            body[place]["driftline"].pop("data")
    return {"method": got.method, "path": got.path, "body": body}


def masked(answer: Any) -> Any:
    """Without the tokens and paths of the server, and without the evidence that it gives back."""
    if not isinstance(answer, dict):
        return answer
    hidden = {
        "access_token": "t0ken",
        "conf": {},
        "parameters": {},
        "fileloc": "churn.py",
        "file_token": "t0ken",
    }
    return {name: hidden.get(name, value) for name, value in answer.items()}
