"""Makes the repository in the current folder: rows, registry, and the newest of each driver in the online store."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from feast import FeatureStore
from features import driver, rides, stats

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
DRIVERS, DAYS = 20, 20


def rows():
    for day in range(DAYS):
        for number in range(DRIVERS):
            yield {
                "driver_id": 1001 + number,
                "event_timestamp": BEGIN + timedelta(days=day, milliseconds=700),
                "conv_rate": np.float32(0.1 + number / 100 + day / 1000),
                "acc_rate": float("nan") if number == 8 else 0.7 + number / 1000,
                "trips": 100 * day + number,
                "city": None if number == 9 else ("Graz", "Linz", "Wels")[number % 3],
                "premium": number % 2 == 1,
                "taste": np.array([0.1, number / 10], np.float32),
            }


Path("feature_store.yaml").write_text(
    "project: rides\nprovider: local\nregistry: registry.db\nonline_store: {type: sqlite, path: online.db}\n"
    "offline_store: {type: file}\nentity_key_serialization_version: 3\n"
)
pd.DataFrame(rows()).to_parquet("stats.parquet")
store = FeatureStore(repo_path=".")
store.apply([driver, stats, rides])
store.materialize(BEGIN - timedelta(days=1), BEGIN + timedelta(days=DAYS))
