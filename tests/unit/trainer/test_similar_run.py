"""A run that is given the prompts of similar domains: tried on the validation part, and told who won."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from domaintraining.api.report import RESULT_KEY, Prompts
from domaintraining.api.similar import Offer, offer_digest
from domaintraining.trainer.calls.server import ScriptedServer
from domaintraining.trainer.main import NEEDS_A_CHANGE, SUCCESS, attempt
from domaintraining.trainer.prompts import export
from domaintraining.trainer.prompts.export import text_digest
from domaintraining.trainer.reading import Folders
from domaintraining.trainer.reporter import RecordedReport
from tests.unit.trainer.scripted import answer, make_run, samples

MODEL = {"name": "bge-m3", "digest": "sha256:2", "endpoint": "http://ollama", "source": "default"}
MAGIC = "Spot them all."
SHOWN: dict[str, Any] = {
    "text": "Ada joined Hooli in spring.",
    "entities": [{"name": "Ada", "type": "PERSON"}, {"name": "Hooli", "type": "FIRM"}],
}


def offer(name: str, instruction: str = MAGIC, **changes: Any) -> Offer:
    """What a domain of the same types offers for entities."""
    task = {"instruction": instruction, "types": ["PERSON", "FIRM"], "demos": [SHOWN]}
    return Offer.model_validate({"name": name, "revision": 4, "entities": task} | changes)


def taught(body: Mapping[str, Any]) -> str:
    """The scripted model, which misses firms unless the instruction is the other domain's."""
    if "format" not in body or "entities" not in body["format"]["properties"]:
        return answer(body)
    fields = json.loads(answer({**body, "messages": [{}] * 5 + [body["messages"][-1]]}))
    if MAGIC not in body["messages"][0]["content"]:
        fields["entities"] = [one for one in fields["entities"] if one["type"] == "PERSON"]
    return json.dumps(fields)


def wise(body: Mapping[str, Any]) -> str:
    """A model that is always right, whatever the prompt says."""
    return (
        answer({**body, "messages": [{}] * 5 + [body["messages"][-1]]}) if "format" in body else answer(body)
    )


class Given:
    """A run with offers, and what came of it."""

    def __init__(
        self,
        folder: Path,
        model: Any,
        offers: list[Offer],
        journal: str = "journal",
        labels: Mapping[str, Any] = MappingProxyType({}),
        *,
        vectors: bool = True,
        **run: Any,
    ) -> None:
        (folder / "samples.jsonl").write_text("\n".join(json.dumps({**row, **labels}) for row in samples(40)))
        (folder / "similar").mkdir(exist_ok=True)
        (folder / journal).mkdir(exist_ok=True)
        for one in offers:
            (folder / "similar" / f"{one.name}.json").write_text(one.text())
        given = [
            {"name": one.name, "revision": one.revision, "digest": offer_digest(one.text())} for one in offers
        ]
        self.sink, self.server = (
            RecordedReport(),
            ScriptedServer(model, (lambda text: [len(text) % 7, 1.0, 0.5]) if vectors else None),
        )
        folders = Folders(folder, journal=folder / journal, similar=folder / "similar")
        code, _ = attempt(make_run(**{"similar": given} | run), folders, self.sink, lambda *_: self.server)
        assert code == SUCCESS
        self.prompts = Prompts.model_validate_json(self.sink.data[RESULT_KEY])
        self.manifest: dict[str, Any] = self.prompts.manifest


@pytest.fixture(scope="module")
def won(tmp_path_factory: pytest.TempPathFactory) -> Given:
    """Only the other domain's wording makes the model find firms."""
    return Given(tmp_path_factory.mktemp("won"), taught, [offer("manuals"), offer("plain", "Look.")])


def test_a_better_prompt_of_a_similar_domain_is_the_result(won: Given) -> None:
    """Its instruction and its demo are published, and the manifest says whose they are."""
    assert won.prompts.entities
    assert won.prompts.entities.instruction == MAGIC
    assert "Ada joined Hooli" in won.prompts.entities.files.messages
    said = won.manifest["similar"]
    assert said["won"] == {"entities": "manuals"}
    assert [(one["name"], one["revision"]) for one in said["considered"]] == [("manuals", 4), ("plain", 4)]
    best, other = (one["validationF1"]["entities"] for one in said["considered"])
    assert best == 1.0 > other
    assert won.manifest["tasks"]["entities"]["validationF1"] == 1.0


def test_what_it_was_shown_counts_as_seen(won: Given) -> None:
    """A later comparison leaves the text of its demo out."""
    assert text_digest(SHOWN["text"]) in won.manifest["seen"]


def test_calls_are_planned_and_counted(won: Given) -> None:
    progress = won.sink.report.progress
    assert progress.model_calls == progress.planned_model_calls == len(won.server.bodies)
    asked = [body for body in won.server.bodies if MAGIC in json.dumps(body["messages"])]
    validation = won.manifest["dataset"]["validation"]
    assert len([body for body in asked if "format" in body]) >= validation


def test_a_task_that_the_run_has_not_needs_no_labels(tmp_path: Path) -> None:
    """Samples that say there are no relations are samples for entities, beside similar domains as well."""
    given = Given(tmp_path, taught, [offer("manuals")], labels={"relations": []}, tasks=["entities"])
    assert given.manifest["similar"]["won"] == {"entities": "manuals"}


def test_where_none_is_better_mipros_own_stays(tmp_path: Path) -> None:
    """The same bytes as without, a tie among them; the manifest says that none won."""
    found = Given(tmp_path, wise, [offer("manuals")])
    without = Given(tmp_path, wise, [], "other")
    assert found.prompts.entities
    assert without.prompts.entities
    assert found.prompts.entities.files == without.prompts.entities.files
    assert found.manifest["similar"]["won"] == {"entities": None}
    assert "similar" not in without.manifest


def test_other_neighbours_on_the_same_journal_are_judged_by_themselves(tmp_path: Path) -> None:
    """The finished search in the journal is MIPROv2's alone: nobody's earlier win is played back."""
    first = Given(tmp_path, taught, [offer("manuals")])
    assert first.manifest["similar"]["won"] == {"entities": "manuals"}
    second = Given(tmp_path, taught, [offer("plain", "Look.")])
    assert second.manifest["similar"]["won"] == {"entities": None}
    again = Given(tmp_path, taught, [offer("manuals")])
    assert again.server.bodies == []
    assert again.prompts == first.prompts


def test_an_offer_that_is_not_the_one_of_the_start_is_not_tried(tmp_path: Path) -> None:
    """Which domains are used is fixed by the run: a changed file is none of them."""
    changed: dict[str, Any] = {"similar": [{"name": "manuals", "revision": 4, "digest": "0" * 64}]}
    found = Given(tmp_path, taught, [offer("manuals")], **changed)
    assert found.manifest["similar"] == {"considered": [], "won": {}}


def test_none_are_tried_where_the_spec_says_so(tmp_path: Path) -> None:
    found = Given(tmp_path, taught, [offer("manuals")], optimizer={"similarDomains": 0})
    assert found.manifest["similar"]["won"] == {}


def test_data_are_told_by_a_vector_where_a_model_makes_one(tmp_path: Path) -> None:
    """Of train and validation part only; the next domain compares itself with it."""
    first = Given(tmp_path, answer, [], "one", dataModel=MODEL)
    vector = first.manifest["dataVector"]
    assert (vector["model"], vector["digest"]) == ("bge-m3", "sha256:2")
    asked = {text for body in first.server.bodies for text in body.get("input", [])}
    assert {text_digest(text) for text in asked} == set(first.manifest["seen"])
    second = Given(tmp_path, answer, [offer("manuals", vector=vector)], "two", dataModel=MODEL)
    (said,) = second.manifest["similar"]["considered"]
    assert said["cosine"] == 1.0
    assert said["distance"]["entities"] == 0.0


def test_held_out_texts_that_a_domain_had_seen(tmp_path: Path) -> None:
    """One of ten is left out of the comparison for its sake; a domain that had seen more is not tried."""
    plain = Given(tmp_path, taught, [], "plain")
    held_out = sorted(set(plain.manifest["heldOut"]))
    some = Given(tmp_path, taught, [offer("manuals", seen=held_out[:1])], "some")
    assert set(some.manifest["heldOut"]) == set(held_out[1:])
    assert some.manifest["similar"]["won"] == {"entities": "manuals"}
    assert held_out[0] in some.manifest["seen"]
    many = Given(tmp_path, taught, [offer("manuals", seen=held_out[:3])], "many")
    assert set(many.manifest["heldOut"]) == set(held_out)
    assert many.manifest["similar"]["won"] == {}
    assert many.manifest["similar"]["considered"][0]["heldOutSeen"] == 3


def test_a_budget_that_ends_while_they_are_tried_keeps_mipros_own(tmp_path: Path) -> None:
    """Only what was scored on all validation samples counts; a larger budget goes on from the journal."""
    whole = Given(tmp_path, taught, [offer("manuals")], "whole")
    tried = whole.manifest["dataset"]["validation"]
    measured = 3 * whole.manifest["dataset"]["test"]
    calls = len(whole.server.bodies) - measured - tried // 2
    cut = Given(tmp_path, taught, [offer("manuals")], "cut", budget={"calls": calls})
    assert cut.sink.report.budget_exhausted
    assert cut.manifest["similar"]["won"] == {"entities": None}
    assert cut.prompts.entities
    assert cut.prompts.entities.instruction != MAGIC
    more = Given(tmp_path, taught, [offer("manuals")], "cut")
    assert more.manifest["similar"]["won"] == {"entities": "manuals"}
    assert more.prompts.entities == whole.prompts.entities


def test_a_domain_whose_texts_the_manifest_has_no_room_for_is_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names all texts that the winner's training had seen; a smaller one is tried, and status tells."""
    seen = [text_digest(str(number)) for number in range(1_000)]
    monkeypatch.setattr(export, "MANIFEST_LIMIT", 80_000)
    large, small = offer("manuals", seen=seen), offer("small", "Look.", seen=seen[:100])
    given = Given(tmp_path, taught, [large, small])
    told = {one["name"]: one["validationF1"] for one in given.manifest["similar"]["considered"]}
    assert (told["manuals"], list(told["small"])) == ({}, ["entities"])
    assert given.sink.report.dataset
    assert "1 similar domains are not tried" in given.sink.report.dataset.warnings[0]
    monkeypatch.undo()
    (tmp_path / "roomy").mkdir()
    given = Given(tmp_path / "roomy", taught, [large, small])
    assert given.manifest["similar"]["won"] == {"entities": "manuals"}


def test_samples_that_no_manifest_holds_are_told_before_the_first_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MANIFEST_LIMIT", 11_000)
    (tmp_path / "samples.jsonl").write_text("\n".join(json.dumps(row) for row in samples(40)))
    server = ScriptedServer(taught)
    code, error = attempt(make_run(), Folders(tmp_path), RecordedReport(), lambda *_: server)
    assert code == NEEDS_A_CHANGE
    assert error
    assert (error.reason, server.bodies) == ("ResultTooLarge", [])
