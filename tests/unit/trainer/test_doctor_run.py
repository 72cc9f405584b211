"""What a run says of its data and its model: from answers that it has anyway, without a word of a sample."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from domaintraining.api.report import RESULT_KEY, Prompts
from domaintraining.api.spec import Split
from domaintraining.trainer.calls.server import ScriptedServer
from domaintraining.trainer.data.material import Material
from domaintraining.trainer.data.split import split_samples
from domaintraining.trainer.doctor.examine import Findings
from domaintraining.trainer.main import SUCCESS, attempt
from domaintraining.trainer.reading import Folders
from domaintraining.trainer.reporter import RecordedReport
from tests.unit.trainer.scripted import answer, make_run, parsed, samples

Script = Callable[[Mapping[str, Any]], str]


class Doctored:
    """A run that ended: its report, its manifest, and how many calls the server saw."""

    def __init__(
        self, folder: Path, rows: list[dict[str, Any]], script: Script = answer, *, file: str = ""
    ) -> None:
        (folder / "samples.jsonl").write_text(file or "\n".join(json.dumps(row) for row in rows))
        (folder / "journal").mkdir(exist_ok=True)
        self.sink, self.server = RecordedReport(), ScriptedServer(script)
        folders = Folders(folder, journal=folder / "journal")
        code, _ = attempt(make_run(), folders, self.sink, lambda *_: self.server)
        assert code == SUCCESS

    @property
    def advice(self) -> list[str]:
        return self.sink.report.advice

    @property
    def manifest(self) -> dict[str, Any]:
        return Prompts.model_validate_json(self.sink.data[RESULT_KEY]).manifest

    @property
    def findings(self) -> dict[str, Any]:
        found: dict[str, Any] = self.manifest["doctor"]
        return found


def swapped(rows: list[dict[str, Any]], at: int) -> list[dict[str, Any]]:
    """The samples, one of them with wrong labels: its types are the other way round, its relation lacks."""
    types = ("FIRM", "PERSON")
    wrong = [{**entity, "type": kind} for entity, kind in zip(rows[at]["entities"], types, strict=True)]
    return [*rows[:at], {**rows[at], "entities": wrong, "relations": []}, *rows[at + 1 :]]


def test_wrong_labels_are_found_by_line_and_without_text(tmp_path: Path) -> None:
    """One validation sample is labelled wrongly: its line is named for both tasks."""
    plain = samples(40)
    (wrong, *_) = split_samples(parsed(40), Split()).validation
    at = [row["text"] for row in plain].index(wrong.text)
    run = Doctored(tmp_path, swapped(plain, at))
    for task in ("entities", "relations"):
        assert (
            f"{task}: nearly every candidate got line {at + 1} wrong: look at the labels there" in run.advice
        )
        assert [suspect["place"] for suspect in run.findings[task]["suspects"]] == [at + 1]
    told = json.dumps([run.advice, run.findings])
    names = [entity["name"] for row in plain for entity in row["entities"]]
    assert not any(word in told for word in (wrong.text, *names))


def test_where_samples_share_a_line_they_are_named_by_their_number(tmp_path: Path) -> None:
    """A JSON list written without line breaks: line 1 is all of it. Skipped samples count in the number."""
    plain = samples(40)
    (wrong, *_) = split_samples(parsed(40), Split()).validation
    at = [row["text"] for row in plain].index(wrong.text)
    rows = swapped(plain, at)
    run = Doctored(
        tmp_path, [rows[0], *rows], file="[{}]".format(", ".join(map(json.dumps, [rows[0], *rows])))
    )
    for task in ("entities", "relations"):
        told = f"{task}: nearly every candidate got sample {at + 2} wrong: look at the labels there"
        assert told in run.advice
        assert run.findings[task]["suspectsBy"] == "sample"
        assert run.findings[task]["learningCurve"]


def test_the_findings_cost_no_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server sees none while they are made, and none after them."""
    asked: list[int] = []
    bodies: list[Mapping[str, Any]] = []

    def script(body: Mapping[str, Any]) -> str:
        bodies.append(body)
        return answer(body)

    def findings(*given: Any) -> Findings:
        asked.append(len(bodies))
        return made(*given)

    made = Material.findings
    monkeypatch.setattr(Material, "findings", findings)
    run = Doctored(tmp_path, samples(40), script)
    assert asked == [len(bodies), len(bodies)]
    assert run.sink.report.progress.model_calls == len(bodies)


def test_a_run_that_is_made_again_finds_the_same_without_a_call(tmp_path: Path) -> None:
    """Scores are kept with the finished search."""
    first = Doctored(tmp_path, samples(40))
    again = Doctored(tmp_path, samples(40))
    assert again.server.bodies == []
    assert (again.advice, again.findings) == (first.advice, first.findings)


def test_there_is_a_line_for_each_task_and_rare_types_are_named(tmp_path: Path) -> None:
    """20 validation samples and a whole search are enough for a curve."""
    rows = samples(40)
    rows[5]["entities"].append({"name": "1905", "type": "YEAR"})
    run = Doctored(tmp_path, rows)
    assert 2 <= len(run.advice) <= 5
    assert run.manifest["advice"] == run.advice, "for whoever takes the run over"
    for task in ("entities", "relations"):
        assert [line for line in run.advice if line.startswith(f"{task}: ")]
        assert run.findings[task]["learningCurve"]["candidates"] >= 4
    assert run.findings["entities"]["fewExamples"] in ({}, {"YEAR": 1})


def test_few_samples_are_said_to_tell_nothing(tmp_path: Path) -> None:
    run = Doctored(tmp_path, samples(16))
    assert all("can't be told" in line for line in run.advice if not line.startswith("types"))
