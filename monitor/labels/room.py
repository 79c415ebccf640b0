"""How many bytes labels take. The arithmetic of `driftline check`, beside `monitor.memory`."""

from __future__ import annotations

from math import ceil

from kernels.join import width_of
from monitor.joinable import LABELS, PREDICTIONS, dtype_of
from monitor.labels.join import KINDS
from monitor.labels.outcomes import cohort_span
from monitor.plan import ModelPlan
from monitor.segments import names
from monitor.window.kept_ids import panes_waiting

OPEN_BYTES, LABEL_BYTES = 24, 32
"""Of a prediction that waits for its label, in the table of whoever judges the model, and of a label that has come for it."""
EARLY_BYTES = OPEN_BYTES + LABEL_BYTES
"""Of a label that waits for its prediction."""


def join_bytes(plan: ModelPlan, *, groups: int, partitions: int, labelled: int) -> int:
    """What labels take when as many predictions wait as may, and each has one: in the table, in sketches that can still
    change, twice, and in the sums by span of event time, version and segment; and as many labels as may wait for predictions.
    `groups`: versions and variants side by side; `partitions` of the predictions, `labelled` of the labels.
    """
    if (
        plan.join is None or not plan.join.source
    ):  # sums beside the predictions are as sparse as their labels are few
        return 0
    ids = partitions * min(plan.join.most, 1 << 50)
    early = labelled * min(plan.join.most_early, 1 << 50)
    share = min((plan.lateness // plan.pane + 3) / panes_waiting(plan), 1.0)
    row = dtype_of(PREDICTIONS, len(plan.segments)).itemsize + dtype_of(LABELS, 0).itemsize
    kind = KINDS[plan.join.kind]
    cohorts = panes_waiting(plan) * plan.pane // cohort_span(plan) + 1
    sums = cohorts * groups * (1 + len(names(plan))) * 8 * width_of(kind, len(plan.join.classes))
    return ids * (OPEN_BYTES + LABEL_BYTES) + early * EARLY_BYTES + ceil(ids * share * 2 * row) + sums
