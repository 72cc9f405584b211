"""A run goes on with its answers as long as nothing changes that its result depends on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from domaintraining.api.run import Run
from domaintraining.trainer.journal import fingerprint
from domaintraining.trainer.journal.fingerprint import Fingerprint, code_digest, hash_of, model_digests
from tests.unit.trainer.journal.journal_writer import FINGERPRINT, RUN

DATA = "d" * 64
MODEL = {"name": "qwen3:8b", "digest": "sha256:" + "cd" * 32, "endpoint": "http://o:11434", "source": "spec"}
COUNTS: dict[str, Any] = {
    "tasks": ["entities"],
    "types": {"entities": [{"name": "ORG"}]},
    "instructions": {"entities": "List them."},
    "data": {"file": "f", "source": "s", "split": {"seed": 10}},
    "model": MODEL,
    "options": {"numCtx": 4096},
    "promptModel": MODEL,
    "auto": "medium",
    "optimizer": {"seed": 10},
    "metric": {"matching": "exact"},
    "check": {"dataDigest": "d"},
}
COUNTS_NOT: dict[str, Any] = {
    "name": "other",
    "namespace": "other",
    "uid": "other",
    "domain": "other",
    "number": 2,
    "hash": "other",
    "image": "other",
    "maxConcurrentRequests": 8,
    "promptRequests": 2,
    "embeddingModel": MODEL,
    "compareWith": [{"model": MODEL}],
    "budget": {"maxModelCalls": 7},
    "spent": {"modelCalls": 3},
    "journal": {"kept": True, "claim": "c"},
    "served": 1,
    "servedRejected": True,
    "servedFrom": {"entities": {"revision": 1}},
    "namedServers": ["http://p:1"],
    "apiServer": ["10.96.0.1"],
    "dataModel": MODEL,
    "similar": [{"name": "manuals", "revision": 1, "digest": "0" * 64}],
    "outageSeconds": 5,
    "verbose": True,
}
ALSO_NOT: list[dict[str, Any]] = [
    {"options": {"keepAlive": "5m"}},
    {"optimizer": {"similarDomains": 0}},
    {"tasks": ["relations", "entities"]},
    {"metric": {"matching": "semantic", "threshold": 0.9, "embeddingModel": "e"}},
    {"model": {**MODEL, "digest": "sha256:" + "ab" * 32, "endpoint": "http://p:1", "source": "graph"}},
    {"data": {"file": "f2", "source": "s2", "format": "json"}},
]


def changed(change: dict[str, Any]) -> str:
    written = RUN.model_dump(mode="json", by_alias=True, exclude_none=True) | change
    return Fingerprint.of_run(Run.model_validate(written), DATA).hash


@pytest.mark.parametrize("name", COUNTS)
def test_what_a_result_depends_on_makes_another_run(name: str) -> None:
    assert changed({name: COUNTS[name]}) != FINGERPRINT.hash


@pytest.mark.parametrize(
    "change", [*({name: value} for name, value in COUNTS_NOT.items()), *ALSO_NOT], ids=json.dumps
)
def test_everything_else_goes_on_with_the_same_run(change: dict[str, Any]) -> None:
    assert changed(change) == FINGERPRINT.hash


def test_checks_of_one_resource_and_model_share_a_file() -> None:
    """Data, run and spec may change; checks of several resources on one claim don't wait for each other."""
    check = {"dataDigest": "d"}
    assert Fingerprint.of_run(checking(number=2, auto="heavy"), "e" * 64) == Fingerprint.of_run(
        checking(), DATA
    )
    assert changed({"check": check, "name": "other"}) != changed({"check": check})
    assert changed({"check": check, "model": MODEL}) != changed({"check": check})


def checking(**changes: Any) -> Run:
    written = RUN.model_dump(mode="json", by_alias=True, exclude_none=True)
    return Run.model_validate(written | {"check": {"dataDigest": "d"}} | changes)


def test_rewordings_of_the_train_part_make_another_run() -> None:
    """Without any the fingerprint is what it was before there were some."""
    data = RUN.data.model_dump(by_alias=True, exclude_none=True)
    reworded = [changed({"data": {**data, "augment": {"factor": factor}}}) for factor in (1, 2)]
    assert len({*reworded, FINGERPRINT.hash}) == 3
    assert changed({"data": {**data, "augment": None}}) == FINGERPRINT.hash
    assert "augment" not in FINGERPRINT.parts()["split"]


def test_every_field_of_a_run_was_thought_of() -> None:
    fields = {field.alias or name for name, field in Run.model_fields.items()}
    assert {*COUNTS, *COUNTS_NOT} == fields


def test_other_samples_code_or_versions_make_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Fingerprint.of_run(RUN, "e" * 64).hash != FINGERPRINT.hash
    monkeypatch.setattr(fingerprint, "code_digest", lambda: "f" * 64)
    code = Fingerprint.of_run(RUN, DATA).hash
    assert code != FINGERPRINT.hash
    monkeypatch.setattr(fingerprint, "version", lambda name: f"1.0 of {name}")
    assert Fingerprint.of_run(RUN, DATA).hash not in {code, FINGERPRINT.hash}


def test_every_byte_of_the_source_counts_and_nothing_else(tmp_path: Path) -> None:
    def digest(**sources: str) -> str:
        code_digest.cache_clear()
        for name, source in {"trainer/a.py": "1", "api/b.py": "2", **sources}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(source)
        return code_digest(tmp_path)

    before = digest()
    assert digest(**{"trainer/a.py": "3"}) != before
    assert digest(**{"trainer/a.py": "", "api/b.py": "12"}) != before
    assert digest(**{"controller/c.py": "4", "trainer/a.txt": "5"}) == before
    assert digest(**{"trainer/c.py": ""}) != before
    code_digest.cache_clear()


def test_the_hash_follows_from_the_parts_that_the_header_shows() -> None:
    parts = json.loads(json.dumps(FINGERPRINT.parts()))
    assert hash_of(parts) == FINGERPRINT.hash
    assert parts["versions"].keys() == {"python", "dspy", "optuna", "numpy"}
    assert len(parts["code"]) == 64


def test_the_header_holds_no_wording() -> None:
    secret = "Anna Berg founded Norrsken"
    run = RUN.model_copy(update={"instructions": RUN.instructions.model_copy(update={"entities": secret})})
    assert secret not in json.dumps(Fingerprint.of_run(run, DATA).parts())


@pytest.mark.parametrize("digest", ["", "../../etc", "sha256:../..//x", "a\x00\n", "é" * 9])
def test_a_digest_is_never_a_path(digest: str) -> None:
    model = RUN.model.model_copy(update={"digest": digest})
    found = Fingerprint.of_run(RUN.model_copy(update={"model": model}), DATA)
    assert Path(found.folder).name == found.folder
    assert found.folder.replace("-", "").isalnum()
    assert found.digests == ({digest} if digest else set())


def test_digests_of_parts_that_are_no_fingerprint_are_none() -> None:
    assert not model_digests({"model": 3, "promptModel": {"digest": []}})
