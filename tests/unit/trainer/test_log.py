"""The job's log is JSON lines in our own words; nothing of a sample gets into it, whoever writes it."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dspy
import pytest

from domaintraining.api.spec import ModelOptions
from domaintraining.trainer.calls.server import ScriptedServer
from domaintraining.trainer.log import JsonLog, about, captured
from domaintraining.trainer.search.engine import OllamaEngine, proposal_lm, task_lm

CANARY = "Anna Berg founded Norrsken AB"


class Written:
    """A log and what it wrote."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
        self.log = JsonLog(
            self.stream, "lab/tech-docs/r3", "tech_docs", lambda: (41, "entity_optimization"), lambda: moment
        )

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def data(self, event: str) -> list[dict[str, Any]]:
        return [line["data"] for line in self.lines if line["event_type"] == event]


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def heard(written: Written) -> Iterator[Written]:
    with captured(written.log, verbose=True):
        yield written


def test_a_line_has_the_contracts_keys_in_their_order(written: Written) -> None:
    written.log.event("baseline", "baseline measured", f1=0.412)
    assert written.lines == [
        {
            "event_type": "baseline",
            "timestamp": "2026-01-01T12:00:00.000+00:00",
            "training_run_id": "lab/tech-docs/r3",
            "domain": "tech_docs",
            "progress_percent": 41,
            "phase": "entity_optimization",
            "message": "baseline measured",
            "data": {"f1": 0.412},
        }
    ]
    assert next(iter(written.lines[0])) == "event_type"


def test_a_message_stays_one_line_whatever_is_in_it(written: Written) -> None:
    written.log.event("x", "one\ntwo\u2028three\x1b[31m", name="a\nb")
    assert len(written.text.splitlines()) == 1
    assert written.lines[0]["data"] == {"name": "a\nb"}


def test_a_line_is_at_most_4_kib(written: Written) -> None:
    written.log.event("x", "é" * 9000, names=["y" * 100] * 100)
    assert len(written.text.encode()) <= 4096
    assert written.lines[0]["data"]["left_out"] > 4096


def test_values_that_are_no_json_are_named_and_not_shown(written: Written) -> None:
    written.log.event("x", "", example=dspy.Example(text=CANARY))
    assert written.lines[0]["data"] == {"example": "Example"}


def test_lines_of_a_task_say_so(written: Written) -> None:
    with about("relations"):
        written.log.event("x", "")
    written.log.event("x", "")
    assert [line["data"] for line in written.lines] == [{"task": "relations"}, {}]


@pytest.mark.parametrize(
    ("theirs", "event", "data"),
    [
        ("===== Trial 3 / 10 =====", "trial_started", {"trial": 3}),
        ("== Trial 3 / 13 - Minibatch ==", "trial_started", {"trial": 3}),
        (
            "== Trial 1 / 13 - Full Evaluation of Default Program ==",
            "full_evaluation",
            {"trial": 1},
        ),
        ("Score: 61.25 with parameters ['Predictor 0: Instruction 2'].", "trial_scored", {"score": 61.25}),
        ("\x1b[92mBest full score so far!\x1b[0m Score: 61.25", "best_score", {"score": 61.25}),
        ("Best full score so far: 61.25", "best_score", {"score": 61.25}),
        ("Default program score: 40\n", "start_scored", {"score": 40}),
        ("Returning best identified program with score 70.5!", "search_ended", {"score": 70.5}),
    ],
)
def test_steps_of_mipro_are_told_in_our_words(
    heard: Written, theirs: str, event: str, data: dict[str, Any]
) -> None:
    logging.getLogger("dspy.teleprompt.mipro_optimizer_v2").info(theirs)
    assert heard.data(event) == [data]


def test_without_verbose_nothing_of_mipro_is_told(written: Written) -> None:
    with captured(written.log, verbose=False):
        logging.getLogger("dspy").info("===== Trial 3 / 10 =====")
        print("Bootstrapping set 3/6")
    assert written.text == ""


def test_prints_to_stdout_and_stderr_are_caught(written: Written, capfd: pytest.CaptureFixture[str]) -> None:
    with captured(written.log, verbose=True):
        print("Bootstrapping set 3/6")
        print(CANARY)
        print(CANARY, file=sys.stderr)
    assert written.data("demo_set") == [{"set": 3, "sets": 6}]
    assert CANARY not in written.text
    assert capfd.readouterr() == ("", "")


def test_unknown_warnings_are_counted_by_their_place_without_their_words(heard: Written) -> None:
    for _ in range(12):
        try:
            raise ValueError(CANARY)  # noqa: TRY301
        except ValueError:
            logging.getLogger("dspy.utils.parallelizer").exception("Error for %s", CANARY)
    assert [line["times"] for line in heard.data("library_warning")] == [1, 10]
    assert heard.data("library_warning")[0]["error"] == "ValueError"
    assert CANARY not in heard.text


def test_a_sentence_that_looks_like_mipros_gives_away_numbers_at_most(heard: Written) -> None:
    logging.getLogger("dspy").warning("Score: 12.5 with parameters %s", CANARY)
    logging.getLogger("optuna").warning("===== Trial 3 / 10 =====\n%s", CANARY)
    assert heard.data("trial_scored") == [{"score": 12.5}]
    assert CANARY not in heard.text


def test_python_warnings_are_caught(heard: Written) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(CANARY, stacklevel=1)
    assert heard.data("library_warning")[0]["logger"] == "py.warnings"
    assert CANARY not in heard.text


def test_a_crash_says_where_and_not_what_it_quotes(written: Written) -> None:
    try:
        raise KeyError(CANARY)  # noqa: TRY301
    except KeyError as error:
        written.log.crash(error)
    assert written.lines[0]["message"] == "KeyError ended the trainer"
    assert "test_log.py" in written.lines[0]["data"]["frames"][-1]
    assert CANARY not in written.text


def test_an_error_that_ends_a_thread_is_told_without_its_words(heard: Written) -> None:
    def fail() -> None:
        raise RuntimeError(CANARY)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert heard.lines[0]["message"] == "RuntimeError ended the trainer"
    assert CANARY not in heard.text


def test_what_was_before_is_restored(written: Written) -> None:
    root, logger = logging.getLogger(), logging.getLogger("dspy")
    before = (
        sys.stdout,
        sys.stderr,
        sys.excepthook,
        list(root.handlers),
        list(logger.handlers),
        logger.propagate,
    )
    with captured(written.log, verbose=True):
        assert sys.stdout is not before[0]
    after = (
        sys.stdout,
        sys.stderr,
        sys.excepthook,
        list(root.handlers),
        list(logger.handlers),
        logger.propagate,
    )
    assert after == before


@pytest.mark.filterwarnings("ignore")
def test_no_sample_text_of_a_whole_search_reaches_the_log(
    written: Written, capfd: pytest.CaptureFixture[str]
) -> None:
    """DSPy prints data summaries, logs proposed instructions, and on errors whole examples."""
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    fields = ("label", "observations", "summary", "program_description", "module_description")
    names = (*fields, "proposed_instruction", "completed")
    content = "\n\n".join(f"[[ ## {name} ## ]]\n{CANARY}" for name in names)
    engine = OllamaEngine(ScriptedServer(lambda _: content), "m", ModelOptions(), 9)

    def metric(example: Any, *_: Any) -> float:
        if example.text.endswith("3"):
            raise ValueError(example.text)
        return 1.0

    samples = [dspy.Example(text=f"{CANARY} {n}", label=CANARY).with_inputs("text") for n in range(30)]
    with captured(written.log, verbose=True), dspy.context(disable_history=True), about("entities"):
        mipro = dspy.MIPROv2(
            metric=metric,
            prompt_model=proposal_lm(engine),
            task_model=task_lm(engine),
            num_threads=2,
            verbose=True,
            max_errors=100,
        )
        mipro.compile(dspy.Predict("text -> label"), trainset=samples[:20], valset=samples[20:])
    assert len(written.data("trial_scored")) == 10
    assert written.data("library_warning")
    assert all(line["data"]["task"] == "entities" for line in written.lines if "score" in line["data"])
    assert "Norrsken" not in written.text
    assert capfd.readouterr() == ("", "")
