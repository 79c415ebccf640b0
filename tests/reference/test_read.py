"""Training files as tables."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import ReferenceInvalid
from monitor.plan import Kind, TimeUnit
from monitor.reference import csv_file, parquet_file, records
from monitor.reference.build import build
from monitor.reference.file import pack
from monitor.reference.read import open_file
from monitor.reference.selection import Selection
from monitor.reference.table import FeatureDeclaration
from tests.reference.tables import START

ROWS = 2_000
SELECTION = Selection(
    time="ts",
    latency="took",
    error="status",
    exclude=frozenset({"id"}),
    prefix=("features",),
    outcomes=(FeatureDeclaration("prediction", path=("score",)),),
)


def training_rows():
    random = np.random.default_rng(7)
    return [
        {
            "id": f"r{row}",
            "ts": START + row * 60_000,
            "age": None if random.random() < 0.05 else int(random.integers(18, 90)),
            "income": float(random.normal(1000, 100)),
            "country": ["DE", "FR", None][int(random.integers(3))],
            "rooms": int(random.integers(1, 5)),
            "vip": bool(random.random() < 0.3),
            "took": float(random.exponential(5)),
            "status": "ok" if random.random() < 0.98 else "failed",
            "score": float(random.random()),
        }
        for row in range(ROWS)
    ]


def write_csv(path, rows, *, opened=open):
    with opened(path, "wt", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def write_lines(path, rows, *, nested=True):
    outer = {"id", "ts", "took", "status", "score"}
    with path.open("w") as file:
        for row in rows:
            top = {name: value for name, value in row.items() if name in outer or not nested}
            inner = {name: value for name, value in row.items() if name not in outer}
            file.write(json.dumps({**top, "features": inner} if nested else top) + "\n")
    return str(path)


def write_parquet(path, rows):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=700)
    return str(path)


def reference_of(path, selection=SELECTION):
    tables = open_file(path, selection)
    return build(tables, model="m", name="r", features=tables.features, pane=3_600_000)


def test_all_formats_give_the_same_reference(tmp_path):
    """Parquet, CSV and JSON lines of the same rows give byte-identical references."""
    rows = training_rows()
    packed = {
        pack(reference_of(path))
        for path in (
            write_csv(tmp_path / "a.csv", rows),
            write_csv(tmp_path / "b.csv.gz", rows, opened=gzip.open),
            write_lines(tmp_path / "c.jsonl", rows),
            write_parquet(tmp_path / "d.parquet", rows),
        )
    }
    assert len(packed) == 1


def test_columns_become_features_at_their_live_paths(tmp_path):
    """Roles and exclusions are taken out, the prefix is put before the paths, kinds are found."""
    reference = reference_of(write_csv(tmp_path / "a.csv", training_rows()))
    found = {profile.name: (profile.path, profile.kind) for profile in reference.features}
    assert found == {
        "age": (("features", "age"), Kind.NUMERIC),
        "income": (("features", "income"), Kind.NUMERIC),
        "country": (("features", "country"), Kind.CATEGORICAL),
        "rooms": (("features", "rooms"), Kind.CATEGORICAL),
        "vip": (("features", "vip"), Kind.BOOLEAN),
        "prediction": (("score",), Kind.NUMERIC),
    }
    assert reference.errors == sum(row["status"] != "ok" for row in training_rows())
    assert reference.latency[1:].sum() == ROWS


def test_small_chunks_change_nothing(tmp_path, monkeypatch):
    """How many rows a reader holds at a time does not show in the reference."""
    rows = training_rows()
    paths = [
        write_csv(tmp_path / "a.csv", rows),
        write_lines(tmp_path / "c.jsonl", rows),
        write_parquet(tmp_path / "d.parquet", rows),
    ]
    whole = pack(reference_of(paths[0]))
    for module in (csv_file, records, parquet_file):
        monkeypatch.setattr(module, "CHUNK", 123)
    assert {pack(reference_of(path)) for path in paths} == {whole}


def test_a_folder_of_parquet_files_is_one_table(tmp_path):
    """Files of a folder are read in the order of their names."""
    rows = training_rows()
    write_parquet(tmp_path / "part-1.parquet", rows[:900])
    write_parquet(tmp_path / "part-2.parquet", rows[900:])
    whole = write_parquet(tmp_path.parent / f"{tmp_path.name}.parquet", rows)
    assert pack(reference_of(str(tmp_path))) == pack(reference_of(whole))


def test_parquet_keeps_its_types(tmp_path):
    """Structs are dotted columns; dictionaries, decimals and timestamps are understood; other times are left out."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table(
        {
            "at": pyarrow.array([START * 1000 + i for i in range(100)], pyarrow.timestamp("us", tz="UTC")),
            "born": pyarrow.array([0] * 100, pyarrow.date32()),
            "features": [{"age": i, "city": None if i % 10 == 0 else "x"} for i in range(100)],
            "grade": pyarrow.array(["a", "b"] * 50).dictionary_encode(),
            "price": pyarrow.array([Decimal(row) / 4 for row in range(100)], pyarrow.decimal128(10, 2)),
            "tags": [[1, 2]] * 100,
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    tables = open_file(str(tmp_path / "a.parquet"), Selection(time="at"))
    reference = build(tables, model="m", name="r", features=tables.features)
    assert [profile.name for profile in reference.features] == [
        "features.age",
        "features.city",
        "grade",
        "price",
    ]
    assert reference.features[0].path == ("features", "age")
    assert [profile.kind for profile in reference.features][1:3] == [Kind.CATEGORICAL] * 2
    assert reference.panes.starts[0] == START // 300_000 * 300_000
    assert tables.notes == ("columns of times left out: born",)


def test_without_pyarrow_the_command_to_install_it_is_named(tmp_path, monkeypatch):
    """Parquet is an extra; the error says which."""
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ReferenceInvalid, match=r"pip install 'driftline\[parquet\]'"):
        open_file(str(tmp_path / "a.parquet"), Selection())


def csv_of(tmp_path, text, selection=None, **settings):
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    tables = open_file(str(path), selection or Selection(), **settings)
    return build(tables, model="m", name="r", features=tables.features)


def kinds_of(reference):
    return {profile.name: profile.kind for profile in reference.features}


def test_csv_types_come_from_all_rows(tmp_path):
    """Postcodes with leading zeros are text, true/false booleans, NA missing, 1.5 a number."""
    reference = csv_of(tmp_path, "zip,flag,x,y\n01234,true,1.5,NA\n99999,NA,NA,\n12345,False,2,null\n")
    assert kinds_of(reference) == {
        "zip": Kind.CATEGORICAL,
        "flag": Kind.BOOLEAN,
        "x": Kind.NUMERIC,
        "y": Kind.NUMERIC,
    }
    assert reference.features[0].categories == ("01234", "12345", "99999")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_csv_delimiters_are_found(tmp_path, delimiter):
    """Semicolons and tabs separate fields as well as commas."""
    text = "a,b\n1.5,x\n2.5,y\n".replace(",", delimiter)
    assert list(kinds_of(csv_of(tmp_path, text))) == ["a", "b"]


def test_missing_texts_can_be_named(tmp_path):
    """With a list of its own, NA is Namibia."""
    text = "country\nNA\nDE\n-\n"
    assert csv_of(tmp_path, text).features[0].categories == ("-", "DE")
    assert csv_of(tmp_path, text, missing=frozenset({"", "-"})).features[0].categories == ("DE", "NA")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a,a\n1,2\n", "occurs twice"),
        ("", "no header"),
        ("a,b\n1\n", "a row of 1 fields"),
        ('a\n"open\n', None),
    ],
)
def test_damaged_csv_is_refused_with_its_line(tmp_path, text, error):
    """Rows that do not fit the header are errors, never shifted columns."""
    if error is None:
        assert csv_of(tmp_path, text).rows == 1
        return
    with pytest.raises(ReferenceInvalid, match=error):
        csv_of(tmp_path, text)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    """Invalid UTF-8 in a CSV file is an error of ours."""
    (tmp_path / "a.csv").write_bytes(b"a\n\xff\xfe\n")
    with pytest.raises(ReferenceInvalid, match="not readable"):
        open_file(str(tmp_path / "a.csv"), Selection())


@pytest.mark.parametrize(
    ("form", "unit"),
    [
        (lambda ms: ms // 1000, None),
        (lambda ms: ms, None),
        (lambda ms: ms * 1000, None),
        (lambda ms: ms * 1_000_000, TimeUnit.NANOSECONDS),
        (lambda ms: f"{ms / 1000:.3f}", None),
        (lambda ms: datetime.fromtimestamp(ms / 1000, UTC).isoformat(), None),
        (lambda ms: datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S"), None),
        (lambda ms: datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ"), TimeUnit.RFC3339),
    ],
)
def test_times_are_read_in_every_unit(tmp_path, form, unit):
    """Seconds to nanoseconds and texts with or without offset give the same panes; the unit is guessed."""
    times = [START + row * 600_000 for row in range(50)]
    text = "ts,x\n" + "".join(f"{form(time)},{row}.5\n" for row, time in enumerate(times))
    reference = csv_of(tmp_path, text, Selection(time="ts", time_unit=unit))
    assert reference.panes.starts.tolist() == times


def test_rows_without_a_time_are_left_out(tmp_path):
    """A timed reference counts only rows that have a time."""
    reference = csv_of(tmp_path, f"ts,x\n{START},1.5\n,2.5\n{START},3.5\n", Selection(time="ts"))
    assert reference.rows == 2


@pytest.mark.parametrize(
    ("times", "unit", "error"),
    [
        (["soon", "later"], None, "unit of the event times"),
        (["17", "18"], None, "unit of the event times"),
        (["2026-01-01", "yesterday"], TimeUnit.RFC3339, "1 event times cannot be read"),
    ],
)
def test_times_that_cannot_be_read_are_refused(tmp_path, times, unit, error):
    """A unit that cannot be told, or a time that is none, is an error with the place."""
    text = "ts,x\n" + "".join(f"{time},1.5\n" for time in times)
    with pytest.raises(ReferenceInvalid, match=error):
        csv_of(tmp_path, text, Selection(time="ts", time_unit=unit))


def test_unknown_columns_get_a_suggestion(tmp_path):
    """A misspelt column names the near one."""
    with pytest.raises(ReferenceInvalid, match="did you mean 'amount'"):
        csv_of(tmp_path, "amount,x\n1,2\n", Selection(time="amuont"))


def test_unknown_files_are_refused(tmp_path):
    """A file of no known kind, or none at all, is an error with what is right."""
    with pytest.raises(ReferenceInvalid, match="no known kind"):
        open_file("data.xlsx", Selection())
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        with pytest.raises(ReferenceInvalid):
            open_file(str(tmp_path / name), Selection())


def lines_of(tmp_path, values, selection):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(values) + b"\n")
    tables = open_file(str(path), selection)
    return build(tables, model="m", name="r", features=tables.features), tables


def test_records_that_live_ingest_rejects_are_left_out(tmp_path):
    """Up to 5 % of broken records are left out and counted by reason."""
    good = [b'{"ts": %d, "x": %d.5}' % (START + row, row) for row in range(200)]
    bad = [b"not json", b"[1]", b'{"x": 1.5}', b'{"ts": %d, "x": "text"}' % START, b"\xff"]
    reference, tables = lines_of(tmp_path, good + bad, Selection(time="ts"))
    assert reference.rows == 200
    assert sum(tables.refused.values()) == 5
    assert len(tables.notes) == 4


def test_too_many_broken_records_are_an_error(tmp_path):
    """More than 5 % are an error that names the most frequent reason."""
    values = [b'{"x": 1.5}'] * 80 + [b"broken"] * 20
    with pytest.raises(ReferenceInvalid, match=r"20 of 100 records.*no JSON"):
        lines_of(tmp_path, values, Selection())


def test_only_rows_of_one_model_are_taken(tmp_path):
    """A topic of several models gives a reference of one; variants that are not judged are left out."""
    values = [
        b'{"m": "churn", "v": "champion", "x": 1.5}',
        b'{"m": "churn", "x": 2.5}',
        b'{"m": "churn", "v": "challenger", "x": 3.5}',
        b'{"m": "other", "x": 4.5}',
    ]
    only = {("m",): frozenset({"churn"}), ("v",): frozenset({"champion", None})}
    reference, _ = lines_of(tmp_path, values, Selection(only=only, exclude=frozenset({"m", "v"})))
    assert reference.rows == 2
    assert reference.features[0].maximum == 2.5


def test_arrays_and_awkward_keys_have_paths(tmp_path):
    """Elements of short arrays and keys with dots are features at their own paths."""
    values = [b'{"in": [{"data": [%d.5, 2.5]}], "a.b": {"c": 1.25}}' % row for row in range(50)]
    reference, _ = lines_of(tmp_path, values, Selection())
    assert [profile.path for profile in reference.features] == [
        ("in", 0, "data", 0),
        ("in", 0, "data", 1),
        ("a.b", "c"),
    ]
    assert reference.features[2].name == '["a.b"].c'


SPELT = st.one_of(
    st.sampled_from(["0", "-0", "00", "01", "1.", ".5", "+1", "1e400", "1e5", "1E-3", "1e1234", "-", "true", "inf", "nan"]),
    st.sampled_from(["1\n2", "1\n", "\n", " 1", "1 ", "٣", "1_000", "0x1", "9" * 31, "9" * 32, "9" * 401, "1." + "0" * 31]),
    st.integers().map(str), st.floats().map(repr), st.text(max_size=3),
)  # fmt: skip


@given(st.lists(SPELT, max_size=4))
def test_csv_types_do_not_depend_on_how_they_are_found(tokens):
    """Many tokens at once are what they are one by one, also with line ends and foreign digits in them."""
    found = csv_file._Type()
    found.add(tokens)
    is_number = all(map(csv_file._is_number, tokens))
    assert found.empty == (not tokens)
    assert found.number == is_number
    assert found.integer == (is_number and all(map(csv_file._is_integer, tokens)))
    assert found.boolean == (set(tokens) <= csv_file._BOOLEANS.keys())
