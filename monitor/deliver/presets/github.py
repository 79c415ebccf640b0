"""GitHub Actions: a repository_dispatch event, or a run of one workflow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monitor.deliver.presets.preset import (
    Answer,
    Ask,
    Call,
    Flaw,
    Preset,
    Run,
    Where,
    base,
    parameter,
    part,
    texts,
)

HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2026-03-10"}
EVENT_TYPE = 100
"""Longest `event_type`."""
INPUTS = 25
"""Most inputs of a workflow, the event's among them."""


def _repository(where: Where) -> str:
    return f"{base(where)}/repos/{part(where, 'repository')}"


def _ask(where: Where, path: str = "") -> Call:
    return Call("GET", f"{_repository(where)}{path}", headers=HEADERS)


def _dispatch(ask: Ask, where: Where) -> Call:
    """`client_payload` may have ten keys at most: everything lies under one."""
    body = {
        "event_type": where.options.get("event_type", "driftline-retrain"),
        "client_payload": {parameter(where): ask.event},
    }
    return Call("POST", f"{_repository(where)}/dispatches", body, HEADERS)


def _long(where: Where) -> Iterator[Flaw]:
    if len(where.options.get("event_type", "")) > EVENT_TYPE:
        yield "event_type", f"GitHub takes {EVENT_TYPE} characters at most", "a shorter name"


GITHUB_DISPATCH = Preset(
    name="github-dispatch",
    text="workflows of GitHub Actions `on: repository_dispatch`",
    start=_dispatch,
    success=frozenset({204}),
    needs=("repository",),
    takes=("event_type", "parameter"),
    probe=_ask,
    flaws=_long,
)
"""The answer names no run, and two events are two runs."""


def _workflow(where: Where) -> str:
    return f"/actions/workflows/{part(where, 'workflow')}"


def _run_workflow(ask: Ask, where: Where) -> Call:
    body: dict[str, Any] = {
        "ref": where.options.get("ref", "main"),
        "inputs": texts(ask, where),
        "return_run_details": True,
    }
    return Call("POST", f"{_repository(where)}{_workflow(where)}/dispatches", body, HEADERS)


def _many(where: Where) -> Iterator[Flaw]:
    if len(where.parameters) >= INPUTS:
        yield "parameters", f"a workflow has {INPUTS} inputs at most, one takes the event", "fewer"


def _run(_ask: Ask, answer: Answer, _where: Where) -> Run:
    """A GitHub Enterprise Server of before 2026 answers 204 and names no run."""
    return Run(str(answer.get("workflow_run_id", "")), str(answer.get("html_url", "")))


def _state(answer: Answer) -> tuple[str, bool]:
    over = answer.get("status") == "completed"
    return str(answer.get("conclusion" if over else "status") or ""), over


GITHUB_WORKFLOW = Preset(
    name="github-workflow",
    text="one workflow of GitHub Actions `on: workflow_dispatch`",
    start=_run_workflow,
    success=frozenset({200, 204}),
    needs=("repository", "workflow"),
    takes=("ref", "parameter", "parameters"),
    run=_run,
    follow=lambda run, where: _ask(where, f"/actions/runs/{run}"),
    state=_state,
    probe=lambda where: _ask(where, _workflow(where)),
    flaws=_many,
)
"""Two requests are two runs: `concurrency:` in the workflow keeps them from running side by side."""
