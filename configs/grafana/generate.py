"""Writes dashboards/driftline.json, Grafana's classic model. Run it after editing: `python configs/grafana/generate.py`.

The JSON is committed beside this file; a test compares the two, checks the rules of Grafana's
dashboard linter and runs every query against a scraped driftline.
"""

# ruff: noqa: ISC004  a script, not a package; long queries are joined where they stand
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from widgets import AMBER, GREEN, RED, SOURCE, lines, place, stat, states, steps

OUT = Path(__file__).parent / "dashboards" / "driftline.json"
SCRAPED = 'job=~"$job", instance=~"$instance"'
MODEL = f'{SCRAPED}, model=~"$model"'
WINDOW = f'{MODEL}, window=~"$window"'
FEATURE = f'{WINDOW}, feature=~"$feature"'


def models() -> list[tuple[int, int, dict[str, Any]]]:
    """(width, height, panel) of the first row."""
    return [
        (4, 4, stat(
            "Models drifting", "Models whose latest verdict is drift.",
            f"sum(max by (model) (driftline_model_drifted{{{MODEL}}}))",
            thresholds=steps((None, GREEN), (1, RED)), decimals=0,
        )),
        (4, 4, stat(
            "Incidents firing", "Open incidents at any severity.",
            f"sum(max by (model, severity) (driftline_alerts_firing{{{MODEL}}}))",
            thresholds=steps((None, GREEN), (1, RED)), decimals=0,
        )),
        (4, 4, stat(
            "Models blind", "Models that have had no verdict for a day: drift would not be seen.",
            f"sum(max by (model) (driftline_model_blind{{{MODEL}}}))",
            thresholds=steps((None, GREEN), (1, AMBER)), decimals=0,
        )),
        (4, 4, stat(
            "Pages sent", "Pages in the chosen time range. Compare with the next panel.",
            f"sum(max by (model) (increase(driftline_pages_total{{{MODEL}}}[$__range])))",
            decimals=0,
        )),
        (4, 4, stat(
            "Pages expected by chance", "False pages the budget has allowed so far in its current period.",
            f"sum(max by (model) (driftline_budget_pages_expected{{{MODEL}}}))",
            decimals=1,
        )),
        (4, 4, stat(
            "Records behind", "Records between what is applied and the ends of the input partitions.",
            f"sum(max by (topic, partition) (driftline_consumer_lag_records{{{SCRAPED}}}))",
            unit="short", thresholds=steps((None, GREEN), (100_000, AMBER)),
        )),
        (12, 8, states(
            "Drift by model", "Red while the latest verdict of a model is drift.",
            f"max by (model) (driftline_model_drifted{{{MODEL}}})", "{{model}}",
        )),
        (12, 8, lines(
            "Share of features that have drifted", "Above 30 % the data pipeline is the likelier cause than the model.",
            (
                f"max by (model) (driftline_model_drifted_features{{{MODEL}}})"
                f" / (max by (model) (driftline_model_monitored_features{{{MODEL}}}) > 0)",
                "{{model}}",
            ),
            unit="percentunit", min=0, max=1,
        )),
    ]  # fmt: skip


def features() -> list[tuple[int, int, dict[str, Any]]]:
    return [
        (24, 8, states(
            "Drift by feature", "Red while a drift verdict names the feature. Exported: the worst features and all that drift.",
            f'max by (model, feature) (driftline_feature_drifted{{{MODEL}, feature=~"$feature"}})',
            "{{model}} {{feature}}",
        )),
        (6, 9, lines(
            "Population stability index", "Per closed window. The threshold depends on the rows of the window; see driftline's page.",
            (f"max by (model, feature, window) (driftline_feature_psi{{{FEATURE}}})", "{{model}} {{feature}} {{window}}"),
            min=0, decimals=3,
        )),
        (6, 9, lines(
            "Kolmogorov-Smirnov statistic", "Per closed window: largest difference of the two distribution functions.",
            (f"max by (model, feature, window) (driftline_feature_ks_statistic{{{FEATURE}}})", "{{model}} {{feature}} {{window}}"),
            min=0, decimals=3,
        )),
        (6, 9, lines(
            "Distance of vectors", "Per closed window: maximum mean discrepancy of an embedding, less what sampling adds.",
            (f"max by (model, feature, window) (driftline_feature_mmd{{{FEATURE}}})", "{{model}} {{feature}} {{window}}"),
            min=0, decimals=3,
        )),
        (6, 9, lines(
            "Missing values", "Share of rows of the latest closed window without the feature.",
            (f"max by (model, feature, window) (driftline_feature_missing_ratio{{{FEATURE}}})", "{{model}} {{feature}} {{window}}"),
            unit="percentunit", min=0, max=1,
        )),
        (24, 8, lines(
            "Segments", "Largest score of each segment in thresholds, per closed window; above 1 it drifts. The furthest ones.",
            (f"max by (model, window, segment) (driftline_segment_statistic{{{WINDOW}}})", "{{model}} {{window}} {{segment}}"),
            min=0, decimals=2,
        )),
        (8, 8, lines(
            "Rows per window", "Rows of the latest closed window.",
            (f"max by (model, window) (driftline_window_records{{{WINDOW}}})", "{{model}} {{window}}"),
            unit="short", min=0,
        )),
        (8, 8, lines(
            "Windows without a verdict", "By reason. Only unknown windows for a day make a model blind.",
            (
                f"sum by (model, window, reason) (increase(driftline_windows_skipped_total{{{WINDOW}}}[$__rate_interval]))",
                "{{model}} {{window}} {{reason}}",
            ),
            unit="short", min=0,
        )),
        (8, 8, lines(
            "Event time behind now", "Age of the watermark: how late a verdict is at best.",
            (f"time() - max by (model) (driftline_watermark_timestamp_seconds{{{MODEL}}})", "{{model}}"),
            unit="s", min=0,
        )),
    ]  # fmt: skip


def performance() -> list[tuple[int, int, dict[str, Any]]]:
    return [
        (12, 9, lines(
            "Performance, by labels", "Of the latest window whose labels are in, with bounds that hold whenever one looks.",
            (
                f'max by (model, window, figure) (driftline_performance{{{WINDOW}, segment="", figure=~"accuracy|auc|mae"}})',
                "{{model}} {{window}} {{figure}}",
            ),
            (
                f'max by (model, window, figure) (driftline_performance_low{{{WINDOW}, segment="", figure=~"accuracy|auc|mae"}})',
                "{{model}} {{window}} {{figure}}, lower bound",
            ),
            decimals=3,
        )),
        (12, 9, lines(
            "Performance, before labels are in", "By weights while labels come, and estimated without any, assuming that P(y | x) is stable.",
            (
                f'max by (model, window, figure) (driftline_performance_provisional{{{WINDOW}, figure=~"accuracy|auc"}})',
                "{{model}} {{window}} {{figure}}, provisional",
            ),
            (
                f'max by (model, window, figure) (driftline_performance_estimate{{{WINDOW}, by="", figure=~"accuracy|auc"}})',
                "{{model}} {{window}} {{figure}}, estimate",
            ),
            decimals=3,
        )),
        (12, 8, lines(
            "Labels", "Share of the predictions of the latest window whose labels are in that have one.",
            (f"max by (model, window) (driftline_label_coverage_ratio{{{WINDOW}}})", "{{model}} {{window}}"),
            unit="percentunit", min=0, max=1,
        )),
        (12, 8, lines(
            "Error of estimates", "Mean distance of estimates without labels from what was measured, over a week.",
            (
                f"max by (model, window, by, figure) (driftline_performance_estimate_error{{{WINDOW}}})",
                "{{model}} {{window}} {{figure}} {{by}}",
            ),
            min=0, decimals=3,
        )),
    ]  # fmt: skip


def intake() -> list[tuple[int, int, dict[str, Any]]]:
    return [
        (8, 8, lines(
            "Records read", "Per topic.",
            (f"sum by (topic) (rate(driftline_records_consumed_total{{{SCRAPED}}}[$__rate_interval]))", "{{topic}}"),
            unit="cps", min=0,
        )),
        (8, 8, lines(
            "Records rejected", "By reason; rejected records go to the dead letters.",
            (
                f"sum by (topic, reason) (rate(driftline_records_rejected_total{{{SCRAPED}}}[$__rate_interval])) > 0",
                "{{topic}} {{reason}}",
            ),
            unit="cps", min=0, noValue="none",
        )),
        (8, 8, lines(
            "Late, future and out of contract", "Late and future records are counted apart; a violation stays a row.",
            (f"sum by (model) (rate(driftline_records_late_total{{{MODEL}}}[$__rate_interval]))", "late {{model}}"),
            (f"sum by (topic) (rate(driftline_records_future_total{{{SCRAPED}}}[$__rate_interval]))", "future {{topic}}"),
            (f"sum by (model) (rate(driftline_contract_violations_total{{{MODEL}}}[$__rate_interval]))", "violations {{model}}"),
            unit="cps", min=0,
        )),
        (8, 8, lines(
            "Behind, by partition", "A partition that is paused does not catch up.",
            (f"max by (topic, partition) (driftline_consumer_lag_records{{{SCRAPED}}})", "{{topic}}/{{partition}}"),
            (f"max by (topic, partition) (driftline_partition_paused{{{SCRAPED}}}) == 1", "paused {{topic}}/{{partition}}"),
            unit="short", min=0,
        )),
        (8, 8, lines(
            "Time in each stage", "95th percentile of one batch or window.",
            (
                "histogram_quantile(0.95, sum by (stage, le)"
                f" (rate(driftline_stage_duration_seconds_bucket{{{SCRAPED}}}[$__rate_interval])))",
                "{{stage}}",
            ),
            unit="s", min=0,
        )),
        (8, 8, lines(
            "Age of the last checkpoint", "What would be read again after a crash.",
            (f"time() - driftline_checkpoint_last_success_timestamp_seconds{{{SCRAPED}}}", "{{instance}}"),
            unit="s", min=0,
        )),
    ]  # fmt: skip


def delivery() -> list[tuple[int, int, dict[str, Any]]]:
    return [
        (8, 8, lines(
            "Notifications", "Attempts and failures per integration.",
            (f"sum by (integration) (rate(driftline_notifications_total{{{SCRAPED}}}[$__rate_interval]))", "{{integration}}"),
            (
                f"sum by (integration, reason) (rate(driftline_notifications_failed_total{{{SCRAPED}}}[$__rate_interval])) > 0",
                "failed {{integration}} {{reason}}",
            ),
            unit="cps", min=0,
        )),
        (8, 8, lines(
            "Waiting to be delivered", "Intents in the outbox.",
            (f"max by (instance, integration) (driftline_outbox_pending{{{SCRAPED}}})", "{{integration}}"),
            unit="short", min=0,
        )),
        (8, 8, lines(
            "Retraining", "Requests, failures, and requests that a guard held back.",
            (f"sum by (model, target) (increase(driftline_retrain_requests_total{{{MODEL}}}[$__rate_interval]))", "{{model}} {{target}}"),
            (f"sum by (model, target) (increase(driftline_retrain_requests_failed_total{{{MODEL}}}[$__rate_interval])) > 0", "failed {{model}}"),
            (f"sum by (model, reason) (increase(driftline_retrain_suppressed_total{{{MODEL}}}[$__rate_interval])) > 0", "held back {{model}} {{reason}}"),
            unit="short", min=0,
        )),
    ]  # fmt: skip


def variable(name: str, query: str, *, label: str) -> dict[str, Any]:
    """Values of a label, read again when the time range changes; all of them at first."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": f"{name}-values"},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+" if name in {"job", "instance"} else ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "options": [],
        "regex": "",
        "skipUrlSync": False,
    }


def variables() -> list[dict[str, Any]]:
    source = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
    }
    return [
        source,
        variable("job", "label_values(driftline_build_info, job)", label="Job"),
        variable("instance", 'label_values(driftline_build_info{job=~"$job"}, instance)', label="Instance"),
        variable(
            "model", f"label_values(driftline_model_monitored_features{{{SCRAPED}}}, model)", label="Model"
        ),
        variable(
            "window", f"label_values(driftline_windows_closed_total{{{MODEL}}}, window)", label="Window"
        ),
        variable("feature", f"label_values(driftline_feature_drifted{{{MODEL}}}, feature)", label="Feature"),
    ]


def annotations() -> dict[str, Any]:
    return {
        "list": [
            {
                "name": "Reference or model version changed",
                "datasource": SOURCE,
                "enable": True,
                "hide": False,
                "iconColor": "blue",
                "expr": f"driftline_reference_info{{{MODEL}}} unless driftline_reference_info{{{MODEL}}} offset 5m",
                "titleFormat": "{{model}}",
                "textFormat": "reference {{reference}}, version {{model_version}}",
                "step": "60s",
            }
        ]
    }


def dashboard() -> dict[str, Any]:
    return {
        "uid": "driftline",
        "id": None,
        "title": "driftline",
        "description": "Models, their features, the input and the deliveries of driftline.",
        "tags": ["driftline", "machine-learning", "drift"],
        "schemaVersion": 41,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "utc",
        "links": [],
        "annotations": annotations(),
        "templating": {"list": variables()},
        "panels": place(
            [
                ("Models", models()),
                ("Features", features()),
                ("Performance", performance()),
                ("Intake", intake()),
                ("Out", delivery()),
            ]
        ),
    }


def render() -> str:
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(render(), encoding="utf-8")
