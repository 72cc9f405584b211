"""`python -m domaintraining import`: what AegisRAG exported, as samples of today's form."""

import gzip
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from domaintraining.__main__ import ROLES, USAGE
from domaintraining.__main__ import main as role
from domaintraining.trainer.data.dataset import Samples, read_samples
from domaintraining.trainer.importing.main import KEY, MAX_CONFIGMAP, REFUSED, main

SECRET = "Zebulon"
TEXTS = [f"{SECRET} {number} wrote the compiler of Globex." for number in range(4)]


def entity_line(text: str) -> dict[str, Any]:
    return {"text": text, "entities": [" ".join(text.split()[:2]), "Globex"]}


def relation_line(text: str) -> dict[str, Any]:
    one = entity_line(text)
    triple = {"subject": one["entities"][0], "predicate": "WORKS_FOR", "object": "Globex"}
    return {**one, "relations": [triple]}


def full_line(text: str, document: str) -> dict[str, Any]:
    known = {"doc_type": "pdf_text", "language": "en", "document_id": document, "chunk_id": "c1"}
    return {**relation_line(text), **known}


def written(folder: Path, rows: list[Any], name: str = "export.jsonl") -> Path:
    path = folder / name
    text = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def imported(folder: Path, rows: list[Any], *more: str, name: str = "export.jsonl") -> Samples:
    export, output = written(folder, rows, name), folder / "samples.jsonl"
    assert main([str(export), "-o", str(output), *more]) == 0
    return read_samples(output, "samples.jsonl", "jsonl")


def summary(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_older_forms_are_the_samples_that_a_trainer_reads_from_the_export(tmp_path: Path) -> None:
    """Round trip: the same digest, whatever the file is called or packed with."""
    rows = [relation_line(text) for text in TEXTS] + [entity_line("Globex is a firm of Globex Beta.")]
    rows[-1]["entities"] = ["Globex"]
    direct = read_samples(written(tmp_path, rows), "export", "auto")
    assert imported(tmp_path, rows).digest == direct.digest
    assert imported(tmp_path, rows, name="export.jsonl.gz").digest == direct.digest
    again = imported(tmp_path, (tmp_path / "samples.jsonl").read_text().splitlines())
    assert again.digest == direct.digest
    assert again.warnings == ()


def test_the_two_lines_of_a_text_become_one_sample(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The collector writes entities alone, then entities with relations; read directly the first counts."""
    rows = [row for text in TEXTS for row in (entity_line(text), relation_line(text))]
    direct = read_samples(written(tmp_path, rows), "export", "auto")
    assert all(sample.relations is None for sample in direct.samples)
    found = imported(tmp_path, rows, "--summary", "json")
    assert [len(sample.relations or ()) for sample in found.samples] == [1] * len(TEXTS)
    told = summary(capsys)
    assert (told["rows"], told["samples"]) == (8, 4)
    assert told["labelled"] == {"entities": 4, "relations": 4}
    assert told["converted"]["lines joined with an earlier one of the same text"] == 4
    assert told["converted"]["entities as plain strings, now of type CONCEPT"] == 16
    assert told["converted"]["relations of subject, predicate and object"] == 4


def test_the_document_becomes_the_group(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So that chunks of one document stay in one part; unless it is asked not to."""
    rows = [full_line(text, f"doc-{number // 2}") for number, text in enumerate(TEXTS)]
    found = imported(tmp_path, rows, "--summary", "json")
    assert [sample.group for sample in found.samples] == ["doc-0", "doc-0", "doc-1", "doc-1"]
    assert summary(capsys)["groups"] == 2
    assert [one.group for one in imported(tmp_path, rows, "--no-groups").samples] == [None] * 4


def test_entities_of_the_augmentation_are_named_by_their_text(tmp_path: Path) -> None:
    row = {
        "text": TEXTS[0],
        "entities": [{"text": f"{SECRET} 0", "type": "PERSON"}, {"name": "Globex", "type": "FIRM"}],
    }
    (sample,) = imported(tmp_path, [row]).samples
    assert [(one.name, one.type) for one in sample.entities or ()] == [
        (f"{SECRET} 0", "PERSON"),
        ("Globex", "FIRM"),
    ]


def test_warnings_are_counted_with_lines_and_without_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {**relation_line(TEXTS[0]), "entities": [f"{SECRET} 0", "Globex", "compiler"]}
    rows = [full_line(TEXTS[0], "d"), full_line(TEXTS[0], "d"), other]
    imported(tmp_path, rows)
    told = capsys.readouterr().out
    assert "unknown keys are ignored: 6 (line 1; line 2)" in told
    assert "samples that are there already are left out: 1 (lines 1 and 2)" in told
    assert "other labels on an equal text are left out, the first counts: 1 (lines 1 and 3)" in told
    assert "entities have the type CONCEPT" in told
    assert SECRET not in told
    assert "Globex" not in told


BAD = [
    ("not json", "is not JSON"),
    ({"text": ""}, "text: is empty"),
    ({"text": "   "}, "text: is empty"),
    ({"entities": ["x"]}, "text: is missing"),
    ({"text": SECRET, "entities": SECRET}, "entities: is no list"),
    ({"text": SECRET, "entities": [""]}, "entities[0]: is empty"),
    ({"text": SECRET, "entities": [{"text": SECRET}]}, "entities[0].type: is missing"),
    ({"text": SECRET, "entities": [], "relations": [{"subject": SECRET, "predicate": "A", "object": "b"}]},
     "relations[0].subject: is no entity of the sample"),
    ({"text": SECRET, "entities": ["b"], "relations": [{"subject": "b", "predicate": "", "object": "b"}]},
     "relations[0].predicate: is empty"),
    ([SECRET], "is no JSON object"),
    ({"text": f"{SECRET} <<CUSTOM-TYPE-START-IDENTIFIER>>"}, "text: holds DSPy's marker of a custom type"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "why"), BAD)
def test_an_error_names_line_and_field_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: Any, why: str
) -> None:
    """Or the sample is left out where that is asked for; its text stands nowhere."""
    export, output = written(tmp_path, [relation_line(TEXTS[0]), bad]), tmp_path / "samples.jsonl"
    output.write_text("earlier")
    assert main([str(export), "-o", str(output)]) == REFUSED
    told = capsys.readouterr().err
    assert f"line 2: {why}" in told
    assert "--skip-invalid" in told
    assert output.read_text() == "earlier"
    assert main([str(export), "-o", str(output), "--skip-invalid"]) == 0
    told += capsys.readouterr().out
    assert f"line 2: {why}" in told
    assert SECRET not in told
    assert len(read_samples(output, "samples", "jsonl").samples) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.jsonl", "samples.jsonl"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "holds no samples"),
        (b"\n\n", "holds no samples"),
        (b'{"text": "\xff"}', "line 1: is not UTF-8"),
        (b"\x1f\x8b damaged", "gzip data"),
        (b'{"text": ""}', "correct them"),
    ],
)
def test_a_file_without_samples_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, why: str
) -> None:
    export = tmp_path / "export.jsonl"
    export.write_bytes(content)
    assert main([str(export), "-o", str(tmp_path / "out.jsonl"), "--skip-invalid"]) == REFUSED
    assert why in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()


def test_what_cannot_be_opened_or_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export = written(tmp_path, [relation_line(TEXTS[0])])
    assert main([str(tmp_path / "none.jsonl"), "-o", str(tmp_path / "out")]) == REFUSED
    assert "none.jsonl: No such file or directory" in capsys.readouterr().err
    assert main([str(export), "-o", str(tmp_path / "no" / "out")]) == REFUSED
    assert "No such file or directory; nothing is written" in capsys.readouterr().err
    (tmp_path / "loop").symlink_to("loop")
    assert main([str(export), "-o", str(tmp_path / "loop")]) == REFUSED
    assert "Too many levels of symbolic links; nothing is written" in capsys.readouterr().err
    assert main([str(export), "-o", str(tmp_path)]) == REFUSED
    assert "Is a directory; nothing is written" in capsys.readouterr().err


@pytest.fixture
def private() -> Iterator[None]:
    """What is made is for its owner alone."""
    mask = os.umask(0o077)
    yield
    os.umask(mask)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("private")
def test_samples_are_as_private_as_files_are_made_here(tmp_path: Path) -> None:
    """And a file that is there stays as private, or open, as it was."""
    imported(tmp_path, [relation_line(TEXTS[0])])
    output = tmp_path / "samples.jsonl"
    assert mode(output) == 0o600
    for kept in (0o640, 0o644):
        output.chmod(kept)
        imported(tmp_path, [relation_line(TEXTS[1])])
        assert mode(output) == kept


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    """Also one that leads to nothing yet."""
    export, link = written(tmp_path, [relation_line(TEXTS[0])]), tmp_path / "link"
    (tmp_path / "elsewhere").mkdir()
    link.symlink_to("elsewhere/samples.jsonl")
    for _ in range(2):
        assert main([str(export), "-o", str(link)]) == 0
        assert link.is_symlink()
        assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["samples.jsonl"]
    assert len(read_samples(link, "samples", "jsonl").samples) == 1


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """As is a device: neither becomes a file."""
    export, pipe = written(tmp_path, [relation_line(TEXTS[0])]), tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert main([str(export), "-o", str(pipe)]) == 0
        assert json.loads(os.read(reading, 10_000))["text"] == TEXTS[0]
    finally:
        os.close(reading)
    assert pipe.is_fifo()


def test_an_open_pipe_is_named_by_its_number(tmp_path: Path) -> None:
    """As shells name one in `>(…)`: the link leads to no path."""
    export = written(tmp_path, [relation_line(TEXTS[0])])
    reading, writing = os.pipe()
    try:
        assert main([str(export), "-o", f"/dev/fd/{writing}"]) == 0
        assert json.loads(os.read(reading, 10_000))["text"] == TEXTS[0]
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """The earlier file stays, and no other beside it."""
    export, output = written(tmp_path, [relation_line(TEXTS[0])]), tmp_path / "samples.jsonl"
    output.write_text("earlier")

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(Path, "replace", fails)
    if isinstance(error, OSError):
        assert main([str(export), "-o", str(output)]) == REFUSED
    else:
        with pytest.raises(KeyboardInterrupt):
            main([str(export), "-o", str(output)])
    assert output.read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.jsonl", "samples.jsonl"]


def test_a_config_map_holds_the_same_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever characters they have; the summary says how to apply it."""
    odd = "Zoë said: # \u2028 'no' \x7f - {a: b}\ttab"
    rows = [relation_line(text) for text in TEXTS] + [{"text": odd, "entities": ["Zoë"]}]
    direct = imported(tmp_path, rows)
    output = tmp_path / "samples.yaml"
    assert main([str(tmp_path / "export.jsonl"), "-o", str(output), "--configmap", "true"]) == 0
    assert f"next: kubectl apply -f {output}" in capsys.readouterr().out
    made = yaml.safe_load(output.read_text())
    assert made["metadata"] == {"name": "true"}
    (tmp_path / "mounted.jsonl").write_text(made["data"][KEY])
    assert read_samples(tmp_path / "mounted.jsonl", "mounted", "auto").digest == direct.digest


def test_a_config_map_that_is_too_large_is_refused_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"text": f"{number} {'x' * 19_000}", "entities": []} for number in range(60)]
    export, output = written(tmp_path, rows), tmp_path / "samples.yaml"
    assert main([str(export), "-o", str(output), "--configmap", "big"]) == REFUSED
    told = capsys.readouterr().err
    assert f"{MAX_CONFIGMAP:,}" in told
    assert "spec.dataset.persistentVolumeClaim" in told
    assert not output.exists()
    assert main([str(written(tmp_path, rows[:20])), "-o", str(output), "--configmap", "big"]) == 0
    assert "kubectl apply --server-side" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["Big", "a_b", "-a", "a..b", "", "ä", "x" * 254])
def test_a_name_that_no_config_map_has_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "e"), "-o", "x", f"--configmap={name}"])
    assert "is no name of a ConfigMap" in capsys.readouterr().err


def test_samples_can_go_to_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The summary is then told on standard error."""
    export = written(tmp_path, [relation_line(TEXTS[0])])
    assert role(["import", str(export), "-o", "-"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["text"] == TEXTS[0]
    assert "1 samples from 1 rows" in told.err


def test_it_is_a_role_of_the_trainers_image(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The controller's image says which one has it."""
    assert ROLES["import"][0].startswith("domaintraining.trainer.")
    monkeypatch.setattr("domaintraining.__main__.find_spec", lambda _: None)
    assert role(["import", "x"]) == USAGE
    assert (
        "no import in this image: use the one that is built with --target trainer" in capsys.readouterr().err
    )
