"""Which qualities of a wording the simulated model notices."""

import pytest

from tests.sandbox.simulated_ollama.instruction import meanings_in, qualities_of


@pytest.mark.parametrize(
    ("wording", "quality"),
    [
        ("Copy the names verbatim.", "exact"),
        ("Give each name as it appears in the text.", "exact"),
        ("Take the full name.", "boundary"),
        ("Mind the boundaries of names.", "boundary"),
        ("List all entities.", "every"),
        ("Do not miss a name.", "every"),
        ("Use only the listed types.", "closed"),
        ("Dates and percentages count.", "numbers"),
        ("Decide by the context.", "context"),
        ("Lowercase terms count.", "lower"),
        ("Mind the direction.", "direction"),
        ("The source employs the target.", "direction"),
        ("Report only what the text explicitly states.", "stated"),
        ("Check every pair of names.", "pairs"),
        ("Lives depend on it.", "eager"),
    ],
)
def test_a_wording_that_asks_for_it_has_the_quality(wording: str, quality: str) -> None:
    """Different words for the same wish are heard."""
    assert quality in qualities_of(wording)


@pytest.mark.parametrize(
    "wording", ["", "Find names.", "Extract the named entities from the text, each with its type."]
)
def test_a_plain_wording_asks_for_nothing_special(wording: str) -> None:
    """The general instruction leaves room to find a better one."""
    assert qualities_of(wording) == frozenset()


def test_what_stands_behind_220_words_is_not_heard() -> None:
    """An endless instruction is not a better one."""
    assert qualities_of("Copy names verbatim. " + "and so on " * 90 + "Mind the direction.") == {"exact"}


def test_what_an_instruction_says_of_a_type_is_read() -> None:
    """Each type's own words up to the end of the sentence or clause."""
    told = meanings_in("X stands for people; Y: places of any size. Z", ("X", "Y", "Z"))
    assert told == (("X", "people"), ("Y", "places of any size"))
