"""Names of objects: valid for the longest resource, and never the same for two."""

import re

import pytest

from domaintraining.api import names
from domaintraining.api.rules import DOMAIN, LABEL_VALUE

LONGEST = "a" * names.MAX_NAME
LARGEST_RUN = 99_999_999
LARGEST_ATTEMPT = 9_999
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def all_names(name: str, run: int, attempt: int) -> list[str]:
    return [
        names.job_name(name, run, attempt),
        names.run_name(name, run),
        names.report_name(name, run),
        names.data_name(name, run),
        names.prompt_name(name, run),
        names.check_job_name(name, run),
        names.prompt_name(name),
    ]


@pytest.mark.parametrize(
    "made",
    [
        *all_names(LONGEST, LARGEST_RUN, LARGEST_ATTEMPT),
        names.check_name(LONGEST),
        names.check_report_name(LONGEST),
    ],
)
def test_longest_name_gives_names_that_every_object_may_have(made: str) -> None:
    """63 characters: what a label, a host name and the Job's own labels of its pods may hold."""
    assert len(made) <= 63
    assert DNS_LABEL.fullmatch(made)


def test_one_resource_never_makes_the_same_name_twice() -> None:
    made = [name for run in range(1, 4) for name in all_names("tech-docs", run, 1)[:-1]]
    assert len({*made, names.prompt_name("tech-docs")}) == len(made) + 1


def test_names_are_those_of_the_contract() -> None:
    assert names.prompt_name("tech-docs") == "tech-docs-prompt"
    assert names.prompt_name("tech-docs", 0) == "tech-docs-prompt-r0"
    assert names.prompt_name("tech-docs", 12) == "tech-docs-prompt-r12"


def test_attempts_have_jobs_of_their_own() -> None:
    assert names.job_name("a", 1, 12) != names.job_name("a", 11, 2)


@pytest.mark.parametrize(
    ("name", "domain", "expected"),
    [
        ("tech-docs", None, "tech_docs"),
        ("t", None, "t"),
        ("2024-reports", "reports", "reports"),
        (LONGEST, None, LONGEST),
        ("tech-docs", "docs", "docs"),
    ],
)
def test_domain_comes_from_spec_or_name(name: str, domain: str | None, expected: str) -> None:
    found = names.domain_of(name, domain)
    assert found == expected
    assert re.fullmatch(DOMAIN, found)


def test_short_text_is_its_own_label_value() -> None:
    assert names.label_value("x" * 63) == "x" * 63


def test_long_text_becomes_a_label_value_of_its_own() -> None:
    one, other = names.label_value("x" * 63 + "a"), names.label_value("x" * 63 + "b")
    assert one != other
    assert all(re.fullmatch(LABEL_VALUE, value) and len(value) <= 63 for value in (one, other))
