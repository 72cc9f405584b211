"""From a result to a revision: the run's own prompts, and what they were compared with."""

import json
from dataclasses import replace
from typing import Any

import pytest

from domaintraining.api.report import Prompts
from domaintraining.api.run import Origin, Run
from domaintraining.api.spec import TASKS, Task
from domaintraining.api.status import Metrics
from domaintraining.controller.observed import Revision
from domaintraining.controller.promotion import FILES
from domaintraining.controller.revisions import (
    baseline_data,
    baseline_files,
    completion_time,
    data_digest,
    encoded,
    metrics_of,
    origins_before,
    prompt_config,
    read_revision,
    revision_data,
)
from tests.unit.api.prompts import files, messages, prompts, relation_prompt, task_prompt
from tests.unit.controller.test_decide import record, revision

FACTS = {"completionTime": "2026-11-23T12:00:00Z", "budgetExhausted": False}


def measured(entities: str | None, relations: str | None) -> dict[str, Any]:
    """Metrics with a verdict for each task; None: the task was not measured at all."""
    verdicts = {"entities": entities, "relations": relations}
    scores = {"f1": 0.8, "baseline": {"f1": 0.5, "precision": 0.5, "recall": 0.5}, "documents": 40}
    found: dict[str, Any] = {
        task: {"verdict": verdict} | (scores if verdict != "NotMeasured" else {})
        for task, verdict in verdicts.items()
        if verdict is not None
    }
    return found | {"endToEnd": {"f1": 0.7}}


def result_of(
    entities: str | None = "Improved", relations: str | None = "Improved", number: int = 2, **facts: Any
) -> Prompts:
    """The result of a run for both tasks."""
    manifest = {"seed": number, "tasks": {"entities": {"trials": 7}}} | facts
    return Prompts.model_validate(
        prompts(
            entities=task_prompt(run=number),
            relations=relation_prompt() | {"run": number},
            metrics=measured(entities, relations),
            manifest=manifest,
        )
    )


def other(number: int) -> dict[str, Any]:
    """An entity prompt of an earlier run or of the baseline, without demos."""
    return task_prompt(run=number, demos=0, files=files(messages(0)))


BASELINE = Prompts.model_validate(
    prompts(
        entities=other(0), relations=relation_prompt() | {"run": 0}, metrics={"entities": {"documents": 40}}
    )
)


def run(number: int = 2, **changes: Any) -> Run:
    """A run for both tasks."""
    return record(number).run.model_copy(update=changes)


def kept(data: dict[str, str], number: int = 2, **more: Any) -> Revision:
    """A revision as it is read back from the cluster."""
    return read_revision({"metadata": {}, "data": data} | more, "uid-1", number, "hash", keep=False)


def made(result: Prompts, *accepted: Task, number: int = 2, **changes: Any) -> Revision:
    """The revision that a result becomes, as the cluster holds it."""
    of = run(number, **changes)
    data = revision_data(result, BASELINE, of, accepted, FACTS)
    return kept(data, number, binaryData=encoded(baseline_files(BASELINE, of)))


def test_a_revision_holds_the_files_byte_for_byte() -> None:
    """The run's own, also of a task that did not pass, and nothing else but its manifest."""
    result = result_of()
    one = made(result, "entities")
    expected: dict[str, str] = {}
    for task in TASKS:
        prompt = result.prompt(task)
        assert prompt is not None
        expected |= prompt.files.files(task)
    assert {key: text for key, text in one.data.items() if key != "manifest.json"} == expected
    assert one.manifest["tasks"]["entities"] == {
        "trials": 7,
        "run": 2,
        "instruction": "Extract the entities.",
        "demos": 1,
    }
    assert metrics_of(one) == result.metrics
    assert (one.promoted, one.accepted) == (True, ("entities",))


def test_a_first_run_keeps_its_baseline_beside_it() -> None:
    """Tasks that had no prompt may need it, whatever revision 0 holds then."""
    one = made(result_of())
    assert origins_before(one) == {task: Origin(revision=2, baseline=True) for task in TASKS}
    assert json.loads(one.baseline["entities.messages.json"]) == messages(0)
    assert {key.partition(".")[0] for key in one.baseline} == set(TASKS)
    assert one.manifest["baseline"]["entities"] == {
        "run": 0,
        "instruction": "Extract the entities.",
        "demos": 0,
    }


@pytest.mark.parametrize(
    ("started", "before", "baselines"),
    [
        ({"served": 1}, {"entities": (1, False), "relations": (1, False)}, set()),
        (
            {"served": 1, "served_from": {"entities": Origin(revision=1)}},
            {"entities": (1, False), "relations": (2, True)},
            {"relations"},
        ),
        (
            {
                "served": 4,
                "served_from": {
                    "entities": Origin(revision=4),
                    "relations": Origin(revision=3, baseline=True),
                },
            },
            {"entities": (4, False), "relations": (3, True)},
            set(),
        ),
    ],
)
def test_a_revision_names_the_prompts_that_it_was_compared_with(
    started: dict[str, Any], before: dict[str, tuple[int, bool]], baselines: set[str]
) -> None:
    """Those served when the run started; a task that had none is compared with the run's baseline."""
    one = made(result_of(), **started)
    found = {task: (origin.revision, origin.baseline) for task, origin in origins_before(one).items()}
    assert found == before
    assert {key.partition(".")[0] for key in one.baseline} == baselines


def test_what_a_trainer_writes_in_its_manifest_decides_nothing() -> None:
    """Promotion, metrics, origins, times and budget are the controller's."""
    claims: dict[str, Any] = {
        "promoted": True,
        "accepted": ["entities"],
        "metrics": {"entities": {"f1": 1.0}},
        "completionTime": "1970-01-01T00:00:00Z",
        "budgetExhausted": True,
        "served": 7,
        "before": {"entities": {"revision": 7}},
    }
    one = made(result_of("Worse", "Worse", **claims))
    assert (one.promoted, one.accepted, one.manifest["budgetExhausted"]) == (False, (), False)
    assert metrics_of(one) == result_of("Worse", "Worse").metrics
    assert completion_time(one) == "2026-11-23T12:00:00Z"
    assert (one.manifest["served"], origins_before(one)["entities"].revision) == (None, 2)
    assert kept(baseline_data(Prompts.model_validate(prompts(manifest=claims)))).promoted is False


@pytest.mark.parametrize("said", [None, [], {"entities": 7}, {"entities": {"revision": 0}}, {"other": {}}])
def test_origins_that_somebody_wrote_stop_nothing(said: Any) -> None:
    """What can't be read is left out."""
    assert origins_before(replace(revision(1), manifest={"before": said})) == {}


def test_a_baseline_that_somebody_wrote_stops_nothing() -> None:
    """Bytes that are no text, or no base64."""
    binary = {"baseline.entities.messages.json": "/w==", "baseline.x": "%", "baseline.y": "b2s="}
    assert kept({}, binaryData=binary).baseline == {"y": "ok"}


def test_the_keys_of_all_files_are_known() -> None:
    """Others in a served prompt are those of somebody else."""
    made = result_of()
    prompt = made.prompt("entities")
    assert prompt is not None
    assert {key for task in TASKS for key in prompt.files.files(task)} == FILES


def test_the_baseline_is_kept_and_never_promoted() -> None:
    """Revision 0 has the same files as any other."""
    one = kept(baseline_data(BASELINE), 0)
    assert not one.promoted
    assert {key.split(".")[0] for key in one.data} == {"entities", "relations", "manifest"}
    assert metrics_of(one) == BASELINE.metrics


def test_status_tells_the_served_prompt() -> None:
    """Its instruction, cut, and its number of demos."""
    one = made(result_of())
    said = prompt_config("docs-prompt", one)
    assert (said.config_map, said.revision, said.digest) == ("docs-prompt", 2, data_digest(one.data))
    assert said.entities is not None
    assert (said.entities.instruction, said.entities.demos) == ("Extract the entities.", 1)


@pytest.mark.parametrize(
    "manifest",
    [
        {"tasks": {"entities": {"demos": "many", "instruction": 7}}},
        {"tasks": {"entities": {"demos": -1}}},
        {"tasks": {"entities": {"demos": 10**30}}},
        {"tasks": {"entities": {"demos": None, "instruction": "a" * 9999}}},
        {"tasks": []},
        {"tasks": {"entities": "none"}},
        {"metrics": {"entities": {"f1": 7}}, "completionTime": "soon"},
        {"metrics": [], "completionTime": 7},
    ],
)
def test_a_manifest_that_somebody_wrote_stops_nothing(manifest: dict[str, Any]) -> None:
    """What can't be read is left out: a person may have replaced the ConfigMap."""
    one = replace(revision(1), manifest=manifest, data={"entities.messages.json": "[]"})
    assert prompt_config("docs-prompt", one).entities is not None
    assert metrics_of(one) == Metrics()
    assert completion_time(one) is None


def test_the_digest_is_that_of_the_content() -> None:
    """Whatever the order of the keys."""
    assert data_digest({"a": "1", "b": "2"}) == data_digest({"b": "2", "a": "1"})
    assert data_digest({"a": "1"}) != data_digest({"a": "2"})
    assert len(data_digest({})) == 64
