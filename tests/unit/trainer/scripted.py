"""A small scripted model for the trainer's tests: answers from the prompt alone, the same every time."""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from domaintraining.api.run import Run
from domaintraining.api.sample import Sample

PEOPLE = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Margaret", "Ken")
FIRMS = ("Acme", "Globex", "Initech", "Umbrella", "Hooli", "Vandelay", "Wayne", "Stark")
FIELD = re.compile(r"\[\[ ## (\w+) ## \]\]")
FIELDS_OF_A_LINE = {
    *("event_type", "timestamp", "training_run_id", "domain", "progress_percent", "phase", "message", "data")
}
"""Keys of a line of the log, as the contract has them."""
PROPOSALS = (
    "Name every PERSON and every FIRM.",
    "Copy names to the letter; a FIRM employs a PERSON.",
    "Use {text} with care, and never {entities}.",
)


def samples(count: int) -> list[dict[str, Any]]:
    """Texts about who works where, with entities and relations; each text once."""
    made = []
    for number in range(count):
        person, firm = PEOPLE[number % 8], FIRMS[number * 3 % 8]
        made.append(
            {
                "text": f"In year {number}, {person} worked for {firm}.",
                "entities": [{"name": person, "type": "PERSON"}, {"name": firm, "type": "FIRM"}],
                "relations": [{"source": person, "type": "WORKS_FOR", "target": firm}],
            }
        )
    return made


def parsed(count: int) -> list[Sample]:
    """The same as samples."""
    return [Sample.model_validate(sample) for sample in samples(count)]


def run_values(**changes: Any) -> dict[str, Any]:
    """A run as the controller writes it."""
    return {
        "name": "tech-docs",
        "namespace": "team-a",
        "uid": "0000",
        "domain": "tech_docs",
        "number": 1,
        "hash": "abc",
        "image": "trainer:test",
        "tasks": ["entities", "relations"],
        "data": {"file": "samples.jsonl", "source": "spec.dataset.inline"},
        "model": {"name": "tiny:1b", "digest": "sha256:1", "endpoint": "http://ollama", "source": "spec"},
        "maxConcurrentRequests": 4,
        **changes,
    }


def make_run(**changes: Any) -> Run:
    """The same as a model."""
    return Run.model_validate(run_values(**changes))


def answer(body: Mapping[str, Any]) -> str:
    """A proposal where there is no schema; else an answer that is complete only after two demos."""
    last = body["messages"][-1]["content"]
    if "format" not in body:
        return _proposal(last)
    text, _, given = last.removeprefix("Text:\n").partition("\n\nEntities:\n")
    demos = len(body["messages"]) // 2 - 1
    fields: dict[str, Any] = {"reasoning": "as told"} if "reasoning" in body["format"]["properties"] else {}
    if "relations" in body["format"]["properties"]:
        fields["relations"] = _relations(given, demos)
    else:
        fields["entities"] = _entities(text, demos)
    return json.dumps(fields)


def moody(body: Mapping[str, Any]) -> str:
    """The scripted model, right in six of ten answers by the digest of the prompt; all proposals differ."""
    mark = sha256(json.dumps(body["messages"]).encode()).hexdigest()
    content = answer(body)
    if "format" not in body:
        return content.replace("\n\n[[ ## completed", f" Mind {mark[:8]}.\n\n[[ ## completed")
    return content if int(mark, 16) % 10 < 6 else content.replace("PERSON", "FIRM").replace("WORKS_FOR", "X")


def _entities(text: str, demos: int) -> list[dict[str, str]]:
    people = [{"name": name, "type": "PERSON"} for name in PEOPLE if name in text]
    firms = [{"name": name, "type": "FIRM"} for name in FIRMS if name in text]
    even = len(text) % 2 == 0
    return [*people, *(firms if demos >= 2 or even else [])]


def _relations(given: str, demos: int) -> list[dict[str, str]]:
    names = dict(re.findall(r"^- (.+) \((PERSON|FIRM)\)$", given, re.MULTILINE))
    people = [name for name, kind in names.items() if kind == "PERSON"]
    firms = [name for name, kind in names.items() if kind == "FIRM"]
    pairs = [(person, firm) for person in people for firm in firms]
    swapped = demos < 1 and len(given) % 2
    return [
        {"source": firm, "type": "WORKS_FOR", "target": person}
        if swapped
        else {"source": person, "type": "WORKS_FOR", "target": firm}
        for person, firm in pairs
    ]


def _proposal(last: str) -> str:
    wanted = FIELD.findall(last.rpartition("Respond with")[2])
    words = PROPOSALS[len(last) % len(PROPOSALS)]
    sections = [f"[[ ## {field} ## ]]\n{words}" for field in wanted if field != "completed"]
    return "\n\n".join([*sections, "[[ ## completed ## ]]"])
