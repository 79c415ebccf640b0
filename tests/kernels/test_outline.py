from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.outline import DEEP, NON_ASCII, REPEATED, WIDE, outline


def flags_of(records, *, max_depth=64, table=1024, stack=64):
    sizes = np.array([len(record) for record in records], np.int64)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    owners, hashes = np.full(table, -1), np.zeros(table, np.uint64)
    flags = np.zeros(len(records), np.uint8)
    data = np.frombuffer(b"".join(records), np.uint8)
    outline(owners, hashes, np.zeros(stack, np.int64), data, starts, ends, max_depth, flags)
    return flags.tolist()


def naive_depth(value):
    if isinstance(value, Pairs):
        return 1 + max((naive_depth(item) for _, item in value.items), default=0)
    if isinstance(value, list):
        return 1 + max(map(naive_depth, value), default=0)
    return 0


def naive_repeats(value):
    if isinstance(value, Pairs):
        keys = [key for key, _ in value.items]
        return len(set(keys)) < len(keys) or any(naive_repeats(item) for _, item in value.items)
    return isinstance(value, list) and any(map(naive_repeats, value))


class Pairs:
    def __init__(self, items):
        self.items = items


def naive(text):
    """The twin: depth and repeated keys from a parsed tree."""
    tree = json.loads(text, object_pairs_hook=Pairs)
    return naive_depth(tree), naive_repeats(tree)


def dump(value, escape):
    """JSON of nested pairs; unlike json.dumps it can repeat a key and escape a plain letter."""
    if isinstance(value, Pairs):
        inner = ", ".join(f"{spell(key, escape)} : {dump(item, escape)}" for key, item in value.items)
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{','.join(dump(item, escape) for item in value)}]"
    return json.dumps(value, ensure_ascii=escape)


def spell(key, escape):
    return '"' + "".join(f"\\u{ord(c):04x}" for c in key) + '"' if escape else json.dumps(key)


leaves = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(['"{', "}]", "\\", ","])
)
keys = st.sampled_from(["a", "b", "ab", "ba", "", "é", 'q"', "{", "a,b"])
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.lists(st.tuples(keys, inner), max_size=4).map(Pairs),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(trees, st.booleans()), min_size=1, max_size=5))
def test_flags_agree_with_the_parsed_tree(items):
    """Depth is exact and no repeated key is missed, for every record of a batch."""
    texts = [dump(tree, escape) for tree, escape in items]
    for text, flag in zip(texts, flags_of([text.encode() for text in texts]), strict=True):
        depth, repeats = naive(text)
        assert not flag & DEEP
        assert flag & REPEATED or not repeats
        assert repeats or not flag & REPEATED or "\\" in text
        assert bool(flag & NON_ASCII) == (not text.isascii())
        for limit in range(4):
            (limited,) = flags_of([text.encode()], max_depth=limit)
            assert bool(limited & DEEP) == (depth > limit)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=40) | st.text('{}[]",:\\a1', max_size=40).map(str.encode), max_size=6))
def test_any_bytes_are_survived(records):
    """Whatever the bytes, the pass ends, and a record's flags do not depend on its neighbours."""
    together = flags_of(records, stack=4, max_depth=4, table=8)
    assert together == [flags_of([record], stack=4, max_depth=4, table=8)[0] for record in records]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (b'{"a":[{"b":1,"b":2}]}', REPEATED),
        (b'{"a":{"b":1},"b":{"a":1}}', 0),
        (b'[{"a":1},{"a":1}]', 0),
        (b'{"a":"a","b":["a","a"]}', 0),
        (b'{"a":1,"\\u0061":2}', REPEATED),
        (b'{"a":"\\"","b":"{\\\\"}', 0),
        (b'{"x":"\xc3\xa9"}', NON_ASCII),
        (b'{"x":"\\\xc3"}', NON_ASCII),
        (b"", 0),
        (b'{"a', 0),
        (b'{"a\\', REPEATED),
        (b"]]]}}}", 0),
        (b"[" * 65, DEEP),
    ],
)
def test_flags_of_known_records(record, expected):
    """Each kind of fault sets its own flag, and what only looks like one sets none."""
    assert flags_of([record]) == [expected]


def test_wide_records_say_that_not_all_keys_were_compared():
    """More keys than half the table hold set WIDE, so that somebody else compares them."""
    wide = json.dumps({str(number): 0 for number in range(600)}).encode()
    assert flags_of([wide, b'{"a":1}']) == [WIDE, 0]
    assert flags_of([wide], table=2048) == [0]


def test_keys_that_differ_only_in_the_end_are_told_apart():
    """Ten thousand numbered keys give no false alarm."""
    many = json.dumps({f"feature_{number:05d}": 0 for number in range(10_000)}).encode()
    assert flags_of([many], table=1 << 15) == [0]
