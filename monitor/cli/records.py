"""Where `incident` and `retrain` read and write: the API of a running daemon, or its state directory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote

import click

if TYPE_CHECKING:
    from monitor.state.log import Entry, Ledger

F = TypeVar("F", bound=Callable[..., Any])
Body = Mapping[str, Any]


class Records(Protocol):
    """Incidents and retraining requests, whoever holds them."""

    def incidents(self) -> list[Body]: ...
    def requests(self) -> list[Body]: ...
    def acknowledge(self, incident: Body, by: str) -> None: ...
    def decide(self, request: Body, verb: str, by: str) -> None:
        """`verb` is approve or reject. Raises UsageError when it was decided before."""
        ...


def records_options(command: F) -> F:
    """`--url`, `--state-dir` and `--token-file`. Parameter names: `url`, `state_dir`, `token_file`."""
    for option in (
        click.option(
            "--token-file", default="", metavar="FILE", envvar="DRIFTLINE_TOKEN_FILE",
            help="File with the token of the daemon's API, where it asks for one.",
        ),
        click.option(
            "--state-dir", default="", metavar="DIR", envvar="DRIFTLINE_STATE_DIR",
            help="Work on the state directory of a stopped daemon (reading: of a running one too).",
        ),
        click.option(
            "--url", default="http://localhost:8710", show_default=True, envvar="DRIFTLINE_URL",
            help="Address of a running daemon.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def open_records(url: str, state_dir: str, token_file: str) -> Records:
    """The state directory when one is named, else the daemon at `url`."""
    return Directory(Path(state_dir)) if state_dir else Remote(url, token_file)


def pick(bodies: Sequence[Body], given: str) -> Body:
    """The record whose id is `given`, or begins with it; with or without its `rt_`.

    Raises UsageError when there is none, or more than one.
    """
    import difflib

    from monitor.errors import UsageError

    names = {str(body["id"]): body for body in bodies}
    found = [name for name in names if given in {name, name.removeprefix("rt_")}] or [
        name
        for name in names
        if len(given) >= 4 and name.removeprefix("rt_").startswith(given.removeprefix("rt_"))
    ]
    if len(found) == 1:
        return names[found[0]]
    near = difflib.get_close_matches(given, names, n=1)
    hint = (
        f"{len(found)} begin so: give more of the id"
        if found
        else f"did you mean {near[0]}?"
        if near
        else "see list"
    )
    raise UsageError(f"no record of this id - {given} - {hint}")


class Remote:
    """The API of a running daemon."""

    def __init__(self, url: str, token_file: str) -> None:
        self._url = url.rstrip("/")
        self._token_file = token_file

    def incidents(self) -> list[Body]:
        return list(self._ask("GET", "incidents"))

    def requests(self) -> list[Body]:
        return list(self._ask("GET", "retrain"))

    def acknowledge(self, incident: Body, by: str) -> None:
        self._ask("POST", f"incidents/{quote(str(incident['id']), safe='')}/ack", by)

    def decide(self, request: Body, verb: str, by: str) -> None:
        self._ask("POST", f"retrain/{quote(str(request['id']), safe='')}/{verb}", by)

    def _ask(self, method: str, path: str, by: str = "") -> Any:
        from monitor.deliver.plan import HttpPlan
        from monitor.errors import DriftlineError, RequestError
        from monitor.http import request

        plan = HttpPlan(
            allow_private=("0.0.0.0/0", "::/0"), insecure_http=True, max_body=64 << 20
        )  # the user names the address
        headers = {"Content-Type": "application/json"}
        if self._token_file:
            headers["Authorization"] = f"Bearer {_token(self._token_file)}"
        body = json.dumps({"by": by}).encode() if method == "POST" else None
        try:
            answer = request(method, f"{self._url}/api/v1/{path}", plan=plan, headers=headers, body=body)
        except RequestError as error:
            raise DriftlineError(
                f"no daemon answers - {self._url} - start it, give its --url, or --state-dir while it is down"
            ) from error
        return _unwrap(answer.status, answer.body, self._url)


def _token(file: str) -> str:
    from monitor.errors import UsageError
    from monitor.secret import Secret

    try:
        return Secret(file=file).reveal()
    except OSError as error:
        raise UsageError(f"the token cannot be read - {file} - {error.strerror}") from error


def _unwrap(status: int, body: bytes, url: str) -> Any:
    """The data of the API's envelope. Raises UsageError for what we asked, DriftlineError for the rest."""
    from monitor.errors import DriftlineError, UsageError

    try:
        envelope = json.loads(body)
    except ValueError:
        envelope = {}
    if status == 200 and "data" in envelope:
        return envelope["data"]
    text = str(envelope.get("error", f"status {status}"))
    if status in {400, 404, 409}:
        raise UsageError(text)
    if status == 403:
        raise DriftlineError(
            f"{text} - {url} - web.enable_lifecycle: true, and --token-file where it has a token"
        )
    raise DriftlineError(f"{text} - {url} - the address of a driftline daemon")


class Directory:
    """The state directory of a daemon, read beside it or written while it is down."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def incidents(self) -> list[Body]:
        bodies = [body for ledger in self._ledgers() for body in ledger.of("incident").values()]
        return sorted(bodies, key=lambda body: (body["state"] != "firing", -int(body["opened"]), body["id"]))

    def requests(self) -> list[Body]:
        from monitor.retrain.rules import requests

        bodies = [body for ledger in self._ledgers() for body in requests(ledger)]
        return sorted(bodies, key=lambda body: -int(body["created"]))

    def acknowledge(self, incident: Body, by: str) -> None:
        """PagerDuty is not told: the routes are the daemon's to know."""
        from monitor.deliver.plan import AlertsPlan
        from monitor.incident.intend import acknowledge

        identity = str(incident["id"])
        self._write(
            str(incident["model"]),
            lambda ledger, now: acknowledge(ledger, identity, by=by, alerts=AlertsPlan(), now=now),
        )

    def decide(self, request: Body, verb: str, by: str) -> None:
        from monitor.retrain.rules import approve, reject

        act, identity = (approve if verb == "approve" else reject), str(request["id"])
        self._write(str(request["model"]), lambda ledger, now: act(ledger, identity, by=by, now=now))

    def _ledgers(self) -> list[Ledger]:
        from monitor.state.description import describe, read_ledger

        kinds = ("incident", "retrain", "outcome")
        models = describe(self._path).entries
        return [read_ledger(self._path, model, kinds=kinds) for model in models]

    def _write(self, model: str, decide: Callable[[Ledger, int], Sequence[Entry]]) -> None:
        """Raises StateConflict while a daemon owns the directory."""
        from monitor.clock import SystemClock
        from monitor.state.local import LocalLog

        clock = SystemClock()
        log = LocalLog(self._path, clock=clock)
        try:
            log.append(model, decide(log.ledger(model), clock.now_ms()))
        finally:
            log.close()
