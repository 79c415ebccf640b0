"""Settings of where references lie."""

from __future__ import annotations

from pydantic import Field

from monitor.config.base import Group
from monitor.config.fields import Text


class ReferenceSource(Group):
    """Where the profile of what is normal lies."""

    shorthand = "file"

    file: Text = Field(
        description="File that `driftline reference build` wrote; a relative one lies beside this "
        "configuration file.",
        examples=["/ref/churn.ref"],
    )
