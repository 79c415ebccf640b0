"""Every backend leaves the same bits: the CPU, a GPU where there is one, and its CUDA source run as C++."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kernels.select as chooser
from kernels import scores
from kernels.cuda.program import OPTIONS, PROGRAMS, Shape, source
from kernels.fold import fold
from kernels.layout import NUMERIC, allocate, no_rules
from kernels.select import CPU, BackendMissing, on_device, select
from tests.kernels import cases
from tests.kernels.emulator import LateEmulator

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")
"""numpy warns of 1e308 - -1e308 where the compiler is off (NUMBA_DISABLE_JIT=1)."""

CELLS = 5


def whole(backend, state, cells=CELLS):
    """Every cell of a state, read one by one."""
    return [cases.image(backend.read(state, cell)) for cell in range(cells)]


def expected(layout, rules, *batches, cells=CELLS):
    state = cases.empty(layout, cells=cells, rules=rules.count)
    for batch in batches:
        fold(state, layout, rules, **batch)
    return state


def empty(backend, layout, rules, cells=CELLS):
    return backend.allocate(layout, cells=cells, rules=rules.count, reasons=cases.REASONS)


def places(batch):
    return np.unique(batch["cell"][batch["cell"] >= 0])


anything = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@anything
@given(
    seed=st.integers(0, 2**31),
    numeric=st.integers(0, 3),
    categorical=st.integers(0, 2),
    vectors=st.sampled_from([(), (1,), (33,), (2, 40)]),
    rows=st.integers(0, 120),
    used=st.integers(1, CELLS),
)
def test_state_is_the_same_to_the_bit(backend, seed, numeric, categorical, vectors, rows, used):
    """Counts, moments, extremes, latency, vectors, offsets and breaches of ordinary and hostile rows."""
    layout = cases.layout(seed, numeric=numeric, categorical=categorical, vectors=vectors)
    rules = cases.rules(seed, layout)
    batches = [cases.batch(seed + i, layout, rows=rows, cells=used) for i in range(2)]
    if used == 1:  # one cell and no late rows: the way most batches are
        batches[0]["cell"][:] = 3
    state = empty(backend, layout, rules)
    broken = sum(backend.fold(state, layout, rules, places(batch), **batch) for batch in batches)
    want = expected(layout, rules, *batches)
    assert broken == want.violations.sum()
    got = [backend.read(state, cell) for cell in range(CELLS)]
    for cell, one in enumerate(got):
        for name, mine, theirs in zip(want._fields, one, want, strict=True):
            np.testing.assert_array_equal(mine[0], theirs[cell], err_msg=f"{name} of cell {cell}")
    assert [cases.image(one) for one in got] == whole(CPU, want)


def test_edges_of_every_size_are_searched_alike(backend):
    """Two edges and thousands, more than a block keeps in shared memory: the same slots."""
    rng = np.random.default_rng(3)
    layout = cases.layout(3, numeric=3, categorical=0, vectors=())
    own = [np.sort(rng.normal(size=size)) for size in (2, 257, 12_000)]
    layout = layout._replace(
        start=np.cumsum([0, *(len(edges) + 3 for edges in own)]).astype(np.int32),
        edges=np.concatenate(own),
        edge_start=np.cumsum([0, *(len(edges) for edges in own)]).astype(np.int32),
    )
    rules = no_rules(layout)
    batch = cases.batch(3, layout, rows=400, cells=1)
    batch["cell"][:] = 0
    state = empty(backend, layout, rules, cells=1)
    assert backend.fold(state, layout, rules, places(batch), **batch) == 0
    assert whole(backend, state, 1) == whole(CPU, expected(layout, rules, batch, cells=1), 1)


def test_batches_larger_than_what_is_moved_at_once(backend, monkeypatch):
    """Cut into parts that are copied while others are counted, in two slots that are used again and again."""
    monkeypatch.setattr("kernels.cuda.cells.STAGE_BYTES", 4096)
    monkeypatch.setattr("kernels.cuda.stage.PIECE", 100)
    monkeypatch.setattr("kernels.cuda.stage.COPIERS", 3)
    layout = cases.layout(4)
    rules = cases.rules(4, layout)
    batches = [
        cases.batch(seed, layout, rows=rows, cells=CELLS) for seed, rows in ((1, 90), (2, 7), (3, 150))
    ]
    state = empty(backend, layout, rules)
    for batch in batches:
        backend.fold(state, layout, rules, places(batch), **batch)
    assert whole(backend, state) == whole(CPU, expected(layout, rules, *batches))


def test_nothing_relies_on_work_that_is_not_done(compiler, tmp_path, monkeypatch):
    """A device that begins as late as it may: memory that it still has to read is not written again."""
    monkeypatch.setattr("kernels.cuda.cells.STAGE_BYTES", 4096)
    device = LateEmulator(compiler, tmp_path)
    late = on_device(device)
    layout = cases.layout(4, vectors=())
    rules = no_rules(layout)
    batches = [cases.batch(seed, layout, rows=200, cells=1) for seed in range(3)]
    state = empty(late, layout, rules)
    for number, batch in enumerate(batches):
        batch["cell"][:] = number
        late.fold(
            state, layout, rules, places(batch), **{name: array.copy() for name, array in batch.items()}
        )
    assert device._done < device._begun
    assert whole(late, state) == whole(CPU, expected(layout, rules, *batches))


def test_cells_are_read_written_cleared_and_grown(backend):
    """One cell at a time moves between host and backend; growing keeps all, clearing one leaves the others."""
    layout = cases.layout(5)
    rules = cases.rules(5, layout)
    batch = cases.batch(5, layout, rows=120, cells=CELLS)
    state = empty(backend, layout, rules)
    backend.fold(state, layout, rules, places(batch), **batch)
    want = whole(CPU, expected(layout, rules, batch))
    fresh = whole(CPU, cases.empty(layout, cells=1, rules=rules.count), 1)[0]
    state = backend.grow(state, layout, to=9)
    assert whole(backend, state, 9) == [*want, *[fresh] * 4]
    backend.write(state, 7, backend.read(state, 2))
    backend.clear(state, 2)
    assert whole(backend, state, 9) == [*want[:2], fresh, *want[3:], *[fresh] * 2, want[2], fresh]
    backend.fold(state, layout, rules, places(batch), **batch)
    again = whole(CPU, expected(layout, rules, batch, batch))
    assert whole(backend, state, 9) == [*again[:2], want[2], *again[3:], *[fresh] * 2, want[2], fresh]


def test_rules_may_change_between_folds(backend):
    """A reload brings other rules for the same features."""
    layout = cases.layout(6)
    batch = cases.batch(6, layout, rows=80, cells=CELLS)
    first = cases.rules(6, layout)
    second = first._replace(low=first.low + 1.0, forbidden=np.zeros_like(first.forbidden))
    state = empty(backend, layout, first)
    want = expected(layout, first, batch)
    for rules in (first, second):
        backend.fold(state, layout, rules, places(batch), **batch)
    fold(want, layout, second, **batch)
    assert whole(backend, state) == whole(CPU, want)


@pytest.mark.parametrize("name", ["cell", "values", "codes", "latency", "errors", "offsets", "vectors"])
def test_other_types_are_refused(backend, name):
    """Neither backend reads the bytes of one type as another."""
    layout = cases.layout(7)
    rules = cases.rules(7, layout)
    batch = cases.batch(7, layout, rows=20, cells=CELLS)
    batch[name] = batch[name].astype(np.float32 if batch[name].dtype == np.float64 else np.int16)
    state = empty(backend, layout, rules)
    with pytest.raises(TypeError):
        backend.fold(state, layout, rules, places(batch), **batch)


def test_what_does_not_fit_is_refused(backend):
    """A wrong shape raises before anything is counted."""
    layout = cases.layout(7)
    rules = cases.rules(7, layout)
    batch = cases.batch(7, layout, rows=20, cells=CELLS)
    state = empty(backend, layout, rules)
    with pytest.raises(ValueError, match=r"do not fit the layout .*values"):
        backend.fold(state, layout, rules, places(batch), **{**batch, "values": np.zeros((1, 20))})
    assert whole(backend, state) == whole(CPU, expected(layout, rules))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("left", [0, 1])
def test_scores_are_the_same(backend, seed, left):
    """All but logarithms to the bit: distances, quantiles, exact moments, which slots take part."""
    rng = np.random.default_rng(seed)
    layout = cases.layout(seed, numeric=3, categorical=seed % 3)
    group, first, special = cases.coarse(layout)
    size = 10 ** rng.integers(1, 5)
    shares = rng.dirichlet(np.full(layout.slots, 0.3))
    counts = rng.multinomial(size, shares, size=3)
    counts[2, layout.start[0] : layout.start[1]] = 0
    reference = rng.multinomial(5 * size, shares) + left * counts.sum(axis=0)
    arguments = (
        counts, rng.integers(0, 2**40, (3, layout.numeric, 3)), np.tile([-1e3, 1e3], (3, layout.numeric, 1)),
        reference, np.bincount(group, reference, minlength=first[-1]), group, first, special,
        1.0 + rng.random(layout.features), layout.kind, layout.column, layout.start, layout.edges,
        layout.edge_start, layout.center, layout.scale, left, float(rng.choice([0.25, np.inf])), 20.0,
        float(rng.choice([20.0, np.inf])),
    )  # fmt: skip
    results = []
    for score in (scores.score, backend.score):
        out = np.full((3, layout.features, scores.OUTPUTS), -1.0)
        coarse = np.full((3, first[-1]), -1)
        score(out, coarse, *arguments)
        results.append((out, coarse))
    (want, sums), (got, own) = results
    np.testing.assert_array_equal(own, sums)
    exact = [
        scores.N,
        scores.M,
        scores.SLOTS,
        scores.THINNEST,
        scores.PEARSON,
        *range(scores.ROWS, scores.OUTPUTS),
    ]
    np.testing.assert_array_equal(got[:, :, exact], want[:, :, exact])
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
    assert np.count_nonzero(layout.kind == NUMERIC) == 3


def test_the_gpu_is_asked_for_in_vain(monkeypatch):
    """Without cupy: what is wrong and what would be right for `gpu`, the CPU with a note for `auto`."""
    assert select("cpu") is CPU
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr(chooser, "_gpu", chooser._gpu.__wrapped__)  # what was found before is not asked again
    with pytest.raises(BackendMissing, match=r"cupy is not installed - pip install 'driftline\[gpu\]'"):
        select("gpu")
    taken = select("auto")
    assert taken._replace(note="") == CPU
    assert taken.note == "the GPU cannot be used: cupy is not installed"


def test_a_gpu_that_does_not_answer_is_no_gpu(monkeypatch):
    """A driver that fails, whatever it raises, is reported in its own words."""

    def fail(self):
        raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient\nmore")

    monkeypatch.setattr("importlib.util.find_spec", lambda _name: True)
    monkeypatch.setattr("kernels.cuda.device.CudaDevice.__init__", fail)
    with pytest.raises(
        BackendMissing, match=r"cannot be used: cudaErrorInsufficientDriver: .* insufficient - an"
    ):
        chooser._gpu.__wrapped__()


def test_allocate_is_empty_everywhere(backend):
    """A fresh cell reads as one that nothing was folded into."""
    layout = cases.layout(8)
    state = backend.allocate(layout, cells=2, rules=3, reasons=cases.REASONS)
    assert whole(backend, state, 2) == whole(
        CPU, allocate(layout, cells=2, rules=3, reasons=cases.REASONS), 2
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_source_compiles_for_devices(program):
    """NVIDIA's compiler takes it without a device, and contracts no product and sum into one rounding."""
    nvrtc = pytest.importorskip(
        "cupy_backends.cuda.libs.nvrtc", reason="needs cupy, which brings the compiler"
    )
    made = nvrtc.createProgram(source(program, Shape()), f"{program}.cu", (), ())
    nvrtc.compileProgram(made, (*OPTIONS, "--gpu-architecture=compute_75"))
    text = nvrtc.getPTX(made)
    text = text if isinstance(text, str) else text.decode()
    assert all(f".entry {kernel}(" in text for kernel in PROGRAMS[program])
    if program != "scores":  # the library's logarithm is made of them
        assert "fma.rn.f64" not in text
