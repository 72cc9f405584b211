"""The benchmark's samples."""

from __future__ import annotations

import pytest

from tests.bench.data import bench_samples, divided, own_samples


@pytest.mark.parametrize(("count", "train", "validation"), [(60, 48, 12), (300, 240, 60)])
def test_samples_are_as_many_as_said_and_divided_80_to_20(count: int, train: int, validation: int) -> None:
    """Every text once, the same every time, none held out."""
    samples = bench_samples(count)
    assert len({sample.text for sample in samples}) == count
    assert samples == bench_samples(count)
    parts = divided(samples)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (train, validation, 0)
    assert {sample.text for sample in parts.train}.isdisjoint(sample.text for sample in parts.validation)


def test_made_samples_keep_their_labels_and_have_other_names() -> None:
    """Names stand in the text, types and number of labels are the original's."""
    own = own_samples()
    made = bench_samples(300)[len(own) :]
    assert len(made) == 150
    for sample in made:
        assert sample.entities
        assert all(entity.name in sample.text for entity in sample.entities)
        names = {entity.name for entity in sample.entities}
        assert {end for one in sample.relations or () for end in (one.source, one.target)} <= names


def test_more_than_can_be_made_is_refused() -> None:
    """No sample is used twice."""
    with pytest.raises(ValueError, match="1000 samples"):
        bench_samples(1000)
