from __future__ import annotations

import math

import numpy as np
import pytest

from kernels.fourier import add_vectors
from kernels.layout import FREQUENCIES, PHASE_SCALE, VECTOR, VECTOR_SLOTS, WAVE_WIDTH, Vectors

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")
"""numpy warns of 1e308 - -1e308 where the compiler is off (NUMBA_DISABLE_JIT=1)."""


def vectors(waves, *, phases=None, shift=0) -> Vectors:
    """One feature of centre 0 and scale 1 whose frequencies are `waves`, int16[frequencies, dims]."""
    frequencies, dims = waves.shape
    wide = np.zeros((frequencies, -(-dims // WAVE_WIDTH) * WAVE_WIDTH), np.int16)
    wide[:, :dims] = waves
    return Vectors(
        dim_start=np.array([0, dims], np.int32),
        word_start=np.array([0, 3 * dims + frequencies], np.int32),
        wave_start=np.array([0, wide.shape[1]], np.int32),
        center=np.zeros(dims),
        scale=np.ones(dims),
        waves=wide,
        phases=np.zeros((1, frequencies), np.int32) if phases is None else phases,
        shift=np.array([shift], np.int32),
    )


def fold(xs, of: Vectors, cell=None):
    """Slots and words of one cell after the rows `xs`."""
    counts, words = np.zeros((1, VECTOR_SLOTS), np.int64), np.zeros((1, of.words), np.int64)
    add_vectors(
        counts,
        words,
        np.zeros((1, 0), np.int64),
        np.zeros(len(xs), np.int32) if cell is None else cell,
        np.array(xs, float).reshape(len(xs), of.dims),
        np.array([VECTOR], np.int8),
        np.zeros(1, np.int32),
        np.array([0, VECTOR_SLOTS], np.int32),
        np.array([-1], np.int32),
        *of,
    )
    return counts[0].tolist(), words[0]


def test_a_feature_is_the_cosine_of_its_phase():
    """Rounded to 2**-20, for phases all around the circle: those of math.cos."""
    rng = np.random.default_rng(1)
    phases = rng.integers(-(2**31), 2**31, (1, FREQUENCIES)).astype(np.int32)
    phases[0, :6] = [0, 2**30, -(2**30), -(2**31), 2**31 - 1, 1]
    _, words = fold([[0.0]], vectors(np.zeros((FREQUENCIES, 1), np.int16), phases=phases))
    turns = phases[0].astype(float) / 2**32
    want = [round(2**20 * math.sqrt(2 / FREQUENCIES) * math.cos(2 * math.pi * turn)) for turn in turns]
    assert words[3:].tolist() == want


def test_inner_products_estimate_the_kernel():
    """With normal frequencies the features' inner products are exp(-|x - y|² / 2) but for noise."""
    rng = np.random.default_rng(2)
    shift = 7
    turns = rng.normal(size=(FREQUENCIES, 3)) / (2 * math.pi)
    waves = np.rint(turns * 2.0 ** (21 - shift)).astype(np.int16)
    of = vectors(waves, phases=rng.integers(-(2**31), 2**31, (1, FREQUENCIES)).astype(np.int32), shift=shift)
    error = []
    for x, y in rng.normal(size=(60, 2, 3)):
        a, b = (fold([row], of)[1][9:] / 2**20 for row in (x, y))
        error.append(a @ b - math.exp(-((x - y) ** 2).sum() / 2))
    assert abs(np.mean(error)) < 0.04
    assert np.std(error) < 0.15


def test_blocks_and_skipped_rows_leave_what_single_rows_leave():
    """Any number of rows, the last of them skipped or missing, adds up as one row at a time does."""
    rng = np.random.default_rng(3)
    of = vectors(rng.integers(-9000, 9000, (FREQUENCIES, 5)).astype(np.int16), shift=3)
    for rows in (1, 15, 16, 17, 33):
        xs = rng.normal(size=(rows, 5))
        xs[rows // 2] = np.nan
        cell = np.where(rng.random(rows) < 0.3, -1, 0).astype(np.int32)
        cell[-1] = -1 if rows % 2 else 0
        counts, words = fold(xs, of, cell)
        singles = [fold([x], of) for x, to in zip(xs, cell, strict=True) if to == 0]
        assert counts == [sum(found[slot] for found, _ in singles) for slot in range(VECTOR_SLOTS)]
        np.testing.assert_array_equal(words, sum((w for _, w in singles), np.zeros(of.words, np.int64)))


@pytest.mark.parametrize(
    ("x", "slot"),
    [
        ([np.nan, np.nan], 0),
        ([np.nan, 1.0], 1),
        ([np.inf, 1.0], 1),
        ([1.0, -np.inf], 1),
        ([1e308, -1e308], 3),
        ([0.0, -0.0], 3),
    ],
)
def test_slots_of_vectors(x, slot):
    """Missing when all is NaN, non-finite when something is, else present; only those have sums."""
    counts, words = fold([x], vectors(np.ones((FREQUENCIES, 2), np.int16)))
    assert counts == [int(slot == at) for at in range(VECTOR_SLOTS)]
    assert words.any() == (slot == 3)


def test_elements_far_away_are_clipped():
    """Moments hold 65,536 scales, phases 16: a wild element is as one just there."""
    of = vectors(np.full((FREQUENCIES, 1), 1, np.int16), shift=10)
    far, edge = fold([[1e9]], of)[1], fold([[65536.0]], of)[1]
    np.testing.assert_array_equal(far, edge)
    np.testing.assert_array_equal(far[3:], fold([[32767 / PHASE_SCALE]], of)[1][3:])


def test_without_frequencies_only_moments_are_kept():
    """A model without a reference has no frequencies; its vectors are counted all the same."""
    of = vectors(np.zeros((0, 2), np.int16), phases=np.zeros((1, 0), np.int32))
    counts, words = fold([[1.0, -2.0], [np.nan, np.nan]], of)
    assert counts == [1, 0, 0, 1]
    assert words.tolist() == [65536, -131072, 0, 0, 1, 4]


@pytest.mark.parametrize(
    "triple", ["x86_64-unknown-linux-gnu +avx2", "x86_64-unknown-linux-gnu +sse2", "aarch64-linux +neon"]
)
def test_every_processor_has_products(monkeypatch, triple):
    """Whatever instruction is taken, also that of processors this is not: the sums are the same."""
    product = pytest.importorskip("kernels.product")
    if not hasattr(product, "_instruction"):
        pytest.skip("plain array code here")
    import llvmlite.binding
    import numba

    name = product._instruction(*triple.split()[:1], "", triple.split()[1])
    if "avx2" in name and not llvmlite.binding.get_host_cpu_features().get("avx2"):
        pytest.skip("this processor has no AVX2")
    monkeypatch.setattr(product, "_instruction", lambda *_: name)

    @numba.njit
    def products(steps, waves, turns):
        product.tile(steps, 0, waves, 0, 0, turns)

    rng = np.random.default_rng(4)
    steps, waves = (rng.integers(-32767, 32768, (rows, 64)).astype(np.int16) for rows in (4, 2))
    turns = np.empty((4, 2), np.int32)
    products(steps, waves, turns)
    want = steps.astype(np.int64) @ waves.T.astype(np.int64)
    assert not ((turns - want) % 2**32).any()
