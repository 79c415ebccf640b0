"""All presets, by name. A new one is a description and a line here."""

from __future__ import annotations

from monitor.deliver.presets.airflow import AIRFLOW3
from monitor.deliver.presets.argo import ARGO_EVENTS, ARGO_SUBMIT, ARGO_WORKFLOW_EVENTS
from monitor.deliver.presets.github import GITHUB_DISPATCH, GITHUB_WORKFLOW
from monitor.deliver.presets.kubeflow import KFP2
from monitor.deliver.presets.prefect import PREFECT3
from monitor.deliver.presets.preset import Preset
from monitor.deliver.presets.webhook import WEBHOOK

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        WEBHOOK, AIRFLOW3, KFP2, ARGO_EVENTS, ARGO_SUBMIT, ARGO_WORKFLOW_EVENTS, GITHUB_DISPATCH,
        GITHUB_WORKFLOW, PREFECT3,
    )
}  # fmt: skip
