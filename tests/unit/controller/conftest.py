"""Crowds of DomainTrainings for the tests of the queue."""

from collections.abc import Iterator

import pytest

from tests.unit.controller.crowd import Crowd, Gathering


@pytest.fixture
def crowd_of() -> Iterator[Gathering]:
    """Crowds that are gone after the test."""
    crowds: list[Crowd] = []

    def gather(number: int = 0, limit: int = 2, namespaces: str = "a") -> Crowd:
        crowd = Crowd(limit)
        crowds.append(crowd)
        for place in range(number):
            crowd.add(namespaces[place % len(namespaces)], f"t{place:03}")
            crowd.pass_time(1)
        return crowd

    yield gather
    for crowd in crowds:
        crowd.runner.close()
