"""The configuration that the demo runs with: an ordinary file, so that it can be read and kept."""

from __future__ import annotations

from monitor.demo.records import LANDINGS, MODEL, TOPIC
from monitor.demo.registry import RELEASE

BUDGET = "2 per 30d"
HARM = "accuracy < 0.8"
TIMEZONE = "America/New_York"


def render(
    *,
    brokers: str,
    reference: str,
    state: str,
    receiver: str,
    registry: str,
    secret: str,
    listen: str = "127.0.0.1:0",
) -> str:
    """YAML for one model, daily windows, labels, a registry, an Alertmanager and a retraining target on loopback."""
    return f"""\
version: 1
kafka:
  brokers: ["{brokers}"]
  group: driftline-demo
sources:
  {TOPIC}:
    topic: {TOPIC}
    fields: {{id: id, time: {{path: ts, unit: ms}}, model: model, version: version}}
    idle: 5s
  {LANDINGS}:
    topic: {LANDINGS}
    fields: {{id: id, time: {{path: ts, unit: ms}}}}
    idle: 5s
models:
  {MODEL}:
    source: {TOPIC}
    reference: {{file: "{reference}"}}
    registry: {{url: "{registry}", version_tag: {RELEASE}, every: 1s, insecure_http: true, allow_private: [127.0.0.0/8]}}
    budget: {BUDGET}                          # false pages that are acceptable
    windows:
      1d: {{size: 24h, timezone: {TIMEZONE}}}
    prediction: {{path: score, kind: score}}
    labels: {{source: {LANDINGS}, path: late, wait: 18h}}   # whether it was late is known when it has landed
    rules: {{harm: {{when: {HARM}, do: retrain}}}}
    retrain: {{mode: auto, when: drift for 3 windows, target: pipeline}}
alerts:
  alertmanager: {{urls: ["{receiver}"], allow_private: [127.0.0.0/8], resend: 1s}}
targets:
  pipeline: {{preset: webhook, url: "{receiver}/hooks/retrain", secret: "{secret}", insecure_http: true, allow_private: [127.0.0.0/8]}}
state: {{dir: "{state}", checkpoint_every: 1s}}
web: {{listen: "{listen}"}}
log: {{level: warning}}
"""
