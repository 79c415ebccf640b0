"""Settings that people know from the design or from other tools and that this version lacks."""

from __future__ import annotations

from monitor.config.finding import Steps, dotted

_LATER = {
    ("models", "*", "evaluate_by"): "one evaluator per segment",
    ("models", "*", "seasons"): "references by hour of day or day of week",
    ("models", "*", "environment"): "dependency drift",
    (
        "models",
        "*",
        "embeddings",
    ): "a list of embeddings; write kind: vector in models.<name>.features instead",
    ("models", "*", "cluster"): "design effects by group",
    ("models", "*", "compat"): "scores as other tools define them",
    ("models", "*", "diagnosis"): "diagnosis by row samples",
    ("models", "*", "slo"): "performance objectives",
    ("models", "*", "challenger"): "comparison of champion and challenger",
    ("models", "*", "early"): "looking before a window closes",
    ("models", "*", "reference", "mlflow"): "references from MLflow; write models.<name>.registry instead",
    (
        "models",
        "*",
        "reference",
        "feast",
    ): "references from Feast; driftline reference build --from feast:REPOSITORY makes one",
    ("models", "*", "reference", "url"): "references from a URL",
    ("models", "*", "retrain", "slo"): "performance objectives",
    ("sources", "*", "schema_registry"): "Avro and Protobuf with a schema registry",
    ("sources", "*", "preset"): "presets of serving frameworks",
    ("sources", "*", "fields", "weight"): "weighted rows",
    ("sources", "*", "fields", "label"): "one label for all models; write models.<name>.label instead",
    ("state", "emit_every"): "counts are offered with every checkpoint; remove the line",
    ("alerts", "webhook"): "alerts by webhook; route them through Alertmanager",
    ("alerts", "slack"): "Slack; route it through Alertmanager",
    ("alerts", "opsgenie"): "Opsgenie; route it through Alertmanager",
    ("web", "config_file"): "TLS and passwords of the web server",
    ("web", "tls"): "TLS of the web server",
    ("mlflow",): "MLflow for all models; write models.<name>.registry instead",
    ("feast",): "Feast of all models; write models.<name>.feature_store instead",
    ("labels",): "labels of all models; write models.<name>.labels instead",
    ("otel",): "OpenTelemetry",
    ("tracing",): "OpenTelemetry",
}


def explain(steps: Steps) -> str:
    """A sentence for a known setting that is not supported yet; "" for any other."""
    for pattern, subject in _LATER.items():
        if len(pattern) == len(steps) and all(p in {"*", s} for p, s in zip(pattern, steps, strict=True)):
            return f"{dotted(steps)} is not supported by this version of driftline ({subject})"
    return ""
