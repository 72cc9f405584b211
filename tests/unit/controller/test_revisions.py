"""From a result to a revision: what passes is promoted, what fails keeps the prompt it had."""

import json
from dataclasses import replace
from typing import Any

import pytest

from domaintraining.api.report import Prompts
from domaintraining.api.spec import TASKS
from domaintraining.api.status import Metrics
from domaintraining.controller.observed import Revision
from domaintraining.controller.revisions import (
    accepted,
    baseline_data,
    completion_time,
    data_digest,
    metrics_of,
    prompt_config,
    read_revision,
    revision_data,
)
from tests.unit.api.prompts import files, messages, prompts, relation_prompt, task_prompt
from tests.unit.controller.test_decide import revision

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


def kept(data: dict[str, str], number: int = 2) -> Revision:
    """A revision as it is read back from the cluster."""
    return read_revision({"metadata": {}, "data": data}, "uid-1", number, "hash", keep=False)


def composed(result: Prompts, served: Revision | None = None) -> Revision:
    """The revision that a result becomes."""
    return kept(revision_data(result, BASELINE, served, FACTS)[0])


@pytest.mark.parametrize(
    ("entities", "relations", "passed"),
    [
        ("Improved", "Improved", ("entities", "relations")),
        ("Unclear", "Worse", ("entities",)),
        ("Worse", "NotMeasured", ("relations",)),
        ("Worse", "Worse", ()),
        (None, "Worse", ("entities",)),
    ],
)
def test_a_task_passes_unless_it_is_known_to_be_worse(
    entities: str | None, relations: str | None, passed: tuple[str, ...]
) -> None:
    """NotWorse, by task; without held-out data nothing is known to be worse."""
    result = result_of(entities, relations)
    assert accepted(result) == passed
    one = composed(result)
    assert (one.promoted, one.manifest["accepted"]) == (bool(passed), list(passed))


def test_a_revision_holds_the_files_byte_for_byte() -> None:
    """And nothing else but its manifest."""
    result = result_of()
    one = composed(result)
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
    assert one.manifest["metrics"] == measured("Improved", "Improved") | {
        key: value for key, value in one.manifest["metrics"].items() if key == "endToEnd" or key in TASKS
    }


def test_a_task_that_fails_keeps_the_served_prompt_with_its_numbers() -> None:
    """A pair of prompts that was never measured together has no end-to-end number."""
    served = composed(result_of(number=1))
    one = composed(result_of("Worse", "Improved"), served)
    assert one.promoted
    assert one.data["entities.messages.json"] == served.data["entities.messages.json"]
    assert one.manifest["tasks"]["entities"]["run"] == 1
    assert one.manifest["tasks"]["relations"]["run"] == 2
    assert metrics_of(one).entities == metrics_of(served).entities
    assert metrics_of(one).end_to_end is None


def test_a_task_that_fails_without_a_served_prompt_keeps_the_baseline() -> None:
    """What status says of it are the baseline's own numbers: nothing gained."""
    one = composed(result_of("Worse", "Improved"))
    assert json.loads(one.data["entities.messages.json"]) == messages(0)
    assert one.manifest["tasks"]["entities"] == {"run": 0, "instruction": "Extract the entities.", "demos": 0}
    entities = metrics_of(one).entities
    assert entities is not None
    assert (entities.f1, entities.verdict, entities.documents) == (0.5, "Unclear", 40)
    assert entities.improvement is not None
    assert entities.improvement.value == 0


def test_a_task_that_the_served_revision_lacks_keeps_the_baseline() -> None:
    """The tasks of the spec may have grown."""
    only = composed(result_of(number=1))
    served = replace(
        only, data={key: text for key, text in only.data.items() if not key.startswith("entities.")}
    )
    assert composed(result_of("Worse", "Improved"), served).manifest["tasks"]["entities"]["run"] == 0


def test_a_run_in_which_nothing_passes_keeps_its_own_prompts() -> None:
    """To be looked at; not promoted."""
    result = result_of("Worse", "Worse")
    one = composed(result, composed(result_of(number=1)))
    assert not one.promoted
    assert one.manifest["tasks"]["entities"]["run"] == 2
    assert metrics_of(one) == result.metrics


def test_what_a_trainer_writes_in_its_manifest_decides_nothing() -> None:
    """Promotion, metrics, time and budget are the controller's."""
    claims: dict[str, Any] = {
        "promoted": True,
        "accepted": ["entities"],
        "metrics": {"entities": {"f1": 1.0}},
        "completionTime": "1970-01-01T00:00:00Z",
        "budgetExhausted": True,
    }
    one = composed(result_of("Worse", "Worse", **claims))
    assert (one.promoted, one.manifest["accepted"], one.manifest["budgetExhausted"]) == (False, [], False)
    assert metrics_of(one) == result_of("Worse", "Worse").metrics
    assert completion_time(one) == "2026-11-23T12:00:00Z"
    assert kept(baseline_data(Prompts.model_validate(prompts(manifest=claims)))).promoted is False


def test_the_baseline_is_kept_and_never_promoted() -> None:
    """Revision 0 has the same files as any other."""
    one = kept(baseline_data(BASELINE), 0)
    assert not one.promoted
    assert {key.split(".")[0] for key in one.data} == {"entities", "relations", "manifest"}
    assert metrics_of(one) == BASELINE.metrics


def test_status_tells_the_served_prompt() -> None:
    """Its instruction, cut, and its number of demos."""
    one = composed(result_of())
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
