"""What the sides of a case amount to, and how it is shown."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from domaintraining.api.spec import Task, TypeDefinition
from domaintraining.trainer.prompts.prompt import system_content
from tests.bench.__main__ import arguments, cases_of
from tests.bench.cases import FULL, QUICK, Case
from tests.bench.figures import Row, calls_of, kind_of, row_of, timeline
from tests.bench.serving import Seen, Turn
from tests.bench.table import HEADS, aligned, as_json, bars, cells, markdown, use_cells

CASE = Case(60, "light", 2)
SAID = {"programs": {"entities": "a"}, "trials": {"entities": [[1, 50.0, None]]}, "cpuSeconds": 1.0}


def seen(seconds: float, *, calls: int = 2, program: str = "a") -> Seen:
    """Calls one after the other on slot 0, each half reading and half writing; 0.5 real seconds a second."""
    each = seconds / 2 / calls
    turns = [
        Turn((("user", f"{number}"),), 0, 5 + number * each, 5 + number * each, 5 + (number + 0.5) * each)
        for number in range(calls)
    ]
    for number, turn in enumerate(turns, 1):
        turn.ended, turn.prompt, turn.prefilled, turn.decoded = 5 + number * each, 5, 5, 40
    said = {**SAID, "programs": {"entities": program}, "peakBytes": 2**20}
    return Seen(5.0, 5 + seconds / 2, 0.5, turns, said)


def row(**trainer: object) -> Row:
    return row_of(CASE, seen(10.0), seen(**{"seconds": 5.0, **trainer}))  # type: ignore[arg-type]


def test_seconds_are_those_of_the_model() -> None:
    """Whatever the clock's scale, and how much faster the trainer is."""
    assert row().plain.seconds == pytest.approx(10)
    assert row().ratio == pytest.approx(2)
    assert row().over_limit == pytest.approx(5 / row().trainer.limit)


def test_idle_is_what_no_call_was_served_in() -> None:
    """One of two slots is never used."""
    assert row().plain.idle == pytest.approx(0.5)
    reads, both, writes = (0.0, 0.5, 0.5), (0.25, 0.25, 0.5), (0.5, 0.0, 0.5)
    expected = [reads, reads, both, writes, writes] * 2
    assert timeline(seen(10.0), 2) == [pytest.approx(tenth) for tenth in expected]
    assert bars([(0.25, 0.25, 0.5)]).split() == ["25(25)"]


@pytest.mark.parametrize(
    ("changed", "same", "holds"),
    [
        ({}, True, True),
        ({"program": "b"}, False, False),
        ({"calls": 3}, True, False),
        ({"calls": 1}, True, True),
    ],
)
def test_a_row_holds_with_the_same_program_and_no_more_calls(
    changed: dict[str, object],
    same: bool,  # noqa: FBT001
    holds: bool,  # noqa: FBT001
) -> None:
    """The exit code is made of this."""
    assert (row(**changed).same_program, row(**changed).holds) == (same, holds)


def test_other_trial_scores_are_another_result() -> None:
    """The same program by another way does not count as the same."""
    other = seen(5.0)
    other.said["trials"] = {"entities": [[1, 50.1, None]]}
    assert not row_of(CASE, seen(10.0), other).same_program


def test_the_json_object_has_the_form_that_was_agreed() -> None:
    """Exactly these keys in each row, on one line."""
    line = as_json([row()], scale=20)
    assert "\n" not in line
    body = json.loads(line)
    assert body["scale"] == 20
    assert body["rows"] == [
        {
            "samples": 60,
            "auto": "light",
            "slots": 2,
            "plain_s": 10.0,
            "trainer_s": 5.0,
            "ratio": 2.0,
            "limit_s": pytest.approx(row().trainer.limit, abs=0.05),
            "over_limit": pytest.approx(row().over_limit, abs=0.0005),
            "plain_calls": 2,
            "trainer_calls": 2,
            "same_program": True,
        }
    ]


def test_tables_have_a_line_for_each_row_under_the_same_heads() -> None:
    """For people and for the README."""
    rows = [row(), replace(row(), same_program=False)]
    lines = aligned(HEADS, list(map(cells, rows))).splitlines()
    assert len(lines) == 3
    assert len(set(map(len, lines))) == 1
    assert lines[2].endswith("NO")
    assert [line.count("|") for line in markdown(rows).splitlines()] == [len(HEADS) + 1] * 4
    assert [line[3] for line in use_cells(rows[0])] == ["plain", "trainer"]


def test_the_trace_has_no_text() -> None:
    """Each call with its times from the begin, and nothing of what was asked."""
    first, second = calls_of(CASE, "plain", seen(10.0))
    assert (first["start"], first["read"], first["end"], second["start"]) == (0.0, 2.5, 5.0, 5.0)
    assert not any(isinstance(value, (list, dict)) for value in first.values())
    assert first["kind"] == "proposal"
    assert first["text"] != second["text"]


@pytest.mark.parametrize("task", ["entities", "relations"])
def test_the_trace_tells_what_a_call_is_for(task: Task) -> None:
    """By the part of the prompt that says which answer is wanted."""
    system = system_content("Find things.", task, [TypeDefinition(name="A")], chain_of_thought=True)
    assert kind_of((("system", system), ("user", "x"))) == task


def test_rows_are_chosen_on_the_command_line() -> None:
    """All, the quick ones, or some."""
    assert cases_of(arguments([])) == list(FULL)
    assert cases_of(arguments(["--quick"])) == list(QUICK)
    assert cases_of(arguments(["--quick", "--slots", "4"])) == [Case(60, "light", 4)]
    assert len(cases_of(arguments(["--samples", "300", "--auto", "medium"]))) == 4
