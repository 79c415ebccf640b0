"""The peer's side of the conversation: JSON lines, read by bench/peers/process.py. Runs in the peer's own environment.

Only the standard library is imported here. A program calls `serve(load=…, run=…)`; it is told

    {"cmd": "load", …}   → {"seconds": …, "cpu": …, …}   what it needs in memory; not timed as the figure
    {"cmd": "run", …}    → {"seconds": …, "cpu": …, …}   the work; may be asked for again and again

Further words of a line are keyword arguments. What the functions return, a dict or None, is added to
the answer. A failure is answered as {"error": …}. Whatever a library prints goes to stderr.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
import time
from importlib import metadata


def serve(packages, **commands):
    """Answer until stdin ends. `packages` are the distributions whose versions are reported."""
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # a library that prints must not answer for us
    ready = {
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in packages},
    }
    print(json.dumps(ready), file=lines)
    for line in sys.stdin:
        words = json.loads(line)
        print(json.dumps(_answer(commands, words)), file=lines)


def _answer(commands, words):
    call = commands[words.pop("cmd")]
    gc.collect()
    cpu, begin = time.process_time(), time.perf_counter()
    try:
        result = call(**words) or {}
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return {"error": f"{type(error).__name__}: {error}"[:2000]}
    took = {"seconds": time.perf_counter() - begin, "cpu": time.process_time() - cpu}
    return {**took, **result}
