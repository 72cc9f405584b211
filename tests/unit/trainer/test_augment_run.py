"""A run with dataset.augment: rewordings of train samples, and whether they helped."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from domaintraining.api.budget import Limits
from domaintraining.api.reasons import Reason
from domaintraining.api.report import RESULT_KEY, Prompts
from domaintraining.api.spec import Split
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.augmenting import gain_of
from domaintraining.trainer.calls.server import ScriptedServer, raise_given_up
from domaintraining.trainer.data.split import split_samples
from domaintraining.trainer.main import SUCCESS, attempt
from domaintraining.trainer.prompts.export import text_digest
from domaintraining.trainer.reading import Folders
from domaintraining.trainer.reporter import RecordedReport
from tests.unit.trainer.scripted import answer, make_run, parsed, samples

Script = Callable[[Mapping[str, Any]], str]
SAMPLES = 40
PARTS = split_samples(parsed(SAMPLES), Split())
TURNS = (
    "{firm} paid the wages of {person}; the year was {year}, by all accounts.",
    "A colleague at {firm} throughout those months numbered {year}: {person}.",
)


def is_rewording(body: Mapping[str, Any]) -> bool:
    return list(body.get("format", {}).get("properties", {})) == ["text"]


def reworder(body: Mapping[str, Any]) -> str:
    """The scripted model, which can say two further things of who worked where."""
    if not is_rewording(body):
        return answer(body)
    found = re.search(r"In year (\d+), (\w+) worked for (\w+)\.", body["messages"][-1]["content"])
    assert found
    year, person, firm = found.groups()
    turn = TURNS[body["options"]["seed"] % 2]
    return json.dumps({"text": turn.format(year=year, person=person, firm=firm)})


class Augmented:
    """A run that ended: its report, its result and what the server saw."""

    def __init__(self, folder: Path, script: Script = reworder, *, factor: int = 2, **changes: Any) -> None:
        (folder / "samples.jsonl").write_text("\n".join(json.dumps(row) for row in samples(SAMPLES)))
        (folder / "journal").mkdir(exist_ok=True)
        self.sink, self.server = RecordedReport(), ScriptedServer(script)
        folders = Folders(folder, journal=folder / "journal")
        run = make_run(**changes)
        augment = {"factor": factor} if factor else None
        run = make_run(data={**run.data.model_dump(by_alias=True), "augment": augment}, **changes)
        self.code, self.error = attempt(run, folders, self.sink, lambda *_: self.server)

    @property
    def result(self) -> Prompts:
        assert self.code == SUCCESS
        return Prompts.model_validate_json(self.sink.data[RESULT_KEY])

    @property
    def told(self) -> str:
        dataset = self.sink.report.dataset
        assert dataset is not None
        (line,) = [warning for warning in dataset.warnings if warning.startswith("augment: ")]
        return line

    @property
    def rewordings(self) -> list[Mapping[str, Any]]:
        return [body for body in self.server.bodies if is_rewording(body)]


def bodies_of(run: Augmented) -> list[str]:
    return [json.dumps(body, sort_keys=True) for body in run.server.bodies]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("augmented")


@pytest.fixture(scope="module")
def done(folder: Path) -> Augmented:
    return Augmented(folder)


def test_train_samples_are_reworded_and_no_others(done: Augmented) -> None:
    """Twice each, at the temperature of proposals, each version with a seed of its own."""
    asked = [body["messages"][-1]["content"].split("\n")[1] for body in done.rewordings]
    assert sorted(asked) == sorted([one.text for one in PARTS.train] * 2)
    assert {body["options"]["temperature"] for body in done.rewordings} == {1.0}
    assert {body["options"]["seed"] for body in done.rewordings} == {9, 10}


def test_rewordings_are_marked_and_in_no_other_part(done: Augmented) -> None:
    """Counts, demos and the texts that the run has seen; the sizes of the parts are those of the data."""
    manifest = done.result.manifest
    augment = manifest["augment"]
    assert augment["asked"] == augment["made"] == 2 * len(PARTS.train)
    assert augment["refused"] == {}
    assert manifest["dataset"]["train"] == len(PARTS.train)
    assert manifest["dataset"]["validation"] == len(PARTS.validation)
    known = {text_digest(one.text) for part in (PARTS.train, PARTS.validation) for one in part}
    assert len(set(manifest["seen"]) - known) == augment["made"]
    assert set(manifest["heldOut"]) == {text_digest(one.text) for one in PARTS.test}
    originals = {one.text for one in PARTS.train}
    for task in ("entities", "relations"):
        prompt = done.result.prompt(task)
        assert prompt is not None
        shown = [message["content"] for message in json.loads(prompt.files.messages)[1:-1:2]]
        texts = [content.removeprefix("Text:\n").split("\n\nEntities:")[0] for content in shown]
        marked = augment["tasks"][task]["demos"]
        assert marked == [at for at, text in enumerate(texts, start=1) if text not in originals]
        assert augment["tasks"][task]["usedInDemos"] == len(marked)
    assert any(augment["tasks"][task]["usedInDemos"] for task in augment["tasks"])


def test_whether_they_helped_is_measured_against_the_originals(done: Augmented) -> None:
    """On validation, by the mean F1 that chose the prompt; a prompt without them needs no call for it."""
    tasks = done.result.manifest["augment"]["tasks"]
    for task, gain in tasks.items():
        if not gain["usedInDemos"]:
            assert (gain["helped"], gain["why"]) == (False, "the chosen prompt shows none of them")
            assert f"{task}: {gain['why']}" in done.told
            continue
        assert gain["documents"] == len(PARTS.validation)
        chosen = done.result.manifest["tasks"][task]["validationF1"]
        assert gain["validationF1With"] == chosen
        assert 0 <= gain["validationF1Without"] <= 1
        assert f"{task}: " in done.told


def test_status_says_it_in_one_line_without_sample_text(done: Augmented) -> None:
    names = {
        word for row in samples(SAMPLES) for entity in row["entities"] for word in entity["name"].split()
    }
    assert not any(name in done.told for name in names)
    assert done.told.startswith("augment: 20 of 20 rewordings are used for training")
    assert done.sink.report.progress.model_calls == len(done.server.bodies)
    assert done.sink.report.progress.planned_model_calls == len(done.server.bodies)


def test_no_call_is_made_twice_within_a_run(done: Augmented) -> None:
    """The comparison takes the chosen prompt's answers from the search; proposals want several of a kind."""
    asked = [json.dumps(body, sort_keys=True) for body in done.server.bodies if "format" in body]
    assert len(set(asked)) == len(asked)


def test_a_run_that_is_made_again_makes_the_same_without_a_call(folder: Path, done: Augmented) -> None:
    """Rewordings, search and comparison are in the journal."""
    again = Augmented(folder)
    assert again.server.bodies == []
    assert again.result.model_dump() == done.result.model_dump()


@pytest.mark.parametrize("calls", [35, 60, 300])
def test_a_run_that_is_killed_goes_on_and_repeats_no_call(
    tmp_path: Path, done: Augmented, calls: int
) -> None:
    """In the middle of the rewordings, and of the search behind them: the same result as undisturbed."""
    seen: list[int] = []

    def breaking(body: Mapping[str, Any]) -> str:
        seen.append(1)
        if len(seen) > calls:
            raise_given_up(DomainTrainingError(Reason.MODEL_SERVER_UNAVAILABLE, "killed"))
        return reworder(body)

    first = Augmented(tmp_path, breaking)
    assert first.code != SUCCESS
    second = Augmented(tmp_path)
    known = set(bodies_of(first)[:calls])
    repeated = [body for body in bodies_of(second) if body in known]
    assert len(repeated) <= 4, "only what was in flight when it was killed"
    assert second.result.manifest == done.result.manifest


@pytest.mark.parametrize("rubbish", ["Sure, here it is!", '{"text": "Nobody."}', "{}"])
def test_a_model_that_rewords_badly_makes_nothing_and_the_run_goes_on(tmp_path: Path, rubbish: str) -> None:
    """With the very prompts of a run without rewordings; status says so."""

    def badly(body: Mapping[str, Any]) -> str:
        return rubbish if is_rewording(body) else answer(body)

    run = Augmented(tmp_path, badly, factor=1)
    (plain := tmp_path / "plain").mkdir()
    without = Augmented(plain, factor=0)
    assert run.told.startswith("augment: none of 10 rewordings can be used (10 ")
    assert run.told.endswith("training goes on without")
    augment = run.result.manifest["augment"]
    assert (augment["asked"], augment["made"], sum(augment["refused"].values())) == (10, 0, 10)
    assert [gain["helped"] for gain in augment["tasks"].values()] == [None, None]
    assert run.result.entities == without.result.entities
    assert run.result.relations == without.result.relations
    assert "augment" not in without.result.manifest


def test_the_budget_counts_rewordings_and_keeps_the_calls_that_a_result_needs(tmp_path: Path) -> None:
    """25 for the baseline, 40 to score what the search starts from, twice 4 slots; a larger one goes on."""
    run = Augmented(tmp_path, budget=Limits(calls=83).model_dump())
    augment = run.result.manifest["augment"]
    assert run.sink.report.budget_exhausted
    assert (len(run.rewordings), augment["asked"], augment["unanswered"]) == (10, 10, 10)
    assert [gain["helped"] for gain in augment["tasks"].values()] == [None, None]
    assert "the budget had no call for 10 more" in run.told
    more = Augmented(tmp_path)
    assert len(more.rewordings) == 10
    assert more.result.manifest["augment"]["made"] == 20


def test_a_budget_with_no_call_to_spare_makes_no_rewordings(tmp_path: Path) -> None:
    run = Augmented(tmp_path, budget=Limits(calls=73).model_dump())
    assert run.rewordings == []
    assert run.result.manifest["augment"]["asked"] == 0
    assert run.told.startswith("augment: no rewordings are made, and training goes on without; the budget")


def test_the_budget_keeps_what_every_model_needs(tmp_path: Path) -> None:
    """The rewordings are made before all of them: 25 for the baseline, and what is left over after
    40 calls and twice 4 slots for one model, and for the other 40, 16 on their way, 33 that look how much its
    server serves, and before them 30 held-out calls and 40 that compare the first one's rewordings.
    """
    rival = {"model": {"name": "b:1b", "digest": "sha256:9", "endpoint": "http://ollama", "source": "spec"}}
    run = Augmented(tmp_path, budget=Limits(calls=25 + 48 + 159 + 10).model_dump(), compareWith=[rival])
    assert run.sink.report.budget_exhausted
    assert len(run.rewordings) == 10
    assert run.sink.report.models
    assert "NotCompared" not in [one.state for one in run.sink.report.models]


def test_they_helped_only_where_the_gain_is_clear() -> None:
    """True above the interval, False without a gain, None in between."""
    assert gain_of((1,), [1.0] * 20, [0.5] * 20, 9).helped is True
    assert gain_of((1,), [0.5] * 20, [0.5] * 20, 9).helped is False
    assert gain_of((1,), [0.4] * 20, [0.5] * 20, 9).helped is False
    assert gain_of((1,), [1.0, 0.0, 0.6], [0.0, 1.0, 0.5], 9).helped is None
