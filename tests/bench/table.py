"""The figures as text: for people, for the README, and as one JSON object. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from tests.bench.cases import Side
from tests.bench.figures import Figures, Row

HEADS: Final = (
    "samples",
    "auto",
    "P",
    "plain s",
    "trainer s",
    "ratio",
    "limit s",
    "over limit",
    "floor s",
    "plain calls",
    "trainer calls",
    "same program",
)
USE_HEADS: Final = (
    "samples",
    "auto",
    "P",
    "side",
    "prompt tokens read",
    "(at least)",
    "decoded",
    "slots idle",
    "own limit s",
    "client CPU s",
    "peak MiB",
)


def cells(row: Row) -> tuple[str, ...]:
    """A row under HEADS."""
    case, plain, trainer = row.case, row.plain, row.trainer
    return (
        str(case.samples),
        case.auto,
        str(case.slots),
        f"{plain.seconds:.0f}",
        f"{trainer.seconds:.0f}",
        f"{row.ratio:.2f}",
        f"{trainer.limit:.0f}",
        f"{row.over_limit:.2f}",
        f"{row.floor:.0f}",
        str(plain.calls),
        str(trainer.calls),
        "yes" if row.same_program else "NO",
    )


def use_cells(row: Row) -> Iterable[tuple[str, ...]]:
    """Both sides of a row under USE_HEADS."""
    sides: tuple[tuple[Side, Figures], ...] = (("plain", row.plain), ("trainer", row.trainer))
    for side, seen in sides:
        yield (
            str(row.case.samples),
            row.case.auto,
            str(row.case.slots),
            side,
            str(seen.prefilled),
            str(seen.tree),
            str(seen.decoded),
            f"{seen.idle:.0%}",
            f"{seen.limit:.0f}",
            f"{seen.cpu_seconds:.1f}",
            f"{seen.peak_mib:.0f}",
        )


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under their heads, for a terminal."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in (heads, *rows)
    ]
    return "\n".join(lines)


def markdown(rows: Sequence[Row]) -> str:
    """The table as the README has it."""
    lines = [HEADS, tuple("---:" for _ in HEADS), *map(cells, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def bars(parts: Iterable[tuple[float, float, float]]) -> str:
    """A timeline: per cent of the slots' time spent writing, and reading in parentheses, tenth by tenth."""
    return " ".join(f"{writing * 100:3.0f}({reading * 100:.0f})" for writing, reading, _ in parts)


def as_json(rows: Sequence[Row], **more: Any) -> str:
    """All rows as one line of JSON; `more` stands beside them."""
    return json.dumps({"rows": [_wire(row) for row in rows], **more})


def _wire(row: Row) -> dict[str, Any]:
    return {
        "samples": row.case.samples,
        "auto": row.case.auto,
        "slots": row.case.slots,
        "plain_s": round(row.plain.seconds, 1),
        "trainer_s": round(row.trainer.seconds, 1),
        "ratio": round(row.ratio, 3),
        "limit_s": round(row.trainer.limit, 1),
        "over_limit": round(row.over_limit, 3),
        "plain_calls": row.plain.calls,
        "trainer_calls": row.trainer.calls,
        "same_program": row.same_program,
    }
