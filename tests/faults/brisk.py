"""The daemon's process with the waits that no setting shortens made short:

python -m tests.faults.brisk run -c driftline.yaml
"""

from __future__ import annotations

import functools

from monitor import daemon
from monitor.__main__ import main
from monitor.deliver.backoff import Backoff
from monitor.deliver.pagerduty import PagerDuty
from monitor.deliver.webhook import Webhook
from monitor.intake import rotation, watchdog
from monitor.window.completeness import Patience

QUICK = Backoff(waits=(0.2,), jitter=0.0, attempts=100, total=600)

if __name__ == "__main__":
    daemon.METADATA_EVERY = 0.5
    daemon.EVALUATE_EVERY = 0.1
    daemon.Patience = functools.partial(Patience, settle=400)
    watchdog.LOOK_EVERY = 1.0
    rotation.LOOK_EVERY = 0.5
    Webhook.backoff = PagerDuty.backoff = QUICK
    main()
