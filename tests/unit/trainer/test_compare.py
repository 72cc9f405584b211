"""Several models in one run: one turn each, chosen by validation, told in a table, paid from one budget."""

import json
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from domaintraining.api.comparison import ComparedModel
from domaintraining.api.reasons import Reason
from domaintraining.api.report import BASELINE_KEY, RESULT_KEY, Prompts
from domaintraining.api.status import ModelStatus
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.calls.server import ChatAnswer, ScriptedServer
from domaintraining.trainer.data.material import read_material
from domaintraining.trainer.main import MAY_PASS, NEEDS_A_CHANGE, SUCCESS, attempt
from domaintraining.trainer.prompts.export import text_digest
from domaintraining.trainer.reading import Folders
from domaintraining.trainer.reporter import RecordedReport
from domaintraining.trainer.session import Session
from tests.unit.trainer.scripted import answer, make_run, moody, samples
from tests.unit.trainer.test_semantic_run import first_word

HERE, THERE = "http://ollama", "http://gpu"
BASELINE_CALLS = 30
NAMES = ["tiny:1b", "poor:1b", "good:7b"]
SMALL: dict[str, Any] = {"auto": "manual", "optimizer": {"numCandidates": 2, "numTrials": 3}}


def status(name: str, endpoint: str = HERE) -> dict[str, str]:
    return {"name": name, "digest": f"sha256:{name}", "endpoint": endpoint, "source": "spec"}


OTHERS = [status(name) for name in NAMES[1:]]


def rivals(*models: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"model": dict(model), "maxConcurrentRequests": 4} for model in models]


def blind(content: str) -> str:
    """An answer with nothing in it."""
    return json.dumps(
        {key: [] if isinstance(value, list) else value for key, value in json.loads(content).items()}
    )


def skilled(body: Mapping[str, Any]) -> str:
    """Models of four kinds: `poor` finds nothing, `good` answers all as labelled, `same` as it is scripted,
    others are right in six of ten answers.
    """
    if "format" not in body:
        return answer(body)
    if body["model"].startswith("poor"):
        return blind(answer(body))
    if body["model"].startswith("good"):
        return answer({**body, "messages": [*body["messages"][:1], *demos(), body["messages"][-1]]})
    return answer(body) if body["model"].startswith("same") else moody(body)


def demos() -> list[dict[str, str]]:
    return [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}] * 2


Answer = Callable[[Mapping[str, Any]], str]


class Servers:
    """All servers of a run: which model each was asked, in order."""

    def __init__(self, scripted: Answer = skilled, fails_after: int = 10**9) -> None:
        self.asked: list[tuple[str, str]] = []
        self._scripted, self._fails_after = scripted, fails_after

    def serve(self, session: Session, model: ModelStatus) -> "_Server":
        return _Server(self, session, model.endpoint)

    def ask(self, session: Session, endpoint: str, body: Mapping[str, Any]) -> ChatAnswer:
        if len(self.asked) >= self._fails_after:
            gone = DomainTrainingError(Reason.MODEL_SERVER_UNAVAILABLE, "killed")
            session.ending.give_up(gone)
        self.asked.append((endpoint, body["model"]))
        return ScriptedServer(self._scripted, first_word).chat(body)

    def of(self, model: str) -> int:
        return sum(name == model for _, name in self.asked)

    def turns(self, endpoint: str) -> list[str]:
        """The models that a server had loaded, one after the other."""
        return [name for name, _ in groupby(name for at, name in self.asked if at == endpoint)]


class _Server:
    def __init__(self, servers: Servers, session: Session, endpoint: str) -> None:
        self._servers, self._session, self._endpoint = servers, session, endpoint

    def chat(self, body: Mapping[str, Any]) -> ChatAnswer:
        return self._servers.ask(self._session, self._endpoint, body)


Ran = tuple[int, RecordedReport, Servers]


def comparing(tmp_path: Path) -> Callable[..., Ran]:
    """Makes attempts at runs of 40 samples, with one journal for all unless another is named."""
    (tmp_path / "samples.jsonl").write_text("\n".join(json.dumps(row) for row in samples(40)))

    def run(
        *others: Mapping[str, str],
        servers: Servers | None = None,
        folder: Path | None = None,
        sink: RecordedReport | None = None,
        journal: str = "journal",
        **changes: Any,
    ) -> Ran:
        (tmp_path / journal).mkdir(exist_ok=True)
        servers, sink = servers or Servers(), sink or RecordedReport()
        folders = Folders(tmp_path, served=folder, journal=tmp_path / journal)
        given = make_run(**{"compareWith": rivals(*others), **SMALL, **changes})
        code, _ = attempt(given, folders, sink, servers.serve)
        return code, sink, servers

    return run


@pytest.fixture
def compare(tmp_path: Path) -> Callable[..., Ran]:
    """Makes attempts, in a folder of the test's own."""
    return comparing(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """An undisturbed run of three models."""
    return comparing(tmp_path_factory.mktemp("whole"))(*OTHERS)


def result(sink: RecordedReport) -> Prompts:
    return Prompts.model_validate_json(sink.data[RESULT_KEY])


def rows(sink: RecordedReport) -> dict[str, ComparedModel]:
    return {row.name: row for row in sink.report.models}


def model_of(prompts: Prompts) -> set[str]:
    """The models that a revision's requests name."""
    found = [prompt for prompt in (prompts.entities, prompts.relations) if prompt]
    return {json.loads(prompt.files.request)["model"] for prompt in found}


def test_the_best_by_validation_gets_the_run(whole: Ran) -> None:
    """Its name and digest in requests and manifest, the baseline is that of spec.model, one row for each."""
    code, sink, _ = whole
    assert code == SUCCESS
    found, table = result(sink), rows(sink)
    assert list(table) == ["tiny:1b", "poor:1b", "good:7b"]
    assert [name for name, row in table.items() if row.chosen] == ["good:7b"]
    assert {row.state for row in table.values()} == {"Compared"}
    assert model_of(found) == {"good:7b"}
    assert found.manifest["model"] == {"name": "good:7b", "digest": "sha256:good:7b"}
    assert found.manifest["baselineModel"] == {"name": "tiny:1b", "digest": "sha256:1"}
    baseline = Prompts.model_validate_json(sink.data[BASELINE_KEY])
    assert model_of(baseline) == {"tiny:1b"}
    assert baseline.metrics.entities
    assert found.metrics.entities
    assert found.metrics.entities.baseline == baseline.metrics.entities.baseline
    assert found.metrics.entities.f1 == 1.0


def test_the_table_has_numbers_of_each_and_the_manifest_the_same(whole: Ran) -> None:
    """F1 with interval of the held-out part, validation F1, calls to the last one, time."""
    _, sink, servers = whole
    table = rows(sink)
    for name, row in table.items():
        baseline = BASELINE_CALLS if name == "tiny:1b" else 0
        assert abs(servers.of(name) - baseline - row.model_calls) <= baseline // 6
        assert row.seconds >= 0
        for task in (row.entities, row.relations):
            assert task
            assert task.f1 is not None
            assert task.confidence_interval
            assert task.confidence_interval.low <= task.f1 <= task.confidence_interval.high
    assert sink.report.progress.model_calls == len(servers.asked)
    said = [ComparedModel.model_validate(row) for row in result(sink).manifest["models"]]
    assert said == sink.report.models
    assert sink.report.spent
    assert {one.name: one.calls for one in sink.report.spent.models or []} == {
        row.name: row.model_calls for row in sink.report.models
    }


def test_it_is_what_each_would_have_reached_alone(compare: Callable[..., Ran]) -> None:
    """The winner's files are to the byte those of a run of that model, which costs no call afterwards."""
    _, sink, _ = compare(status("good:7b"))
    code, alone, servers = compare(model=status("good:7b"))
    assert code == SUCCESS
    assert rows(alone) == {}
    found, other = result(sink), result(alone)
    assert (found.entities, found.relations) == (other.entities, other.relations)
    assert len(servers.asked) <= BASELINE_CALLS, "only its own baseline is new"
    assert "models" not in other.manifest


def test_no_model_comes_back_to_its_server(compare: Callable[..., Ran], tmp_path: Path) -> None:
    """With a served prompt of a rival, embeddings and two servers: each model is loaded once."""
    served = tmp_path / "served"
    served.mkdir()
    _, sink, _ = compare(status("good:7b"))
    first = result(sink)
    assert first.entities
    assert first.relations
    (served / "entities.request.json").write_text(first.entities.files.request)
    relations = json.loads(first.relations.files.request) | {"model": "tiny:1b"}
    (served / "relations.request.json").write_text(json.dumps(relations))
    (served / "manifest.json").write_text(json.dumps({"seen": []}))
    others = status("far:1b", THERE), status("good:7b"), status("poor:1b"), status("far:2b", THERE)
    code, sink, servers = compare(
        *others,
        folder=served,
        journal="new",
        served=1,
        metric={"matching": "semantic"},
        embeddingModel=status("bge-m3"),
    )
    assert code == SUCCESS
    assert servers.turns(HERE) == ["tiny:1b", "good:7b", "poor:1b", "bge-m3"]
    assert servers.turns(THERE) == ["far:1b", "far:2b"]
    metrics = result(sink).metrics
    assert metrics.entities
    assert metrics.entities.improvement
    assert (metrics.entities.improvement.over, metrics.entities.improvement.value) == ("Served", 0.0)
    assert metrics.entities.semantic


def test_validation_chooses_and_the_held_out_part_does_not(
    compare: Callable[..., Ran], tmp_path: Path
) -> None:
    """A model that is right about the held-out documents alone loses against one that fails just there."""
    material = read_material(make_run(), tmp_path)
    held_out = [sample.text for sample in material.parts.test]
    assert held_out

    def twofold(body: Mapping[str, Any]) -> str:
        if body["model"] == "tiny:1b" or "format" not in body:
            return skilled(body)
        known = any(text in body["messages"][-1]["content"] for text in held_out)
        content = skilled({**body, "model": "good:7b"})
        return content if known == (body["model"] == "lucky:1b") else blind(content)

    code, sink, _ = compare(status("lucky:1b"), status("true:1b"), servers=Servers(twofold))
    assert code == SUCCESS
    lucky, true = rows(sink)["lucky:1b"].entities, rows(sink)["true:1b"].entities
    assert lucky
    assert true
    assert (lucky.f1, lucky.validation_f1) == (1.0, 0.0)
    assert (true.f1, true.validation_f1) == (0.0, 1.0)
    assert [row.name for row in sink.report.models if row.chosen] == ["true:1b"]


def test_what_is_wrong_with_one_model_alone_does_not_end_the_run(
    compare: Callable[..., Ran], tmp_path: Path
) -> None:
    """Proposals that nobody can read: that model is not compared and says why, and what is served on it is
    measured all the same.
    """
    served = tmp_path / "served"
    served.mkdir()
    prompt = result(compare(status("mad:1b"), journal="first")[1]).entities
    assert prompt
    request = json.loads(prompt.files.request) | {"model": "mad:1b"}
    (served / "entities.request.json").write_text(json.dumps(request))
    (served / "manifest.json").write_text(json.dumps({"seen": []}))

    def mad(body: Mapping[str, Any]) -> str:
        return "[[" if "format" not in body and body["model"] == "mad:1b" else skilled(body)

    others = status("mad:1b"), status("good:7b")
    code, sink, servers = compare(*others, servers=Servers(mad), folder=served, served=1)
    assert code == SUCCESS
    row = rows(sink)["mad:1b"]
    assert (row.state, row.entities) == ("NotCompared", None)
    assert "proposal of an instruction can't be read" in row.message
    assert rows(sink)["good:7b"].chosen
    assert servers.turns(HERE) == ["tiny:1b", "mad:1b", "good:7b"]
    metrics = result(sink).metrics
    assert metrics.entities
    assert metrics.entities.improvement
    assert metrics.entities.improvement.over == "Served"
    assert not sink.report.budget_exhausted


def test_where_no_model_can_be_compared_the_run_says_why(compare: Callable[..., Ran]) -> None:
    code, sink, _ = compare(
        status("b:1b"), servers=Servers(lambda body: "[[" if "format" not in body else skilled(body))
    )
    assert code != SUCCESS
    assert sink.report.failure
    assert sink.report.failure.reason is Reason.MODEL_OUTPUT_INVALID
    assert {row.state for row in sink.report.models} == {"NotCompared"}


def test_of_equal_models_the_first_of_the_spec_is_taken(compare: Callable[..., Ran]) -> None:
    _, sink, _ = compare(status("same:1b"), status("same:2b"), model=status("same:3b"))
    assert [row.chosen for row in sink.report.models] == [True, False, False]


def test_without_held_out_documents_the_choice_is_the_same(compare: Callable[..., Ran]) -> None:
    """F1 and interval are absent, and no document is asked about."""
    data = {"file": "samples.jsonl", "source": "x", "split": {"testPercent": 0, "validationPercent": 50}}
    code, sink, _ = compare(status("good:7b"), data=data)
    assert code == SUCCESS
    row = rows(sink)["good:7b"]
    assert row.chosen
    assert row.entities
    assert (row.entities.f1, row.entities.confidence_interval) == (None, None)


@pytest.mark.parametrize("model", NAMES)
def test_killed_in_any_model_nothing_is_asked_twice(
    compare: Callable[..., Ran], whole: Ran, model: str
) -> None:
    """The second attempt asks what is missing, of the model that was at work and those after it, and ends
    with the bytes of an undisturbed run.
    """
    _, finished, undisturbed = whole
    before = sum(undisturbed.of(name) for name in NAMES[: NAMES.index(model)])
    sink = RecordedReport()
    code, _, first = compare(*OTHERS, servers=Servers(fails_after=before + 50), sink=sink)
    assert code == MAY_PASS
    code, sink, second = compare(*OTHERS, sink=sink)
    assert code == SUCCESS
    for name in NAMES[: NAMES.index(model)]:
        assert second.of(name) == 0, "a model whose turn was over is not loaded again"
    assert len(first.asked) + len(second.asked) == len(undisturbed.asked)
    assert result(sink).entities == result(finished).entities
    assert result(sink).relations == result(finished).relations
    assert result(sink).metrics == result(finished).metrics
    spent = sink.report.spent
    assert spent
    assert spent.calls == len(undisturbed.asked)
    assert [row.model_calls for row in sink.report.models] == [
        row.model_calls for row in finished.report.models
    ]


def test_a_budget_is_shared_and_what_is_left_over_goes_to_the_next(
    compare: Callable[..., Ran], whole: Ran
) -> None:
    """Three quarters of three searches: none takes all, each is cut or through, and a choice is made."""
    calls = len(whole[2].asked)
    code, sink, servers = compare(*OTHERS, budget={"calls": calls * 3 // 4})
    assert code == SUCCESS
    assert sink.report.budget_exhausted
    states = [row.state for row in sink.report.models]
    assert set(states) <= {"Compared", "CutShort"}
    assert "CutShort" in states
    used = [row.model_calls for row in sink.report.models]
    assert max(used) <= 2 * min(used)
    held_out = 3 * 30
    assert len(servers.asked) <= calls * 3 // 4 + held_out


@pytest.mark.parametrize(("slots", "looks"), [(4, 0), (None, 33)], ids=["told", "looked for"])
def test_a_budget_with_one_score_for_each_model_compares_all(
    compare: Callable[..., Ran], slots: int | None, looks: int
) -> None:
    """40 calls score what the searches start from, 16 may go before them, 30 are held-out; a server of which
    nobody says how much it serves is asked up to 33 times. The first model takes no other's part.
    """
    others = [{**one, "maxConcurrentRequests": slots} for one in rivals(*OTHERS)]
    least = 40 + 16
    calls = BASELINE_CALLS + least + 30 + (least + looks) + 30 + (least + looks)
    code, sink, _ = compare(compareWith=others, budget={"calls": calls}, auto="light", optimizer={})
    assert code == SUCCESS
    assert [row.state for row in sink.report.models] == ["CutShort"] * 3


def test_the_budget_keeps_what_measures_a_served_prompt_between_two_searches(
    compare: Callable[..., Ran], tmp_path: Path
) -> None:
    """Another 30 calls behind the second model's turn, which are not the second model's to search with."""
    first = result(compare(journal="first")[1])
    served = tmp_path / "served"
    served.mkdir()
    for task, prompt in (("entities", first.entities), ("relations", first.relations)):
        assert prompt
        body = json.loads(prompt.files.request) | {"model": "poor:1b"}
        body["messages"][0]["content"] += " Be exact."
        (served / f"{task}.request.json").write_text(json.dumps(body))
    (served / "manifest.json").write_text(json.dumps({"seen": []}))
    calls = BASELINE_CALLS + 3 * 56 + 2 * 30 + 30
    changes = {"auto": "light", "optimizer": {}, "folder": served, "served": 1}
    code, sink, _ = compare(*OTHERS, budget={"calls": calls}, **changes)
    assert code == SUCCESS
    assert [row.state for row in sink.report.models] == ["CutShort"] * 3


def test_the_first_model_gets_no_calls_to_look_at_a_server_that_the_baseline_looked_at(
    compare: Callable[..., Ran],
) -> None:
    """At least 17 are made before it: what is left is one score for each, and the held-out calls."""
    calls = 25 + 17 + 56 + 30 + 56
    changes: dict[str, Any] = {"maxConcurrentRequests": None, "auto": "light", "optimizer": {}}
    code, sink, _ = compare(status("good:7b"), budget={"calls": calls}, **changes)
    assert code == SUCCESS
    assert [row.state for row in sink.report.models] == ["CutShort"] * 2
    assert rows(sink)["tiny:1b"].model_calls <= 56 + 30


@pytest.mark.parametrize("done", [10, 30, 50])
def test_a_pod_that_is_replaced_gives_a_finished_model_no_further_calls(
    compare: Callable[..., Ran], done: int
) -> None:
    """Killed in the second model: the first was cut short and stays so, the second gets its own part."""
    budget = {"calls": BASELINE_CALLS + 2 * 56 + 60 + 30}
    changes: dict[str, Any] = {"budget": budget, "auto": "light", "optimizer": {}}
    _, whole, servers = compare(status("good:7b"), journal="whole", **changes)
    fails = Servers(fails_after=servers.of("tiny:1b") + done)
    sink = RecordedReport()
    assert compare(status("good:7b"), servers=fails, sink=sink, **changes)[0] == MAY_PASS
    code, sink, second = compare(status("good:7b"), sink=sink, **changes)
    assert code == SUCCESS
    assert second.of("tiny:1b") == 0
    expected = [(row.state, row.model_calls) for row in whole.report.models]
    assert [(row.state, row.model_calls) for row in sink.report.models] == expected


def test_a_model_that_the_budget_leaves_nothing_for_is_not_compared_and_told(
    compare: Callable[..., Ran],
) -> None:
    """The best of those that were measured is kept; no budget is gone beyond but for measuring it."""
    code, sink, servers = compare(
        status("a:1b"), status("b:1b"), budget={"calls": BASELINE_CALLS + 60 + 20}, maxConcurrentRequests=1
    )
    assert code == SUCCESS
    table = rows(sink)
    assert table["tiny:1b"].chosen
    assert table["b:1b"].state == "NotCompared"
    assert "budget" in table["b:1b"].message
    assert len(servers.asked) <= BASELINE_CALLS + 60 + 20 + 2 * 30
    assert sink.report.budget_exhausted
    assert table["b:1b"].entities is None


def test_a_budget_without_one_score_is_a_failure_of_the_run(compare: Callable[..., Ran]) -> None:
    code, sink, _ = compare(status("a:1b"), budget={"calls": 10})
    assert code == NEEDS_A_CHANGE
    assert sink.report.failure
    assert sink.report.failure.reason is Reason.BUDGET_EXHAUSTED
    assert RESULT_KEY not in sink.data


def test_progress_covers_all_models_and_never_falls(whole: Ran) -> None:
    """Two thirds of the searches' part are done when the second of three models is through."""
    code, sink, servers = whole
    assert code == SUCCESS
    written = [json.loads(one["report.json"]) for one in sink.writes if "report.json" in one]
    percents = [one["progress"]["percent"] for one in written]
    assert percents == sorted(percents)
    second = [one["progress"] for one in written if "model 3 of 3" in one["progress"].get("message", "")]
    assert all(56 <= one["percent"] <= 80 for one in second)
    assert written[-1]["progress"]["modelCalls"] == len(servers.asked)


def test_seen_and_held_out_are_the_same_for_all(whole: Ran, tmp_path: Path) -> None:
    """One reading and one split: the manifest's texts are those of the run's parts."""
    comparing(tmp_path)
    _, sink, _ = whole
    parts = read_material(make_run(), tmp_path).parts
    assert result(sink).manifest["heldOut"] == sorted(text_digest(one.text) for one in parts.test)
