"""The real components the tests run against, and what becomes of a test without one.

`DRIFTLINE_REQUIRE=kafka,prometheus,alertmanager,deploy,prefect,airflow,feast` makes a missing one a failure instead of a skip.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.kafka.broker import ExternalBroker, KafkaBroker, KafkaUnavailable, free_ports
from tests.kafka.shared import shared_broker
from tests.workers import pytest_xdist_make_scheduler  # noqa: F401 a hook

# The same examples in every run: a failure in CI is a failure here. Two busy cores make deadlines lie.
settings.register_profile(
    "driftline",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("driftline")

REQUIRED = frozenset(filter(None, os.environ.get("DRIFTLINE_REQUIRE", "").split(",")))


def _missing(component: str, reason: str):
    """Skip the test, or fail it where the component is required."""
    text = f"needs {component}: {reason}"
    if component in REQUIRED:
        pytest.fail(f"{text}, and DRIFTLINE_REQUIRE names it", pytrace=False)
    pytest.skip(text)


def _tool(component: str, name: str) -> str:
    return shutil.which(name) or _missing(component, f"{name} is not installed")


@pytest.fixture(autouse=True)
def log_as_before():
    """A command that a test runs sets the log up for itself: the next test must not be deaf to what it listens for."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory):
    """A broker that serves real clients: `.bootstrap` and `.create_topic(name, partitions=…)`.

    Shared by all tests of all workers, so topics and groups take names of their own.
    """
    if bootstrap := os.environ.get("DRIFTLINE_TEST_BOOTSTRAP"):
        yield ExternalBroker(bootstrap)
        return
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with contextlib.ExitStack() as stack:
        try:
            broker = stack.enter_context(shared_broker(run / "kafka"))
        except KafkaUnavailable as error:
            _missing("kafka", str(error))
        yield broker


@pytest.fixture(scope="session")
def frail(tmp_path_factory):
    """A broker to be paused, killed and started again; whoever did so leaves it running."""
    try:
        broker = KafkaBroker(tmp_path_factory.mktemp("frail"))
    except KafkaUnavailable as error:
        _missing("kafka", str(error))
    with broker:
        yield broker


class PrometheusTools(NamedTuple):
    """Paths of the programs."""

    promtool: str
    prometheus: str


@pytest.fixture(scope="session")
def prometheus_tools():
    return PrometheusTools(_tool("prometheus", "promtool"), _tool("prometheus", "prometheus"))


@pytest.fixture(scope="session")
def amtool():
    """Path of Alertmanager's command."""
    return _tool("alertmanager", "amtool")


class Alertmanager(NamedTuple):
    """A running Alertmanager: `url` without a trailing slash."""

    url: str
    pid: int


@pytest.fixture(scope="session")
def alertmanager():
    """A real Alertmanager of its own on the loopback, which notifies nobody."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        _missing("alertmanager", "prometheus-alertmanager is not installed")
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "alertmanager.yml"
        config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
        (port,) = free_ports(1)
        url = f"http://127.0.0.1:{port}"
        command = [
            program,
            f"--config.file={config}",
            f"--storage.path={directory}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ]
        with (
            (Path(directory) / "log").open("wb") as log,
            subprocess.Popen(command, stdout=log, stderr=log) as process,
        ):
            try:
                _await(f"{url}/-/ready", process, Path(directory) / "log")
                yield Alertmanager(url, process.pid)
            finally:
                process.terminate()


@pytest.fixture
def mlflow_server(tmp_path):
    """A real MLflow server, of this test alone."""
    from tests.pipelines.environment import NotInstalled
    from tests.pipelines.registry import mlflow

    folder = tmp_path / "mlflow"
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(mlflow(folder))
        except NotInstalled as error:
            _missing("mlflow", str(error))
        yield server


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer within 30 s:\n{log.read_text(errors='replace')[-2000:]}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, `slow(seconds)`, or one that begins last is waited for by cores that have nothing else to do."""
    items.sort(key=lambda item: -_seconds(item))  # all others keep their places


def _seconds(item: pytest.Item) -> float:
    slow = item.get_closest_marker("slow")
    return slow.args[0] if slow and slow.args else 0.0


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say as the very last lines how many tests were skipped, and why."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput") or not reporter.stats:
        return
    skipped = reporter.stats.get("skipped", [])
    reasons = Counter(_reason(report) for report in skipped)
    reporter.write_line(f"skipped: {len(skipped)} tests" if skipped else "skipped: no test")
    for reason, count in reasons.most_common():
        reporter.write_line(f"  {count} - {reason}")


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


@pytest.fixture(scope="session")
def gpu():
    """The backend of the GPU."""
    from kernels.select import BackendMissing, select

    try:
        return select("gpu")
    except BackendMissing as error:
        _missing("gpu", error.wrong)


@pytest.fixture(scope="session")
def compiler():
    """Path of a C++ compiler, for the CUDA source."""
    return _tool("g++", "g++")


@pytest.fixture(scope="session")
def emulated(compiler, tmp_path_factory):
    """The GPU's backend without a GPU."""
    from kernels.select import on_device
    from tests.kernels.emulator import Emulator

    return on_device(Emulator(compiler, tmp_path_factory.mktemp("cuda")))


@pytest.fixture(params=["cpu", "emulated", "gpu"])
def backend(request):
    """Each backend that this machine can run."""
    from kernels.select import CPU

    return CPU if request.param == "cpu" else request.getfixturevalue(request.param)
