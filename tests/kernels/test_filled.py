"""What is not zero in an array."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.filled import gather
from tests import naive

values = st.one_of(st.just(0), st.integers(-3, 300), st.integers(-(2**63), 2**63 - 1))


@settings(max_examples=200, deadline=None)
@given(st.lists(values, max_size=80))
def test_gather_equals_its_twin(elements: list[int]) -> None:
    """Gaps, values and span of any array, the extremes of int64 included."""
    array = np.array(elements, np.int64)
    count = int(np.count_nonzero(array))
    gaps, found, span = np.empty(count + 1, np.int64), np.empty(count + 1, np.int64), np.empty(3, np.int64)
    gather(gaps, found, span, array)
    assert (gaps[:count].tolist(), found[:count].tolist(), span.tolist()) == naive.gather(elements)
