"""Names of objects: valid for the longest resource, and never the same for two."""

import re
from collections import defaultdict
from itertools import product

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
        names.record_name(name, run),
        names.similar_name(name, run),
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


@pytest.mark.parametrize("name", ["tech-docs", "docs-prompt"])
def test_one_resource_never_makes_the_same_name_twice(name: str) -> None:
    made = [one for made in names_of(name).values() for one in made]
    assert len(set(made)) == len(made)


def names_of(name: str) -> dict[str, list[str]]:
    """All names that a resource gives, by the kind of object that it gives them to."""
    runs = (1, 2, 12)
    return {
        "ConfigMap": [
            made
            for run in runs
            for made in (
                names.record_name(name, run),
                names.report_name(name, run),
                names.data_name(name, run),
                names.similar_name(name, run),
                names.prompt_name(name, run),
            )
        ]
        + [
            names.prompt_name(name, 0),
            names.prompt_name(name),
            names.check_name(name),
            names.check_report_name(name),
            names.check_data_name(name),
        ],
        "Job": [names.job_name(name, run, attempt) for run in runs for attempt in runs]
        + [names.check_job_name(name, run) for run in runs],
        "PersistentVolumeClaim": [names.journal_name(name)],
    }


def test_two_resources_never_give_the_same_name_to_one_kind_of_object() -> None:
    """Not even where one is called as what the other makes: `docs-prompt` beside `docs`."""
    kinds = names_of("docs")
    made = [one for listed in kinds.values() for one in listed] + [names.run_name("docs", 1)]
    ends = sorted({one.removeprefix("docs") for one in made} | {"-run", "-a1", "-report", "-data"})
    resources = {f"docs{''.join(parts)}" for parts in product(["", *ends], repeat=2)} | {"prompt", "r1", "a"}
    givers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name in resources:
        for kind, listed in names_of(name).items():
            for one in listed:
                givers[kind, one].add(name)
    assert {one: names for one, names in givers.items() if len(names) > 1} == {}
    rights = [names.run_name(name, run) for name in resources for run in (1, 2, 12)]
    rights += [names.check_name(name) for name in resources]
    assert len(set(rights)) == len(rights)


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
