"""References of groups: built of columns, kept in the file, checked before anything of them is used."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from kernels.layout import FREQUENCIES
from monitor.cli.reference_config import from_config
from monitor.errors import ReferenceInvalid
from monitor.plan import Kind
from monitor.reference import file as reference_file
from monitor.reference.build import build
from monitor.reference.difference import compare
from monitor.reference.file import pack, unpack
from monitor.reference.grouped import GroupDeclaration
from monitor.reference.read import open_file
from monitor.reference.segment_tally import SegmentDeclaration
from monitor.reference.summary import describe, summary
from monitor.reference.table import FeatureDeclaration, Table
from tests.config.cases import with_model

HOUR = 3_600_000
MONEY = GroupDeclaration("money", ("income", "debt"))


def table(rows=2_000, seed=1):
    rng = np.random.default_rng(seed)
    income = np.exp(rng.normal(8.0, 1.0, rows))
    debt = income * rng.uniform(0.0, 2.0, rows)
    debt[rng.random(rows) < 0.1] = np.nan
    city = np.array(["a", "b", None], object)[rng.integers(0, 3, rows)]
    few = rng.integers(0, 3, rows)
    columns = {"income": income, "debt": debt, "city": city, "few": few}
    return Table(columns, events=np.sort(rng.integers(0, 48 * HOUR, rows)))


def made(of=None, *, groups=(MONEY,), **changes):
    return build(
        table() if of is None else of,
        **{"model": "m", "name": "r", "pane": HOUR, "groups": groups, **changes},
    )


REFERENCE = made()
CONTENT = pack(REFERENCE)


def test_a_group_is_the_last_feature_and_has_the_places_of_its_members():
    """Centres and scales are those of the members' own moments; the rest of the reference is what it was."""
    plain = made(groups=())
    assert [one.name for one in REFERENCE.features] == ["income", "debt", "city", "few", "money"]
    group = REFERENCE.features[-1]
    assert (group.kind, group.path, group.members) == (Kind.VECTOR, (), ("income", "debt"))
    members = REFERENCE.features[:2]
    assert group.vector.center.tolist() == [one.center for one in members]
    assert group.vector.scale.tolist() == [one.scale for one in members]
    np.testing.assert_array_equal(REFERENCE.counts[: len(plain.counts)], plain.counts)
    complete = int(np.isfinite(table().columns["debt"]).sum())
    assert REFERENCE.counts[-4:].tolist() == [0, 2_000 - complete, 0, complete]


def test_traces_are_those_of_the_covariance_of_the_fourier_features():
    """Of the mean of n complete rows the variance is the first trace by n: found again in the panes' sums."""
    first, second, fourth = REFERENCE.features[-1].vector.traces
    assert 0 < fourth < second**2 < second < first < 1
    at = slice(2, 2 + FREQUENCIES)
    panes = made(table(6_000), pane=300_000).panes
    last = len(REFERENCE.counts) - 1
    n = np.array(
        [
            panes.values[a:b][panes.slots[a:b] == last].sum()
            for a, b in zip(panes.indptr, panes.indptr[1:], strict=False)
        ]
    )
    sums = panes.vectors[:, at] / 2**20
    mean = sums.sum(axis=0) / n.sum()
    found = np.mean(np.sum((sums - n[:, None] * mean) ** 2, axis=1) / n)
    assert found == pytest.approx(first, rel=0.12)


def test_equal_rows_give_equal_bytes_however_they_come():
    """In one table or in chunks; a group of other members is another reference."""
    whole = table()
    cut = [
        Table({name: column[rows] for name, column in whole.columns.items()}, events=whole.events[rows])
        for rows in (slice(0, 700), slice(700, 701), slice(701, 2_000))
    ]
    assert (
        unpack(pack(made(cut)), where="x").features[-1].vector.traces == REFERENCE.features[-1].vector.traces
    )
    assert pack(made()) == CONTENT
    other = made(groups=(GroupDeclaration("money", ("debt", "income")),))
    assert pack(other) != CONTENT
    assert compare(REFERENCE, other).features[-1].changes == ("members income, debt -> debt, income",)


def test_the_file_keeps_groups_and_older_formats_are_read():
    """Format 5 where there are any; a reference without is written, and read, as before."""
    assert CONTENT.startswith(b"driftline-reference 5\n")
    again = unpack(CONTENT, where="x")
    assert again.features[-1].members == ("income", "debt")
    assert again.features[-1].vector.traces == REFERENCE.features[-1].vector.traces
    np.testing.assert_array_equal(again.vectors, REFERENCE.vectors)
    older = pack(made(groups=()))
    assert older.startswith(b"driftline-reference 1\n")
    assert b"members" not in older
    assert unpack(older, where="x").features[0].members == ()


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        ([("money", ("income", "dept"))], "no feature 'dept'"),
        ([("money", ("income", "city"))], "text where a number is expected"),
        ([("debt", ("income", "few"))], "a feature has this name"),
        ([("money", ("income",))], "2 to 16 different features"),
        ([("money", ("income", "income"))], "2 to 16 different features"),
        ([("a", ("income", "debt")), ("b", ("a", "debt"))], "no feature 'a'"),
    ],
)
def test_groups_that_cannot_be(groups, text):
    """Each is refused with what is wrong and where."""
    with pytest.raises(ReferenceInvalid, match=text):
        made(groups=[GroupDeclaration(*one) for one in groups])


def test_a_declared_category_is_no_member():
    """Its kind is said; a column of few whole numbers becomes a number by being one of a group."""
    declared = (FeatureDeclaration("income"), FeatureDeclaration("few", kind=Kind.CATEGORICAL))
    with pytest.raises(ReferenceInvalid, match="few is categorical - group g - numeric features"):
        made(features=declared, groups=[GroupDeclaration("g", ("income", "few"))])
    assert made(groups=()).features[3].kind is Kind.CATEGORICAL
    assert made(groups=[GroupDeclaration("g", ("income", "few"))]).features[3].kind is Kind.NUMERIC


def changed(change):
    """The content with its header changed and the checksum right again."""
    magic, header, rest = CONTENT[: -reference_file.TRAILER].split(b"\n", 2)
    data = json.loads(header)
    change(data["features"])
    body = b"\n".join([magic, json.dumps(data).encode(), rest])
    return body + b"sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda features: features[-1].update(members=["income", "city"]),
        lambda features: features[-1].update(members=["income", "nobody"]),
        lambda features: features[-1].update(members=["income", "income"]),
        lambda features: features[-1].update(members=["income"]),
        lambda features: features[-1].update(members=["income", "debt", "few"]),
        lambda features: features[-1].update(members=[]),
        lambda features: features[-1].update(traces=[]),
        lambda features: features[-1].update(traces=[0.4, -0.1, 0.001]),
        lambda features: features[-1].update(traces=[0.4, 0.1, 0.0]),
        lambda features: features[-1].update(traces=[0.4, 0.1, 0.9]),
        lambda features: features[-1].update(traces=[0.4, 0.1, float("inf")]),
        lambda features: features.insert(0, features.pop()),
    ],
)
def test_a_file_in_which_a_group_does_not_fit_is_refused(change):
    """Before a kernel or the judge makes anything of it."""
    with pytest.raises(ReferenceInvalid):
        unpack(changed(change), where="x")


def test_segments_know_of_groups_only_how_many_rows_are_complete():
    """Their sums would cost the most by far; the whole has them."""
    columns = (SegmentDeclaration("city", "city", values=("a", "b")),)
    found = unpack(pack(made(segments=columns)), where="x")
    assert [len(part.panes.vectors) for part in found.segments[0].parts] == [0] * 4
    assert found.features[-1].members == ("income", "debt")


def test_a_group_of_constants_or_without_a_complete_row():
    """There is nothing to learn: no traces, and nothing breaks."""
    rows = table()
    holed = dict(rows.columns) | {"debt": np.full(len(rows), np.nan)}
    for columns in (holed, dict(rows.columns) | {"income": np.ones(len(rows)), "debt": np.ones(len(rows))}):
        found = unpack(pack(made(Table(columns, events=rows.events))), where="x")
        assert found.features[-1].vector.traces == (0.0, 0.0, 0.0)


def test_what_is_shown_names_the_members():
    """In `reference show`, for people and programs."""
    assert "group of income, debt" in describe(REFERENCE)
    assert summary(REFERENCE)["features"][-1]["members"] == ["income", "debt"]
    assert replace(REFERENCE, features=REFERENCE.features[:2]).features[0].members == ()


def test_a_configuration_says_which_groups_a_reference_is_built_with(tmp_path):
    """`reference build -c`: members keep the paths that the configuration gives them."""
    config = tmp_path / "driftline.yaml"
    config.write_text(
        with_model(
            "features: {income: {path: f.income}, debt: {path: f.debt, numbers_in_strings: true}}\n"
            "groups: {money: [income, debt]}"
        )
    )
    selection, _, _ = from_config([str(config)], model="m")
    rows = [{"f": {"income": float(i), "debt": str(i % 7)}} for i in range(100)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = open_file(str(path), replace(selection, record_time=False))
    found = build(source, model="m", name="r", features=source.features, groups=source.selection.groups)
    assert [(one.name, one.members) for one in found.features] == [
        ("income", ()), ("debt", ()), ("money", ("income", "debt")),
    ]  # fmt: skip
    assert found.counts[-4:].tolist() == [0, 0, 0, 100]
