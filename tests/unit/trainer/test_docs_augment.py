"""docs/data.md says of rewordings what the code does."""

from pathlib import Path

from domaintraining.trainer.augmenting import COMPARED, RESAMPLES, Gain
from domaintraining.trainer.data.augment import LONGEST, MOST, NEAR, ROOM, SHORTEST, WORDS

DOCS = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
SECTION = DOCS.partition("## More samples by rewording")[2].partition("\n## ")[0]


def test_the_docs_have_the_figures_of_the_code() -> None:
    words = " ".join(SECTION.split())
    assert (SHORTEST, LONGEST) == (0.5, 2.0)
    for told in (
        f"at most {MOST} times in all",
        f"more than twice the characters (and {ROOM})",
        f"share {NEAR} or more",
        f"up to {COMPARED} validation samples",
        f"({RESAMPLES:,} resamples",
    ):
        assert told in words


def test_the_manifest_in_the_docs_has_the_keys_of_a_manifest() -> None:
    gain = Gain((3,), 40, 0.812, 0.795, helped=None)
    assert all(f'"{key}"' in SECTION for key in gain.described())
    assert '"namesLost"' in SECTION
    assert "namesLost" in WORDS
