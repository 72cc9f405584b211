"""One attempt at a run, from the mounted files to the report."""

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from domaintraining.__main__ import main as roles
from domaintraining.api.reasons import Reason
from domaintraining.api.report import BASELINE_KEY, REPORT_KEY, RESULT_KEY, Prompts
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.server import ScriptedServer
from domaintraining.trainer.main import MAY_PASS, NEEDS_A_CHANGE, SUCCESS, attempt, main, read_run
from domaintraining.trainer.prompts.export import text_digest
from domaintraining.trainer.reading import Folders
from domaintraining.trainer.reporter import RecordedReport
from tests.unit.trainer.scripted import FIELDS_OF_A_LINE, answer, make_run, run_values, samples

Values = dict[str, Any]

BASELINE_CALLS = 25
"""10 documents for entities, relations and end to end; 5 of the last ask what relations asked."""


class Bench:
    """A data folder, a report and a scripted server."""

    def __init__(self, folder: Path, rows: list[Values], script: Callable[..., str] = answer) -> None:
        self.folder = folder
        self.sink = RecordedReport()
        self.server = ScriptedServer(script)
        lines = "\n".join(json.dumps(row) for row in rows)
        (folder / "samples.jsonl").write_text(lines)

    def run(self, **changes: Any) -> tuple[int, DomainTrainingError | None]:
        folders = Folders(self.folder, self.folder / "served")
        return attempt(make_run(**changes), folders, self.sink, lambda *_: self.server)

    def prompts(self, key: str) -> Prompts:
        return Prompts.model_validate_json(self.sink.data[key])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """40 samples: 10 train, 20 validation, 10 held out."""
    return Bench(tmp_path, samples(40))


class Finished(NamedTuple):
    """A run that ended, for tests that only look at it."""

    bench: Bench
    log: str
    ended: tuple[int, DomainTrainingError | None]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A verbose run over 40 samples."""
    bench = Bench(tmp_path_factory.mktemp("finished"), samples(40))
    with redirect_stdout(StringIO()) as log:
        ended = bench.run(verbose=True)
    return Finished(bench, log.getvalue(), ended)


def serve_result(bench: Bench, revision: Prompts, *, seen: list[str]) -> None:
    """Mount a revision as the one that is served."""
    folder = bench.folder / "served"
    folder.mkdir()
    assert revision.entities
    assert revision.relations
    (folder / "entities.request.json").write_text(revision.entities.files.request)
    (folder / "relations.request.json").write_text(revision.relations.files.request)
    (folder / "manifest.json").write_text(json.dumps({"seen": seen}))


def test_a_run_ends_with_two_revisions_and_their_numbers(finished: Finished) -> None:
    """Baseline and result with all files, metrics, manifest; 100 percent; nothing waits."""
    bench = finished.bench
    assert finished.ended == (SUCCESS, None)
    report, result = bench.sink.report, bench.prompts(RESULT_KEY)
    assert (report.progress.percent, report.progress.step) == (100, "saving")
    assert report.failure is None
    assert report.progress.model_calls == len(bench.server.bodies)
    for prompts, run in ((bench.prompts(BASELINE_KEY), 0), (result, 1)):
        assert prompts.entities
        assert prompts.relations
        assert prompts.entities.run == prompts.relations.run == run
    metrics = result.metrics
    assert metrics.entities
    assert metrics.entities.documents == 10
    assert metrics.entities.f1 == metrics.entities.validation_f1 == 1.0
    assert metrics.entities.improvement
    assert metrics.entities.improvement.over == "Baseline"
    assert metrics.entities.verdict == "Unclear"
    assert metrics.relations
    assert metrics.end_to_end
    assert metrics.end_to_end.validation_f1 is None


def test_the_f1_is_that_of_the_published_bytes(finished: Finished) -> None:
    """Posting request.json with the placeholders filled, without this project, gives the F1 reported."""
    bench = finished.bench
    for key in (BASELINE_KEY, RESULT_KEY):
        prompts = bench.prompts(key)
        held_out = [row for row in samples(40) if text_digest(row["text"]) in prompts.manifest["heldOut"]]
        assert len(held_out) == 10
        assert prompts.entities
        hits = answered = labelled = 0
        for row in held_out:
            body = json.loads(prompts.entities.files.request)
            last = body["messages"][-1]
            last["content"] = last["content"].replace("{text}", row["text"])
            assert body in bench.server.bodies
            items = {(one["name"].lower(), one["type"]) for one in json.loads(answer(body))["entities"]}
            labels = {(one["name"].lower(), one["type"]) for one in row["entities"]}
            hits, answered, labelled = (
                hits + len(items & labels),
                answered + len(items),
                labelled + len(labels),
            )
        assert prompts.metrics.entities
        assert prompts.metrics.entities.f1 == round(2 * hits / (answered + labelled), 3)


def test_equal_runs_give_equal_bytes(finished: Finished, bench: Bench) -> None:
    """The same run twice: both revisions are the same to the byte."""
    bench.run()
    first, again = finished.bench.sink.data, bench.sink.data
    assert (first[BASELINE_KEY], first[RESULT_KEY]) == (again[BASELINE_KEY], again[RESULT_KEY])


def test_dataset_and_baseline_are_reported_before_what_follows(tmp_path: Path) -> None:
    """Samples stand in the report before the first call, the baseline before the first proposal or demo."""
    told: list[tuple[bool, bool, bool]] = []

    def watching(body: Mapping[str, Any]) -> str:
        report = watched.sink.report
        first_demo = "format" not in body or len(body["messages"]) > 2
        told.append((report.dataset is not None, report.baseline is not None, first_demo))
        return answer(body)

    watched = Bench(tmp_path, samples(40), watching)
    watched.run()
    assert all(dataset for dataset, _, _ in told)
    assert sorted(baseline for _, baseline, _ in told) == [baseline for _, baseline, _ in told]
    assert sum(not baseline for _, baseline, _ in told) == BASELINE_CALLS
    assert not any(searching for _, baseline, searching in told if not baseline)
    first = next(write for write in watched.sink.writes if BASELINE_KEY in write)
    baseline = json.loads(first[REPORT_KEY])["baseline"]["entities"]
    assert set(baseline) == {"baseline", "documents", "verdict"}


def test_without_held_out_part_nothing_is_measured_and_status_says_so_first(tmp_path: Path) -> None:
    """Few samples: a warning before the first call, a prompt, and no F1."""
    warned: list[list[str]] = []

    def watching(body: Mapping[str, Any]) -> str:
        dataset = watched.sink.report.dataset
        warned.append(dataset.warnings if dataset else [])
        return answer(body)

    watched = Bench(tmp_path, samples(16), watching)
    assert watched.run()[0] == SUCCESS
    assert "no held-out part" in warned[0][0]
    metrics = watched.prompts(RESULT_KEY).metrics
    assert metrics.entities
    assert (metrics.entities.f1, metrics.entities.verdict) == (None, "NotMeasured")
    assert metrics.entities.validation_f1 is not None


def test_bad_data_costs_no_model_call(tmp_path: Path) -> None:
    """Every sample is checked first; the reason names the line and not the text."""
    bench = Bench(tmp_path, [*samples(20), {"text": "", "entities": "secret"}])
    code, error = bench.run()
    assert code == NEEDS_A_CHANGE
    assert bench.server.bodies == []
    failure = bench.sink.report.failure
    assert failure
    assert error
    assert failure.reason is error.reason is Reason.DATASET_INVALID
    assert "21" in failure.message
    assert "secret" not in bench.sink.data[REPORT_KEY]


@pytest.mark.parametrize("stage", [3, 35, 60, 200])
def test_an_error_in_a_call_leaves_a_reason_and_no_f1(tmp_path: Path, stage: int) -> None:
    """An exception in any stage ends the run with an exit code, a reason, and no result."""
    lock, calls = threading.Lock(), [0]

    def breaks(body: Mapping[str, Any]) -> str:
        with lock:
            calls[0] += 1
            broken = calls[0] >= stage
        if broken:
            raise RuntimeError(body["messages"][-1]["content"])
        return answer(body)

    bench = Bench(tmp_path, samples(40), breaks)
    code, _ = bench.run()
    assert code == NEEDS_A_CHANGE
    failure = bench.sink.report.failure
    assert failure
    assert failure.reason is Reason.TRAINER_FAILED
    assert "In year" not in failure.message
    assert RESULT_KEY not in bench.sink.data


def test_a_server_that_is_gone_may_come_back(tmp_path: Path) -> None:
    """What the server gives up on has the exit code of a cause that may pass."""

    def gone(_: Mapping[str, Any]) -> str:
        raise DomainTrainingError(Reason.MODEL_SERVER_UNAVAILABLE, "no answer for 600 s")

    bench = Bench(tmp_path, samples(40), gone)
    assert bench.run()[0] == MAY_PASS
    failure = bench.sink.report.failure
    assert failure
    assert failure.reason is Reason.MODEL_SERVER_UNAVAILABLE


def test_answers_that_nobody_can_read_are_no_result(tmp_path: Path) -> None:
    """A prompt of F1 0 because no answer was readable is not offered."""

    def mumbles(body: Mapping[str, Any]) -> str:
        return "hm" if "format" in body else answer(body)

    bench = Bench(tmp_path, samples(40), mumbles)
    code, error = bench.run()
    assert code == NEEDS_A_CHANGE
    assert error
    assert error.reason is Reason.MODEL_OUTPUT_INVALID
    assert RESULT_KEY not in bench.sink.data


def test_what_is_served_is_measured_on_texts_that_nobody_has_seen(finished: Finished, tmp_path: Path) -> None:
    """The improvement is over the served prompt; documents it was trained with are left out for all."""
    first = finished.bench.prompts(RESULT_KEY)
    held_out = first.manifest["heldOut"]
    second = Bench(tmp_path, samples(40))
    serve_result(second, first, seen=held_out[:3])
    assert second.run(number=2, served=1)[0] == SUCCESS
    result = second.prompts(RESULT_KEY)
    assert result.metrics.entities
    assert result.metrics.entities.documents == 7
    assert result.metrics.entities.improvement
    assert result.metrics.entities.improvement.over == "Served"
    assert result.metrics.entities.improvement.value == 0.0
    assert result.manifest["heldOut"] == held_out[3:]
    dataset = second.sink.report.dataset
    assert dataset
    assert "revision 1" in dataset.warnings[0]


def test_a_served_prompt_of_two_runs_has_seen_what_both_had(finished: Finished, tmp_path: Path) -> None:
    """The manifests of the others lie beside its own."""
    first = finished.bench.prompts(RESULT_KEY)
    held_out = first.manifest["heldOut"]
    second = Bench(tmp_path, samples(40))
    serve_result(second, first, seen=held_out[:1])
    other = second.folder / "served" / "manifest-r1.json"
    other.write_text(json.dumps({"seen": held_out[1:3]}))
    sources = {"entities": {"revision": 2}, "relations": {"revision": 1}}
    assert second.run(number=3, served=2, servedFrom=sources)[0] == SUCCESS
    assert second.prompts(RESULT_KEY).manifest["heldOut"] == held_out[3:]


def test_the_served_prompt_is_asked_with_this_runs_model(finished: Finished, tmp_path: Path) -> None:
    """After a change of model the served messages are compared on the new one."""
    second = Bench(tmp_path, samples(40))
    serve_result(second, finished.bench.prompts(RESULT_KEY), seen=[])
    second.run(number=2, served=1, model={**run_values()["model"], "name": "other:2b"})
    assert {body["model"] for body in second.server.bodies} == {"other:2b"}


def test_a_damaged_served_prompt_is_named(bench: Bench) -> None:
    """Nothing is compared with half a prompt."""
    folder = bench.folder / "served"
    folder.mkdir()
    (folder / "entities.request.json").write_text('{"messages": []}')
    (folder / "manifest.json").write_text("{}")
    code, error = bench.run(served=1)
    assert code == NEEDS_A_CHANGE
    assert error
    assert "entities.request.json" in error.message
    assert bench.server.bodies == []


def test_one_task_alone(tmp_path: Path) -> None:
    """A run for relations measures relations and nothing end to end."""
    bench = Bench(tmp_path, samples(40))
    assert bench.run(tasks=["relations"])[0] == SUCCESS
    result = bench.prompts(RESULT_KEY)
    assert (result.entities, result.metrics.entities, result.metrics.end_to_end) == (None, None, None)
    assert result.metrics.relations


def test_a_sample_with_a_placeholder_is_measured_and_never_shown(tmp_path: Path) -> None:
    """Texts with `{text}` count in validation and test, and stand in no demo."""
    rows = [{**row, "text": row["text"] + " {entities} {text}"} for row in samples(40)]
    mixed = [row if number % 2 else rows[number] for number, row in enumerate(samples(40))]
    bench = Bench(tmp_path, mixed)
    assert bench.run()[0] == SUCCESS
    entities = bench.prompts(RESULT_KEY).entities
    assert entities
    assert entities.files.messages.count("{entities}") == 0
    asked = {body["messages"][-1]["content"] for body in bench.server.bodies if "format" in body}
    assert any("{entities} {text}" in content for content in asked)


def test_train_samples_with_placeholders_only_cost_no_call(tmp_path: Path) -> None:
    """Where no sample can be a demo the run says so before the first call."""
    rows = [{**row, "text": row["text"] + " {text}"} for row in samples(40)]
    bench = Bench(tmp_path, rows)
    assert bench.run()[0] == NEEDS_A_CHANGE
    assert bench.server.bodies == []


def test_more_samples_than_a_manifest_can_name_cost_no_call(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be published in the end is refused at the beginning, with the limit."""
    monkeypatch.setattr("domaintraining.trainer.data.dataset.MAX_SAMPLES", 39)
    _, error = bench.run()
    assert error
    assert error.reason is Reason.DATASET_INVALID
    assert error.message.endswith("line 40: the file has more than 39 samples")
    assert bench.server.bodies == []


def test_a_result_that_does_not_fit_has_its_reason(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt larger than the report can hold is not sent in vain."""
    monkeypatch.setattr("domaintraining.trainer.reporter.MAX_REPORT_BYTES", 12_000)
    code, error = bench.run()
    assert code == NEEDS_A_CHANGE
    assert error
    assert error.reason is Reason.RESULT_TOO_LARGE


def test_the_manifest_names_texts_by_digest(finished: Finished) -> None:
    """What is seen is train and validation, heldOut the documents measured; the baseline has seen nothing."""
    bench = finished.bench
    baseline, result = bench.prompts(BASELINE_KEY).manifest, bench.prompts(RESULT_KEY).manifest
    known = {text_digest(row["text"]) for row in samples(40)}
    assert baseline["seen"] == []
    assert len(result["seen"]) == 30
    assert set(result["seen"]) | set(result["heldOut"]) == known
    assert result["dataset"]["test"] == 10
    assert result["tasks"]["entities"]["run"] == 1


def test_the_log_is_json_lines_without_sample_text(finished: Finished) -> None:
    """Every line is an object with the keys of the contract; no text, name or prompt is in it."""
    lines = finished.log.splitlines()
    events = [json.loads(line) for line in lines]
    assert {"run_started", "dataset_read", "baseline_measured", "result_written"} <= {
        event["event_type"] for event in events
    }
    assert all(set(event) == FIELDS_OF_A_LINE for event in events)
    percents = [event["progress_percent"] for event in events]
    assert percents == sorted(percents)
    assert not any(word in line for line in lines for word in ("In year", "Acme", "Ada", "Globex"))


def test_a_report_that_is_gone_ends_the_run(tmp_path: Path) -> None:
    """A run that another one took over stops calling the model."""

    class Gone(RecordedReport):
        def publish(self, data: Mapping[str, str]) -> None:
            if BASELINE_KEY in data:
                raise DomainTrainingError(Reason.SUPERSEDED, "the run is gone")
            super().publish(data)

    bench = Bench(tmp_path, samples(40))
    bench.sink = Gone()
    code, error = bench.run()
    assert code == NEEDS_A_CHANGE
    assert error
    assert error.reason is Reason.SUPERSEDED
    assert len(bench.server.bodies) == BASELINE_CALLS


def test_settings_that_are_missing_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without its settings a trainer says so in its log and in the container's message."""
    monkeypatch.setattr("os.environ", {"TERMINATION_LOG": str(tmp_path / "words")})
    monkeypatch.setattr("signal.signal", lambda *_: None)
    folders = ["--data-dir", str(tmp_path), "--served-dir", str(tmp_path)]
    assert main(["--run-file", str(tmp_path / "run.json"), *folders]) == NEEDS_A_CHANGE
    assert (tmp_path / "words").read_text().startswith("TrainerFailed: not set: REPORT_NAME")
    assert json.loads(capsys.readouterr().out)["event_type"] == "failed"


@pytest.mark.parametrize(
    ("text", "told"),
    [("{", "run.json"), (json.dumps(run_values(number=0)), "number"), (None, "can't be read")],
)
def test_a_run_file_that_is_not_valid_is_named(tmp_path: Path, text: str | None, told: str) -> None:
    """The message says which field of run.json is wrong."""
    path = tmp_path / "run.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DomainTrainingError, match=told) as error:
        read_run(path)
    assert error.value.reason is Reason.TRAINER_FAILED


@pytest.mark.parametrize("argv", [[], ["trainers"], ["--help"]])
def test_an_unknown_role_is_answered_with_the_known_ones(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m domaintraining` without a role lists them and ends with 2."""
    assert roles(argv) == 2
    assert "  trainer     trains the prompts of one run" in capsys.readouterr().err
