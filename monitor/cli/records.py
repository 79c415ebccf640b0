"""Where `incident` and `retrain` read and write: the API of a running daemon, or its state directory."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote

import click

from monitor.cli.inspectors import Where, where
from monitor.cli.options import keep_log_quiet
from monitor.errors import UsageError

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
    """`--url`, `--token-file`, `--state-dir` and `--config`; `records: Records` takes their place."""

    @functools.wraps(command)
    def opening(*, url: str, token_file: str, state_dir: str, config: tuple[str, ...], **rest: Any) -> None:
        keep_log_quiet()
        command(records=open_records(url, token_file, state_dir=state_dir, config=config), **rest)

    opened: Any = opening
    for option in (
        click.option(
            "-c", "--config", multiple=True, metavar="FILE",
            help="Read the state that this configuration names, instead of asking a daemon; "
            "repeat to merge later files over earlier ones.",
        ),
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
        opened = option(opened)
    return opened  # type: ignore[no-any-return]


def open_records(url: str, token_file: str, *, state_dir: str, config: tuple[str, ...]) -> Records:
    """The state that is named, a directory before a configuration, else the daemon at `url`."""
    if not state_dir and not config:
        return Remote(url, token_file)
    place = where(config, state_dir)
    return Shared(place) if place.directory is None else Directory(place)


def pick(bodies: Sequence[Body], given: str) -> Body:
    """The record whose id is `given`, or begins with it; with or without its `rt_`.

    Raises UsageError when there is none, or more than one.
    """
    import difflib

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
                f"no daemon answers - {self._url} - start it, give its --url, or --state-dir or --config to read its state"
            ) from error
        return _unwrap(answer.status, answer.body, self._url)


def _token(file: str) -> str:
    from monitor.secret import Secret

    try:
        return Secret(file=file).reveal()
    except OSError as error:
        raise UsageError(f"the token cannot be read - {file} - {error.strerror}") from error


def _unwrap(status: int, body: bytes, url: str) -> Any:
    """The data of the API's envelope. Raises UsageError for what we asked, DriftlineError for the rest."""
    from monitor.errors import DriftlineError

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


class Stored:
    """Records in a state log, read beside those who write it."""

    def __init__(self, place: Where) -> None:
        self._place = place

    def incidents(self) -> list[Body]:
        bodies = [body for ledger in self._ledgers() for body in ledger.of("incident").values()]
        return sorted(bodies, key=lambda body: (body["state"] != "firing", -int(body["opened"]), body["id"]))

    def requests(self) -> list[Body]:
        from monitor.retrain.rules import requests

        bodies = [body for ledger in self._ledgers() for body in requests(ledger)]
        return sorted(bodies, key=lambda body: -int(body["created"]))

    def _ledgers(self) -> list[Ledger]:
        with self._place.opened() as state:
            found = list(state.ledgers(None, kinds=("incident", "retrain", "outcome")))
        for holding, _ in found:
            if holding.lost:
                text = f"{holding.lost} appends of {holding.model} do not verify: records may be missing"
                click.echo(text, err=True)
        return [ledger for _, ledger in found]


class Shared(Stored):
    """The state that replicas share. Each of them decides for its own models."""

    def acknowledge(self, incident: Body, by: str) -> None:
        raise self._refused(incident)

    def decide(self, request: Body, verb: str, by: str) -> None:
        raise self._refused(request)

    def _refused(self, body: Body) -> UsageError:
        return UsageError(
            f"the replica that judges {body['model']} decides - {body['id']} - "
            "give its --url instead of --config"
        )


class Directory(Stored):
    """The state directory of a daemon, read beside it or written while it is down."""

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

    def _write(self, model: str, decide: Callable[[Ledger, int], Sequence[Entry]]) -> None:
        """Raises StateConflict while a daemon owns the directory."""
        from monitor.clock import SystemClock
        from monitor.state.local import LocalLog

        clock = SystemClock()
        assert self._place.directory is not None
        log = LocalLog(self._place.directory, clock=clock)
        try:
            log.append(model, decide(log.ledger(model), clock.now_ms()))
        finally:
            log.close()
