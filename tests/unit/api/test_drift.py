"""What a check reports is hostile input too: bounded, of one meaning, and nothing that could be promoted."""

from typing import Any

import pytest
from pydantic import ValidationError

from domaintraining.api.report import Drift, Report
from domaintraining.api.run import Run
from tests.unit.trainer.scripted import run_values

DIGEST = "d" * 64
SECRET = "Loki-stores-secrets"
NUMBERS: dict[str, Any] = {
    "f1": 0.5,
    "precision": 0.5,
    "recall": 0.5,
    "confidenceInterval": {"low": 0.4, "high": 0.6},
    "documents": 10,
}
IMPROVEMENT = {"value": 0.1, "low": 0.0, "high": 0.2, "over": "Served"}
SCORES = {"f1": 0.5, "precision": 0.5, "recall": 0.5}


def drift(**changes: Any) -> dict[str, Any]:
    """What a check that measured reports, with other fields; None takes one out."""
    values = {
        "dataDigest": DIGEST,
        "changed": True,
        "dataset": {"samples": 40, "test": 10, "digest": DIGEST},
        "metrics": {"entities": NUMBERS},
        "modelCalls": 10,
        **changes,
    }
    return {key: value for key, value in values.items() if value is not None}


def entities(**changes: Any) -> dict[str, Any]:
    return drift(metrics={"entities": NUMBERS | changes})


REFUSED: dict[str, dict[str, Any]] = {
    "digest is no digest": drift(dataDigest=SECRET),
    "digest with an end of line": drift(dataDigest=DIGEST + "\n"),
    "no digest": drift(dataDigest=None),
    "no word on whether it changed": drift(changed=None),
    "no samples": drift(dataset=None),
    "samples of another digest": drift(dataset={"digest": "e" * 64}),
    "neither numbers nor why not": drift(metrics=None),
    "numbers and why not": drift(unmeasured="Unchanged"),
    "an unknown reason": drift(metrics=None, unmeasured=SECRET),
    "no task": drift(metrics={}),
    "no F1": entities(f1=None),
    "no interval": entities(confidenceInterval=None),
    "an interval the wrong way round": entities(confidenceInterval={"low": 0.6, "high": 0.4}),
    "no documents": entities(documents=0),
    "F1 above 1": entities(f1=1.5),
    "F1 is not a number": entities(f1=float("nan")),
    "an improvement": entities(improvement=IMPROVEMENT),
    "a verdict": entities(verdict="Improved"),
    "a baseline": entities(baseline=SCORES),
    "a validation F1": entities(validationF1=0.9),
    "documents needed": entities(documentsNeeded=30),
    "numbers by embeddings": entities(
        semantic={
            **SCORES,
            "confidenceInterval": {"low": 0, "high": 1},
            "baseline": SCORES,
            "improvement": IMPROVEMENT,
        }
    ),
    "one task's numbers are not its own": drift(
        metrics={"entities": NUMBERS, "endToEnd": NUMBERS | {"verdict": "Worse"}}
    ),
    "endless calls": drift(modelCalls=10**12),
    "calls below none": drift(modelCalls=-1),
    "a long version": drift(dataVersion="v" * 254),
    "many warnings": drift(dataset={"digest": DIGEST, "warnings": ["w"] * 11}),
    "a long warning": drift(dataset={"digest": DIGEST, "warnings": ["w" * 1025]}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_one_is_refused_and_never_quoted(case: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Report.model_validate({"run": 1, "attempt": 1, "check": REFUSED[case]})
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("reason", ["Unchanged", "NotAsked", "NothingServed", "NoHeldOutData"])
def test_it_says_why_nothing_was_measured(reason: str) -> None:
    found = Drift.model_validate(drift(metrics=None, unmeasured=reason, changed=reason != "Unchanged"))
    assert found.unmeasured == reason


def test_what_a_trainer_writes_is_read_as_it_was_meant() -> None:
    found = Drift.model_validate(drift(dataVersion='W/\x1b"1"', leftOut=2))
    assert found.data_version == 'W/ "1"'
    report = Report(run=1, attempt=1, check=found)
    assert Report.model_validate_json(report.model_dump_json(by_alias=True, exclude_none=True)) == report


def test_a_run_is_no_check() -> None:
    """Neither its run file nor its report says otherwise unless told."""
    assert Run.model_validate(run_values()).check is None
    assert Report(run=1, attempt=1).check is None
