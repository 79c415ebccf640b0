"""Records of one shape after the other: what is learnt from one, and that nothing else follows it."""

from __future__ import annotations

import random

import numpy as np
import pytest

from kernels import program as p
from kernels.scan import TILE
from kernels.words import PADDING
from monitor.columns import Batch
from monitor.intake.packed import Packed
from tests.intake.mutate import PLACE, START, alike, decoders, documents, schemas
from tests.intake.same import differences

TEXT = b'{"ts":1767225600000,"features":{"f0":%s,"f1":%s,"f2":%s,"f3":1.5,"f4":-2,"f5":0.25}}'


def template(decoder) -> np.ndarray:
    """What the scanner of the first model has learnt."""
    return next(iter(decoder._scanners.values()))._tokens.program.templates


def records(*numbers: str) -> list[bytes]:
    """A record for each of these, which stands three times in it."""
    return [TEXT % ((number.encode(),) * 3) for number in numbers]


def packed(values: list[bytes]) -> Packed:
    sizes = np.array([len(value) for value in values], np.int64)
    ends = np.cumsum(sizes + 1) - 1
    data = np.frombuffer(b"\n".join([*values, bytes(PADDING)]), np.uint8)
    return Packed(data, ends - sizes, ends)


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("seed", range(2))
def test_records_alike_are_read_as_without_a_scanner(which, seed):
    """Shapes in runs of any length, odd values and broken records among them; the seed is in the name."""
    fast, slow = decoders(*schemas()[which])
    rng = random.Random(seed)
    source = documents(rng, which)
    for _ in range(40):
        values = [value for _ in range(3) for value in alike(rng, next(source), rng.choice((1, 9, 300)))]
        assert differences(fast, slow, values)[0] == []


def test_records_of_one_shape_follow_the_template():
    """All but the first and those that are left over at the end of a tile."""
    fast, slow = decoders(*schemas()[0])
    values = records(*(f"{number / 64:.4f}" for number in range(2 * TILE + 7)))
    assert differences(fast, slow, values) == ([], 0)
    assert len(values) - 16 <= template(fast)[p.TEMPLATE_HITS] < len(values)


def test_packed_records_are_read_where_they_lie():
    """The same rows as from values that lie apart, at any beginning and end."""
    fast, _ = decoders(*schemas()[0])
    values = records(*(f"{number / 64:.4f}" for number in range(3_000)))
    none: list[None] = [None] * len(values)
    stamps, offsets = np.full(len(values), START), np.arange(len(values))
    apart = fast.scan(Batch(PLACE, values, none, none, offsets, stamps)).columns[0]
    whole = packed(values)
    for low, high in ((0, 3_000), (1, 6), (1_000, 2_991)):
        part = Batch(
            PLACE, whole[low:high], none[low:high], none[low:high], offsets[low:high], stamps[low:high]
        )
        found = fast.scan(part).columns[0]
        assert np.array_equal(found.values, apart.values[:, low:high])
        assert found.offsets.tolist() == list(range(low, high))


@pytest.mark.parametrize(
    "odd",
    ["1e5", "-1.5E-7", "123456789012", "0.30000000000000004", "null", "-0", "-0.0", "01", "1.", ".5", "-", "true", "1.5.5",
     "12345.6789", "-12345678", "-123456789", "é", "1 ", " 1", '"7"', "[]", "", "1\n"],
)  # fmt: skip
def test_one_number_that_is_not_plain_is_read_as_it_is(odd):
    """Wherever it stands among plain ones, and also where the plain ones come after it."""
    fast, slow = decoders(*schemas()[0])
    for at in (0, 5, 38, 39):
        plain = [f"{number}.25" for number in range(40)]
        values = records(*plain[:at], odd, *plain[at:])
        assert differences(fast, slow, values * 2)[0] == []


def test_a_column_of_long_numbers_is_read_with_care_from_then_on():
    """What is seldom plain is not tried again and again; the others are."""
    fast, slow = decoders(*schemas()[0])
    values = [TEXT % (b"0.30000000000000004", b"1.5", b"7") for _ in range(5 * TILE)]
    assert differences(fast, slow, values) == ([], 0)
    steps = template(fast)[p.TEMPLATE_COLUMNS :].reshape(-1)[: 7 * p.STEP_COLUMNS].reshape(7, p.STEP_COLUMNS)
    kinds = steps[:, p.STEP_KIND].tolist()
    assert kinds.count(p.CAREFUL) == 1
    assert kinds.count(p.NUMBER) == 5


def test_one_odd_number_in_thousands_does_not_make_a_column_slow():
    """It is read once more by itself, and those behind it still follow as plain ones."""
    fast, slow = decoders(*schemas()[0])
    values = records(*(f"{number / 64:.4f}" for number in range(3 * TILE)))
    for at in (5, TILE - 1, TILE, 2 * TILE + 500):
        values[at] = records("1e-05")[0]
    assert differences(fast, slow, values) == ([], 0)
    learnt = template(fast)
    steps = p.TEMPLATE_COLUMNS + p.STEP_COLUMNS * np.arange(learnt[p.TEMPLATE_STEPS])
    assert p.CAREFUL not in learnt[steps + p.STEP_KIND].tolist()


def test_shapes_that_take_turns_are_learnt_ever_more_rarely():
    """Each record would cost its learning; the rows are right whatever was learnt."""
    fast, slow = decoders(*schemas()[0])
    other = b'{"features":{"f1":%d},"ts":1767225600000}'
    values = [record for number in range(1_000) for record in (*records(str(number)), other % number)]
    assert differences(fast, slow, values) == ([], 0)
    assert template(fast)[p.TEMPLATE_PATIENCE] > 100


def test_keys_may_be_longer_than_what_is_compared_at_once():
    """A key of 200 bytes, and text of more than one word before a number."""
    fast, slow = decoders(*schemas()[0])
    for key in (b"k" * 20, b"k" * 40, b"k" * 200, "ключ".encode() * 9):
        text = b'{"ts":1767225600000,"%s":1,"features":{"f0":%%d,"f1":%%d}}' % key
        values = [text % (number, -number) for number in range(100)]
        spoilt = [value.replace(b"k" * 20, b"k" * 19 + b"j", 1) for value in values[:20]]
        assert differences(fast, slow, values + spoilt + values) == ([], 0)


@pytest.mark.parametrize("unread", [72, 73, 74, 75, 200])
def test_a_record_of_more_values_than_there_is_room_for_has_all_of_them_read(unread):
    """80 are learnt at most, here 7 that are read behind others; what they end with is the same in each record."""
    fast, slow = decoders(*schemas()[0])
    assert next(iter(fast._scanners.values()))._tokens.program.settings[p.STEPS] == 80
    keys = b",".join(b'"k%d":%d' % (number, number) for number in range(unread))
    for _ in range(2):
        assert differences(fast, slow, [b"{%s," % keys + TEXT[1:] % (b"1.5", b"-2", b"7")] * 50) == ([], 0)


@pytest.mark.parametrize("count", [3, 300])
def test_a_record_of_more_text_than_there_is_room_for_has_all_of_its_values_read(count):
    """No template is made of it; others follow one after it."""
    fast, slow = decoders(*schemas()[0])
    long = b'{"u":1,' + b" " * 64 * 80 + TEXT[1:] % (b"1.5", b"-2", b"7")
    short = records(*map(str, range(1_000)))
    assert differences(fast, slow, [long] * count + short) == ([], 0)


def test_categories_that_were_forgotten_are_told_apart_anew(monkeypatch):
    """Templates and lists of recent tokens name entries; those mean others once all are forgotten."""
    monkeypatch.setattr(p, "MOST_ENTRIES", 50)
    fast, slow = decoders(*schemas()[1])
    text = b'{"at":"2026-01-01T00:00:00Z","version":"%d","in":{"colour":"%s","listed":"%s"}}'
    for batch in range(6):
        values = [text % (batch + n % 3, b"c%d" % (n * batch), (b"red", b"12")[n % 2]) for n in range(200)]
        assert differences(fast, slow, values)[0] == []
