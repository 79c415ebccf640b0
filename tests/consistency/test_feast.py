"""A real Feast server, and what it once said, spoken again; and references of its offline store.

`DRIFTLINE_RECORD=1 pytest -m slow tests/consistency` writes tests/contract/recorded/feast.json anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.clock import ManualClock
from monitor.consistency.check import Check
from monitor.consistency.feast import Stored, ask, moment
from monitor.consistency.tallies import Tallies
from monitor.deliver.receiver import Receiver
from monitor.errors import StoreRefused
from monitor.reference.file import read
from tests.conftest import _missing
from tests.consistency.peer import FeatureServer, server_plan
from tests.consistency.store import make_repository, python, serving
from tests.consistency.test_check import batch_of, plan, row
from tests.pipelines.environment import NotInstalled
from tests.pipelines.exchange import Player, Recorder, recorded

ALL = tuple(f"driver_stats:{name}" for name in ("conv_rate", "acc_rate", "trips", "city", "premium", "taste"))
WRITTEN = moment("2026-11-20T00:00:00Z")
"""Without the 700 ms that the rows have."""


def converse(url):
    """What is asked of a server, and what must be made of its answers."""
    plan = server_plan(url)
    found = ask(plan, ALL, {"driver_id": [1001, 1009, 1010, 9999]})
    assert found["driver_stats:trips"] == (
        Stored(1900, WRITTEN), Stored(1908, WRITTEN), Stored(1909, WRITTEN), Stored(None),
    )  # fmt: skip
    assert found["driver_stats:acc_rate"][:2] == (Stored(0.7, WRITTEN), Stored(None, WRITTEN))  # NaN, and 0.7
    assert [one.value for one in found["driver_stats:city"]] == ["Graz", "Wels", None, None]
    assert [one.value for one in found["driver_stats:premium"]] == [False, False, True, None]
    assert found["driver_stats:conv_rate"][0].value == pytest.approx(0.119, rel=1e-6)
    assert found["driver_stats:taste"][1].value == pytest.approx([0.1, 0.8], rel=1e-6)
    assert ask(plan, ALL[:1], {"driver_id": ["0"]}) == {ALL[0]: (Stored(None),)}
    for features, entities, words in (
        (["driver_stats:nope"], {"driver_id": ["0"]}, "Feature nope not found"),
        (["nope:city"], {"driver_id": ["0"]}, "Feature view nope does not exist"),
        (["driver_stats:city"], {"driver_id": ["Bob"]}, "invalid literal for int() with base 10: 'Bob'"),
    ):
        with pytest.raises(StoreRefused) as caught:
            ask(plan, features, entities)
        assert words in caught.value.words
        assert words not in str(caught.value)


def test_it_is_asked_as_the_real_one_was():
    """Every request is the one that the server took, and every answer is understood as then."""
    with Receiver() as receiver:
        player = Player(recorded("feast"), receiver)
        try:
            converse(receiver.url)
        finally:
            assert player.wrong == []
        assert len(receiver.requests) == len(player.said)


def test_the_peer_of_the_other_tests_answers_as_the_real_one():
    """The same statuses, and the same answers but for the order of features."""
    said = recorded("feast")
    with Receiver() as receiver:
        server = FeatureServer(receiver, tuple(one.partition(":")[2] for one in ALL))
        first = said[0]["answer"]
        names = first["metadata"]["feature_names"]
        for at, driver in enumerate(said[0]["body"]["entities"]["driver_id"][:3]):
            values = {
                name.partition("__")[2]: column["values"][at]
                for name, column in zip(names, first["results"], strict=True)
            }
            server.rows[driver] = (WRITTEN + 700, values)
        for one in said:
            answer = _asked(receiver.url, one["body"])
            assert answer[0] == one["status"]
            if one["status"] == 200:
                assert _by_name(answer[1]) == _by_name(one["answer"])


def _asked(url, body):
    from monitor.http import request

    got = request(
        "POST", f"{url}/get-online-features", plan=server_plan(url).http,
        headers={"Content-Type": "application/json"}, body=json.dumps(body).encode(),
    )  # fmt: skip
    return got.status, json.loads(got.body)


def _by_name(answer):
    return dict(zip(answer["metadata"]["feature_names"], answer["results"], strict=True))


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    try:
        return make_repository(tmp_path_factory.mktemp("feast"))
    except NotInstalled as error:
        _missing("feast", str(error))


def count_mismatches(url):
    """Of records made a day after the store was written, each driver with another city is a mismatch, and no more."""
    clock = ManualClock(WRITTEN + 86_400_000)
    tallies = Tallies(clock, "a")
    check = Check(plan(), server_plan(url), tallies, clock)
    for _ in range(2):  # the first by which it becomes known how new the store is
        now = clock.now_ms()
        rates = [0.1 + number / 100 + 19 / 1000 for number in range(20)]
        cities = [("Graz", "Linz", "Wels")[number % 3] for number in range(20)]
        cities[4], cities[9] = "Rome", None
        check.offer(*batch_of([row(1001 + n, rates[n], cities[n], now) for n in range(20)]))
        assert check.turn() == 20
        clock.advance(10)
    assert tallies.sums("rides", 0, 2 * now) == {"rate": (20, 0, 20), "city": (20, 1, 20), "": (20, 1, 20)}


@pytest.mark.slow(60)
@pytest.mark.timeout(1200)  # the environment is made the first time
def test_a_real_server_answers_as_it_was_recorded(repository):
    """Feast 0.67 over parquet files and SQLite."""
    with serving(repository) as url, Receiver() as receiver:
        recorder = Recorder(url, receiver)
        converse(receiver.url)
        count_mismatches(url)
    if os.environ.get("DRIFTLINE_RECORD"):
        recorder.store("feast")
    for one, before in zip(recorder.said, recorded("feast"), strict=True):
        assert (one["body"], one["status"]) == (before["body"], before["status"])
        assert one["status"] != 200 or _by_name(one["answer"]) == _by_name(before["answer"])


BESIDE = "import sys; sys.path.append(sys.argv.pop(1)); from monitor.__main__ import main; sys.exit(main())"
"""driftline beside Feast's packages, as where both are installed."""


def build(repository, out, *options):
    entities = repository / "entities.csv"
    lines = [
        f"{1001 + n % 20},2026-11-{2 + n % 18:02}T{1 + n // 20:02}:00:00Z,{n / 400}\n" for n in range(400)
    ]
    entities.write_text("".join(["driver_id,event_timestamp,score\n", *lines, *lines[:5]]))
    packages = next((python().parent.parent / "lib").glob("python3*")) / "site-packages"
    return subprocess.run(
        [sys.executable, "-c", BESIDE, str(packages), "reference", "build", "--from", f"feast:{repository}",
         "--model", "rides", "-o", str(out), "--entity-df", str(entities), *options],
        capture_output=True, text=True, check=False, timeout=300, cwd=Path(__file__).parents[2],
    )  # fmt: skip


@pytest.mark.slow(60)
@pytest.mark.timeout(1200)
def test_a_reference_is_built_of_the_offline_store(repository, tmp_path):
    """Features are those of the service as they were at each row's time; join keys are none, other columns are."""
    done = build(
        repository,
        tmp_path / "rides.ref",
        "--service",
        "rides_v1",
        "--prediction",
        "score",
        "--output",
        "json",
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["rows"], told["notes"][0][:31]) == (400, "5 rows of entities left out by ")
    reference = read(tmp_path / "rides.ref")
    assert sorted(one.name for one in reference.features) == ["city", "conv_rate", "prediction"]
    assert (reference.name, reference.rows, reference.timed) == ("rides_v1", 400, True)
    city = next(one for one in reference.features if one.name == "city")
    assert sorted(city.categories) == ["Graz", "Linz", "Wels"]
    rate = next(one for one in reference.features if one.name == "conv_rate")
    # on the second a driver has the value of the second, and the last rows are of the 19th
    assert (rate.minimum, rate.maximum) == pytest.approx((0.101, 0.1 + 0.19 + 0.018), abs=2e-3)


@pytest.mark.slow(60)
@pytest.mark.timeout(1200)
def test_what_the_repository_lacks_is_named_with_what_it_has(repository, tmp_path):
    """A misspelt view or feature is a mistake of whoever called, with the names to choose from."""
    done = build(repository, tmp_path / "rides.ref", "--view", "driver_stat")
    assert done.returncode == 2
    assert (
        "there is no view called driver_stat - reference build --from feast: - one of driver_stats is right"
        in done.stderr
    )
    done = build(repository, tmp_path / "rides.ref", "--view", "driver_stats:nope")
    assert "there is no feature of driver_stats called nope" in done.stderr
