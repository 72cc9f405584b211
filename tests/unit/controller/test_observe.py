"""Observing: what others write into the objects is believed only as far as it can be."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from domaintraining.api.names import (
    LABEL_ATTEMPT,
    LABEL_HASH,
    LABEL_KEEP,
    LABEL_NAME,
    LABEL_REVISION,
    LABEL_ROLE,
    LABEL_RUN,
)
from domaintraining.api.report import BASELINE_KEY, MAX_PROMPTS_BYTES, REPORT_KEY, RESULT_KEY
from domaintraining.controller.cluster import JOB, JsonObject
from domaintraining.controller.jobs import build_job
from domaintraining.controller.manifests import build_report, build_revision, build_run
from domaintraining.controller.memory import MemoryCluster
from domaintraining.controller.objects import Kind
from domaintraining.controller.observe import observe, read_report, read_status
from domaintraining.controller.observed import Observed, ReportState, RunRecord
from domaintraining.controller.settings import Settings
from tests.unit.api.prompts import files, prompts, relation_prompt, task_prompt
from tests.unit.controller.test_decide import NOW, record, resource

SECRET = "Zyx-9 is the patient's number"
ENTITIES = RunRecord(record().run.model_copy(update={"tasks": ["entities"]}), record().attempt)
BASELINE = prompts(entities=task_prompt(run=0))


def reported(
    report: Any = None, *, seen: RunRecord = ENTITIES, baseline: Any = None, result: Any = None
) -> ReportState:
    """What is believed of a report; texts are taken as they are, anything else as JSON."""
    report = {"run": 1, "attempt": 1} if report is None else report
    parts = {REPORT_KEY: report, BASELINE_KEY: baseline, RESULT_KEY: result}
    return read_report(
        {
            key: part if isinstance(part, str) else json.dumps(part)
            for key, part in parts.items()
            if part is not None
        },
        seen,
    )


def test_a_whole_report_is_believed() -> None:
    """Counts, baseline and result of this attempt."""
    found = reported(
        {"run": 1, "attempt": 1, "progress": {"percent": 7}}, baseline=BASELINE, result=prompts()
    )
    assert found.error == ""
    assert found.report is not None
    assert found.report.progress.percent == 7
    assert found.baseline is not None
    assert found.result is not None


def test_fields_of_a_newer_trainer_are_left_out() -> None:
    """A run keeps its trainer image while the operator changes, and the other way round."""
    found = reported({"run": 1, "attempt": 1, "later": {"a": [1]}, "progress": {"percent": 7, "later": 1}})
    assert (found.error, found.report is not None) == ("", True)


@pytest.mark.parametrize(
    "report", [{"run": 2, "attempt": 1}, {"run": 1, "attempt": 2}, {"run": 1, "attempt": 1_000_000_000}]
)
def test_another_run_or_attempt_is_not_looked_at(report: dict[str, int]) -> None:
    """Neither its counts nor its result."""
    assert reported(report, baseline=BASELINE, result=prompts()) == ReportState()


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "report",
    [
        "",
        "{",
        "null",
        "[]",
        DEEP,
        '{"run": 1, "attempt": 1, "progress": ' + DEEP + "}",
        '{"run": 1, "attempt": 1, "run": NaN}',
        {"run": 0, "attempt": 1},
        {"run": 10**30, "attempt": 1},
        {"run": 1, "attempt": 1, "progress": {"percent": 101}},
        {"run": 1, "attempt": 1, "progress": {"message": SECRET * 100}},
        {"run": 1, "attempt": 1, "progress": {"lastUpdatedTime": SECRET}},
        {"run": 1, "attempt": 1, "failure": {"reason": SECRET, "message": ""}},
        {"run": 1, "attempt": 1, "dataset": {"warnings": ["a"] * 11}},
        {"run": 1, "attempt": 1, "advice": ["a"] * 6},
        {"run": 1, "attempt": 1, "baseline": {"entities": {"f1": 1.5}}},
        {"run": 1, "attempt": 1, "progress": {"message": "\ud800"}},
    ],
)
def test_a_report_that_is_none_is_refused_without_repeating_it(report: Any) -> None:
    """The words may be a sample; what is wrong is named by field and kind, within bounds."""
    found = reported(report)
    assert found.report is None
    assert 0 < len(found.error) <= 700
    assert SECRET not in found.error


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"entities": task_prompt()}, "metrics"),
        (prompts(entities=None), "no prompt"),
        (prompts(entities=task_prompt(files=files([{"role": "system", "content": SECRET}]))), "messages"),
        (prompts(entities=task_prompt(demos=7)), "number of demos"),
        (prompts(manifest={"a": SECRET * 50_000}), "too large"),
        (prompts(entities=task_prompt(files=files(dspy=f'{{"a": "{"x" * MAX_PROMPTS_BYTES}"}}'))), ""),
        (prompts(relations=relation_prompt()), "relations"),
        (DEEP, ""),
    ],
)
def test_a_result_that_can_not_be_published_is_refused(result: Any, said: str) -> None:
    """It never becomes a revision; the reason names the fault and nothing of the files."""
    found = reported(baseline=BASELINE, result=result)
    assert found.result is None
    assert found.error
    assert said in found.error
    assert SECRET not in found.error


def test_a_result_needs_a_baseline_with_its_tasks() -> None:
    """A task that is not promoted keeps the prompt it had, which may be the baseline's."""
    assert reported(result=prompts()).error == "a result without a baseline"
    both = prompts(relations=relation_prompt())
    assert "relations" in reported(seen=record(), baseline=BASELINE, result=both).error
    assert "relations" in reported(seen=record(), baseline=both, result=prompts()).error
    assert reported(seen=record(), baseline=both, result=both).error == ""


class Ending(MemoryCluster):
    """A cluster in which the Job ends, with its result reported before, after the controller's first look."""

    async def find(self, kind: Kind, namespace: str | None, labels: Mapping[str, str]) -> list[JsonObject]:
        """What is there; then the run ends."""
        found = await super().find(kind, namespace, labels)
        for (own, *_), one in self.objects.items():
            if own == JOB:
                one["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
            if one["metadata"]["name"] == "docs-r1-report":
                report = {REPORT_KEY: {"run": 1, "attempt": 1}, BASELINE_KEY: BASELINE, RESULT_KEY: prompts()}
                one["data"] = {key: json.dumps(part) for key, part in report.items()}
        return found


def test_a_job_that_ended_is_never_seen_without_its_result() -> None:
    """Also where it ends between two of the controller's reads."""
    run, attempt = ENTITIES.run, ENTITIES.attempt
    parts = (
        build_run(resource(), run, attempt),
        build_report(resource(), 1),
        build_job(resource(), run, attempt, Settings(trainer_image="i")),
    )
    seen = asyncio.run(observe(Ending(*parts), resource(), NOW))
    assert seen.job is not None
    assert seen.job.active or seen.report.result is not None


def found_in(*objects: dict[str, Any]) -> Observed:
    """What is observed of a resource among objects."""
    return asyncio.run(observe(MemoryCluster(*objects), resource(), NOW))


def named(body: dict[str, Any], name: str) -> dict[str, Any]:
    """An object under another name."""
    return body | {"metadata": body["metadata"] | {"name": name}}


def labelled(body: dict[str, Any], **labels: str) -> dict[str, Any]:
    """An object with other labels."""
    return body | {"metadata": body["metadata"] | {"labels": body["metadata"]["labels"] | labels}}


def run_map(number: int) -> dict[str, Any]:
    """The run ConfigMap of a run."""
    one = record(number)
    return build_run(resource(), one.run, one.attempt)


def test_the_last_readable_run_is_the_record_and_all_runs_count() -> None:
    """One that another version wrote is neither lost nor in the way."""
    broken = run_map(3) | {"data": {"run.json": "{}", "attempt.json": "{}"}}
    seen = found_in(run_map(1), run_map(2), broken)
    assert seen.record == record(2)
    assert seen.runs == (1, 2, 3)


def test_copies_under_other_names_are_not_believed() -> None:
    """Somebody saved a run, a report or a prompt with all of its labels."""
    report = build_report(resource(), 1) | {"data": {REPORT_KEY: '{"run": 1, "attempt": 1}'}}
    prompt = build_revision(resource(), 1, "hash", {"manifest.json": '{"promoted": true}'})
    seen = found_in(
        *(named(run_map(9), "backup"), named(prompt, "docs-prompt-saved"), named(report, "a-report")),
        run_map(1),
    )
    assert seen.record == record(1)
    assert (seen.runs, seen.revisions, seen.report) == ((1,), (), ReportState())


def test_a_report_is_found_by_its_name_whatever_its_trainer_made_of_its_labels() -> None:
    """A trainer may patch its whole report; its owner and labels are to be restored then."""
    report = build_report(resource(), 1) | {"data": {REPORT_KEY: '{"run": 1, "attempt": 1}'}}
    assert not found_in(run_map(1), report).report.astray
    relabelled = labelled(report, **{LABEL_ROLE: "prompt", LABEL_RUN: "7", LABEL_REVISION: "1"})
    disowned = report | {"metadata": report["metadata"] | {"ownerReferences": []}}
    for changed in (relabelled, disowned):
        seen = found_in(run_map(1), changed)
        assert seen.report.report is not None
        assert seen.report.astray
        assert seen.revisions == ()


@pytest.mark.parametrize("number", ["x", "", "-1", "1" * 30, "²"])
def test_a_label_that_is_no_number_of_ours_is_left_out(number: str) -> None:
    """Status could not hold it."""
    prompt = build_revision(resource(), 1, "hash", {})
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "namespace": "team",
            "name": "a",
            "labels": {LABEL_NAME: "docs", LABEL_RUN: number, LABEL_ATTEMPT: number},
        },
    }
    seen = found_in(named(labelled(prompt, **{LABEL_REVISION: number}), f"docs-prompt-r{number}"), job)
    assert seen.revisions == ()
    assert (seen.jobs[0].run, seen.jobs[0].attempt, seen.jobs[0].owned) == (0, 0, False)


def test_revisions_come_in_the_order_of_their_numbers() -> None:
    """Ten after nine; each with its hash, its owner and whether it is to be kept."""
    maps = [
        labelled(build_revision(resource(), number, f"hash-{number}", {}), **{LABEL_KEEP: "true"})
        for number in (10, 9, 0)
    ]
    maps[1]["metadata"]["ownerReferences"] = [{"uid": "another"}]
    seen = found_in(*maps)
    assert [(one.number, one.hash, one.owned, one.keep) for one in seen.revisions] == [
        (0, "hash-0", True, True),
        (9, "hash-9", False, True),
        (10, "hash-10", True, True),
    ]
    assert maps[0]["metadata"]["labels"][LABEL_HASH] == "hash-10"
    assert [one.number for one in seen.trained] == [9, 10]


@pytest.mark.parametrize(
    "data", [{"manifest.json": "{"}, {"manifest.json": DEEP}, {"manifest.json": "[]"}, {}]
)
def test_a_manifest_that_can_not_be_read_is_empty(data: dict[str, str]) -> None:
    """And its revision is not promoted."""
    (one,) = found_in(build_revision(resource(), 1, "hash", data)).revisions
    assert (one.manifest, one.promoted) == ({}, False)


def test_a_status_of_another_version_counts_as_none() -> None:
    """The next write makes it whole again."""
    assert read_status({"history": [{"number": "first"}]}) == read_status({})
