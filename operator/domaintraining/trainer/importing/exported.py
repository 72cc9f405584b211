"""What AegisRAG exported, read as samples. Pure but for the open file.

Its collector writes a line with entities alone and another one with entities and relations for the same
text, entities as plain strings, relations as subject, predicate and object; its full export adds what it
knows of the document. Its augmentation writes entities as `{text, type}`
(https://github.com/klapom/AEGIS_Rag, src/components/domain_training). Anything else is read as the trainer
reads it, with the same errors.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from domaintraining.api.sample import Sample
from domaintraining.trainer.data.dataset import Noticed, checked
from domaintraining.trainer.data.limits import MAX_LABELS, MAX_SAMPLES
from domaintraining.trainer.data.older import OLD_ENTITY_TYPE, is_old, known_form
from domaintraining.trainer.data.records import Row, read_rows

DOCUMENT: Final = "document_id"
"""Key of the full export that names the document a text was cut from: today's `group`."""
SHOWN: Final = 20
"""Errors that are told; the others are counted."""

_STRINGS: Final = f"entities as plain strings, now of type {OLD_ENTITY_TYPE}"
_TRIPLES: Final = "relations of subject, predicate and object"
_BY_TEXT: Final = "entities named by the key text"
_GROUPS: Final = f"groups from {DOCUMENT}"
_JOINED: Final = "lines joined with an earlier one of the same text"


@dataclass(frozen=True)
class Imported:
    """What an export holds."""

    samples: tuple[Sample, ...]
    """In the order in which their texts come first."""
    rows: int
    """Samples in the export, equal texts among them."""
    converted: Mapping[str, int]
    """How much of what was brought into today's form."""
    warnings: tuple[str, ...]
    """Counted, with the first lines, without sample text."""
    errors: tuple[str, ...]
    """The first 20, each with line and field, without sample text."""
    faulty: int
    """Lines with errors; none of them is among the samples."""


class Import:
    """Reads an export row by row.

    Args:
        groups: whether the documents become groups.
    """

    def __init__(self, *, groups: bool = True) -> None:
        self._groups = groups
        self._found: dict[str, tuple[Sample, int]] = {}
        self._rows = self._faulty = self._labels = 0
        self._errors: list[str] = []
        self._converted: dict[str, int] = {}
        self._unknown = Noticed("unknown keys are ignored")
        self._same = Noticed("samples that are there already are left out")
        self._conflicts = Noticed("samples with other labels on an equal text are left out, the first counts")
        self._concepts = Noticed(
            f"entities have the type {OLD_ENTITY_TYPE}, as the export has no types: training tells types "
            "apart only where samples have them"
        )

    def read(self, file: BinaryIO, name: str, file_format: str = "auto") -> Imported:
        """All that a file holds; `name` counts for its format, see `records.read_rows`."""
        for row in read_rows(file, name, file_format):
            self._rows += 1
            self._add(row)
            if excess := self._excess():
                self._refuse(row.line, [f"the file has more than {excess}"])
                break
        noticed = (self._unknown, self._same, self._conflicts, self._concepts)
        return Imported(
            samples=tuple(sample for sample, _ in self._found.values()),
            rows=self._rows,
            converted=dict(self._converted),
            warnings=tuple(one.text() for one in noticed if one.count),
            errors=tuple(self._errors),
            faulty=self._faulty,
        )

    def _excess(self) -> str:
        if len(self._found) > MAX_SAMPLES:
            return f"{MAX_SAMPLES:,} samples"
        return f"{MAX_LABELS:,} entities and relations" if self._labels > MAX_LABELS else ""

    def _refuse(self, line: int, errors: list[str]) -> None:
        self._faulty += 1
        self._errors += [f"line {line}: {error}" for error in errors][: SHOWN - len(self._errors)]

    def _add(self, row: Row) -> None:
        if row.fault:
            self._refuse(row.line, [row.fault])
            return
        value, converted = _renewed(row.value, groups=self._groups)
        plain, unknown = known_form(value)
        sample, errors = checked(plain, value)
        if sample is None or errors:
            self._refuse(row.line, errors)
            return
        for what, count in converted.items():
            self._converted[what] = self._converted.get(what, 0) + count
        self._unknown.note(unknown, f"line {row.line}")
        self._concepts.note(converted.get(_STRINGS, 0), f"line {row.line}")
        self._take(sample, row.line)

    def _take(self, sample: Sample, line: int) -> None:
        self._labels += len(sample.entities or ()) + len(sample.relations or ())
        if sample.text not in self._found:
            self._found[sample.text] = (sample, line)
            return
        first, at = self._found[sample.text]
        if not _agree(first, sample):
            self._conflicts.note(1, f"lines {at} and {line}")
            return
        joined = _joined(first, sample)
        if joined == first:
            self._same.note(1, f"lines {at} and {line}")
            return
        self._converted[_JOINED] = self._converted.get(_JOINED, 0) + 1
        self._found[sample.text] = (joined, at)


def _renewed(value: Any, *, groups: bool) -> tuple[Any, dict[str, int]]:
    """A row with the keys that today's form has other names for, and how much of the older forms it has."""
    if not isinstance(value, dict):
        return value, {}
    renewed, counts = dict(value), {}
    entities, relations = (
        rows if isinstance(rows := value.get(key), list) else [] for key in ("entities", "relations")
    )
    named = [_named(item) for item in entities]
    if named != entities:
        renewed["entities"] = named
        counts[_BY_TEXT] = sum(new is not old for new, old in zip(named, entities, strict=True))
    counts[_STRINGS] = sum(isinstance(item, str) for item in entities)
    counts[_TRIPLES] = sum(is_old(item) for item in relations)
    document = renewed.pop(DOCUMENT, None)
    if groups and isinstance(document, str) and document and "group" not in value:
        renewed["group"] = document
        counts[_GROUPS] = 1
    return renewed, {what: count for what, count in counts.items() if count}


def _named(item: Any) -> Any:
    if not isinstance(item, dict) or "name" in item or "text" not in item:
        return item
    return {("name" if key == "text" else key): part for key, part in item.items()}


def _agree(one: Sample, other: Sample) -> bool:
    """Whether two samples of a text say the same where both say something."""
    pairs = ((_entities(one), _entities(other)), (_relations(one), _relations(other)))
    return all(left is None or right is None or left == right for left, right in pairs)


def _joined(first: Sample, second: Sample) -> Sample:
    """The labels of both; whatever both have, from the first."""
    return first.model_copy(
        update={
            key: mine if (mine := getattr(first, key)) is not None else getattr(second, key)
            for key in ("entities", "relations", "group")
        }
    )


def _entities(sample: Sample) -> frozenset[tuple[str, str]] | None:
    rows = sample.entities
    return None if rows is None else frozenset((one.name, one.type) for one in rows)


def _relations(sample: Sample) -> frozenset[tuple[str, str, str]] | None:
    rows = sample.relations
    return None if rows is None else frozenset((one.source, one.type, one.target) for one in rows)
