"""What the simulated model finds in a prompt, and that it looks nowhere else."""

from tests.sandbox.simulated_ollama.prompt import (
    Demo,
    Sentence,
    demo_of,
    kind_of,
    lesson_of,
    sentence_of,
    turns_of,
    types_of,
)
from tests.unit.simulated_ollama.lessons import ASKED, GENERAL, SHOWN, TYPES, labels, messages, schema_of


def test_a_prompt_is_read_as_it_is_written() -> None:
    """Instruction, types and demos come out as they went in."""
    for kind in ("entities", "relations"):
        turns = messages(kind, ASKED[0], SHOWN)
        lesson = lesson_of(turns[:-1], kind, types_of(schema_of(kind), kind))
        assert lesson.instruction == GENERAL[kind]
        assert [name for name, _ in lesson.types] == TYPES[kind]
        assert [demo.sentence.text for demo in lesson.demos] == [row[0] for row in SHOWN]
        shown = lesson.demos[0].entities if kind == "entities" else lesson.demos[0].triples
        assert [tuple(item.values()) for item in labels(kind, SHOWN[0])] == list(shown)


def test_a_type_keeps_its_description_and_only_types_of_the_schema_count() -> None:
    """The schema's list is closed; what a type means stands in the system message."""
    system = "Go.\n\nTypes:\n- A: the first, of two\n- B\n- C: gone"
    lesson = lesson_of([("system", system)], "entities", ["A", "B", "D"])
    assert lesson.types == (("A", "the first, of two"), ("B", ""), ("D", ""))
    assert lesson_of([("system", system)], "entities", []).types[2] == ("C", "gone")


def test_given_entities_are_read_with_brackets_in_their_names() -> None:
    """The type is what stands in the last brackets of a line."""
    content = "Text:\nA (b) c\nsecond line\n\nEntities:\n- A (b) (T)\n- c (U V)"
    assert sentence_of(content) == Sentence("A (b) c\nsecond line", (("A (b)", "T"), ("c", "U V")))
    assert sentence_of("Text:\nx\n\nEntities:\n(none)") == Sentence("x")
    assert sentence_of("just words") == Sentence("just words")


def test_a_demo_that_cannot_be_read_is_no_demo() -> None:
    """Text, wrong shapes and wrong types teach nothing, and break nothing."""
    for answer in (
        "",
        "no",
        "[]",
        "{}",
        '{"entities": 3}',
        '{"entities": [{"name": "x"}]}',
        '{"entities": [1]}',
    ):
        assert demo_of("Text:\nx", answer, "entities") is None
    assert demo_of("Text:\nx", '{"entities": []}', "entities") == Demo(Sentence("x"))


def test_the_task_is_seen_in_the_schema_alone() -> None:
    """Keys of the answer say what is asked for."""
    assert kind_of(schema_of("entities")) == ("entities", True)
    assert kind_of(schema_of("relations", reasoning=False)) == ("relations", False)
    assert kind_of({"type": "object"}) == (None, False)
    assert types_of({"properties": {"entities": {"type": "array"}}}, "entities") == ()


def test_a_prompt_in_one_user_message_is_read_the_same() -> None:
    """The plain form: numbered examples with answers, then the text to work on."""
    turns = messages("relations", ASKED[0], SHOWN[:2])
    system, *demos, last = (content for _, content in turns)
    worked = [
        f"Example {n}\n{asked}\nAnswer:\n{answer}"
        for n, (asked, answer) in enumerate(zip(demos[::2], demos[1::2], strict=True), start=1)
    ]
    plain = "\n\n".join([system, *worked, f"Now you\n{last}\nAnswer:"])
    read = lesson_of(turns_of(plain)[:-1], "relations", TYPES["relations"])
    whole = lesson_of(turns[:-1], "relations", TYPES["relations"])
    assert [demo.triples for demo in read.demos] == [demo.triples for demo in whole.demos]
    assert [demo.sentence for demo in read.demos] == [demo.sentence for demo in whole.demos]
    assert read.types == whole.types
    assert sentence_of(turns_of(plain)[-1][1]) == sentence_of(last)
