"""The daemon's process with the waits that no setting shortens made short:

python -m tests.faults.brisk run -c driftline.yaml
"""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path

from monitor import daemon, ingest, pipeline
from monitor.__main__ import main
from monitor.deliver.backoff import Backoff
from monitor.deliver.pagerduty import PagerDuty
from monitor.deliver.target import Target
from monitor.intake import rotation, watchdog
from monitor.window.completeness import Patience
from tests.faults.hold import HOLD, MOMENT, MOMENTS, Hold

QUICK = Backoff(waits=(0.2,), jitter=0.0, attempts=100, total=600)


def slow_down(rush: Path) -> None:
    """Let each batch of a few records take as many seconds longer as `rush` says, while that file is there."""
    fold = ingest.fold_batch

    def slowly(*given, **named):
        if rush.exists():
            time.sleep(float(rush.read_text()))
        return fold(*given, **named)

    ingest.fold_batch, ingest.BATCH, pipeline.TOGETHER = slowly, 200, 200


if __name__ == "__main__":
    if file := os.environ.get(HOLD):
        MOMENTS[os.environ[MOMENT]](Hold(Path(file)))
    if rush := os.environ.get("DRIFTLINE_RUSH"):
        slow_down(Path(rush))
    daemon.EVALUATE_EVERY = 0.1
    daemon.Patience = functools.partial(Patience, settle=400)
    watchdog.LOOK_EVERY = 1.0
    rotation.LOOK_EVERY = 0.5
    Target.backoff = PagerDuty.backoff = QUICK
    main()
