from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pytest

from monitor import metrics
from monitor.web.app import create
from monitor.web.serve import Server
from monitor.web.settings import WebSettings
from tests.kafka.broker import free_ports
from tests.web.view import view

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"

START_SECONDS = 60.0
"""Prometheus needs one on a quiet machine; two cores that build and test need more."""


class NoActions:
    """The daemon of a site that only reads."""

    def reload(self) -> str | None:
        return None

    def quit(self) -> None:
        return None

    def acknowledge(self, incident: str, by: str) -> str | None:
        return None

    def approve(self, request: str, by: str) -> str | None:
        return None

    def reject(self, request: str, by: str) -> str | None:
        return None


class StillStartingError(Exception):
    """Prometheus listens before it has read its log, and refuses queries until then."""


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus that has scraped driftline."""

    url: str

    def get(self, path: str, **parameters: str):
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as answer:
                document = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
                    raise StillStartingError from None
                raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from None
        assert document["status"] == "success", document
        return document["data"]

    def query(self, expr: str):
        """Series of an instant query at this moment."""
        return self.get("query", query=expr)["result"]


@pytest.fixture(scope="session")
def daemon_metrics():
    """A site whose counters have all been used once, so that every family has series."""
    metrics.prepare(
        topics=["predictions"],
        models=["churn", "fraud"],
        integrations=["alertmanager", "pagerduty"],
        targets=[("churn", "airflow")],
    )
    metrics.LAST_RECORD_PROCESSED_TIMESTAMP_SECONDS.labels("predictions").set(time.time() - 1)
    metrics.STAGE_DURATION_SECONDS.labels("fold").observe(0.002)
    shown = view()
    server = Server(create(lambda: shown, NoActions(), settings=WebSettings()), "127.0.0.1", 0)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def prometheus(prometheus_tools, daemon_metrics, tmp_path_factory):
    """Prometheus with our rules, scraping the site every second under the job name of our configuration."""
    directory = tmp_path_factory.mktemp("prometheus")
    rules = CONFIGS / "prometheus" / "rules.yml"
    (directory / "prometheus.yml").write_text(
        f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: driftline
    sample_limit: 40000
    static_configs: [{{targets: ["127.0.0.1:{daemon_metrics.port}"]}}]
"""
    )
    (port,) = free_ports(1)
    command = [
        prometheus_tools.prometheus,
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        running = Prometheus(f"http://127.0.0.1:{port}")
        try:
            _await_scrapes(running, process, directory / "log")
            yield running
        finally:
            process.terminate()


def _await_scrapes(running: Prometheus, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the target is up, rate() has two scrapes to work on and the rules were evaluated."""
    deadline = time.monotonic() + START_SECONDS
    wanted = ('rate(driftline_ready{job="driftline"}[1m])', "model:driftline_drifted_features:ratio")
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if all(running.query(expr) for expr in wanted):
                return
        except (urllib.error.URLError, OSError, StillStartingError):
            pass
        time.sleep(0.2)
    raise RuntimeError(f"no scrape within {START_SECONDS} s:\n{log.read_text(errors='replace')[-2000:]}")
