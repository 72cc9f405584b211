"""The tables of the docs are those of the models."""

from pathlib import Path

import pytest

from domaintraining.api.docs import TABLES, generated, main
from domaintraining.api.reasons import REASONS, Reason

MARKED = "# Title\n<!-- generated:{name} -->\nold\n<!-- /generated -->\nend\n"


@pytest.mark.parametrize("name", TABLES)
def test_marked_table_is_replaced_and_nothing_else(name: str) -> None:
    text = generated(MARKED.format(name=name), "README.md")
    assert text == f"# Title\n<!-- generated:{name} -->\n{TABLES[name]()}<!-- /generated -->\nend\n"


def test_second_time_changes_nothing() -> None:
    once = generated(MARKED.format(name="spec") + MARKED.format(name="reasons"), "README.md")
    assert generated(once, "README.md") == once


@pytest.mark.parametrize(
    "text",
    [
        "nothing marked\n",
        MARKED.format(name="typo"),
        "<!-- generated:spec -->\nno end\n",
        "<!-- generated:spec -->\n" + MARKED.format(name="reasons"),
    ],
)
def test_wrong_marks_are_an_error_that_names_the_file(text: str) -> None:
    with pytest.raises(ValueError, match=r"README\.md"):
        generated(text, "README.md")


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_every_cell(name: str) -> None:
    lines = TABLES[name]().splitlines()
    assert len(lines) > 10
    assert {line.count("|") for line in lines} == {lines[0].count("|")}


def test_every_reason_is_in_the_table() -> None:
    assert REASONS.keys() == set(Reason)
    table = TABLES["reasons"]()
    assert all(f"| `{reason}` |" in table for reason in Reason)


def test_every_reason_says_what_to_do() -> None:
    assert [reason for reason, row in REASONS.items() if not row.remedy] == []
    assert [reason for reason, row in REASONS.items() if row.stalled and row.passes] == []


def test_fields_of_the_contract_are_in_the_table_with_default_and_bounds() -> None:
    table = TABLES["spec"]()
    assert "| `optimizer.bootstrappedDemos` | integer (0 to 16) | `3` |" in table
    assert "| `tasks` | list (1 to 2) of `entities`, `relations` | `[entities, relations]` |" in table
    assert "| `dataset.configMap.key` | string (1 to 253), **required** |" in table
    assert "labeledDemos needs bootstrappedDemos of at least 1" in table


def test_alike_fields_of_status_share_their_rows() -> None:
    assert "| `metrics.{entities,relations,endToEnd}.f1` |" in TABLES["status"]()


def test_command_writes_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(MARKED.format(name="reasons"), encoding="utf-8")
    assert main([str(readme)]) == 0
    assert TABLES["reasons"]() in readme.read_text(encoding="utf-8")
    assert main([]) == 0
    assert capsys.readouterr().out == "\n".join(table() for table in TABLES.values())
