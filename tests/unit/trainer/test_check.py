"""A check trains nothing, and measures the served prompts only where the world under them changed."""

import json
import shutil
import threading
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from domaintraining.api.reasons import Reason
from domaintraining.api.report import BASELINE_KEY, REPORT_KEY, RESULT_KEY, Drift, Prompts
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.connect import Serve
from domaintraining.trainer.calls.server import OllamaServer, ScriptedServer
from domaintraining.trainer.main import MAY_PASS, NEEDS_A_CHANGE, SUCCESS, attempt
from domaintraining.trainer.prompts.export import text_digest
from domaintraining.trainer.reading import Folders
from domaintraining.trainer.reporter import RecordedReport
from tests.unit.trainer import loopback
from tests.unit.trainer.loopback import Clock, Loopback, Received, Reply
from tests.unit.trainer.scripted import FIELDS_OF_A_LINE, answer, make_run, run_values, samples

Values = dict[str, Any]
Script = Callable[[Mapping[str, Any]], str]

OTHER_MODEL = {**run_values()["model"], "digest": "sha256:2"}


class Trained(NamedTuple):
    """A run that ended over 40 samples, 10 of them held out, and its journal."""

    folder: Path
    result: Prompts
    digest: str


class Place:
    """What is mounted for a check: samples, the served revision, and where asked the journal of its run."""

    def __init__(self, folder: Path, trained: Trained, rows: list[Values], *, journal: bool = False) -> None:
        self.trained = trained
        self.folders = Folders(folder, folder / "served", folder / "journal" if journal else None)
        self.sink, self.log = RecordedReport(), StringIO()
        self.server = ScriptedServer(answer)
        self.fill(rows)
        self.serve(trained.result, trained.result.manifest["seen"])
        if journal:
            shutil.copytree(trained.folder / "journal", folder / "journal")

    def fill(self, rows: list[Values]) -> None:
        (self.folders.data / "samples.jsonl").write_text("\n".join(json.dumps(row) for row in rows))

    def serve(self, revision: Prompts, seen: list[str]) -> None:
        assert self.folders.served
        self.folders.served.mkdir(exist_ok=True)
        assert revision.entities
        assert revision.relations
        files = revision.entities.files.files("entities") | revision.relations.files.files("relations")
        for name, text in files.items():
            (self.folders.served / name).write_text(text)
        (self.folders.served / "manifest.json").write_text(json.dumps({"seen": seen}))

    def attempt(
        self,
        script: Script = answer,
        *,
        serve: Serve | None = None,
        number: int = 1,
        check: Values | None = None,
        **changes: Any,
    ) -> tuple[int, DomainTrainingError | None]:
        """One attempt at the check; `check` is changed in what the controller writes by default."""
        self.server = ScriptedServer(script)
        given = {"dataDigest": self.trained.digest, **(check or {})}
        run = make_run(**{"number": 1, "served": 1, "check": given, **changes})
        with redirect_stdout(self.log):
            return attempt(run, self.folders, self.sink, serve or (lambda *_: self.server), number)

    def look(self, script: Script = answer, **changes: Any) -> Drift:
        """What a check finds that gets through."""
        assert self.attempt(script, **changes) == (SUCCESS, None)
        found = self.sink.report.check
        assert found
        return found

    @property
    def asked(self) -> list[Mapping[str, Any]]:
        """The bodies that the model server got in the last attempt."""
        return self.server.bodies


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "journal").mkdir()
    (folder / "samples.jsonl").write_text("\n".join(json.dumps(row) for row in samples(40)))
    sink = RecordedReport()
    folders = Folders(folder, journal=folder / "journal")
    assert attempt(make_run(), folders, sink, lambda *_: ScriptedServer(answer))[0] == SUCCESS
    dataset = sink.report.dataset
    assert dataset
    return Trained(folder, Prompts.model_validate_json(sink.data[RESULT_KEY]), dataset.digest)


def held_out(place: Place, rows: list[Values]) -> list[Values]:
    """The documents among the rows that a check of them measures on."""
    asked = {body["messages"][-1]["content"].split("\n")[1] for body in place.asked}
    return [row for row in rows if row["text"] in asked]


def filled(request: str, row: Values) -> Values:
    """A published request as an application fills it, by its bytes."""
    lines = "\n".join(f"- {one['name']} ({one['type']})" for one in row["entities"])
    body: Values = json.loads(request)
    last = body["messages"][-1]
    last["content"] = last["content"].replace("{text}", row["text"]).replace("{entities}", lines)
    return body


def test_where_nothing_changed_nothing_is_asked(tmp_path: Path, trained: Trained) -> None:
    """Same samples, same model: no call, and the report says that it looked."""
    place = Place(tmp_path, trained, samples(40))
    found = place.look()
    assert place.asked == []
    assert (found.changed, found.unmeasured, found.metrics) == (False, "Unchanged", None)
    assert (found.data_digest, found.model_calls) == (trained.digest, 0)
    assert found.dataset.test == 10


def test_unchanged_data_need_no_served_files(tmp_path: Path, trained: Trained) -> None:
    place = Place(tmp_path, trained, samples(40))
    (tmp_path / "served" / "manifest.json").write_text("{")
    assert place.look().unmeasured == "Unchanged"


def test_changed_data_are_asked_with_exactly_the_published_bytes(tmp_path: Path, trained: Trained) -> None:
    """Every call is request.json with its placeholders filled: no baseline, no proposal, nothing else."""
    rows = samples(60)
    place = Place(tmp_path, trained, rows)
    found = place.look()
    documents = held_out(place, rows)
    assert found.changed
    assert found.metrics
    assert found.metrics.entities
    assert found.metrics.relations
    assert found.metrics.end_to_end
    assert found.metrics.entities.documents == len(documents) == found.dataset.test - found.left_out // 2
    assert len(documents) >= 10
    entities, relations = trained.result.entities, trained.result.relations
    assert entities
    assert relations
    wanted = [filled(entities.files.request, row) for row in documents]
    wanted += [filled(relations.files.request, row) for row in documents]
    assert all(body in place.asked for body in wanted)
    templates = {json.dumps(json.loads(one.files.request)["messages"][:-1]) for one in (entities, relations)}
    assert {json.dumps(body["messages"][:-1]) for body in place.asked} == templates
    assert found.model_calls == len(place.asked) <= 3 * len(documents)
    assert place.sink.report.progress.model_calls == found.model_calls


def test_the_numbers_are_the_prompts_own(tmp_path: Path, trained: Trained) -> None:
    """F1 with its interval and documents; no baseline, comparison or validation; nothing to promote."""
    place = Place(tmp_path, trained, samples(60))
    found = place.look()
    assert found.metrics
    for one in (found.metrics.entities, found.metrics.relations, found.metrics.end_to_end):
        assert one
        assert one.f1 is not None
        assert one.confidence_interval
        assert one.confidence_interval.low <= one.f1 <= one.confidence_interval.high
        assert (one.baseline, one.improvement, one.validation_f1, one.verdict) == (
            None,
            None,
            None,
            "NotMeasured",
        )
    assert set(place.sink.data) == {REPORT_KEY}
    assert not {BASELINE_KEY, RESULT_KEY} & {key for write in place.sink.writes for key in write}


RIVAL = {
    "model": {"name": "other:2b", "digest": "sha256:3", "endpoint": "http://other", "source": "spec"},
    "maxConcurrentRequests": 2,
}


def of_rival(place: Place, task: str) -> None:
    """Have a served prompt be for the other model."""
    path = place.folders.data / "served" / f"{task}.request.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model": "other:2b"}))


def test_a_prompt_of_a_compared_model_is_asked_of_that_model(tmp_path: Path, trained: Trained) -> None:
    """A run with compareWith serves the prompts of the model that it chose."""
    asked: list[tuple[str, str]] = []

    def serve(session: Any, model: Any) -> ScriptedServer:
        asked.append((session.run.model.name, model.endpoint))
        return place.server

    place = Place(tmp_path, trained, samples(60))
    own = place.look()
    of_rival(place, "entities")
    of_rival(place, "relations")
    found = place.look(serve=serve, compareWith=[RIVAL])
    assert asked == [("other:2b", "http://other")]
    assert {body["model"] for body in place.asked} == {"other:2b"}
    assert found.metrics == own.metrics


def test_prompts_of_two_models_are_measured_one_after_the_other(tmp_path: Path, trained: Trained) -> None:
    """Each of its own model; a pair that was never measured together has no number end to end."""
    place = Place(tmp_path, trained, samples(60))
    of_rival(place, "relations")
    found = place.look(compareWith=[RIVAL])
    models = [body["model"] for body in place.asked]
    assert models == sorted(models, key=["tiny:1b", "other:2b"].index)
    assert set(models) == {"tiny:1b", "other:2b"}
    assert found.metrics
    assert found.metrics.entities
    assert found.metrics.relations
    assert found.metrics.end_to_end is None


def test_a_prompt_of_a_model_that_is_not_there_is_left_out(tmp_path: Path, trained: Trained) -> None:
    """On another one its number would say nothing of what was published."""
    place = Place(tmp_path, trained, samples(60))
    of_rival(place, "relations")
    found = place.look()
    assert found.metrics
    assert found.metrics.entities
    assert (found.metrics.relations, found.metrics.end_to_end) == (None, None)
    of_rival(place, "entities")
    assert place.look(number=2).unmeasured == "NothingServed"
    assert place.asked == []


def test_a_model_that_got_worse_shows_in_the_numbers(tmp_path: Path, trained: Trained) -> None:
    """Same samples, another digest: measured on the documents of the run, and lower."""

    def worse(body: Mapping[str, Any]) -> str:
        return answer(body).replace("FIRM", "PERSON")

    place = Place(tmp_path, trained, samples(40))
    found = place.look(worse, check={"modelChanged": True}, model=OTHER_MODEL)
    assert not found.changed
    assert found.left_out == 0
    assert found.metrics
    assert found.metrics.entities
    assert trained.result.metrics.entities
    before = trained.result.metrics.entities.f1
    assert found.metrics.entities.documents == trained.result.metrics.entities.documents == 10
    assert before is not None
    assert found.metrics.entities.f1 is not None
    assert found.metrics.entities.f1 < before


def test_answers_that_nobody_can_read_are_a_loss_and_no_failure(tmp_path: Path, trained: Trained) -> None:
    """A model that talks nonsense now is what a check is there to find."""
    place = Place(tmp_path, trained, samples(40))
    found = place.look(lambda _: "hm", check={"modelChanged": True}, model=OTHER_MODEL)
    assert found.metrics
    assert found.metrics.entities
    assert found.metrics.entities.f1 == 0.0


def test_texts_that_the_served_prompts_had_seen_are_left_out(tmp_path: Path, trained: Trained) -> None:
    """They are neither asked nor counted, and the report says how many."""
    rows = samples(60)
    place = Place(tmp_path, trained, rows)
    place.serve(trained.result, [])
    whole = place.look()
    documents = held_out(place, rows)
    some = [text_digest(row["text"]) for row in documents[:3]]
    place.serve(trained.result, some)
    found = place.look()
    assert {text_digest(row["text"]) for row in held_out(place, rows)}.isdisjoint(some)
    assert whole.metrics
    assert found.metrics
    assert whole.metrics.entities
    assert found.metrics.entities
    assert (whole.left_out, found.left_out) == (0, 6)
    assert found.metrics.entities.documents == whole.metrics.entities.documents - 3
    assert "revision 1" in found.dataset.warnings[0]


def test_without_held_out_documents_nothing_is_asked(tmp_path: Path, trained: Trained) -> None:
    """Fewer than 10 by the rules of the split: the report says so, also in the samples' warnings."""
    place = Place(tmp_path, trained, samples(16))
    found = place.look()
    assert place.asked == []
    assert (found.changed, found.unmeasured, found.dataset.test) == (True, "NoHeldOutData", 0)
    assert "no held-out part" in found.dataset.warnings[0]


def test_fewer_than_ten_unseen_documents_are_too_few(tmp_path: Path, trained: Trained) -> None:
    """An interval over a handful of documents would start runs for nothing."""
    place = Place(tmp_path, trained, samples(40))
    place.serve(trained.result, trained.result.manifest["heldOut"][:1])
    found = place.look(check={"dataDigest": "0" * 64})
    assert place.asked == []
    assert (found.unmeasured, found.left_out) == ("NoHeldOutData", 2)


def test_a_task_with_too_few_documents_is_left_out_alone(tmp_path: Path, trained: Trained) -> None:
    """The other task is measured, and nothing end to end."""
    rows = [{**row, "relations": None} if number % 2 else row for number, row in enumerate(samples(60))]
    rows = [{key: value for key, value in row.items() if value is not None} for row in rows]
    found = Place(tmp_path, trained, rows).look()
    assert found.metrics
    assert found.metrics.entities
    assert (found.metrics.relations, found.metrics.end_to_end) == (None, None)


def test_a_check_that_may_not_measure_only_looks(tmp_path: Path, trained: Trained) -> None:
    place = Place(tmp_path, trained, samples(60))
    found = place.look(check={"measure": False})
    assert place.asked == []
    assert (found.changed, found.unmeasured) == (True, "NotAsked")
    assert found.data_digest != trained.digest


def test_without_a_served_prompt_there_is_nothing_to_measure(tmp_path: Path, trained: Trained) -> None:
    place = Place(tmp_path, trained, samples(60))
    found = place.look(served=None)
    assert place.asked == []
    assert found.unmeasured == "NothingServed"


def test_bad_data_have_the_reasons_of_a_run(tmp_path: Path, trained: Trained) -> None:
    """Line and field, without the text; no result, no call."""
    place = Place(tmp_path, trained, [*samples(20), {"text": "Ada", "entities": "secret"}])
    code, error = place.attempt()
    assert code == NEEDS_A_CHANGE
    assert error
    assert error.reason is Reason.DATASET_INVALID
    failure = place.sink.report.failure
    assert failure
    assert "line 21: entities" in failure.message
    assert "secret" not in place.sink.data[REPORT_KEY]
    assert place.sink.report.check is None
    assert place.asked == []


def test_a_damaged_served_prompt_is_named(tmp_path: Path, trained: Trained) -> None:
    place = Place(tmp_path, trained, samples(60))
    (tmp_path / "served" / "entities.request.json").write_text('{"messages": []}')
    code, error = place.attempt()
    assert code == NEEDS_A_CHANGE
    assert error
    assert "entities.request.json" in error.message
    assert place.asked == []


def test_the_budget_of_the_run_is_not_asked(tmp_path: Path, trained: Trained) -> None:
    place = Place(tmp_path, trained, samples(60))
    assert place.look(budget={"calls": 1, "seconds": 0}).metrics


def test_a_server_of_unknown_size_is_not_probed(tmp_path: Path, trained: Trained) -> None:
    """To find out what it serves at once would take more calls than some checks."""
    place = Place(tmp_path, trained, samples(60))
    place.look(maxConcurrentRequests=None)
    assert all("format" in body for body in place.asked)


def test_an_outage_is_waited_out_and_told(tmp_path: Path, trained: Trained, clock: Clock) -> None:
    """The server fails for a while: the report says so meanwhile, and the numbers are those without it."""
    lock, left = threading.Lock(), [40]

    def ailing(request: Received) -> Reply:
        with lock:
            left[0] -= 1
            failing = left[0] >= 0
        return Reply({"error": "busy"}, 503) if failing else loopback.answer(answer(request.json))

    place = Place(tmp_path, trained, samples(60))
    undisturbed = place.look()
    with Loopback(ailing) as server:

        def serve(session: Any, _: Any) -> OllamaServer:
            return OllamaServer(
                server.url,
                permits=4,
                outage_seconds=3600,
                on_wait=session.waiting,
                on_recovered=session.recovered,
                give_up=session.ending.give_up,
                sleep=clock.sleep,
                clock=clock,
            )

        found = place.look(serve=serve)
    assert found.metrics == undisturbed.metrics
    assert place.sink.report.waiting is None
    events = [json.loads(line)["event_type"] for line in place.log.getvalue().splitlines()]
    assert events.count("model_server_waited_for") == events.count("model_server_recovered") == 1


def test_a_second_attempt_asks_only_what_the_first_did_not(tmp_path: Path, trained: Trained) -> None:
    """No call is made twice, and the calls of both are told."""
    lock, answered = threading.Lock(), [0]

    def gone(body: Mapping[str, Any]) -> str:
        with lock:
            if answered[0] >= 9:
                raise DomainTrainingError(Reason.MODEL_SERVER_UNAVAILABLE, "no answer for 600 s")
            answered[0] += 1
        return answer(body)

    place = Place(tmp_path, trained, samples(60))
    undisturbed = place.look()
    (tmp_path / "journal").mkdir()
    place.folders = Folders(place.folders.data, place.folders.served, tmp_path / "journal")
    place.sink = RecordedReport()
    assert place.attempt(gone)[0] == MAY_PASS
    assert place.sink.report.check is None
    found = place.look(number=2)
    assert len(place.asked) == undisturbed.model_calls - 9
    assert found == undisturbed
    assert place.look(number=3).metrics == found.metrics
    assert place.asked == []


def test_a_check_asks_only_about_what_is_new(tmp_path: Path, trained: Trained) -> None:
    """Documents that the run measured its prompts on are in its journal, under the same model digest."""
    rows = samples(60)
    place = Place(tmp_path, trained, rows, journal=True)
    found = place.look()
    texts = {text_digest(row["text"]) for row in held_out(place, rows)}
    assert texts
    assert texts.isdisjoint(trained.result.manifest["heldOut"])
    assert found.metrics
    assert found.metrics.entities
    assert len(texts) < found.metrics.entities.documents


def test_answers_of_another_model_digest_are_never_taken(tmp_path: Path, trained: Trained) -> None:
    """The name is the same: every document is asked again, and kept in another folder."""
    place = Place(tmp_path, trained, samples(40), journal=True)
    alone = tmp_path / "alone"
    alone.mkdir()
    expected = Place(alone, trained, samples(40)).look(check={"modelChanged": True}, model=OTHER_MODEL)
    found = place.look(check={"modelChanged": True}, model=OTHER_MODEL)
    assert found == expected
    assert found.model_calls == len(place.asked) > 0
    names = {path.parent.name for path in (tmp_path / "journal").glob("*/*")}
    assert names == {"model-1", "model-2"}


def test_a_model_of_unknown_digest_leaves_no_answers(tmp_path: Path, trained: Trained) -> None:
    """Nobody could tell later which model they are of."""
    place = Place(tmp_path, trained, samples(60), journal=True)
    before = files(tmp_path / "journal")
    place.look(model={**run_values()["model"], "digest": ""})
    assert files(tmp_path / "journal") == before


def test_the_journal_of_the_run_stays_as_it_is(tmp_path: Path, trained: Trained) -> None:
    """A check writes a file of its own; the run made again finds all its answers and its result."""
    place = Place(tmp_path, trained, samples(60), journal=True)
    before = files(tmp_path / "journal")
    place.look()
    place.fill(samples(44))
    place.look()
    after = files(tmp_path / "journal")
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 1
    place.fill(samples(40))
    server, sink = ScriptedServer(answer), RecordedReport()
    folders = Folders(place.folders.data, journal=tmp_path / "journal")
    assert attempt(make_run(), folders, sink, lambda *_: server)[0] == SUCCESS
    assert server.bodies == []
    assert Prompts.model_validate_json(sink.data[RESULT_KEY]) == trained.result


def test_a_run_after_the_check_does_not_pay_again(tmp_path: Path, trained: Trained) -> None:
    """The run that a loss starts has the check's answers; its prompts are those of a run without them."""
    place = Place(tmp_path, trained, samples(60), journal=True)
    place.look()
    asked = [json.dumps(body) for body in place.asked]
    assert asked
    results = []
    for folder in ("journal", "fresh"):
        (tmp_path / folder).mkdir(exist_ok=True)
        server, sink = ScriptedServer(answer), RecordedReport()
        folders = Folders(place.folders.data, place.folders.served, tmp_path / folder)
        assert attempt(make_run(number=2, served=1), folders, sink, lambda *_, one=server: one)[0] == SUCCESS
        results.append(Prompts.model_validate_json(sink.data[RESULT_KEY]))
        again = {json.dumps(body) for body in server.bodies}.intersection(asked)
        assert bool(again) == (folder == "fresh")
    assert results[0] == results[1]


def test_the_log_says_what_was_found_without_a_text(tmp_path: Path, trained: Trained) -> None:
    """JSON lines with the keys of the contract, under the check's name."""
    place = Place(tmp_path, trained, samples(60))
    place.look(verbose=True)
    lines = place.log.getvalue().splitlines()
    events = [json.loads(line) for line in lines]
    assert all(set(event) == FIELDS_OF_A_LINE for event in events)
    assert {event["training_run_id"] for event in events} == {"team-a/tech-docs-check"}
    assert [event["event_type"] for event in events] == [
        "run_started",
        "dataset_read",
        "served_measured",
        "check_done",
    ]
    assert not any(word in line for line in lines for word in ("In year", "Acme", "Ada", "Globex"))
    progress = place.sink.report.progress
    assert (progress.percent, progress.planned_model_calls) == (100, progress.model_calls)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*/*")}
