"""A configuration that changes under a daemon: row 53."""

from __future__ import annotations

from monitor.reference.file import write
from tests.daemon.ask import get, samples, until
from tests.daemon.build import MODEL, PARTITIONS, ROWS, WINDOW, await_done, reference, stream, verdicts
from tests.daemon.test_reload import RELOADED, both, reload, sketch_configs


def test_row_53_other_bins_another_model_and_configurations_that_are_wrong(make):
    """What is wrong changes nothing and is named; the daemon goes on with what it had. Other bins begin sketches of
    their own and a new model counts from then on: windows that hold rows of before say so, later ones are exact."""
    scene = make()
    first, then = stream(range(4)), both(range(4, 10))
    with scene.daemon() as daemon:
        url = daemon.server.url
        scene.send(first)
        await_done(daemon, len(first))
        before = verdicts(daemon)
        good = scene.config.read_text()
        for bad, said in (
            (good.replace('"5m": {', '"5m": {"sice": 3, '), "sice"),
            (good.replace("scores.ref", "nowhere.ref"), "nowhere.ref"),
            (good[:-20], "driftline.yaml"),
        ):
            scene.config.write_text(bad)
            status, text = reload(url)
            assert status == 500
            assert said in text
            assert samples(url)[RELOADED] == 0
            assert get(f"{url}/-/ready")[0] == 200
        scene.config.write_text(good)
        write(reference(bins=16), scene.folder / "scores.ref")
        write(reference(model="other"), scene.folder / "other.ref")
        other = {**scene.settings["models"][MODEL], "reference": {"file": str(scene.folder / "other.ref")}}
        scene.configure(models={"other": other})
        assert reload(url) == (200, "")
        assert samples(url)[RELOADED] == 1
        scene.send(then)
        await_done(daemon, len(first) + len(then))
        until(lambda: len(daemon.evaluate.verdicts("other")) >= 5, "the new model to be judged")
        found = verdicts(daemon)
        assert {end: found[end] for end in before} == before
        assert len(sketch_configs(daemon)) == 2
        last = max(found)
        for end in range(last - 4 * WINDOW, last + 1, WINDOW):
            assert (found[end]["rows"], found[end]["coverage"]) == (PARTITIONS * ROWS, 1.0)
        for verdict in daemon.evaluate.verdicts("other"):
            assert verdict.rows == PARTITIONS * ROWS or verdict.reason == "low_coverage"
        whole = [verdict for verdict in daemon.evaluate.verdicts("other") if verdict.coverage == 1.0]
        assert len(whole) >= 5
