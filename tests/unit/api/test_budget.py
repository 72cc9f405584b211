"""Durations as the API server takes them."""

import re

import pytest

from domaintraining.api.budget import Budget, Limits, limits_of, seconds_of
from domaintraining.api.rules import DURATION, INNER_PATH


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90m", 5400),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("2h0m10s", 7210),
        ("1500ms", 1.5),
        ("8760h", 31_536_000),
    ],
)
def test_go_durations_are_seconds(text: str, seconds: float) -> None:
    """The forms that Go writes, and those that people do."""
    assert re.fullmatch(DURATION, text)
    assert seconds_of(text) == pytest.approx(seconds)


def test_an_absent_limit_is_none() -> None:
    """And a given one is a number."""
    assert limits_of(Budget()) == Limits()
    assert limits_of(Budget(max_duration="2m", max_model_calls=7)) == Limits(seconds=120, calls=7)


@pytest.mark.parametrize("path", ["a.jsonl", "a/b c/d.jsonl", ".hidden", "..a/b..jsonl", "ä/ö.json", "a\\b"])
def test_paths_inside_of_a_volume_are_taken(path: str) -> None:
    """Whatever a file may be called."""
    assert _matches(path)


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", "./a", "a\nb"])
def test_paths_that_leave_the_volume_are_refused(path: str) -> None:
    """No part is empty, `.` or `..`."""
    assert not _matches(path)


def _matches(path: str) -> bool:
    """The pattern in the words of Python's engine, which knows no classes of Unicode."""
    return re.search(INNER_PATH.replace(r"\p{Cc}", r"\x00-\x1f\x7f-\x9f"), path) is not None
