"""A served prompt is asked of the model that it names, however the run spells that name."""

import json
from pathlib import Path
from typing import Any

import pytest

from domaintraining.trainer.prompts.served import Served, read_served
from tests.unit.api.prompts import messages
from tests.unit.trainer.scripted import make_run

TYPES = {"items": {"properties": {"type": {"enum": ["Software"]}}}}
BODY = {"messages": messages(), "format": {"type": "object", "properties": {"entities": TYPES}}}


def model(name: str) -> dict[str, str]:
    """A model of a run."""
    return {"name": name, "digest": f"sha256:{name}", "endpoint": "http://ollama", "source": "spec"}


def read(folder: Path, named: Any, own: str, *others: str) -> Served:
    """The served prompt that names a model, as a run of these models reads it."""
    (folder / "entities.request.json").write_text(json.dumps(BODY | {"model": named}))
    (folder / "manifest.json").write_text(json.dumps({"seen": []}))
    rivals = [{"model": model(name)} for name in others]
    return read_served(folder, make_run(served=1, model=model(own), compareWith=rivals))


@pytest.mark.parametrize(
    ("named", "spelled"),
    [("good", "good:latest"), ("good:latest", "good"), ("good:7b", "library/Good:7b"), ("good", "good")],
)
def test_a_prompt_is_asked_of_its_model_in_another_spelling(tmp_path: Path, named: str, spelled: str) -> None:
    """With the run's own spelling, by which its answers are kept."""
    served = read(tmp_path, named, "poor:1b", "fair:1b", spelled)
    assert served.models == {"entities": spelled}
    assert json.loads(served.requests["entities"])["model"] == spelled
    assert set(served.of(spelled)) == {"entities"}


@pytest.mark.parametrize("named", ["gone:1b", "", None, 7, ["good:7b"]])
def test_a_prompt_of_no_model_of_the_run_is_asked_of_its_own(tmp_path: Path, named: Any) -> None:
    assert read(tmp_path, named, "poor:1b", "good:7b").models == {"entities": "poor:1b"}
