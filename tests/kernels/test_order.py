"""Sorted numbers, to the last bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.order import ascend
from tests import naive

finite = st.floats(allow_nan=False, allow_infinity=False)
near = st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1.0, np.nextafter(1.0, 2.0), -1.0, 1.7e308, -1.7e308])


def ordered(values):
    out = np.array(values, np.float64)
    ascend(out.view(np.uint64), np.empty(len(out), np.uint64))
    return out


@given(st.lists(st.one_of(finite, near), max_size=60))
@settings(max_examples=300, deadline=None)
def test_numbers_ascend_as_in_the_twin(values):
    """Every magnitude and both zeros, of which the negative one comes first, to the last bit."""
    assert ordered(values).tobytes() == naive.ordered(values).tobytes()


def test_many_numbers_with_digits_in_common():
    """Digits that all numbers share are passed over, in whatever buffer that leaves them."""
    rng = np.random.default_rng(0)
    for values in (
        rng.normal(size=5_000),
        rng.integers(0, 3_000, 5_000).astype(float),
        1.0 + rng.random(5_000) / 2**30,
    ):
        assert np.array_equal(ordered(values), np.sort(values))
