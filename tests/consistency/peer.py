"""A feature server in the place of a Feast: it demands what a real one does, and answers as one does.

Written after what tests/contract/recorded/feast.json has of a real one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from monitor.consistency.plan import ServerPlan
from monitor.deliver.plan import HttpPlan
from monitor.deliver.receiver import Answer, Received, Receiver
from tests.deliver.pipelines import write

VIEW = "driver_stats"
LOOPBACK = HttpPlan(timeout=5.0, allow_private=("127.0.0.0/8",), insecure_http=True, max_body=4 << 20)
EPOCH = "1970-01-01T00:00:00Z"


def server_plan(url: str, **more: Any) -> ServerPlan:
    return ServerPlan(url, http=LOOPBACK, **more)


class FeatureServer:
    """One view by `driver_id`. `rows` maps an entity to (event time in ms, feature → value)."""

    def __init__(self, receiver: Receiver, features: tuple[str, ...], *, view: str = VIEW) -> None:
        self.rows: dict[Any, tuple[int, dict[str, Any]]] = {}
        self.asked = 0
        self._features = features
        self._view = view
        receiver.answer_always(
            Answer(act=lambda connection: write(connection, self.answer(connection.received)))
        )

    def answer(self, got: Received) -> Answer:
        if (got.method, got.path) != ("POST", "/get-online-features"):
            return _said(404, {"detail": "Not Found"})
        if got.headers.get("content-type") != "application/json":
            return _said(422, {"detail": [{"msg": "Input should be a valid dictionary", "input": "?"}]})
        body = got.json()
        if body.keys() - {"features", "entities", "full_feature_names", "feature_service"}:
            return _said(422, {"detail": [{"msg": "Extra inputs are not permitted"}]})
        for reference in body["features"]:
            view, _, feature = reference.partition(":")
            if view != self._view:
                return _said(
                    404, json.dumps({"message": f"Feature view {view} does not exist in project rides"})
                )
            if feature not in self._features:
                return _said(500, f"'Feature {feature} not found in projection {view}'")
        try:
            entities = [int(one) for one in body["entities"]["driver_id"]]
        except (ValueError, TypeError) as error:
            return _said(500, str(error))
        self.asked += len(entities)
        return _said(200, self._found(body, entities))

    def _found(self, body: Any, entities: list[int]) -> Any:
        names = ["driver_id"]
        results = [_column(entities, ["PRESENT"] * len(entities), [EPOCH] * len(entities))]
        for reference in reversed(body["features"]):
            feature = reference.partition(":")[2]
            rows = [self.rows.get(entity) for entity in entities]
            names.append(reference.replace(":", "__") if body["full_feature_names"] else feature)
            results.append(
                _column(
                    [None if row is None else row[1].get(feature) for row in rows],
                    ["NOT_FOUND" if row is None else "PRESENT" for row in rows],
                    [EPOCH if row is None else _time(row[0]) for row in rows],
                )
            )
        return {"metadata": {"feature_names": names}, "results": results}


def _column(values: list[Any], statuses: list[str], times: list[str]) -> Any:
    return {"values": values, "statuses": statuses, "event_timestamps": times}


def _time(ms: int) -> str:
    """Without its fraction of a second, as a real one says it."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _said(status: int, body: Any) -> Answer:
    return Answer(status, json.dumps(body).encode())
