"""Settings of what a diagnosis is made of and may say."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from monitor.config.base import Group
from monitor.config.fields import Choice, Flag, Whole, bounded
from monitor.plan import Shown

MOST_ROWS = 4_096


class Diagnosis(Group):
    """Where a drift lies, from a sample of rows."""

    sample: Annotated[Whole, bounded(0, MOST_ROWS)] = Field(
        default=0,
        description="Rows kept of each pane and source partition, as numbers of bins and categories, so that the "
        "condition that drifts can be named; fewer where there are more than 60 features. 0: none, neither here nor "
        "in a reference that is built with this configuration. Off by default: it takes 5 to 8 % of reading and counting at "
        "512, and sketches are four times as large.",
        examples=[512],
    )
    values: Annotated[str, Choice(tuple(Shown))] = Field(
        default=str(Shown.NAMES),
        description="What texts say of a condition. names: categories and ranges; codes: their numbers; none: which "
        "features it is about.",
        examples=["names"],
    )


class Contract(Group):
    """What holds for all columns of a model."""

    private: Flag = Field(
        default=False,
        description="true: no text says a value of a record; diagnosis.values is none.",
        examples=[True],
    )


def shown(diagnosis: Diagnosis, contract: Contract) -> Shown:
    return Shown.NONE if contract.private else Shown(diagnosis.values)
