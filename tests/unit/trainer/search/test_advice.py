"""What adaptive stands for, and which settings status warns of."""

import json
from pathlib import Path
from typing import Any

import pytest

from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.data.material import Material, read_material
from domaintraining.trainer.search.adaptive import choose_mode
from domaintraining.trainer.search.advice import advice
from tests.unit.trainer.scripted import make_run, samples

README = Path(__file__).parents[4] / "README.md"


@pytest.mark.parametrize(
    ("validation", "mode", "reason"),
    [
        ([49], "light", "fewer than 50 validation samples"),
        ([50], "medium", "fewer than 200 validation samples"),
        ([199], "medium", "fewer than 200 validation samples"),
        ([200], "heavy", "200 validation samples or more"),
        ([500, 12], "light", "fewer than 50 validation samples"),
    ],
)
def test_adaptive_goes_by_the_smaller_validation_part(validation: list[int], mode: str, reason: str) -> None:
    """One mode for the run; the rule in the words of status."""
    assert choose_mode(validation) == (mode, reason)


@pytest.mark.parametrize("validation", [49, 199, 200])
def test_the_rules_of_adaptive_are_written_down(validation: int) -> None:
    """The README has a row for each."""
    choice = choose_mode([validation])
    assert f"| {choice.reason} | `{choice.mode}` |" in README.read_text(encoding="utf-8")


def warnings(validation: int, **changes: Any) -> tuple[str, ...]:
    return advice(make_run(**changes), {"entities": validation})


def test_defaults_are_not_warned_of() -> None:
    """What nobody wrote is nobody's mistake, though minibatchSize has no effect here."""
    assert warnings(20) == warnings(80) == ()


@pytest.mark.parametrize("think", ["Enabled", "Low", "Medium", "High"])
def test_a_model_that_thinks_is_warned_of(think: str) -> None:
    """With the field to change."""
    (warning,) = warnings(20, options={"think": think})
    assert warning.startswith(f"model.options.think is {think}: ")


@pytest.mark.parametrize(
    ("metric", "void"),
    [
        ({"threshold": 0.8}, True),
        ({"matching": "exact", "embeddingModel": "bge-m3"}, True),
        ({"matching": "semantic", "threshold": 0.8, "embeddingModel": "e"}, False),
    ],
)
def test_settings_of_embeddings_without_semantic_matching_are_warned_of(
    metric: dict[str, Any], *, void: bool
) -> None:
    """They change no number."""
    found = warnings(20, metric=metric)
    assert [one.startswith("metric.threshold and metric.embeddingModel have no") for one in found] == [
        True
    ] * void


@pytest.mark.parametrize(
    ("validation", "auto", "void"),
    [
        (50, "light", True),
        (51, "light", False),
        (80, "heavy", False),
        (30, "manual", False),
        (5, "manual", True),
    ],
)
def test_a_minibatch_that_mipro_does_not_use_is_warned_of(validation: int, auto: str, *, void: bool) -> None:
    """In the modes of its own MIPROv2 takes minibatches above 50 samples, whatever is asked for."""
    numbers = {"numCandidates": 4, "numTrials": 9} if auto == "manual" else {}
    found = warnings(validation, auto=auto, optimizer={"minibatchSize": 25, **numbers})
    assert [line.startswith("optimizer.minibatchSize 25 has no effect for entities") for line in found] == [
        True
    ] * void


def test_a_minibatch_of_all_samples_is_warned_of() -> None:
    """It is no part of them."""
    (warning,) = warnings(60, optimizer={"minibatchSize": 60})
    assert warning.endswith("there are 60")


def test_a_threshold_for_demos_without_demos_is_warned_of() -> None:
    """No answer becomes a demo."""
    optimizer = {"bootstrappedDemos": 0, "labeledDemos": 0, "metricThreshold": 0.5}
    (warning,) = warnings(20, optimizer=optimizer)
    assert warning.startswith("optimizer.metricThreshold has no effect")
    assert warnings(20, optimizer={"metricThreshold": 0.5}) == ()


def test_labels_that_a_mode_does_not_look_at_are_warned_of() -> None:
    """Light looks at 100 validation samples."""
    (warning,) = warnings(101, auto="light")
    assert warning.startswith("auto light chooses by 100 of the 101 validation samples for entities")
    assert warnings(101, auto="medium") == warnings(100, auto="light") == ()


def written(folder: Path, rows: int) -> Path:
    """A file of samples in a folder of the mounted volume."""
    file = folder / "exports" / "docs.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in samples(rows)), encoding="utf-8")
    return file


def read(folder: Path, path: str = "exports/docs.jsonl", **changes: Any) -> Material:
    return read_material(make_run(data={"file": path, "source": "claim c, path p"}, **changes), folder)


def test_the_run_goes_on_with_the_mode_that_adaptive_chose(tmp_path: Path) -> None:
    """The rule stands beside it; a run that came with its mode has none."""
    written(tmp_path, 40)
    adaptive = read(tmp_path, auto="adaptive")
    assert (adaptive.run.auto, adaptive.auto_reason) == ("light", "fewer than 50 validation samples")
    given = read(tmp_path, auto="heavy")
    assert (given.run.auto, given.auto_reason) == ("heavy", "")


def test_advice_stands_among_the_warnings_of_the_data(tmp_path: Path) -> None:
    """Status has one list."""
    written(tmp_path, 40)
    (warning,) = read(tmp_path, options={"think": "High"}).status().warnings
    assert "think" in warning


def test_a_link_out_of_the_volume_is_not_followed(tmp_path: Path) -> None:
    """Whoever fills the volume does not choose what else of the pod is read."""
    outside = written(tmp_path / "outside", 40)
    folder = tmp_path / "mounted"
    folder.mkdir()
    (folder / "link.jsonl").symlink_to(outside)
    with pytest.raises(
        DomainTrainingError, match="claim c, path p: not a file in the mounted folder"
    ) as refused:
        read(folder, "link.jsonl")
    assert refused.value.reason == "DatasetNotFound"


@pytest.mark.parametrize("path", ["exports", "exports/absent.jsonl", "circle"])
def test_what_is_no_file_of_the_volume_is_named(tmp_path: Path, path: str) -> None:
    """A folder, a missing file, links in a circle."""
    written(tmp_path, 6)
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(DomainTrainingError, match="claim c, path p: ") as refused:
        read(tmp_path, path)
    assert refused.value.reason == "DatasetNotFound"
