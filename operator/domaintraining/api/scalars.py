"""Bounded values of status and report.

A trainer's report is copied into status: what the API server would refuse there is refused here first,
so that a wrong report costs its own run and never the status.
"""

import re
from datetime import datetime
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints

CONTROLS: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def _printable(text: str) -> str:
    """Control characters become spaces: a trainer's words end up on terminals."""
    return CONTROLS.sub(" ", text)


def _moment(text: str) -> str:
    """The API server refuses the whole status for one wrong time."""
    if not RFC3339.fullmatch(text):
        raise ValueError("not a time such as 2026-11-23T09:00:00Z")
    datetime.fromisoformat(text)
    return text


def rfc3339(moment: datetime) -> str:
    """A moment as the API writes it: seconds, UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


Short = Annotated[str, StringConstraints(max_length=253), AfterValidator(_printable)]
Message = Annotated[str, StringConstraints(max_length=1024), AfterValidator(_printable)]
Time = Annotated[
    str,
    StringConstraints(max_length=32),
    AfterValidator(_moment),
    Field(json_schema_extra={"format": "date-time"}),
]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Tokens = Annotated[int, Field(ge=0, le=1_000_000_000_000)]
Seconds = Annotated[float, Field(ge=0, le=1_000_000_000)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Difference = Annotated[float, Field(ge=-1, le=1)]
