"""A report is hostile input: a wrong one is refused with a ValueError that holds nothing of it."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from domaintraining.api.published import read_json
from domaintraining.api.report import MAX_PROMPTS_BYTES, Prompts, Report, TaskFiles, TaskPrompt
from tests.unit.api.prompts import (
    QUESTION,
    SCHEMA,
    files,
    message,
    messages,
    prompts,
    relation_prompt,
    task_prompt,
)

SECRET = "Loki-stores-secrets"
DEEP = 100_000


def request(**changed: Any) -> str:
    return json.dumps({"model": "m", "messages": messages(), "format": SCHEMA} | changed)


REFUSED_FILES: dict[str, tuple[dict[str, str], str]] = {
    "messages are no JSON": (files(messages=f"[{SECRET}"), "messages.json"),
    "request is no JSON": (files(request=SECRET), "request.json"),
    "schema is no JSON": (files(schema=SECRET), "schema.json"),
    "program is no JSON": (files(dspy=SECRET), "dspy.json"),
    "request is a list": (files(request="[]"), "request.json is not a JSON object"),
    "schema is a list": (files(schema="[]"), "schema.json is not a JSON object"),
    "messages are an object": (files(chat={"role": "user"}), "not a list of messages"),
    "no messages": (files(chat=[]), "not a list of messages"),
    "a message is a string": (files(chat=[SECRET]), "other keys than role and content"),
    "a message has tools": (
        files(chat=[*messages()[:-1], message("user", QUESTION) | {"tool_calls": []}]),
        "other keys than role and content",
    ),
    "a content is a list": (files(chat=[message("system", [QUESTION])]), "content is not a string"),
    "an unknown role": (files(chat=[*messages(), message("tool", SECRET)]), "system, user and assistant"),
    "system message in the middle": (
        files(chat=[*messages()[:-1], message("system", SECRET), messages()[-1]]),
        "system, user and assistant",
    ),
    "a demo without answer": (
        files(chat=[*messages(0)[:-1], message("user", SECRET), message("user", QUESTION)]),
        "system, user and assistant",
    ),
    "an answer at the end": (files(chat=messages()[:-1]), "system, user and assistant"),
    "placeholder in the system message": (
        files(chat=messages(system="About {text}:")),
        "another message than the last",
    ),
    "placeholder in a demo": (
        files(
            chat=[messages()[0], message("user", "{entities}"), message("assistant", "{}"), messages()[-1]]
        ),
        "another message than the last",
    ),
    "no place for the text": (files(chat=messages(last="Text:")), "does not hold {text} once"),
    "two places for the text": (files(chat=messages(last="{text} {text}")), "does not hold {text} once"),
    "two places for the entities": (
        files(chat=messages(last="{text} {entities} {entities}")),
        "{entities} at most once",
    ),
    "request with other messages": (
        files(request=request(messages=messages(2))),
        "does not hold the messages and the schema",
    ),
    "escaped placeholder elsewhere in the request": (
        files(request=request(options={"stop": ["STOP"]}).replace("STOP", r"\u007btext}")),
        "outside of the messages",
    ),
    "request without schema": (
        files(request=request(format="json")),
        "does not hold the messages and the schema",
    ),
    "placeholder elsewhere in the request": (
        files(request=request(options={"stop": ["{text}"]})),
        "outside of the messages",
    ),
    "placeholder as a key of the request": (
        files(request=request(options={"{entities}": 1})),
        "outside of the messages",
    ),
    "plain form without a place for the text": (files(prompt=SECRET), "prompt.txt does not hold"),
    "a key twice": (
        files(request=request()[:-1] + ', "model": "another"}'),
        "a key stands twice in one object",
    ),
    "no number": (files(dspy='{"score": NaN}'), "NaN and Infinity are not JSON"),
    "infinite": (files(dspy='{"score": -Infinity}'), "NaN and Infinity are not JSON"),
    "an endless integer": (files(dspy='{"score": ' + "9" * 5000 + "}"), "dspy.json"),
    "deep lists in messages": (files(messages="[" * DEEP + "]" * DEEP), "nested"),
    "deep objects in the program": (files(dspy='{"a":' * DEEP + "1" + "}" * DEEP), "nested"),
    "deep schema": (files(schema="[" * 60_000), "nested"),
    "deep enough to be read, not to be published": (
        files(dspy='{"a":' * 40 + "1" + "}" * 40),
        "nested more than 32 levels",
    ),
}


@pytest.mark.parametrize("case", REFUSED_FILES)
def test_wrong_files_are_refused_and_never_quoted(case: str) -> None:
    wrong, words = REFUSED_FILES[case]
    with pytest.raises(ValidationError) as refused:
        TaskFiles.model_validate(wrong)
    assert words in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("field", ["messages", "schema", "request", "dspy", "prompt"])
def test_no_file_is_larger_than_a_configmap_holds(field: str) -> None:
    with pytest.raises(ValidationError, match="at most"):
        TaskFiles.model_validate(files(**{field: " " * (MAX_PROMPTS_BYTES + 1)}))


def test_files_come_out_byte_for_byte() -> None:
    given = files()
    published = TaskFiles.model_validate(given).files("entities")
    assert published == {
        "entities.messages.json": given["messages"],
        "entities.schema.json": given["schema"],
        "entities.request.json": given["request"],
        "entities.dspy.json": given["dspy"],
        "entities.prompt.txt": given["prompt"],
    }


def test_number_of_demos_is_that_of_the_messages() -> None:
    assert TaskPrompt.model_validate(task_prompt()).demos == 1
    with pytest.raises(ValidationError, match="another number of demos"):
        TaskPrompt.model_validate(task_prompt(demos=3))


def test_instruction_is_that_of_the_system_message() -> None:
    with pytest.raises(ValidationError, match="does not begin with the instruction"):
        TaskPrompt.model_validate(task_prompt(instruction="Ignore the text."))


def test_each_task_has_its_placeholders() -> None:
    assert Prompts.model_validate(prompts(relations=relation_prompt())).relations
    for wrong in ({"relations": task_prompt()}, {"entities": relation_prompt()}):
        with pytest.raises(ValidationError, match="does not stand where the task"):
            Prompts.model_validate(prompts(**wrong))


def test_revision_without_any_prompt_is_refused() -> None:
    with pytest.raises(ValidationError, match="no prompt in the revision"):
        Prompts.model_validate(prompts(entities=None))


def test_all_files_together_fit_into_one_configmap() -> None:
    """Counted in bytes: each file alone is within its bound, and characters are not bytes."""
    large = files(messages(1, system="Extract the entities." + "ä" * 100_000))
    large["prompt"] += "ä" * 100_000
    with pytest.raises(ValidationError, match="a revision holds at most"):
        Prompts.model_validate(prompts(entities=task_prompt(files=large)))


@pytest.mark.parametrize(
    "manifest",
    [
        {"seen": ["0" * 64] * 10_000},
        {"score": float("nan")},
        {"score": float("inf")},
    ],
)
def test_manifest_that_cannot_be_published_is_refused(manifest: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Prompts.model_validate(prompts(manifest=manifest))


def test_deep_manifest_is_refused_however_it_is_read() -> None:
    deep: dict[str, Any] = {}
    for _ in range(DEEP):
        deep = {"a": deep}
    with pytest.raises(ValidationError):
        Prompts.model_validate(prompts(manifest=deep))
    text = json.dumps(prompts(manifest={})).replace('"manifest": {}', '"manifest": ' + '{"a":' * DEEP + "1")
    with pytest.raises(ValidationError):
        Prompts.model_validate_json(text + "}" * DEEP + "}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        SECRET,
        "[]",
        "null",
        "1",
        "[" * DEEP,
        '{"run": 1}',
        '{"run": 0, "attempt": 1}',
        '{"run":1,"attempt":1',
    ],
)
def test_report_that_is_none_is_refused_and_never_quoted(text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Report.model_validate_json(text)
    assert SECRET not in str(refused.value)


WRONG_REPORTS: dict[str, dict[str, Any]] = {
    "percent above 100": {"progress": {"percent": 101}},
    "percent as fraction": {"progress": {"percent": 0.5}},
    "calls beyond what the API server stores": {"progress": {"modelCalls": 10**30}},
    "negative calls": {"progress": {"modelCalls": -1}},
    "a time that is none": {"progress": {"estimatedCompletionTime": "tomorrow"}},
    "a day that does not exist": {"progress": {"estimatedCompletionTime": "2026-02-30T00:00:00Z"}},
    "an hour that does not exist": {"progress": {"lastUpdatedTime": "2026-02-03T24:00:00Z"}},
    "a time without zone": {"progress": {"lastUpdatedTime": "2026-02-03T20:00:00"}},
    "an endless message": {"progress": {"message": "x" * 1025}},
    "F1 above 1": {"baseline": {"entities": {"f1": 1.01}}},
    "F1 that is no number": {"baseline": {"entities": {"f1": float("nan")}}},
    "a verdict of its own": {"baseline": {"entities": {"verdict": "Excellent"}}},
    "too many warnings": {"dataset": {"warnings": ["w"] * 11}},
    "an invented reason": {"failure": {"reason": "Because", "message": ""}},
    "a run beyond all numbers": {"run": 10**12},
}


@pytest.mark.parametrize("case", WRONG_REPORTS)
def test_report_that_the_status_could_not_hold_is_refused(case: str) -> None:
    """The API server would refuse the whole status for it."""
    with pytest.raises(ValidationError):
        Report.model_validate({"run": 1, "attempt": 1} | WRONG_REPORTS[case])


def test_control_characters_never_reach_a_terminal() -> None:
    report = Report.model_validate(
        {
            "run": 1,
            "attempt": 1,
            "progress": {"message": "a\x1b[31mb\x00c", "step": "saving\x07"},
            "failure": {"reason": "TrainerFailed", "message": "one\ntwo\x9b"},
        }
    )
    assert (report.progress.message, report.progress.step) == ("a [31mb c", "saving ")
    assert report.failure
    assert report.failure.message == "one\ntwo "


def test_report_of_a_newer_trainer_is_read_without_what_is_unknown() -> None:
    report = Report.model_validate({"run": 2, "attempt": 1, "news": {"a": 1}, "progress": {"mood": "good"}})
    assert report.run == 2


def test_strict_json_reads_what_is_harmless() -> None:
    assert read_json('{"a": [1, 2.5, "x", null, true]}', "x.json") == {"a": [1, 2.5, "x", None, True]}
