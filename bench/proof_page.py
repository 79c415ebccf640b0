"""bench/PROOF.md from what was measured: every goal with its state, then the tables.

A goal is *met* when the 99 % confidence limits of what was measured lie within it, *not met* when they lie outside, and
*open* when the measurement is too small to tell.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from bench.proof_parts import SETTINGS
from tests.judge import early_pages, pages, rates, shift

COLUMNS = ("full", "quick")
LEVELS = ("5 %", "1 %", "0.1 %", "10⁻⁴", "10⁻⁵")
TESTS = {"psi": "PSI", "ks": "KS", "neyman": "Neyman", "g": "G"}
HEAD = """# Proof

Written by `make proof`; do not edit. What the judge promises, measured by simulation with the judge's own functions on counts
that are drawn, in full and by the quick run (`make proof ARGS=--quick`). A goal is *met* when the 99 % confidence limits of
what was measured lie within it, **not met** when they lie outside, and *open* when the measurement is too small to tell.
Figures are realised ÷ nominal where nothing else is said, with their 99 % limits in brackets.
"""
RATES = """Every test without a change and with a tolerance of 0. A reference is drawn anew for every 20 windows. n rows in the
window, m in the reference; *slots* are those that vote, on average. Windows come from a mixture of windows as they are and
of windows tilted the way the test looks, each with its weight (importance sampling, `tests/judge/tilted.py`), so that 10⁻⁵
needs no millions of them. Asked for: at most 1.2 at 5, 1 and 0.1 %, at most 2 at 10⁻⁴ and 10⁻⁵, of 1,024 bins and of 10,000
categories at 5 and 1 % alone; and at least 0.75 down to 0.1 % (▾) of PSI and G where two slots or more vote, which have 20
expected rows each, and of KS where bins are of equal mass and have 20. Of Neyman, whose polynomials vote instead of *slots*,
nothing is asked from below.
"""
RATIOS = """By exact sums over the binomial law of the hits, given references that are drawn (`tests/judge/sums.py`). With the
usual tolerance of half a percentage point the tests are conservative by design; without one it shows how exact p is.
*share* is what the ratio really is, on average.
"""
POWER = """Against references of normal rows with bins between their own quantiles, tolerance 0, nominal 1 %.
"""


PAGES = """Months of 30 days under the judge as configured by default, each month against a reference of its own, as long as
the budget needs. One page is an incident: it opens with a window that drifts, and closes after two windows that do not (24 of 24
hours by the hour). *drift* are windows that drift, *warn* those that warn, *early* those that alarmed at a look before they
closed, which may open the incident, too, and have a fifth of the budget. Asked for: a mean of at most 1.1 times the
budget within two standard errors; and at least half of it (▾), but not where every movement stays within the tolerance, nor
of a reference without event times or with too few windows, where Holm's test and the largest window of the reference
decide and every verdict says "budget not proven". Such a reference promises nothing for a model that wobbles, and the row shows why.
Where an hour moves as the one before did the budget is not proven either by as many windows as it needs: the judge finds that
out of the reference, says how many windows count as one, and the row shows what comes of it.
"""


class Goal(NamedTuple):
    what: str
    goal: str
    states: tuple[str, str]
    """Of the full and of the quick run: text, with the state in it."""
    is_met: bool


def render(results: dict[str, Any]) -> tuple[str, bool]:
    """The page, and whether no goal of what was measured is *not met*."""
    found = {column: _rows(results.get(column, {})) for column in COLUMNS}
    goals = [
        goal for section in (_power_goals, _page_goals, _rate_goals, _ratio_goals) for goal in section(found)
    ]
    text = [
        HEAD,
        *_origin(results),
        "",
        "## Goals",
        "",
        "| what | goal | in full | quick |",
        "|---|---|---|---|",
    ]
    text += [f"| {goal.what} | {goal.goal} | {goal.states[0]} | {goal.states[1]} |" for goal in goals]
    text += ["", "## Power", "", POWER, *_power_table(found)]
    text += ["", "## Pages per month without a change", "", PAGES, *_page_table(found)]
    text += ["", "## False alarms of PSI, KS, Neyman and G", "", RATES, *_rate_tables(found, "rates")]
    text += [
        "",
        "## False alarms of ratios, errors and latencies",
        "",
        RATIOS,
        *_rate_tables(found, "ratios"),
    ]
    return "\n".join(text).rstrip() + "\n", all(goal.is_met for goal in goals)


Found = dict[str, dict[str, list[Any]]]


def _rows(column: dict[str, Any]) -> dict[str, list[Any]]:
    """What was measured, by row of the proof."""
    found: dict[str, list[Any]] = {"rates": [], "ratios": [], "power": [], "pages": []}
    for name, part in column.items():
        row = name.split(":")[0]
        make = {
            "rates": _rate,
            "ratios": _rate,
            "power": lambda values: shift.Power(*values),
            "pages": tuple,
        }[row]
        found[row] += [make(values) for values in part["rows"]]
    return found


def _rate(values: Sequence[Any]) -> rates.Rate:
    return rates.Rate(*values[:8], rates=tuple(values[8]), errors=tuple(values[9]))


def _origin(results: dict[str, Any]) -> Iterable[str]:
    for column in COLUMNS:
        parts = results.get(column, {})
        for on in sorted({part["on"] for part in parts.values()}):
            own = [part["seconds"] for part in parts.values() if part["on"] == on]
            yield f"* {column}: {on}; {len(own)} parts, {sum(own) / 60:.0f} minutes of one core that is shared"


def _state(states: Iterable[str]) -> str:
    counted = [state for state in states if state]
    if not counted:
        return "not measured"
    worst = next(state for state in ("not met", "open", "met") if state in counted)
    return f"**{worst}**" if worst == "not met" else worst


def _rate_goals(found: Found) -> Iterable[Goal]:
    for test, title in TESTS.items():
        for levels, limit in ((range(3), "1.2"), (range(3, 5), "2")):
            yield _goal(
                f"false alarms of {title} at {', '.join(LEVELS[level] for level in levels)}",
                f"≤ {limit} × nominal" + (", ≥ 0.75 where ▾" if levels[0] == 0 and test != "neyman" else ""),
                [[one for one in found[column]["rates"] if one.test == test] for column in COLUMNS],
                levels,
            )


def _ratio_goals(found: Found) -> Iterable[Goal]:
    for levels, limit in ((range(3), "1.2"), (range(3, 5), "2")):
        yield _goal(
            f"false alarms of ratios, errors and latencies at {', '.join(LEVELS[level] for level in levels)}",
            f"≤ {limit} × nominal", [found[column]["ratios"] for column in COLUMNS], levels,
        )  # fmt: skip


def _goal(what: str, goal: str, columns: Sequence[Sequence[rates.Rate]], levels: Iterable[int]) -> Goal:
    """Of all settings together: how many are in each state, and the range of the figures."""
    texts, is_met = [], True
    for measured in columns:
        states = [one.state(level) for one in measured for level in levels]
        asked = [one.rates[level] for one in measured for level in levels if one.state(level)]
        text = _state(states)
        if asked:
            numbers = ", ".join(f"{states.count(s)} {s}" for s in ("not met", "open", "met") if s in states)
            exact = [
                one.rates[level] for one in measured if one.has_floor for level in levels if one.state(level)
            ]
            text += f": mean {statistics.mean(exact):.2f} where ▾," if exact else ":"
            text += f" {min(asked):.2f}–{max(asked):.2f} in {len(asked)} figures ({numbers})"
        is_met &= "not met" not in states
        texts.append(text)
    return Goal(what, goal, (texts[0], texts[1]), is_met)


def _rate_tables(found: Found, row: str) -> Iterable[str]:
    """One per layout and test; each row in full where that was measured."""
    full = {_setting(one) for one in found["full"][row]}
    measured = found["full"][row] + [one for one in found["quick"][row] if _setting(one) not in full]
    share = "slots" if row == "rates" else "share"
    for layout in dict.fromkeys(one.layout for one in measured):
        own = [one for one in measured if one.layout == layout]
        yield f"**{layout}**"
        yield ""
        yield f"| test | n | m | {share} | windows | {' | '.join(LEVELS)} |"
        yield "|---|---|---|---|---|---|---|---|---|---|"
        for one in sorted(own, key=lambda one: (list(_tests(own)).index(one.test), one.n, one.m)):
            shown = f"{one.voting:.3g}"
            cells = " | ".join(_cell(one, level) for level in range(len(LEVELS)))
            mark = " ▾" if one.has_floor else ""
            trials = f"{one.trials:,}" if row == "rates" else "all"
            yield f"| {TESTS.get(one.test, one.test)}{mark} | {one.n:,} | {one.m:,} | {shown} | {trials} | {cells} |"
        yield ""
    yield f"| always fires | | | | | {' | '.join(f'{1 / level:,.0f}' for level in rates.LEVELS)} |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    yield "| never fires | | | | | 0 | 0 | 0 | 0 | 0 |"


def _setting(one: rates.Rate) -> tuple[Any, ...]:
    return one.layout, one.test, one.n, one.m


def _tests(own: Iterable[rates.Rate]) -> dict[str, None]:
    return dict.fromkeys(sorted({one.test for one in own}, key=lambda test: ("no tolerance" in test, test)))


def _cell(one: rates.Rate, level: int) -> str:
    low, high = one.limits(level)
    text = f"{one.rates[level]:.2f} ({low:.2f}–{high:.2f})" if high >= 0.005 else "0.00"
    state = one.state(level)
    return f"**{text} not met**" if state == "not met" else f"{text} open" if state == "open" else text


def _power_goals(found: Found) -> Iterable[Goal]:
    texts, is_met = [], True
    for column in COLUMNS:
        goal = next(
            (p for p in found[column]["power"] if (p.sigma, p.n, p.m) == (0.01, 10**6, 4 * 10**6)), None
        )
        if goal is None:
            texts.append("not measured")
            continue
        low, high = goal.limits
        state = "met" if low >= 0.99 else "not met" if high < 0.99 else "open"
        is_met &= state != "not met"
        texts.append(f"{_state([state])}: {goal.found / goal.windows:.4f} ({low:.4f}–{high:.4f})")
    yield Goal("KS finds 0.01 sigma, n = 10⁶, m = 4·10⁶", "≥ 0.99", (texts[0], texts[1]), is_met)


def _power_table(found: Found) -> Iterable[str]:
    yield "| shift of the mean | n | m | windows | KS finds | PSI finds |"
    yield "|---|---|---|---|---|---|"
    for one in sorted(found["full"]["power"] or found["quick"]["power"]):
        low, high = one.limits
        share = f"{one.found / one.windows:.4f} ({low:.4f}–{high:.4f})"
        yield f"| {one.sigma} sigma | {one.n:,} | {one.m:,} | {one.windows:,} | {share} | {one.psi / one.windows:.4f} |"
    yield "| any | | | | always fires: 1 | 1 |"
    yield "| any | | | | never fires: 0 | 0 |"


def _months(found: Found, column: str) -> dict[str, list[pages.Month]]:
    by_name: dict[str, list[pages.Month]] = {}
    for name, *month in found[column]["pages"]:
        by_name.setdefault(name, []).append(pages.Month(*month))
    return by_name


def _page_goals(found: Found) -> Iterable[Goal]:
    texts, is_met = [], True
    for column in COLUMNS:
        by_name = _months(found, column)
        asked = [one for one in SETTINGS if one.has_goal and one.name in by_name]
        states = [_page_state(one, by_name[one.name]) for one in asked]
        means = [pages.summary(by_name[one.name])["mean"] / one.pages for one in asked]
        numbers = ", ".join(f"{states.count(s)} {s}" for s in ("not met", "met") if s in states)
        spread = (
            f": {min(means):.2f}–{max(means):.2f} of the budget in {len(asked)} settings ({numbers})"
            if asked
            else ""
        )
        is_met &= "not met" not in states
        texts.append(_state(states) + spread)
    yield Goal(
        "pages a month without a change", "≤ 1.1 × budget within two standard errors, ≥ 0.5 × where ▾",
        (texts[0], texts[1]), is_met,
    )  # fmt: skip


def _page_state(setting: Any, months: Sequence[pages.Month]) -> str:
    return pages.state(months, pages=setting.pages, has_floor=setting.has_floor)


def _page_table(found: Found) -> Iterable[str]:
    yield "| without a change | run | months | budget | pages | 5–95 % | drift | warn | early | |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    months = {column: _months(found, column) for column in COLUMNS}
    for setting in SETTINGS:
        for column in COLUMNS:
            own = months[column].get(setting.name, [])
            if len(own) < 2:
                continue
            s = pages.summary(own)
            state = _page_state(setting, own) if setting.has_goal else "not asked"
            early = f"{s['early']:.2f}" if isinstance(setting, early_pages.Setting) else ""
            yield (
                f"| {setting.name}{' ▾' if setting.has_floor else ''} | {column} | {len(own)} | {setting.pages:g} | "
                f"{s['mean']:.2f} ± {s['error']:.2f} | {s['low']:.0f}–{s['high']:.0f} | {s['windows']:.2f} | "
                f"{s['warned']:.1f} | {early} | {_state([state]) if setting.has_goal else state} |"
            )
    yield "| always fires, by the hour | | | 2 | 1 incident that never closes | 1–1 | 720 | 0 | | **not met**: too few, and of no use |"
    yield "| never fires | | | 2 | 0 | 0–0 | 0 | 0 | | **not met** where ▾ |"
    yield "| fires by chance in one of 360 hours | | | 2 | 2 | 0–5 | 2 | 0 | | met, and of no use: see power |"
