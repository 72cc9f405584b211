"""What the README shows is true: its blocks are run as they stand, here where no cluster is needed."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import dspy
import pytest
import yaml

from domaintraining.api.sample import Sample
from domaintraining.api.spec import DomainTrainingSpec
from domaintraining.trainer.prompts.export import task_files
from tests.readme import README, block, blocks
from tests.sandbox.cluster import REPOSITORY
from tests.sandbox.environment import MANIFEST
from tests.unit.trainer.loopback import Loopback, answer
from tests.unit.trainer.prompts.test_export import trained
from tests.unit.trainer.scripted import make_run

USE = "Use the prompt"
TEXT = "billing-api keeps its invoices in PostgreSQL."
ANSWER = {"reasoning": "so", "entities": [{"name": "Ada", "type": "PERSON"}]}


def test_every_block_has_its_test() -> None:
    """A new block needs a test: here, or in tests/integration/test_readme.py."""
    assert [one[:2] for one in blocks()] == [
        ("Try it", "sh"),
        ("On your own cluster", "sh"),
        ("On your own cluster", "sh"),
        ("On your own cluster", "text"),
        ("On your own cluster", "sh"),
        ("On your own cluster", "sh"),
        ("On your own cluster", "sh"),
        ("On your own cluster", "sh"),
        ("On your own cluster", "yaml"),
        ("On your own cluster", "json"),
        (USE, "sh"),
        (USE, "python"),
        (USE, "python"),
        ("How hard to try", "yaml"),
        ("What survives", "yaml"),
    ]


def test_make_has_the_targets_that_are_named() -> None:
    """`make demo`, `make test` and those named in a sentence."""
    named = set(re.findall(r"\bmake ([a-z0-9-]+)", README.read_text(encoding="utf-8")))
    assert {"demo", "test", "sandbox", "sandbox-down"} <= named
    known = re.findall(
        r"^([a-z0-9-]+):.*## ", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert named - set(known) == set()
    subprocess.run(["make", "--dry-run", "demo", "test"], cwd=REPOSITORY, check=True, capture_output=True)


def test_the_two_values_of_the_user_reach_the_manifest() -> None:
    """What the line with `sed` looks for stands in it: the images of both roles, and the model server."""
    (line,) = (one for one in block("On your own cluster", "sh", 4).splitlines() if one.startswith("sed "))
    manifest = MANIFEST.read_text(encoding="utf-8")
    found = {
        new: len(re.findall(old, manifest)) for old, new in re.findall(r"s\|([^|]+)\|\$(\w+)[/&]*\|", line)
    }
    assert found == {"REGISTRY": 2, "OLLAMA_BASE_URL": 1}


def test_the_sample_is_one() -> None:
    """One JSON object a line, in today's form."""
    (line,) = block("On your own cluster", "json").splitlines()
    assert Sample.model_validate_json(line).group


def test_the_journal_is_part_of_a_spec() -> None:
    """As it stands, and with the line behind `#` in the place of the one above it."""
    text = block("What survives", "yaml")
    job, first, other = text.splitlines()
    for line in (first, other.replace("#", " ", 1)):
        spec = yaml.safe_load(f"{job}\n{line}")
        smallest = yaml.safe_load(block("On your own cluster", "yaml"))["spec"]
        assert DomainTrainingSpec.model_validate({**smallest, **spec}).job.journal


def test_the_larger_example_is_a_spec() -> None:
    """Every field of it differs from its default; tests/integration/test_readme_example.py applies it."""
    spec = DomainTrainingSpec.model_validate(yaml.safe_load(block("How hard to try", "yaml"))["spec"])
    assert (spec.auto, spec.optimizer.num_candidates) == ("manual", 4)
    assert spec.model.prompt_model
    assert spec.budget.max_model_calls
    assert spec.job.journal.storage_class_name


def test_the_python_blocks_send_the_published_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Plain HTTP and DSPy: the same body, `<task>.request.json` with the text in its last message."""
    files = task_files(trained("entities"), make_run())
    (tmp_path / "entities.request.json").write_text(files.request, encoding="utf-8")
    (tmp_path / "entities.dspy.json").write_text(files.dspy, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with Loopback([answer(json.dumps(ANSWER))]) as server:
        monkeypatch.setenv("OLLAMA_BASE_URL", server.url)
        for number in (0, 1):
            exec(compile(block(USE, "python", number), "README.md", "exec"), {})
    dspy.configure(lm=None)  # as it was
    published = json.loads(files.request)
    published["messages"][-1]["content"] = f"Text:\n{TEXT}"
    assert [call.path for call in server.received] == ["/api/chat"] * 2
    assert [call.json for call in server.received] == [published] * 2
    assert capsys.readouterr().out == f"{ANSWER['entities']}\n" * 2
