"""Embeddings of a run's own texts: what is wrong with the model that makes them ends no run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.api.report import RESULT_KEY
from domaintraining.api.status import ModelStatus
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.reply import WITHHELD, ChatAnswer, no_quote
from domaintraining.trainer.calls.server import ModelServer, ScriptedServer
from domaintraining.trainer.datavector import OUTAGE_SECONDS
from domaintraining.trainer.main import SUCCESS, attempt
from domaintraining.trainer.reading import Folders
from domaintraining.trainer.reporter import RecordedReport
from domaintraining.trainer.session import Session
from tests.unit.trainer.scripted import answer, make_run, samples
from tests.unit.trainer.test_similar_run import MODEL, Given, offer, taught

TEXT = "Anna Berg founded Norrsken AB in Umeå, and sold it again in spring."


class Refusing:
    """A server that answers chats and fails for good with the first embedding."""

    def __init__(self, session: Session, error: DomainTrainingError) -> None:
        self._session, self._error = session, error
        self._chats = ScriptedServer(answer)

    def chat(self, body: Mapping[str, Any]) -> ChatAnswer:
        if "input" in body:
            assert self._session.run.outage_seconds <= OUTAGE_SECONDS, "not waited for as long as for a chat"
            self._session.waiting("HTTP 500")
            self._session.ending.give_up(self._error)
        return self._chats.chat(body)


@pytest.mark.parametrize(
    "reason", [Reason.MODEL_UNSUITABLE, Reason.PROMPT_TOO_LONG, Reason.MODEL_SERVER_UNAVAILABLE]
)
def test_a_model_that_makes_no_embeddings_ends_no_run(tmp_path: Path, reason: Reason) -> None:
    """The run has its result without a vector, a person is told, and nobody is said to wait."""
    (tmp_path / "samples.jsonl").write_text("\n".join(json.dumps(row) for row in samples(40)))
    error = DomainTrainingError(reason, "HTTP 400: this model does not support embeddings")
    sink, run = RecordedReport(), make_run(dataModel=MODEL)

    def serve(session: Session, _: ModelStatus) -> ModelServer:
        return Refusing(session, error)

    assert attempt(run, Folders(tmp_path), sink, serve) == (SUCCESS, None)
    assert "dataVector" not in json.loads(sink.data[RESULT_KEY])["manifest"]
    assert sink.report.waiting is None
    assert sink.report.dataset
    (told,) = [one for one in sink.report.dataset.warnings if "embeddings" in one]
    assert (
        told == f"similar domains are told by their types alone: bge-m3 makes no embeddings: {error.message}"
    )


def test_without_a_vector_the_types_decide(tmp_path: Path) -> None:
    """An answer that is none of embeddings is as good as none."""

    def mute(body: Mapping[str, Any]) -> str:
        return "none" if "input" in body else taught(body)

    given = Given(tmp_path, mute, [offer("manuals")], vectors=False, dataModel=MODEL)
    assert given.manifest["similar"]["won"] == {"entities": "manuals"}
    assert "dataVector" not in given.manifest


def test_a_part_of_a_text_in_the_servers_words_is_not_told() -> None:
    """The words of a refusal stand in status."""
    assert no_quote({"model": "m", "input": [TEXT]})(f"too long: '{TEXT[:40]}…'") == WITHHELD
