from __future__ import annotations

import pytest

from tests.state.cases import KINDS, opened


@pytest.fixture(params=KINDS)
def store(request):
    """One empty store of every kind of state log."""
    with opened(request.param) as opened_store:
        yield opened_store


@pytest.fixture
def log(store):
    return store.log
