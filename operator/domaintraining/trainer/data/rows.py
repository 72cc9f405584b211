"""A row of a sample file and the words for what may be wrong with one, whatever the file's format."""

import json
from typing import Any, Final, NamedTuple, NoReturn

from domaintraining.trainer.data.limits import MAX_FILE, MAX_LINES, MAX_ROW, MEBIBYTE

NOT_JSON: Final = "is not JSON"
NOT_UTF8: Final = "is not UTF-8"
FILE_TOO_LARGE: Final = f"the file is larger than {MAX_FILE // MEBIBYTE} MiB"
TOO_MANY_LINES: Final = f"the file has more than {MAX_LINES:,} lines"
ROW_TOO_LONG: Final = f"is longer than {MAX_ROW // MEBIBYTE} MiB"


class Row(NamedTuple):
    """One sample as it stands in the file, or what is wrong there."""

    line: int
    """Line it begins at, from 1; of a fault, the line where it was noticed."""
    value: Any
    """Parsed JSON; None where there is a fault."""
    fault: str = ""
    """What is wrong, in a fixed wording."""


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError(NOT_JSON)  # NaN and Infinity, which Python's json would take


DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
"""JSON and nothing beyond it."""
