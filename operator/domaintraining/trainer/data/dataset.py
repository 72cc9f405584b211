"""Samples from a file: read, checked whole, and told about without a word of their text."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from domaintraining.api.reasons import Reason
from domaintraining.api.sample import Sample
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.data.limits import MAX_FILE, MAX_LABELS, MAX_SAMPLES, MEBIBYTE
from domaintraining.trainer.data.older import is_old, known_form, old_key
from domaintraining.trainer.data.packed import plain_name, unpacked
from domaintraining.trainer.data.records import Row, read_rows

SHOWN_ERRORS: Final = 5
MAX_MESSAGE: Final = 1024

CUSTOM_TYPE_MARKERS: Final = ("<<CUSTOM-TYPE-START-IDENTIFIER>>", "<<CUSTOM-TYPE-END-IDENTIFIER>>")
"""What DSPy turns into image blocks in a message (dspy.adapters.types.base_type); either one is refused,
since a proposal shows several samples in one message."""

_EMPTY: Final = "is empty"
_NO_OBJECT: Final = "is no JSON object"
_WORDING: Final = {
    "missing": "is missing",
    "string_type": "is no string",
    "list_type": "is no list",
    "model_type": _NO_OBJECT,
    "string_too_short": _EMPTY,
    "string_too_long": "is longer than {:,} characters",
    "too_long": "has more than {:,} items",
    "string_pattern_mismatch": "must be words with one space between, without braces, quotes, backslashes",
    "string_unicode": "holds half of a surrogate pair",
}


@dataclass(frozen=True)
class Samples:
    """What a file holds."""

    samples: tuple[Sample, ...]
    """Samples in the order of the file, each text once."""
    skipped: int
    """Samples left out because an earlier one has the same text."""
    warnings: tuple[str, ...]
    """At most one for each kind, each at most 1,024 characters, without sample text."""
    digest: str
    """SHA-256 (hex) over the canonical JSON of the samples in their order, one a line."""
    file: str = ""
    """SHA-256 (hex) of the file's bytes."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Line of each sample, by its text."""
    numbers: Mapping[str, int] = field(default_factory=dict)
    """Number of each sample in the file, from 1, by its text; those skipped have numbers, too."""

    @property
    def one_a_line(self) -> bool:
        """Whether a line tells which sample is meant; in JSON several may share one."""
        return len(set(self.lines.values())) == len(self.lines)


def read_samples(path: Path, source: str, file_format: str, *, name: str = "", unit: str = "line") -> Samples:
    """Reads and checks every sample of a file, which may be packed with gzip.

    Args:
        path: the file.
        source: what messages call it: `configmap tech-docs, key samples.jsonl`.
        file_format: auto, jsonl, json or csv (see `records.read_rows`).
        name: its name, which counts where the format is auto; empty: that of `path`.
        unit: what messages call a line.

    Raises:
        DomainTrainingError: DatasetNotFound where the file can't be opened; DatasetInvalid with line and
            field of the first 5 errors and the number of the others. Neither holds anything of a sample.
    """
    reading = _Reading(unit)
    name = plain_name(name or path.name)
    try:
        with path.open("rb") as packed:
            _check_size(os.fstat(packed.fileno()).st_size, source)
            digest = hashlib.file_digest(packed, "sha256").hexdigest()
            packed.seek(0)
            with unpacked(packed, source) as file:
                reading.add_all(read_rows(file, name, file_format))
    except OSError as error:
        cause = error.strerror or "input/output error"
        raise DomainTrainingError(Reason.DATASET_NOT_FOUND, f"{source}: {cause}") from None
    return replace(reading.result(source), file=digest)


def _check_size(size: int, source: str) -> None:
    """Before the first row: what is too large in the end need not be read at all."""
    if size > MAX_FILE:
        message = f"{source}: the file has {size:,} bytes; at most {MAX_FILE // MEBIBYTE} MiB are read"
        raise DomainTrainingError(Reason.DATASET_INVALID, f"{message}. Use fewer or shorter samples")


class _Reading:
    """Counts and checks while the rows of one file go by."""

    def __init__(self, unit: str) -> None:
        self.rows = 0
        self._unit = unit
        self._samples: list[Sample] = []
        self._labels = 0
        self._first: dict[str, tuple[int, int, int]] = {}
        self._errors: list[str] = []
        self._error_count = 0
        self._skipped = 0
        self._unknown_keys = Noticed("unknown keys are ignored")
        self._no_ends = Noticed("samples without entities are left out of relations, which are empty there")
        self._conflicts = Noticed("samples with other labels on an equal text are skipped, the first counts")
        self._digest = hashlib.sha256()

    def excess(self) -> str:
        """The limit that the samples so far go beyond; empty where they don't."""
        if len(self._samples) > MAX_SAMPLES:
            return f"{MAX_SAMPLES:,} samples"
        return f"{MAX_LABELS:,} entities and relations" if self._labels > MAX_LABELS else ""

    def refuse(self, line: int, what: str) -> None:
        """Notes an error; only the first ones are kept."""
        self._error_count += 1
        if len(self._errors) < SHOWN_ERRORS:
            self._errors.append(f"{self._unit} {line}: {what}")

    def add_all(self, rows: Iterable[Row]) -> None:
        """Takes rows over until there are more than may be."""
        for row in rows:
            self.add(row)
            if excess := self.excess():
                self.refuse(row.line, f"the file has more than {excess}")
                break

    def add(self, row: Row) -> None:
        """Takes the next row over: as a sample, as one more of an equal text, or as errors."""
        self.rows += 1
        errors = [row.fault] if row.fault else []
        sample = None
        if not errors:
            plain, unknown = known_form(row.value)
            self._unknown_keys.note(unknown, f"{self._unit} {row.line}")
            sample, errors = checked(plain, row.value)
        for error in errors:
            self.refuse(row.line, error)
        if sample and not errors:
            self._take(sample, row.line)

    def _take(self, sample: Sample, line: int) -> None:
        labels = _labels_hash(sample)
        if sample.text in self._first:
            first_line, _, first_labels = self._first[sample.text]
            self._skipped += 1
            self._conflicts.note(labels != first_labels, f"{self._unit}s {first_line} and {line}")
            return
        self._first[sample.text] = (line, self.rows, labels)
        self._samples.append(sample)
        self._labels += len(sample.entities or ()) + len(sample.relations or ())
        self._digest.update(canonical_json(sample).encode() + b"\n")
        self._no_ends.note(sample.entities is None and sample.relations is not None, f"{self._unit} {line}")

    def result(self, source: str) -> Samples:
        """The samples, or the error that names what is wrong with them."""
        if not self.rows:
            raise DomainTrainingError(Reason.DATASET_INVALID, f"{source}: holds no samples")
        if self._error_count:
            message = _bounded(source, self._errors, self._error_count)
            raise DomainTrainingError(Reason.DATASET_INVALID, message)
        tallies = (self._unknown_keys, self._conflicts, self._no_ends)
        return Samples(
            samples=tuple(self._samples),
            skipped=self._skipped,
            warnings=tuple(tally.text() for tally in tallies if tally.count),
            digest=self._digest.hexdigest(),
            lines={text: line for text, (line, _, _) in self._first.items()},
            numbers={text: number for text, (_, number, _) in self._first.items()},
        )


class Noticed:
    """How often something was seen, and where first."""

    def __init__(self, what: str) -> None:
        self.count = 0
        self._what = what
        self._places: list[str] = []

    def note(self, times: int, place: str) -> None:
        self.count += times
        if times and len(self._places) < SHOWN_ERRORS:
            self._places.append(place)

    def text(self) -> str:
        more = "; …" if len(self._places) == SHOWN_ERRORS < self.count else ""
        return f"{self._what}: {self.count:,} ({'; '.join(self._places)}{more})"


def canonical_json(sample: Sample) -> str:
    """One sample as the digest reads it: sorted keys, no white space, no key without a value."""
    return json.dumps(
        sample.model_dump(by_alias=True, exclude_none=True),
        ensure_ascii=False,
        separators=(",", ":"),
        sort_keys=True,
    )


def _bounded(source: str, errors: list[str], count: int) -> str:
    for shown in range(len(errors), 0, -1):
        more = [f"and {count - shown:,} more"] if count > shown else []
        message = f"{source}: {'; '.join([*errors[:shown], *more])}"
        if len(message) <= MAX_MESSAGE:
            return message
    return f"{message[: MAX_MESSAGE - 1]}…"


def checked(plain: Any, raw: Any) -> tuple[Sample | None, list[str]]:
    """A sample from today's form of a row, or what is wrong with it, without a word of it.

    Args:
        plain: see `older.known_form`.
        raw: the same row as it stands in the file, in whose words errors name their field.
    """
    try:
        sample = Sample.model_validate(plain, strict=True)
    except ValidationError as error:
        # pydantic's own messages and inputs quote the sample; place and kind don't
        kinds = error.errors(include_url=False, include_input=False)
        return None, [_worded(_field(kind["loc"], raw), kind["type"], kind.get("ctx", {})) for kind in kinds]
    return sample, list(_meaning_errors(sample, raw))


def _worded(field: str, kind: str, context: Mapping[str, Any]) -> str:
    wording = _WORDING.get(kind, "is not valid").format(context.get("max_length", 0))
    return f"{field}: {wording}" if field else wording


def _field(location: tuple[int | str, ...], raw: Any) -> str:
    """`relations[0].target`, in the words of the form that the file uses."""
    match location:
        case ("relations", int(index), str(key)) if is_old(raw["relations"][index]):
            return f"relations[{index}].{old_key(key)}"
        case ("entities", int(index), *_) if isinstance(raw["entities"][index], str):
            return f"entities[{index}]"
        case (str(name), int(index), *rest):
            return ".".join([f"{name}[{index}]", *map(str, rest)])
    return ".".join(map(str, location))


def _meaning_errors(sample: Sample, raw: Any) -> Iterator[str]:
    """What the shape doesn't show. Relations need labelled entities: they are given to the model."""
    for location, value in _strings(sample):
        if not value.strip():
            yield f"{_field(location, raw)}: {_EMPTY}"
        if any(marker in value for marker in CUSTOM_TYPE_MARKERS):
            yield f"{_field(location, raw)}: holds DSPy's marker of a custom type"
    if sample.relations and sample.entities is None:
        yield "relations: need the key entities, which lists their ends"
        return
    names = {entity.name for entity in sample.entities or []}
    for index, relation in enumerate(sample.relations or []):
        for key, end in (("source", relation.source), ("target", relation.target)):
            if end not in names:
                yield f"{_field(('relations', index, key), raw)}: is no entity of the sample"


def _strings(sample: Sample) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """All that can come into a prompt, with its place."""
    yield ("text",), sample.text
    for index, entity in enumerate(sample.entities or []):
        yield ("entities", index, "name"), entity.name
        yield ("entities", index, "type"), entity.type
    for index, relation in enumerate(sample.relations or []):
        yield ("relations", index, "source"), relation.source
        yield ("relations", index, "type"), relation.type
        yield ("relations", index, "target"), relation.target


def _labels_hash(sample: Sample) -> int:
    """A hash of the labels, whatever their order: the labels themselves would be in memory twice."""
    entities, relations = sample.entities, sample.relations
    named = None if entities is None else frozenset((item.name, item.type) for item in entities)
    ends = None if relations is None else frozenset((one.source, one.type, one.target) for one in relations)
    return hash((named, ends))
