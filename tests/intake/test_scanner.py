from __future__ import annotations

import dataclasses
import json
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.fuzz import fuzz
from kernels import program as p
from monitor.intake.decode import Decoder
from monitor.intake.program import build_program
from monitor.intake.scanner import scanner_of
from monitor.intake.tokens import Tokens
from monitor.plan import FeaturePlan, Kind
from tests.intake import mutate as made
from tests.intake.mutate import decoders, documents, mutate, schemas
from tests.intake.same import batch_of, differences

SUITE = Path(__file__).with_name("json_test_suite.zip")
ROOT = Path(__file__).parents[2]


def pair(which: int = 0):
    return decoders(*schemas()[which])


def corpus() -> dict[str, bytes]:
    """Nicolas Seriot's JSON parsing test suite, MIT licence (in the file)."""
    with zipfile.ZipFile(SUITE) as suite:
        return {name: suite.read(name) for name in suite.namelist() if name.endswith(".json")}


@pytest.mark.parametrize("seed", range(3))
def test_mutated_records_are_read_as_without_the_scanner(seed):
    """Columns, rejects and reasons equal those of msgspec and the standard library; seed in the name."""
    done, declined = fuzz(12_000, seed)
    assert declined < done


def fuzzed(records: int, **mode: str) -> None:
    """The fuzz in another mode of the compiler, which is a matter of the process."""
    command = [sys.executable, "-m", "bench.fuzz", "--records", str(records), "--seed", "7"]
    environment = {**os.environ, **mode, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=230, check=False
    )
    assert (done.returncode, "no difference" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.night
def test_no_bytes_lead_out_of_bounds():
    """The same with every index checked: a load beyond its array would be an error."""
    fuzzed(12_000, DRIFTLINE_BOUNDSCHECK="1")


@pytest.mark.slow
def test_nothing_depends_on_the_compiler():
    """The kernels read the same as plain Python."""
    fuzzed(2_000, NUMBA_DISABLE_JIT="1")


def test_the_json_test_suite_is_taken_and_refused_as_msgspec_does():
    """As a record, and as an unread value of one; with white space around it."""
    fast, slow = pair()
    documents = list(corpus().values())
    assert len(documents) > 300
    wrapped = [
        b'{"ts":1767225600000,"unread":' + document + b',"features":{"f0":1}}' for document in documents
    ]
    inner = [b'{"ts":1767225600000,"features":' + document + b"}" for document in documents]
    number = [b'{"ts":1767225600000,"features":{"f0":' + document + b"}}" for document in documents]
    values = [*documents, *wrapped, *inner, *number, *(b" \n" + value + b"\t\r" for value in wrapped)]
    assert differences(fast, slow, values)[0] == []
    scanned = fast.scan(batch_of(wrapped))
    taken = {wrapped[row] for row in scanned.columns[0].index.tolist()}
    names = list(corpus())
    assert all(wrapped[at] not in taken for at, name in enumerate(names) if name.startswith("n_"))


def test_usual_records_are_not_declined(monkeypatch):
    """Any order of fields, any white space, unread fields, text in other scripts, escapes."""
    monkeypatch.setattr(made, "number", lambda rng: f"{rng.gauss(0, 3):.{rng.randint(1, 16)}f}")
    fast, slow = pair(1)
    rng = random.Random(5)
    source = documents(rng, 1)
    values = [next(source) for _ in range(2_000)]
    found, declined = differences(fast, slow, values)
    assert found == []
    assert declined == 0


def test_absent_and_null_fields_are_missing():
    """Of every kind, wherever they stand; arrays may be shorter, objects may be null."""
    fast, slow = pair(1)
    at = '"at":"2026-01-01T00:00:00Z"'
    values = [
        f"{{{at}{rest}}}".encode()
        for rest in (
            "", ',"out":null', ',"out":{}', ',"out":{"score":null,"ms":null}', ',"in":{"colour":null,"flag":null}',
            ',"inputs":[]', ',"inputs":[null]', ',"inputs":[{"data":[1,2]}]', ',"inputs":[{"data":null}]',
            ',"inputs":[{"data":[null,0,0,null]},5]', ',"error":null', ',"version":null,"variant":null',
            ',"in":{"embedding":null}', ',"in":{"embedding":[1,2,3]}', ',"in":{"embedding":[1,2]}', ',"in":{"text":null}',
        )
    ]  # fmt: skip
    found, declined = differences(fast, slow, values)
    assert (found, declined) == ([], 1)


def test_a_key_is_taken_once_whatever_order_was_learnt():
    """Orders and bytes between values are guessed from the last record; a guess never hides a fault."""
    fast, slow = pair()
    one = b'{"ts":1767225600000,"features":{"f0":1,"f1":2}}'
    values = [
        one, b'{"ts":1767225600000,"features":{"f1":2,"f0":1}}', one,
        b'{"ts":1767225600000,"features":{"f0":1,"f1":2,"f0":3}}', b'{"ts":1767225600000,"features":{"f0":1"f1":2}}',
        b'{,"ts":1767225600000}', b'{"ts":1767225600000,"features":{"f0":1},"features":{"f1":2}}',
        b'{"ts":1767225600000,"x":1,"x":2}', b'{"ts":1767225600000,"x":{"y":1,"y":2}}', b'{"ts":1767225600000,"features":{"f0":1,}}',
        b'{"ts":1767225600000}}', b'{"ts":1767225600000} {}', b'{"ts":1767225600000', b'"ts":1767225600000}', one,
    ]  # fmt: skip
    assert differences(fast, slow, values * 3)[0] == []


def test_records_of_several_models_are_told_apart():
    """The model's name may come last; unknown ones, null and none at all are rejected."""
    fast, slow = pair(2)
    values = [
        b'{"model":"m","ts":1767225600,"features":{"f0":1}}', b'{"ts":1767225600,"x":1,"model":"other"}',
        b'{"model":"nobody","ts":1767225600}', b'{"model":null,"ts":1767225600}', b'{"ts":1767225600}',
        b'{"model":"other","ts":1767225600,"c":"red"}', b'{"model":7,"ts":1767225600}',
    ]  # fmt: skip
    for chosen in (values, values[::-1], [values[1], *values], [values[5]] * 3):
        assert differences(fast, slow, chosen)[0] == []


def test_unread_keys_without_end_are_forgotten_in_time():
    """A producer that puts ids into keys fills the memory for keys; it is emptied, and nothing is lost."""
    fast, slow = pair()
    for round_ in range(3):
        values = [
            f'{{"ts":1767225600000,"id{round_}_{at}":1,"features":{{"f0":{at}}}}}'.encode()
            for at in range(p.LEARNT + 50)
        ]
        assert differences(fast, slow, values)[0] == []


def test_categories_without_end_are_forgotten_in_time(monkeypatch):
    """More of them than are remembered, in one batch and over several."""
    monkeypatch.setattr(p, "MOST_ENTRIES", 100)
    fast, slow = pair(1)
    for round_ in range(3):
        values = [
            f'{{"at":"2026-01-01T00:00:00Z","in":{{"colour":"c{round_}{at}","listed":"l{at}"}},"version":"{at}"}}'.encode()
            for at in range(300)
        ]
        assert differences(fast, slow, values)[0] == []


def test_categories_of_the_reference_are_never_too_many(monkeypatch):
    """Those of wide models are more than are remembered besides: nothing is gained by forgetting them."""
    monkeypatch.setattr(p, "MOST_ENTRIES", 5)
    monkeypatch.setattr(p, "MOST_TEXT", 20)
    program = build_program([], max_bytes=1, max_depth=1, divisor=1, factor=1)
    tokens = Tokens(program, [[lambda _: (7, None)]])
    for number in range(20):
        tokens.know(0, b"%d" % number)
    known = tokens.program
    tokens.trim()
    assert tokens.program is known


def test_large_records_are_scanned_in_smaller_chunks():
    """A chunk ends after a megabyte; records beyond the limit are rejected as ever."""
    fast, slow = pair()
    filler = "x" * 300_000
    values = [
        f'{{"ts":1767225600000,"filler":"{filler}","features":{{"f0":{at}}}}}'.encode() for at in range(12)
    ]
    values[3] = b'{"ts":1767225600000,"filler":"' + b"y" * (1 << 20) + b'"}'
    assert differences(fast, slow, [*values, None, b""])[0] == []


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_rows_do_not_depend_on_where_batches_end(size):
    """Nor on what was learnt before: a fresh scanner and an experienced one read the same."""
    rng = random.Random(9)
    for which in range(3):
        fast, slow = pair(which)
        source = documents(rng, which)
        values = [mutate(rng, next(source)) if at % 5 == 0 else next(source) for at in range(1_000)]
        for first in range(0, len(values), size):
            assert differences(fast, slow, values[first : first + size])[0] == []


def test_a_path_that_is_read_in_two_ways_leaves_the_scanner_out():
    """As a number and as a category, say: one pass gives one of them, so the other decoder reads all."""
    source, models = schemas()[0]
    plan = models["m"]
    twice = plan.features[0].__class__("again", plan.features[0].path, plan.features[0].kind.CATEGORICAL)
    both = plan.__class__(**{
        **{name: getattr(plan, name) for name in plan.__dataclass_fields__}, "features": (*plan.features, twice),
    })  # fmt: skip
    assert scanner_of(source, both, None) is None


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_no_vector_is_read_deeper_than_records_may_be(depth):
    """An array is a level as an object is, also where the schema asks for it."""
    source, models = schemas()[0]
    features = (
        FeaturePlan("v", ("v",), Kind.VECTOR, length=2), FeaturePlan("w", ("a", "w"), Kind.VECTOR, length=2),
    )  # fmt: skip
    plan = dataclasses.replace(models["m"], features=features)
    fast, slow = decoders(dataclasses.replace(source, max_depth=depth), {"m": plan})
    values = [
        f'{{"ts":1767225600000{rest}}}'.encode()
        for rest in ("", ',"v":[1,2]', ',"a":{}', ',"a":{"w":[1,2]}', ',"a":{"w":null}', ',"a":{"x":[[]]}')
    ]
    assert differences(fast, slow, values)[0] == []


def test_records_that_are_arrays_are_left_to_the_other_decoder():
    """A path may begin with an index; braces around elements are no record then either."""
    source, models = schemas()[0]
    features = (FeaturePlan("x", (1,), Kind.NUMERIC), FeaturePlan("y", (2, "y"), Kind.NUMERIC))
    plan = dataclasses.replace(models["m"], features=features)
    fast, slow = decoders(dataclasses.replace(source, time=(0,)), {"m": plan})
    values = [b'{1,2,{"y":3}]', b'[1,2,{"y":3}]', b"[1,2,3]", b"{1,2,3}", b"{}", b"[]", b"{1]", b'{"a":1}']
    assert differences(fast, slow, values)[0] == []
    assert fast.scan(batch_of(values)).columns[0].index.tolist() == [1]


def test_nothing_need_be_read():
    """No feature, the time from the broker: every JSON object is a row."""
    source, models = schemas()[0]
    plan = dataclasses.replace(models["m"], features=())
    fast, slow = (Decoder(dataclasses.replace(source, time=()), {"m": plan}, {}) for _ in range(2))
    slow.use_scanner(active=False)
    values = [b"{}", b'{"a":[1]}', b"{", b"[]", None, b""]
    assert differences(fast, slow, values)[0] == []
    assert fast.scan(batch_of(values)).columns[0].index.tolist() == [0, 1]


def test_white_space_around_records_is_theirs():
    """A record of nothing else ends where it ends: the next one is not taken for it."""
    fast, slow = pair()
    one = b'{"ts":1767225600000,"features":{"f0":1}}'
    values = [b" ", one, b"", one, b"\n\t", b" " + one + b" ", b" ", b" "]
    found, declined = differences(fast, slow, values)
    assert (found, declined) == ([], 5)


def test_columns_that_are_held_are_not_written_over():
    """Arrays are used again only when nobody holds them any more."""
    fast, _ = pair()
    kept = [
        fast.scan(batch_of([json.dumps({"ts": 1767225600000, "features": {"f0": float(at)}}).encode()] * 9))
        for at in range(40)
    ]
    assert [float(scanned.columns[0].values[0, 0]) for scanned in kept] == [float(at) for at in range(40)]
    assert all(np.isnan(scanned.columns[0].values[1]).all() for scanned in kept)
