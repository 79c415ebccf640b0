"""The command and the page of `make proof`; what it measures is tested in tests/judge/test_proof.py."""

from __future__ import annotations

import json

import pytest

from bench import proof, proof_page
from bench.proof_parts import MONTHS, ROWS, SETTINGS, parts
from tests.judge import early_pages


def part(*rows):
    return {"on": "P, abc, 2026-01-01, seed 1", "seconds": 60.0, "rows": list(rows)}


def rate(value, test="psi", asked=5):
    return ["a layout", test, 1_000, 20_000, 100, 20.0, asked, True, [value] * 5, [0.01] * 5]


def test_every_part_has_a_name_of_its_own_and_the_quick_run_measures_each_thing() -> None:
    """What was measured is kept by these names; a quick month is one of the full run's."""
    full, quick = ([one.name for one in parts(ROWS, quick=quick, seed=1)] for quick in (False, True))
    assert len(set(full)) == len(full)
    assert set(quick) < set(full)
    assert {one.name for one in SETTINGS} == {
        name.removeprefix("pages: ").rsplit(", months", 1)[0] for name in quick if name.startswith("pages")
    }


def test_a_page_of_nothing_says_so() -> None:
    """Every goal stands there before anything was measured, and none is missed."""
    text, is_met = proof_page.render({})
    assert is_met
    assert text.count("not measured | not measured |") == 12


def test_goals_are_met_by_the_limits_of_what_was_measured() -> None:
    """One figure that misses is enough, and it is set in bold where it stands; what is not asked misses nothing."""
    text, is_met = proof_page.render({"full": {"rates: x": part(rate(1.0), rate(1.19))}})
    assert is_met
    assert "| open: mean 1.09 where ▾, 1.00–1.19 in 6 figures (3 open, 3 met) | not measured |" in text
    text, is_met = proof_page.render({"quick": {"rates: x": part(rate(0.6), rate(9.0, asked=0))}})
    assert not is_met
    assert "| not measured | **not met**: mean 0.60 where ▾, 0.60–0.60 in 3 figures (3 not met) |" in text
    assert "| PSI ▾ | 1,000 | 20,000 | 20 | 100 | **0.60 (0.57–0.63) not met** |" in text


def test_a_table_shows_each_setting_in_full_where_that_was_measured() -> None:
    """What the full run has not come to yet is that of the quick one."""
    text, _ = proof_page.render(
        {"full": {"rates: x": part(rate(1.0))}, "quick": {"rates: x": part(rate(0.9), rate(0.8, test="ks"))}}
    )
    rows = [line for line in text.splitlines() if line.startswith(("| PSI ▾ |", "| KS ▾ |"))]
    assert [row.split("|")[6].split()[0] for row in rows] == ["0.80", "1.00"]


def test_months_are_summed_up_by_setting() -> None:
    """Twice the budget is too much, and nothing is too little."""
    for pages, state in ((4, "**not met**"), (0, "**not met**"), (2, "met")):
        months = [["50 features", seed, pages, pages, 20] for seed in range(20)]
        text, is_met = proof_page.render({"quick": {"pages: x": part(*months)}})
        assert is_met is (pages == 2)
        assert f"| 50 features ▾ | quick | 20 | 2 | {pages}.00 ± 0.00 |" in text
        assert f"| {pages}.00 | 20.0 |  | {state} |" in text


def test_alarms_before_windows_close_are_shown_where_there_are_looks() -> None:
    """Months of models that are looked at have one figure more, and pages that looks opened count."""
    name = early_pages.SETTINGS[0].name
    months = [[name, seed, 1, 6, 20, 5] for seed in range(20)]
    text, is_met = proof_page.render({"quick": {"pages: x": part(*months)}})
    assert not is_met
    assert f"| {name} ▾ | quick | 20 | 2 | 6.00 ± 0.00 | 6–6 | 1.00 | 20.0 | 5.00 | **not met** |" in text


def test_a_run_that_is_ended_keeps_what_was_measured(tmp_path, monkeypatch, capsys) -> None:
    """Nothing is begun after the time, and `--go-on` leaves alone what is there, and drops what is no part."""
    monkeypatch.setattr(proof, "RESULTS", tmp_path / "proof.json")
    monkeypatch.setattr(proof, "PAGE", tmp_path / "PROOF.md")
    name = next(one.name for one in parts(["power"], quick=True, seed=1))
    kept = {"quick": {name: part([0.01, 10**6, 4 * 10**6, 1_000, 1_000, 999]), "power: gone": part()}}
    proof.RESULTS.write_text(json.dumps(kept))
    assert proof.main(["--quick", "--only", "power", "--go-on", "--within", "0"]) == 0
    assert "met: 1.0000" in capsys.readouterr().out
    assert (
        "| 0.01 sigma | 1,000,000 | 4,000,000 | 1,000 | 1.0000 (0.9947–1.0000) | 0.9990 |"
        in proof.PAGE.read_text()
    )
    with pytest.raises(SystemExit):
        proof.main(["--only", "everything"])


def test_the_months_of_the_quick_run_are_the_first_of_the_full_one() -> None:
    """By name and arguments, so that a run that goes on takes them over; then every setting has its others together."""
    quick, full = (list(parts(["pages"], quick=quick, seed=1)) for quick in (True, False))
    assert [(part.name, part.arguments) for part in full[: len(quick)]] == [
        (part.name, part.arguments) for part in quick
    ]
    assert len({part.name for part in full}) == len(full)
    rest = [part.arguments[0] for part in full[len(quick) :]]
    assert rest == sorted(rest)
    months = [part.arguments[1] for part in full if part.arguments[0] == 3]
    assert months == list(range(0, 200, MONTHS))


def test_a_run_that_goes_on_takes_over_the_months_of_the_other_column(tmp_path, monkeypatch) -> None:
    """And one that begins anew measures them."""
    monkeypatch.setattr(proof, "RESULTS", tmp_path / "proof.json")
    monkeypatch.setattr(proof, "PAGE", tmp_path / "PROOF.md")
    measured: list[list[str]] = []
    monkeypatch.setattr(proof, "measure", lambda left, *_, **__: measured.append([one.name for one in left]))
    every = [one.name for one in parts(["pages"], quick=True, seed=1)]
    month = [SETTINGS[0].name, 0, 1, 1, 2, 0]
    known = {name: {"on": "here", "seconds": 1.0, "rows": [month] * 10} for name in every}
    proof.RESULTS.write_text(json.dumps({"quick": known}))
    for more in (["--go-on"], []):
        proof.main(["--only", "pages", *more])
    assert not set(measured[0]) & set(every)
    assert len(measured[0]) + len(every) == len(measured[1])
