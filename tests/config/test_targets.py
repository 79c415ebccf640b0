"""What each preset needs and takes, said before anything is sent."""

from __future__ import annotations

import pytest

from tests.config.cases import HEAD, TAIL, findings_of, settings_of

AIRFLOW = "preset: airflow3, url: 'https://x.example', dag: retrain, token: t"
GITHUB = "preset: github-workflow, url: 'https://api.github.com', token: t, workflow: r.yml"

CASES = [
    ("preset: airflow3, url: 'https://x.example', token: t", "missing-key", "targets.t.dag", "a DAG of Airflow"),
    ("preset: kfp2, url: 'https://x.example', token: t", "missing-key", "targets.t.pipeline", "pipeline"),
    (f"{AIRFLOW}, repository: a/b", "not-taken", "targets.t.repository", "it takes dag"),
    (AIRFLOW.replace("token: t", "username: u"), "missing-key", "targets.t", "belong together"),
    (f"{AIRFLOW}, username: u, password: p", "conflict", "targets.t.username", "exclude each other"),
    (f"{AIRFLOW}, secret: '{'whsec_' + 'YWFh' * 10}'", "not-taken", "targets.t", "token_file"),
    (AIRFLOW.replace("x.example", "x.example/?k=1"), "bad-url", "targets.t.url", "paths are added"),
    (AIRFLOW.replace("dag: retrain", "dag: 'a/b'"), "bad-value", "targets.t.dag", "letters"),
    (f"{GITHUB}, repository: models", "bad-value", "targets.t.repository", "owner/name"),
    (f"{GITHUB}, repository: a/b, ref: 'a b'", "bad-value", "targets.t.ref", "branch"),
    (f"{GITHUB}, repository: a/b, parameter: '1'", "bad-value", "targets.t.parameter", "driftline"),
    (
        f"preset: github-dispatch, url: 'https://x.example', token: t, repository: a/b, event_type: {'e' * 101}",
        "bad-value",
        "targets.t.event_type",
        "100 characters",
    ),
    (
        f"{GITHUB}, repository: a/b, parameters: {{{', '.join(f'p{n}: v' for n in range(25))}}}",
        "bad-value",
        "targets.t.parameters",
        "25 inputs",
    ),
    ("preset: prefect3, url: 'https://x.example', token: t, deployment: a", "bad-value", "targets.t.deployment", "/"),
    ("preset: argo-submit, url: 'https://x.example', token: t, namespace: A, template: b", "bad-value",
     "targets.t.namespace", "Kubernetes"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "path", "says"), CASES)
def test_every_error_of_a_target(text: str, code: str, path: str, says: str) -> None:
    """Each is one finding, at its place, and says what would be right."""
    (found,) = findings_of(f"{HEAD}    retrain: {{target: t}}\n{TAIL}targets: {{t: {{{text}}}}}\n")
    assert (found.code, found.path) == (code, path)
    assert says in f"{found.text} {found.help}"


def test_what_is_given_reaches_the_plan() -> None:
    """Settings of the preset, parameters and how to log in; nothing that was not written."""
    from monitor.config.outgoing import plan_alerts

    text = AIRFLOW.replace("token: t", "username: u, password: p, parameters: {epochs: 20}")
    settings = settings_of(f"{HEAD}    retrain: {{target: t}}\n{TAIL}targets: {{t: {{{text}}}}}\n")
    plan = plan_alerts(settings).targets["t"]
    assert (plan.options, plan.parameters) == ({"dag": "retrain"}, {"epochs": "20"})
    assert (plan.username, plan.password.reveal()) == ("u", "p")
    assert "'p'" not in repr(plan)
