"""A row of the table of reasons."""

from typing import NamedTuple


class ReasonRow(NamedTuple):
    """What a reason means and what to do about it."""

    meaning: str
    """What happened."""
    remedy: str
    """What a person does next."""
    stalled: bool = False
    """Whether it needs a person: the run stands still until something changes."""
    passes: bool = False
    """Whether the controller tries again with backoff because the cause may pass."""
