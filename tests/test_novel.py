from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from monitor.novel import hash64, keep

streams = st.lists(st.text(max_size=3), max_size=120)


@given(streams, st.integers(0, 120), st.integers(1, 6))
def test_keeping_while_counting_is_keeping_at_the_end(stream, cut, cap):
    """Wherever a stream is cut and trimmed, the kept categories and their counts are exact."""
    exact = keep(Counter(stream), cap)
    running: dict[str, int] = {}
    for text in stream:
        running[text] = running.get(text, 0) + 1
        running = keep(running, cap)
    halves = Counter(keep(Counter(stream[:cut]), cap)) + Counter(keep(Counter(stream[cut:]), cap))
    assert running == exact
    assert keep(halves, cap) == exact
    assert list(keep(halves, cap)) == list(exact)


def test_hash_is_the_same_in_every_process():
    """Pinned values, also under another PYTHONHASHSEED; half a character hashes too."""
    assert hash64("") == PINNED_EMPTY
    assert 0 <= hash64("\ud800") < 1 << 64
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    script = "from monitor.novel import hash64; import sys; sys.stdout.write(str(hash64('ä')))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, env=environment, check=True, timeout=60
    )
    assert int(done.stdout) == hash64("ä")


PINNED_EMPTY = 13020603013274838756
