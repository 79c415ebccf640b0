from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import structlog
from click.testing import CliRunner

from kernels.select import INSTALL, Backend, BackendMissing
from monitor.cli.check import command, exit_code
from monitor.cli.check_line import Line, Sign, doubtful, ok, wrong
from monitor.cli.check_local import check_state, page_range
from monitor.cli.main import driftline
from monitor.cli.options import Exit
from monitor.plan import Budget, ModelPlan, WindowSpec

HOUR = 3_600_000


class Peer(BaseHTTPRequestHandler):
    """An Alertmanager that knows its version, and a target that takes HEAD."""

    def do_GET(self) -> None:
        body = b'{"versionInfo": {"version": "0.34.0"}}' if self.path == "/api/v2/status" else b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.send_response(405)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def peer() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write(
    folder: Path, more: str = "", *, kafka: str = "localhost:1", alerts: str = "http://localhost:1"
) -> str:
    """A configuration of a model without a reference, in a folder."""
    path = folder / "driftline.yaml"
    path.write_text(
        f"""\
kafka: {{brokers: ["{kafka}"]}}
sources: {{s: {{topic: predictions}}}}
models:
  m:
    features: {{a: {{path: a, kind: numeric}}}}
alerts: {{alertmanager: {{urls: ["{alerts}"]}}}}
state: {{dir: "{folder}/state"}}
{more}""",
        encoding="utf-8",
    )
    return str(path)


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(command, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


def test_without_a_network(tmp_path: Path) -> None:
    """Sign, subject and text on every line; a model without a reference is doubtful."""
    text = run("-c", write(tmp_path), "--no-network")
    assert "√ configuration: 1 source, 1 model\n" in text
    assert "~ reference of m: none is configured" in text
    assert f"√ state: {tmp_path}/state will be created\n" in text
    assert "√ memory: counts need at most" in text
    assert "for one partition per topic" in text
    assert "√ metrics: at most 4 per-feature series" in text
    assert "√ backend: " in text
    assert text.endswith("0 wrong, 1 doubtful, 5 right\n")
    assert not (tmp_path / "state").exists()


def test_a_gpu_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for, it is an invalid configuration, at `check` and at `run`; left open, the CPU with the reason."""
    monkeypatch.setattr("kernels.select._gpu", _no_gpu)
    path = write(tmp_path, "backend: gpu\n")
    text = run("-c", path, "--no-network", code=Exit.CONFIG)
    assert f"error[no-backend]: the GPU cannot be used: cupy is not installed\n --> {path}:8:10\n" in text
    assert "pip install 'driftline[gpu]' - or backend: auto, which takes the CPU here" in text
    monkeypatch.setattr("sys.argv", ["driftline", "run", "-c", path])
    with pytest.raises(SystemExit) as ended:
        driftline()
    structlog.reset_defaults()
    assert ended.value.code == Exit.CONFIG
    text = run("-c", write(tmp_path, "backend: auto\n"), "--no-network")
    assert "√ backend: the CPU; the GPU cannot be used: cupy is not installed\n" in text
    assert "√ backend: the CPU\n" in run("-c", write(tmp_path, "backend: cpu\n"), "--no-network")


def _no_gpu() -> Backend:
    raise BackendMissing("the GPU cannot be used: cupy is not installed", INSTALL)


def test_strict(tmp_path: Path) -> None:
    """Doubts alone exit 3 when asked to be strict."""
    run("-c", write(tmp_path), "--no-network", "--strict", code=Exit.WARNINGS)
    assert exit_code([ok("a", "b")], strict=True) is Exit.OK
    assert exit_code([doubtful("a", "b")], strict=False) is Exit.OK
    assert exit_code([doubtful("a", "b"), wrong("a", "b")], strict=True) is Exit.FAILURE


def test_an_invalid_configuration(tmp_path: Path) -> None:
    """Exit 78, all errors on stderr; as JSON on stdout."""
    path = write(tmp_path, "log: {level: loud}\nwib: {}\n")
    text = run("-c", path, code=Exit.CONFIG)
    assert "error[bad-value]" in text
    assert "error[unknown-key]" in text
    data = json.loads(run("-c", path, "--output", "json", code=Exit.CONFIG))
    assert not data["ok"]
    assert [finding["code"] for finding in data["findings"]] == ["bad-value", "unknown-key"]


def test_json(tmp_path: Path) -> None:
    """The same lines and warnings for programs."""
    data = json.loads(
        run(
            "-c",
            write(tmp_path, "targets: {t: {url: https://x.example, token: x}}\n"),
            "--no-network",
            "--output",
            "json",
        )
    )
    assert data["ok"]
    assert [finding["code"] for finding in data["findings"]] == ["unused"]
    assert {line["status"] for line in data["lines"]} == {"ok", "warning"}


def test_warnings_show_their_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning has its source line; in a GitHub workflow also an annotation."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    text = run("-c", write(tmp_path, "targets: {t: {url: https://x.example, token: x}}\n"), "--no-network")
    assert "warning[unused]: targets.t is not the target of any model" in text
    assert "^" in text
    assert "::warning file=" in text
    assert "~ configuration: targets.t is not the target" in text


def test_secrets_in_files(tmp_path: Path) -> None:
    """Files of secrets are read and their form is checked, without showing them."""
    (tmp_path / "short").write_text("hunter2\n", encoding="utf-8")
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    (tmp_path / "key").write_text("k" * 32 + "\n", encoding="utf-8")
    more = """\
targets:
  a: {url: https://x.example, secret_file: short, token_file: empty}
  b: {url: https://x.example, secret_file: nowhere}
web: {token_file: key}
"""
    text = run("-c", write(tmp_path, more), "--no-network", code=Exit.FAILURE)
    assert "short does not hold whsec_ and base64 of 24 to 64 bytes" in text
    assert "empty is empty" in text
    assert "x targets.b.secret:" in text
    assert "No such file" in text
    assert "√ web.token:" in text
    assert "hunter2" not in text
    pager = write(tmp_path).replace("driftline.yaml", "pager.yaml")
    Path(pager).write_text(
        Path(write(tmp_path))
        .read_text(encoding="utf-8")
        .replace("alerts: {", "alerts: {pagerduty: {routing_key_file: short}, "),
        encoding="utf-8",
    )
    assert "an integration key has 32 characters" in run("-c", pager, "--no-network", code=Exit.FAILURE)


def test_references_that_cannot_be_read(tmp_path: Path) -> None:
    """Each unreadable reference is a line; the rest is checked all the same."""
    path = Path(write(tmp_path))
    text = path.read_text(encoding="utf-8").replace("  m:\n", "  m:\n    reference: m.ref\n")
    path.write_text(text, encoding="utf-8")
    assert "x reference of m: " in run("-c", str(path), "--no-network", code=Exit.FAILURE)
    (tmp_path / "m.ref").write_bytes(b"not a reference")
    shown = run("-c", str(path), "--no-network", code=Exit.FAILURE)
    assert "x reference of m: " in shown
    assert "√ state: " in shown


def test_a_reference_of_another_model(tmp_path: Path) -> None:
    """It may be meant so, and is said."""
    from monitor.reference.file import write as store
    from tests.judge import build

    profile = build.numeric_profile("a", 20)
    whole = build.reference([profile], np.full((1, profile.slots), 10), timed=False)
    path = Path(write(tmp_path))
    text = path.read_text(encoding="utf-8").replace("  m:\n", "  m:\n    reference: m.ref\n")
    path.write_text(text, encoding="utf-8")
    for model, says in (("m", False), ("upsell", True)):
        store(replace(whole, model=model), tmp_path / "m.ref")
        said = "~ reference of m: it was built for the model upsell, not for m"
        assert (said in run("-c", str(path), "--no-network")) == says


def test_kafka_and_receivers(tmp_path: Path) -> None:
    """Topics and their partitions from a real client, an Alertmanager's version, a reachable target."""
    from monitor.intake.embedded import EmbeddedBroker

    more = """\
targets:
  t: {{url: "{url}/hook", token: x, insecure_http: true, allow_private: [127.0.0.0/8]}}
"""
    with peer() as url, contextlib.closing(EmbeddedBroker()) as broker:
        broker.create_topic("predictions", partitions=3)
        text = run("-c", write(tmp_path, more.format(url=url), kafka=broker.bootstrap, alerts=url))
        assert "√ topic of s: predictions, 3 partitions\n" in text
        assert f"√ alertmanager {url}: version 0.34.0\n" in text
        assert "√ target t: reached, answers 405 to HEAD\n" in text
        assert "for one partition" not in text
        path = Path(write(tmp_path, kafka=broker.bootstrap, alerts=f"{url}/wrong"))
        path.write_text(
            path.read_text(encoding="utf-8").replace("topic: predictions", "topic: predictons"),
            encoding="utf-8",
        )
        text = run("-c", str(path), code=Exit.FAILURE)
        assert "x topic of s: there is no topic predictons" in text
        assert "did you mean predictions?" in text
        assert "answers, but not as an Alertmanager does" in text


def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster and a receiver that do not answer are errors, after a bounded wait."""
    import functools

    from monitor.intake import metadata

    monkeypatch.setattr(metadata, "ask", functools.partial(_quick, metadata.ask))
    text = run("-c", write(tmp_path, kafka="127.0.0.1:1", alerts="http://127.0.0.1:1"), code=Exit.FAILURE)
    assert "x kafka: no answer" in text
    assert "x alertmanager http://127.0.0.1:1: " in text


def _quick(ask: object, properties: object, *, timeout: float) -> object:
    assert callable(ask)
    assert timeout > 1
    return ask(properties, timeout=0.5)


def test_properties_that_kafka_refuses(tmp_path: Path) -> None:
    """A misspelt librdkafka property is an error with its name."""
    path = Path(write(tmp_path))
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("kafka: {", "kafka: {properties: {sasl.mechansm: x}, "), encoding="utf-8")
    shown = run("-c", str(path), code=Exit.FAILURE)
    assert "x kafka: kafka refuses the properties" in shown
    assert "sasl.mechansm" in shown


def test_the_state_directory(tmp_path: Path) -> None:
    """Writable, creatable, or wrong: a file is no directory."""
    assert check_state(str(tmp_path)).sign is Sign.OK
    assert "will be created" in check_state(str(tmp_path / "a" / "b")).text
    (tmp_path / "file").touch()
    assert check_state(str(tmp_path / "file")) == Line(
        Sign.WRONG, "state", f"{tmp_path}/file is not a directory"
    )
    if os.geteuid():
        (tmp_path / "locked").mkdir(mode=0o500)
        assert check_state(str(tmp_path / "locked" / "x")).sign is Sign.WRONG


def test_too_much_memory(tmp_path: Path) -> None:
    """Counts that would not fit are refused, with what to change."""
    more = "memory: {max: 16MiB}\n"
    path = Path(write(tmp_path, more))
    text = path.read_text(encoding="utf-8").replace(
        "    features:", "    windows: {long: {size: 30d, step: 1h}}\n    features:"
    )
    path.write_text(text, encoding="utf-8")
    text = run("-c", str(path), "--no-network", code=Exit.FAILURE)
    assert "x memory: counts need at most" in text
    assert "1 features x 1 segments and versions x (" in text
    assert "raise memory.max, or take longer panes" in text


@pytest.mark.parametrize(("windows", "alpha"), [(719, 2 / 720), (2000, 2 / 720), (100, 0.05)])
def test_the_range_of_pages_is_that_of_a_simulation(windows: int, alpha: float) -> None:
    """Thresholds at the rank of simulated references give the same 5th and 95th percentile of pages."""
    plan = ModelPlan("m", "s", (), (), (), 60_000, Budget(2, 720 * HOUR), "c")
    low, high = page_range(plan, WindowSpec("1h", HOUR, HOUR), windows=windows, alpha=alpha)
    rng = np.random.default_rng(11)
    rank = int(alpha * (windows + 1) + 1e-9)
    thresholds = np.sort(rng.random((4000, windows)), axis=1)[:, windows - rank]
    pages = np.quantile(1 - thresholds, (0.05, 0.95)) * 720
    assert low == pytest.approx(pages[0], rel=0.12)
    assert high == pytest.approx(pages[1], rel=0.12)


@pytest.mark.parametrize(
    ("panes", "says"), [(720, "√ budget of m, 1h: the reference has 720 windows"), (30, "not proven")]
)
def test_the_budget_and_the_reference(tmp_path: Path, panes: int, says: str) -> None:
    """Whether the reference has the windows that the budget needs, in numbers."""
    from monitor.reference.file import write as store
    from tests.judge import build

    profile = build.numeric_profile("a", 20)
    counts = np.zeros((panes, profile.slots), np.int64)
    counts[:, 3:-1] = np.random.default_rng(5).multinomial(1000, np.full(20, 0.05), size=panes)
    path = Path(write(tmp_path))
    text = path.read_text(encoding="utf-8").replace(
        "    features: {a: {path: a, kind: numeric}}", "    reference: m.ref"
    )
    path.write_text(text, encoding="utf-8")
    store(build.reference([profile], counts), tmp_path / "m.ref")
    shown = run("-c", str(path), "--no-network")
    assert f"√ reference of m: january, {panes * 1000} rows, 1 features" in shown
    assert says in shown
    assert "359 are needed" in shown
    assert ("5-95 %" in shown) == (panes == 720)
    assert "seasons of m" not in shown


@pytest.mark.parametrize(
    ("rows", "panes", "says"),
    [
        (1000, 240, "√ seasons of m, hour_of_day in UTC: 10000 to 10000 rows and 10 to 10 days each"),
        (
            100,
            240,
            "1000 to 1000 rows and 10 to 10 days each; 1600 rows and 2 days are needed, so these are read together: ",
        ),
        (1000, 0, "~ seasons of m, hour_of_day in UTC: not read by season: the reference has no event times"),
    ],
)
def test_seasons_of_the_reference(tmp_path: Path, rows: int, panes: int, says: str) -> None:
    """What each season has, and which are read together for want of rows or days."""
    from monitor.reference.file import write as store
    from tests.judge import build

    profile = build.numeric_profile("a", 20)
    counts = np.zeros((max(panes, 1), profile.slots), np.int64)
    counts[:, 3:-1] = np.random.default_rng(5).multinomial(rows, np.full(20, 0.05), size=max(panes, 1))
    path = Path(write(tmp_path))
    text = path.read_text(encoding="utf-8").replace(
        "    features: {a: {path: a, kind: numeric}}", "    reference: m.ref\n    season: hour_of_day"
    )
    path.write_text(text, encoding="utf-8")
    store(build.reference([profile], counts, timed=panes > 0), tmp_path / "m.ref")
    assert says in run("-c", str(path), "--no-network")


@pytest.mark.parametrize(
    ("kept", "says"),
    [
        (0, "~ sampled rows of m: the reference has none, so that no condition is named - build it again"),
        (
            90,
            "√ sampled rows of m: 90 of the reference, 512 of each pane and partition, 16384 of a window at most",
        ),
    ],
)
def test_rows_that_conditions_are_searched_in(tmp_path: Path, kept: int, says: str) -> None:
    """A reference that was built before rows were asked for is doubtful; without the setting nothing is said."""
    from monitor.reference.file import write as store
    from tests.judge import build

    profile = build.numeric_profile("a", 20)
    path = Path(write(tmp_path))
    text = path.read_text(encoding="utf-8")
    plain = text.replace("    features: {a: {path: a, kind: numeric}}", "    reference: m.ref")
    path.write_text(plain.replace("m.ref", "m.ref\n    diagnosis: {sample: 512}"), encoding="utf-8")
    whole = build.reference([profile], np.full((1, profile.slots), 10), timed=False)
    rows = {"sample": np.full((kept, 1), 5, np.uint16), "sampled": np.full(min(kept, 1), kept)}
    store(replace(whole, **rows), tmp_path / "m.ref")
    assert says in run("-c", str(path), "--no-network")
    path.write_text(plain, encoding="utf-8")
    assert "sampled rows" not in run("-c", str(path), "--no-network")
