"""Which rewordings may be used as samples."""

import json

import pytest

from domaintraining.api.sample import Sample, SampleEntity
from domaintraining.trainer.data.augment import (
    MAX_ANSWER,
    MOST,
    NEAR,
    WORDS,
    Judge,
    Refusal,
    Wanted,
    kept_names,
    likeness,
    messages_for,
    read_rewording,
    runs_of,
    wanted,
)

TEXT = "In spring Ada Lovelace moved the invoice service of Acme to PostgreSQL without any downtime."
GOOD = (
    "Without downtime, PostgreSQL became what Acme runs invoices on; Ada Lovelace did the move last spring."
)
OTHER = "Grace Hopper wrote the compiler that Globex still builds its payroll programs with every night."
HELD_OUT = (
    "PostgreSQL has been where the invoices of Acme are kept since Ada Lovelace moved them last spring."
)


def sample(text: str, *names: str) -> Sample:
    return Sample(text=text, entities=[SampleEntity(name=name, type="THING") for name in names])


ORIGINAL = sample(TEXT, "Ada Lovelace", "Acme", "PostgreSQL")
TRAIN = [ORIGINAL, sample(OTHER, "Grace Hopper", "Globex")]


def judged(
    *answers: str | None, held_out: str = "Nothing of the kind.", validation: str = "Something else."
) -> tuple[list[str], dict[str, int]]:
    judge = Judge(TRAIN, [sample(validation)], [sample(held_out)])
    used, refused = judge.judge((Wanted(ORIGINAL, at), text) for at, text in enumerate(answers))
    return [one.sample.text for one in used], dict(refused)


def test_a_rewording_has_the_labels_of_its_original() -> None:
    judge = Judge(TRAIN, [], [])
    ((used,), _) = judge.judge([(Wanted(ORIGINAL, 0), GOOD)])
    assert used.sample == ORIGINAL.model_copy(update={"text": GOOD})
    assert used.original is ORIGINAL


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "unreadable"),
        ("Acme, PostgreSQL, Ada Lovelace.", "length"),
        (f"{GOOD} {OTHER} {OTHER}", "length"),
        (GOOD.replace("the move", "{text}"), "placeholder"),
        (GOOD.replace("the move", "<<CUSTOM-TYPE-START-IDENTIFIER>>"), "placeholder"),
        (GOOD.replace("Ada Lovelace", "Lovelace"), "namesLost"),
        (GOOD.replace("Acme", "acme"), "namesLost"),
        (GOOD.replace("Acme", "Acmeists"), "namesLost"),
        (GOOD.replace("did", "and Grace Hopper did"), "namesAdded"),
        (TEXT, "sameAsOriginal"),
        (TEXT.replace("any downtime", "a downtime"), "sameAsOriginal"),
        (TEXT.upper().replace("ADA LOVELACE", "Ada Lovelace").replace("ACME", "Acme")
         .replace("POSTGRESQL", "PostgreSQL"), "sameAsOriginal"),
    ],
)  # fmt: skip
def test_what_may_not_be_used_is_refused_and_counted(text: str | None, why: Refusal) -> None:
    """Each with its reason, all of which have words."""
    assert judged(text) == ([], {why: 1})
    assert WORDS[why]


@pytest.mark.parametrize("near", [HELD_OUT, HELD_OUT.lower(), HELD_OUT.replace("where", "the place where")])
def test_a_near_duplicate_of_another_part_is_refused(near: str) -> None:
    """Equal, in other letters, or with a word more: of the held-out part, and of the validation part."""
    assert judged(HELD_OUT, held_out=near) == ([], {"nearHeldOut": 1})
    assert judged(HELD_OUT, validation=near) == ([], {"nearValidation": 1})
    assert judged(HELD_OUT) == ([HELD_OUT], {})


def test_of_two_that_are_alike_the_first_counts() -> None:
    assert judged(GOOD, GOOD, GOOD.replace("last spring", "in last spring")) == ([GOOD], {"twice": 2})


def test_likeness_is_of_sets_of_letters_in_any_script() -> None:
    """0 where nothing is shared, 1 where only cases and punctuation differ; one word in ten is near."""
    assert likeness(runs_of("Hello, World!"), runs_of("hello world")) == 1.0
    assert likeness(runs_of("abcdef"), runs_of("uvwxyz")) == 0.0
    assert likeness(runs_of(TEXT), runs_of(TEXT.replace("spring", "autumn"))) >= NEAR
    assert likeness(runs_of(TEXT), runs_of(OTHER)) < 0.3
    chinese = "艾达在春天把发票服务迁移到了新的数据库没有停机"
    assert likeness(runs_of(chinese), runs_of(chinese.replace("春天", "秋天"))) >= NEAR
    assert likeness(runs_of("…"), runs_of("!")) == 0.0


def test_a_name_within_a_longer_word_is_kept_as_it_stands() -> None:
    """And one that the text doesn't have to the letter can't be kept, so that nobody asks for it."""
    one = sample("The Kafkacluster of the team is restarted on every Monday.", "Kafka", "Team")
    assert kept_names(one) == ["Kafka"]
    assert "- Kafka" in messages_for(one)[-1]["content"]
    judge = Judge([one], [], [])
    reworded = "On Mondays people start their Kafkacluster once more, as a team."
    assert [used.sample.text for used in judge.judge([(Wanted(one, 0), reworded)])[0]] == [reworded]


@pytest.mark.parametrize(
    ("content", "ended", "text"),
    [
        ('{"text": " Good. "}', "stop", "Good."),
        ('{"text": "Good."}', "length", None),
        ('{"text": ""}', "stop", None),
        ('{"text": 7}', "stop", None),
        ('["text"]', "stop", None),
        ('{"words": "x"}', "stop", None),
        ("Sure! Here is it", "stop", None),
        ('{"text": "\\ud800"}', "stop", None),
        (json.dumps({"text": "x" * 20_001}), "stop", None),
        (" " * (MAX_ANSWER + 1), "stop", None),
        ("[" * 100_000, "stop", None),
    ],
)
def test_an_answer_is_read_or_it_is_none(content: str, ended: str, text: str | None) -> None:
    assert read_rewording(content, ended) == text


def test_every_sample_is_asked_for_once_before_any_twice_and_never_more_than_the_most() -> None:
    many = [sample(f"text {number}") for number in range(300)] + [Sample(text="no labels")]
    asked, too_many = wanted(many, 4)
    assert (len(asked), too_many) == (MOST, 4 * 300 - MOST)
    assert [one.version for one in asked] == [0] * 300 + [1] * 200
    assert wanted(many[:2], 2)[1] == 0
