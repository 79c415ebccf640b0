from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from kernels.layout import FIRST_BIN, MISSING, NOVEL
from monitor.errors import IntakeError
from monitor.intake.decode import Decoder
from monitor.names import Reason
from monitor.plan import Kind, SegmentPlan, TimeUnit
from tests.intake.records import GOOD, NOW, batch, decoder, feature, model, named, reference, scan, source


def refused(value, **rest):
    """The one reject of a record, which its good neighbours survive."""
    columns, rejects = scan(GOOD, value, GOOD, **rest)
    assert columns.index.tolist() == [0, 2]
    (reject,) = rejects
    assert reject.index == 1
    return reject


def test_a_good_record_becomes_a_row():
    """Numbers, categories, booleans and the time stand where the layout wants them."""
    columns, _ = scan(GOOD)
    assert columns.values.tolist() == [[41.5], [0.25]]
    assert columns.codes.tolist() == [[FIRST_BIN], [FIRST_BIN + 1]]
    assert (columns.events.tolist(), columns.offsets.tolist()) == ([NOW], [100])
    assert columns.groups == (("", "champion"),)
    assert columns.values.flags.c_contiguous
    assert columns.codes.flags.c_contiguous


@pytest.mark.parametrize(
    "text", [b"{}", b'{"features":null}', b'{"features":{}}', b'{"features":{"age":null}}']
)
def test_absent_and_null_features_are_missing(text):
    """A feature that is absent, null or inside something absent is missing, not a reject."""
    columns, rejects = scan(text, time=())
    assert rejects == ()
    assert np.isnan(columns.values).all()
    assert columns.codes.tolist() == [[MISSING], [MISSING]]


@pytest.mark.parametrize(
    ("text", "slot", "novel"),
    [
        ("Rome", FIRST_BIN, None),
        (7, FIRST_BIN + 1, None),
        (7.0, FIRST_BIN + 1, None),
        ("7", FIRST_BIN + 1, None),
        (1, FIRST_BIN + 2, None),
        (1.0, FIRST_BIN + 2, None),
        (True, FIRST_BIN + 3, None),
        (False, NOVEL, "false"),
        (0, NOVEL, "0"),
        (8, NOVEL, "8"),
        (7.5, NOVEL, "7.5"),
        ("Oslo", NOVEL, "Oslo"),
        (10**22, NOVEL, "10000000000000000000000"),
        ("x" * 300, NOVEL, None),
    ],
)
def test_categories_are_told_apart_by_their_canonical_text(text, slot, novel):
    """1, 1.0 and "1" are one category and true another, although Python calls them equal."""
    columns, _ = scan(json.dumps({"ts": NOW, "features": {"city": text}}).encode())
    assert columns.codes[0, 0] == slot
    if slot != NOVEL:
        assert named(columns) == {}
    elif novel is not None:
        assert named(columns) == {0: {0: novel}}
    else:
        (name,) = named(columns)[0].values()
        assert len(name) == 256


def test_novel_categories_are_named_by_their_row():
    """Rows of novel categories count from the start of the accepted rows, over chunk borders."""
    values = [b'{"ts":1,"features":{"city":"%s"}}' % (b"Rome" if i % 3 else b"n%d" % i) for i in range(1500)]
    values[1] = b"broken"
    columns, rejects = scan(*values)
    assert len(rejects) == 1
    expected = {i - (i > 1): f"n{i}" for i in range(0, 1500, 3)}
    assert named(columns) == {0: expected}


@pytest.mark.parametrize(
    ("value", "reason", "words"),
    [
        (None, Reason.DECODE, "null value"),
        (b"", Reason.DECODE, "0 bytes"),
        (b"   ", Reason.DECODE, "truncated"),
        (b"not json", Reason.DECODE, "malformed"),
        (b'{"ts":1', Reason.DECODE, "truncated"),
        (b'{"ts":1}{}', Reason.DECODE, "trailing"),
        (b"\xef\xbb\xbf{}", Reason.DECODE, "malformed"),
        (b'{"ts":1,"other":"\xff"}', Reason.DECODE, "UTF-8"),
        (b'{"ts":1,"\xc3":2}', Reason.DECODE, "UTF-8"),
        (b'{"ts":1,"features":{"city":"\xed\xa0\x80"}}', Reason.DECODE, "UTF-8"),
        (b'{"ts":1,"features":{"city":"\\ud800"}}', Reason.DECODE, "valid JSON"),
        (b'{"ts":1,"features":{"age":NaN}}', Reason.DECODE, "NaN is not JSON"),
        (b'{"ts":1,"other":[NaN]}', Reason.DECODE, "NaN is not JSON"),
        (b'{"ts":1,"features":{"age":Infinity}}', Reason.DECODE, "Infinity is not JSON"),
        (b'{"ts":1,"features":{"age":-Infinity}}', Reason.DECODE, "Infinity is not JSON"),
        (b'{"ts":1,"features":{"age":1e999}}', Reason.WRONG_TYPE, "$.features.age"),
        (b'{"ts":1,"features":{"age":' + b"9" * 400 + b"}}", Reason.WRONG_TYPE, "$.features.age"),
        (b'{"ts":1,"features":{"city":' + b"9" * 5000 + b"}}", Reason.WRONG_TYPE, "$.features.city"),
        (b'{"ts":1,"features":{"age":"41"}}', Reason.WRONG_TYPE, "$.features.age"),
        (b'{"ts":1,"features":{"age":true}}', Reason.WRONG_TYPE, "$.features.age"),
        (b'{"ts":1,"features":{"age":[1]}}', Reason.WRONG_TYPE, "$.features.age"),
        (b'{"ts":1,"features":{"city":{"a":1}}}', Reason.WRONG_TYPE, "$.features.city"),
        (b'{"ts":1,"features":{"member":1}}', Reason.WRONG_TYPE, "$.features.member"),
        (b'{"ts":1,"features":[1,2]}', Reason.WRONG_TYPE, "$.features"),
        (b'{"ts":[1]}', Reason.WRONG_TYPE, "$.ts"),
        (b"[]", Reason.WRONG_TYPE, "array"),
        (b"17", Reason.WRONG_TYPE, "int"),
        (b"null", Reason.WRONG_TYPE, "null"),
        (b'"text"', Reason.WRONG_TYPE, "str"),
        (b"{}", Reason.MISSING_FIELD, "ts"),
        (b'{"ts":null}', Reason.MISSING_FIELD, "ts"),
        (b'{"ts":"soon"}', Reason.BAD_TIME, "ts"),
        (b'{"ts":-1}', Reason.BAD_TIME, "ts"),
        (b'{"ts":1700000000000000}', Reason.BAD_TIME, "plausible as us"),
        (b'{"ts":' + b"9" * 400 + b"}", Reason.BAD_TIME, "ts"),
        (b'{"ts":1,"ts":2}', Reason.DUPLICATE_KEY, "'ts'"),
        (b'{"ts":1,"other":{"a":1,"\\u0061":2}}', Reason.DUPLICATE_KEY, "'a'"),
        (b'{"ts":1,"x":' + b"[" * 70 + b"]" * 70 + b"}", Reason.DEPTH, "max_depth"),
        (b"[" * 1_000_000, Reason.DEPTH, "max_depth"),
        (b'{"a":' * 200_000, Reason.DEPTH, "max_depth"),
        (b'{"ts":1,"x":"' + b"x" * 10_000_000 + b'"}', Reason.OVERSIZE, "max_bytes"),
    ],
)
def test_bad_records_are_rejected_with_their_reason(value, reason, words):
    """Every bad input has its reason and says where it is wrong, and its neighbours become rows."""
    reject = refused(value)
    assert reject.reason is reason
    assert words in reject.detail
    assert reject.model == "m"


def test_details_hold_no_values():
    """What a record contains does not leak into logs and headers."""
    for value in (b'{"ts":1,"features":{"age":"secret"}}', b'{"ts":"secret"}', b'{"ts":1,"x":secret}'):
        assert "secret" not in refused(value).detail


def test_deep_nesting_within_a_generous_limit_is_still_no_recursion_error():
    """A limit above what the decoder can follow does not let it raise."""
    deep = b'{"ts":1,"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    assert refused(deep, max_depth=100_000).reason is Reason.DEPTH


def test_escaped_keys_that_differ_are_no_duplicates():
    """A key with an escape is suspect, not guilty."""
    columns, rejects = scan(b'{"ts":1,"x\\u0061":1,"xb":2,"features":{"age":3,"a\\"":1}}')
    assert rejects == ()
    assert columns.values[0, 0] == 3


def test_records_of_thousands_of_keys_are_read():
    """The key table grows with the records, and repeated keys are found before and after."""
    wide = {f"k{i}": i for i in range(3000)}
    value = json.dumps({"ts": NOW, **wide}).encode()
    again = value[:-1] + b',"k7":0}'
    gate = decoder()
    for _ in range(4):
        scanned = gate.scan(batch([value, again, value]))
        assert [(r.index, r.reason) for r in scanned.rejects] == [(1, Reason.DUPLICATE_KEY)]


def test_paths_reach_into_arrays():
    """inputs[0].data[3] reads one element, shorter arrays leave it missing, the others are skipped."""
    features = (feature("a", path=("inputs", 0, "data", 3)), feature("b", path=("inputs", 0, "data", 1)))
    columns, rejects = scan(
        b'{"inputs":[{"data":["x",2,{"y":1},4.5,null],"name":"t"},7]}',
        b'{"inputs":[{"data":["x",2]}]}',
        b'{"inputs":[]}',
        b'{"inputs":{"data":1}}',
        features=features,
        time=(),
    )
    assert np.array_equal(columns.values, [[4.5, np.nan, np.nan], [2, 2, np.nan]], equal_nan=True)
    assert [r.reason for r in rejects] == [Reason.WRONG_TYPE]


def test_records_that_are_arrays_are_read_by_index():
    """A path that begins with an index reads arrays at the top."""
    columns, rejects = scan(b"[1,2.5]", b'{"a":1}', features=(feature("b", path=(1,)),), time=())
    assert columns.values.tolist() == [[2.5]]
    assert rejects[0].reason is Reason.WRONG_TYPE


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5", 1.5),
        (" -2e3 ", -2000.0),
        ("", None),
        (None, None),
        (3, 3.0),
        ("NaN", None),
        ("-Infinity", -np.inf),
    ],
)
def test_numbers_in_strings_are_read_where_allowed(text, value):
    """Texts that spell a number are the number, empty ones are missing, NaN is missing."""
    features = (feature("age", numbers_in_strings=True),)
    columns, _ = scan(json.dumps({"ts": NOW, "features": {"age": text}}).encode(), features=features)
    assert np.array_equal(columns.values[0, 0], np.nan if value is None else value, equal_nan=True)


@pytest.mark.parametrize("text", ["1_000", "0x10", "one", "1,5", "١", "1e5x", "nano", "9" * 500])
def test_texts_that_spell_no_number_are_of_the_wrong_type(text):
    """Python's own spellings of numbers are not those of data."""
    features = (feature("age", numbers_in_strings=True),)
    _, (reject,) = scan(json.dumps({"ts": NOW, "features": {"age": text}}).encode(), features=features)
    assert reject.reason is Reason.WRONG_TYPE
    assert "features.age" in reject.detail


@pytest.mark.parametrize(
    ("unit", "written", "event"),
    [
        (TimeUnit.SECONDS, "1700000000", NOW),
        (TimeUnit.SECONDS, "1700000000.123", NOW + 123),
        (TimeUnit.SECONDS, '"1700000000.123"', NOW + 123),
        (TimeUnit.MILLISECONDS, "1700000000123.999", NOW + 123),
        (TimeUnit.MICROSECONDS, "1700000000123999", NOW + 123),
        (TimeUnit.NANOSECONDS, "1700000000123999999", NOW + 123),
        (TimeUnit.NANOSECONDS, '"1700000000123999999"', NOW + 123),
        (TimeUnit.RFC3339, '"2023-11-14T22:13:20Z"', NOW),
        (TimeUnit.RFC3339, '"2023-11-14T23:13:20.1239999999+01:00"', NOW + 123),
    ],
)
def test_event_times_are_read_in_their_unit(unit, written, event):
    """Seconds to nanoseconds and RFC 3339, to the millisecond, rounded down."""
    columns, _ = scan(f'{{"ts":{written}}}'.encode(), time_unit=unit)
    assert columns.events.tolist() == [event]


def test_without_a_time_path_the_record_timestamp_is_the_event_time():
    """A record without a timestamp then has no time at all."""
    columns, rejects = scan(b"{}", b"{}", b"{}", time=(), timestamps=[NOW, -1, 0])
    assert columns.events.tolist() == [NOW, 0]
    assert columns.timestamps.tolist() == [NOW, 0]
    assert [(r.index, r.reason) for r in rejects] == [(1, Reason.MISSING_FIELD)]


def test_without_a_reference_every_category_is_novel():
    """That is how a reference is built from the same decoder."""
    reader = Decoder(source(), {"m": model()}, {"m": None})
    (columns,) = reader.scan(batch([GOOD])).columns
    assert named(columns) == {0: {0: "Rome"}, 1: {0: "true"}}
    assert columns.values.tolist() == [[41.5], [0.25]]


def test_an_empty_batch_gives_empty_columns():
    """Nothing in, nothing out, with the right shapes."""
    columns, rejects = scan()
    assert (len(columns), rejects) == (0, ())
    assert columns.values.shape == (2, 0)
    assert columns.codes.shape == (2, 0)


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ({"models": ("a", "b")}, "set model:"),
        ({"time": ("features",)}, "as a value and as an object"),
        ({"time": ("features", 0)}, "as an object and as an array"),
        ({"time": ("x", 70_000)}, "out of range"),
        ({"time": ('a"b',)}, "quotes"),
        ({"time": ("a\\b",)}, "backslashes"),
        ({"model": ("features",)}, "as a value and as an object"),
        ({"model": ("ts", "model")}, "as a value and as an object"),
        ({"model": ("features", 0)}, "as an object and as an array"),
    ],
)
def test_plans_that_cannot_be_read_are_refused(rest, words):
    """Contradictions are found when the decoder is built, not with the first record."""
    with pytest.raises(IntakeError, match=words):
        Decoder(source(**rest), {"m": model(), "a": model("a"), "b": model("b")}, {})


def test_rows_say_which_segments_they_belong_to():
    """A hidden column has the codes of its own values, whatever slots a feature of the same path has, names
    nothing, and is no feature."""
    segments = (
        SegmentPlan("city", ("features", "city"), values=("7", "Oslo")),
        SegmentPlan("member", ("features", "member"), Kind.BOOLEAN, values=("false", "true")),
        SegmentPlan("shop", ("shop",), values=("a", "b")),
    )
    own = Decoder(source(), {"m": replace(model(), segments=segments)}, {"m": reference()})
    records = [
        GOOD,
        b'{"ts":1700000000000,"features":{"age":1,"city":"Oslo","member":false},"shop":"b"}',
        b'{"ts":1700000000000,"features":{"city":7},"shop":"z"}',
        b'{"ts":1700000000000}',
    ]
    for is_active in (True, False):
        own.use_scanner(active=is_active)
        (columns,) = own.scan(batch(records)).columns
        assert columns.segments.tolist() == [
            [NOVEL, FIRST_BIN + 1, FIRST_BIN, MISSING],
            [FIRST_BIN + 1, FIRST_BIN, MISSING, MISSING],
            [MISSING, FIRST_BIN + 1, NOVEL, MISSING],
        ]
        plain, _ = scan(*records)
        assert columns.codes.tolist() == plain.codes.tolist()
        assert columns.codes.flags.c_contiguous
        assert named(columns) == named(plain) == {0: {1: "Oslo"}}
