"""`make e2e` where there can be no node says why; CI goes on from there, a person's call fails."""

from __future__ import annotations

import pytest

from tests.e2e import __main__ as e2e
from tests.e2e.node import requirements


@pytest.mark.parametrize(("given", "code"), [([], 1), (["--where-possible"], 0)])
def test_a_machine_without_what_it_needs_says_so(
    given: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert e2e.main(given) == code
    assert capsys.readouterr().out == "e2e not run here, because it needs Linux, this is Darwin\n"


def test_without_root_it_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "root" in requirements.obstacle()
