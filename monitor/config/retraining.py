"""Settings of when retraining is asked for."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from monitor.config.base import Group
from monitor.config.fields import Choice, Duration, Flag, Text, Whole, bounded, parsed
from monitor.config.intake import DAY, HOUR
from monitor.config.quantity import format_duration
from monitor.config.rule import parse_drift


def _conditions(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


Condition = Annotated[
    int,
    parsed("bad-rule", parse_drift, int),
    PlainSerializer(lambda windows: f"drift for {windows} window{'s' if windows > 1 else ''}"),
    WithJsonSchema({"type": "string"}),
]


class Retrain(Group):
    """When retraining is asked for."""

    mode: Annotated[str, Choice(("off", "suggest", "auto"))] = Field(
        default="off",
        description="suggest: a person approves with `driftline retrain approve`; auto: the request is sent.",
        examples=["suggest"],
    )
    when: Annotated[tuple[Condition, ...], BeforeValidator(_conditions)] = Field(
        default=(1,),
        min_length=1,
        description="Any of these conditions is enough.",
        examples=[["drift for 3 windows"]],
    )
    cooldown: Annotated[Duration, bounded(0, 365 * DAY, format_duration)] = Field(
        default=24 * HOUR, description="Least time between two requests.", examples=["24h"]
    )
    max_per_day: Annotated[Whole, bounded(1, 1000)] = Field(
        default=1, description="Most requests in 24 hours.", examples=[1]
    )
    min_records: Annotated[Whole, bounded(0, 10**12)] = Field(
        default=0, description="A window with fewer records asks for nothing.", examples=[10000]
    )
    paused: Flag = Field(
        default=False, description="Hold all requests back for now, and count them.", examples=[True]
    )
    dry_run: Flag = Field(
        default=False,
        description="Decide as always, but ask for nothing: what would be asked is counted.",
        examples=[True],
    )
    target: Text = Field(default="", description="One of `targets`.", examples=["airflow"])
