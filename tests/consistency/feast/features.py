"""A Feast repository: one view of two drivers' worth of everything that a store can hold, and one feature service."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Array, Bool, Float32, Float64, Int64, String

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
stats = FeatureView(
    name="driver_stats",
    entities=[driver],
    ttl=timedelta(0),
    source=FileSource(name="stats", path="stats.parquet", timestamp_field="event_timestamp"),
    schema=[
        Field(name="conv_rate", dtype=Float32),
        Field(name="acc_rate", dtype=Float64),
        Field(name="trips", dtype=Int64),
        Field(name="city", dtype=String),
        Field(name="premium", dtype=Bool),
        Field(name="taste", dtype=Array(Float32)),
    ],
)
rides = FeatureService(name="rides_v1", features=[stats[["conv_rate", "city"]]])
