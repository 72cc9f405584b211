"""A run with metric.matching semantic: a further number, from the answers that there are."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from domaintraining.api.report import RESULT_KEY, Prompts
from domaintraining.api.status import TaskMetrics
from domaintraining.trainer.calls.server import ScriptedServer
from domaintraining.trainer.main import SUCCESS, attempt
from domaintraining.trainer.reading import Folders
from domaintraining.trainer.reporter import RecordedReport
from tests.unit.trainer.scripted import FIRMS, answer, make_run, samples

MODEL = {"name": "bge-m3", "digest": "sha256:2", "endpoint": "http://ollama", "source": "default"}
SEMANTIC: dict[str, Any] = {"metric": {"matching": "semantic"}, "embeddingModel": MODEL}


def wordy(body: Mapping[str, Any]) -> str:
    """The scripted model, which gives firms another name than the labels do."""
    content = answer(body)
    if "format" in body:
        for firm in FIRMS:
            content = content.replace(f'"{firm}"', f'"{firm} Inc"')
    return content


def first_word(text: str) -> list[float]:
    """Names with the same first word have the same vector, all others are at right angles."""
    place = hash_of(text.split(maxsplit=1)[0])
    return [float(at == place) for at in range(4096)]


def hash_of(word: str) -> int:
    return int.from_bytes(word.encode()[:8].ljust(8), "big") % 4093


def ended(folder: Path, **changes: Any) -> tuple[RecordedReport, ScriptedServer]:
    (folder / "samples.jsonl").write_text("\n".join(json.dumps(row) for row in samples(40)))
    sink, server = RecordedReport(), ScriptedServer(wordy, first_word)
    folders = Folders(folder, journal=folder / "journal")
    (folder / "journal").mkdir(exist_ok=True)
    code, _ = attempt(make_run(**changes), folders, sink, lambda *_: server)
    assert code == SUCCESS
    assert sink.report.progress.model_calls == len(server.bodies)
    return sink, server


def run(folder: Path, **changes: Any) -> tuple[Prompts, ScriptedServer]:
    sink, server = ended(folder, **changes)
    return Prompts.model_validate_json(sink.data[RESULT_KEY]), server


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Prompts, ScriptedServer]]:
    """The same run without and then with embeddings, on one journal."""
    folder = tmp_path_factory.mktemp("semantic")
    return {"without": run(folder), "with": run(folder, **SEMANTIC)}


Both = dict[str, tuple[Prompts, ScriptedServer]]


def numbers(prompts: Prompts) -> list[TaskMetrics]:
    found = [prompts.metrics.entities, prompts.metrics.relations, prompts.metrics.end_to_end]
    assert all(found)
    return [one for one in found if one]


def test_it_asks_for_embeddings_alone(both: Both) -> None:
    """After a run without them no chat call is made: search and answers are in the journal."""
    without, asked = both["without"][1], both["with"][1]
    assert without.bodies
    assert asked.bodies
    assert {frozenset(body) for body in asked.bodies} == {frozenset({"model", "input"})}
    texts = [text for body in asked.bodies for text in body["input"]]
    assert len(texts) == len(set(texts))


def test_the_number_stands_beside_the_normalized_one_which_stays(both: Both) -> None:
    """Prompts, normalized numbers and verdicts are those of the run without; the further one is higher."""
    without, found = both["without"][0], both["with"][0]
    assert found.entities
    assert without.entities
    assert found.entities.files == without.entities.files
    for plain, further in zip(numbers(without), numbers(found), strict=True):
        assert plain.semantic is None
        assert further.model_copy(update={"semantic": None}) == plain
        assert further.semantic
        assert further.f1 is not None
        assert further.semantic.f1 > further.f1
        assert further.baseline
        assert further.semantic.baseline.f1 >= further.baseline.f1
        assert further.semantic.improvement.over == "Baseline"


def test_the_manifest_says_which_model_and_threshold(both: Both) -> None:
    manifest = both["with"][0].manifest
    assert manifest["embeddingModel"] == {"name": "bge-m3", "digest": "sha256:2"}
    assert manifest["metric"] == {"matching": "semantic", "threshold": 0.75, "embeddingModel": None}
    assert "embeddingModel" not in both["without"][0].manifest


def test_without_held_out_documents_there_is_nothing_to_compare(tmp_path: Path) -> None:
    found, server = run(tmp_path, data={**make_data(), "split": {"testPercent": 0}}, **SEMANTIC)
    assert not [body for body in server.bodies if "input" in body]
    assert all(one.semantic is None for one in numbers(found))


def test_a_model_that_names_without_end_costs_the_further_number_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Embeddings that would fill memory and journal are not asked for; the result is there, and says why."""
    monkeypatch.setattr("domaintraining.trainer.training.MOST_NAMES", 3)
    sink, server = ended(tmp_path, **SEMANTIC)
    found = Prompts.model_validate_json(sink.data[RESULT_KEY])
    assert not [body for body in server.bodies if "input" in body]
    assert all(one.semantic is None for one in numbers(found))
    assert all(one.f1 is not None for one in numbers(found))
    dataset = sink.report.dataset
    assert dataset
    assert "at most 3 are compared by their embeddings" in dataset.warnings[0]


def make_data() -> dict[str, Any]:
    return {"file": "samples.jsonl", "source": "spec.dataset.inline"}
