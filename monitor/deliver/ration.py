"""How often a target that deduplicates nothing may be asked. Pure; what counts are the claims.

Delivery is at least once: an attempt whose outcome nobody knows is made again, and a target that knows
nothing of ids would start a second run. So there every claim counts as a request that was taken, whether
its process died, was a zombie or got no answer, unless its outcome says that it certainly was not; and no
claim is made while the last day has as many as the model's `max_per_day`. The claim is durable before the
request leaves, so no crash and no second sender can make it more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.retrain.guards import DAY
from monitor.retrain.rules import is_request

Bodies = Mapping[str, Mapping[str, Any]]


def free_at(claims: Bodies, outcomes: Bodies, *, per_day: int, now: int) -> int:
    """Wall time, ms, from which one more attempt may be claimed; `now` when it may be at once."""
    taken = sorted(
        int(claim["at"])
        for claim in claims.values()
        if is_request(str(claim["intent"]))
        and not _is_refused(claim, outcomes)
        and now - int(claim["at"]) < DAY
    )
    return now if len(taken) < per_day else taken[len(taken) - per_day] + DAY


def _is_refused(claim: Mapping[str, Any], outcomes: Bodies) -> bool:
    return claim["attempt"] in outcomes.get(str(claim["intent"]), {}).get("refused", ())
