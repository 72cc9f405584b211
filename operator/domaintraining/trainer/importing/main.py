"""`python -m domaintraining import EXPORT -o FILE`: AegisRAG's exported samples in today's form.

Exit codes: 0 the samples are written; 2 wrong arguments; 3 nothing is written, and why stands on standard
error. Nothing of a sample's text is told.
"""

import argparse
import json
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import Any, BinaryIO, Final

from domaintraining.api.sample import Sample
from domaintraining.errors import DomainTrainingError
from domaintraining.trainer.data.limits import MAX_FILE, MEBIBYTE
from domaintraining.trainer.data.packed import plain_name, unpacked
from domaintraining.trainer.importing.exported import Import, Imported

REFUSED: Final = 3
KEY: Final = "samples.jsonl"
"""Key in a ConfigMap."""
MAX_CONFIGMAP: Final = MEBIBYTE
MAX_APPLIED: Final = 262_144
"""Bytes above which `kubectl apply` needs --server-side: it keeps a copy in an annotation."""
MAX_NAME: Final = 253


class _Refused(Exception):  # noqa: N818 - the end of the command, told in one place
    """Nothing is written."""


def main(argv: list[str]) -> int:
    """Import with these arguments; gives the exit code."""
    given = _arguments(argv)
    told = sys.stderr if given.output == "-" else sys.stdout
    try:
        found = _usable(_read(given.export, given.format, groups=not given.no_groups), given)
        text = config_map(given.configmap, found) if given.configmap else samples_text(found.samples)
        _write(given.output, text)
    except _Refused as refused:
        sys.stderr.write(f"{refused}\n")
        return REFUSED
    summary = _json(found, given) if given.summary == "json" else _words(found, given, len(text))
    told.write(f"{summary}\n")
    return 0


def samples_text(samples: tuple[Sample, ...], *, plain: bool = False) -> str:
    """Samples as JSON lines; `plain`: of ASCII characters that can be seen."""
    rows = (sample.model_dump(mode="json", by_alias=True, exclude_none=True) for sample in samples)
    text = "".join(json.dumps(row, ensure_ascii=plain) + "\n" for row in rows)
    return text.replace("\x7f", "\\u007f") if plain else text


def config_map(name: str, found: Imported) -> str:
    """A ConfigMap with the samples, as YAML.

    Raises:
        _Refused: it would be larger than a ConfigMap may be.
    """
    text = samples_text(found.samples, plain=True)
    if len(text) > MAX_CONFIGMAP:
        raise _Refused(
            f"the samples have {len(text):,} bytes, and a ConfigMap holds {MAX_CONFIGMAP:,}: import without "
            "--configmap and keep the file in a volume, at a URL or in a bucket "
            "(spec.dataset.persistentVolumeClaim, http or s3)"
        )
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    head = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {json.dumps(name)}\ndata:\n  {KEY}: |\n"
    return head + lines


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="domaintraining import", description="Bring samples that AegisRAG exported into today's form."
    )
    parser.add_argument(
        "export", type=Path, metavar="EXPORT", help="the exported file, also packed with gzip"
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write; -: to stdout")
    parser.add_argument("--format", choices=("auto", "jsonl", "json", "csv"), default="auto")
    parser.add_argument("--summary", choices=("text", "json"), default="text", help="how it is told (text)")
    parser.add_argument("--skip-invalid", action="store_true", help="leave out samples with errors")
    parser.add_argument("--no-groups", action="store_true", help="don't make groups of document_id")
    parser.add_argument("--configmap", type=_name, metavar="NAME", help="write a ConfigMap of this name")
    return parser.parse_args(argv)


def _name(text: str) -> str:
    """A name that a ConfigMap may have: DNS labels with dots between."""
    labels = text.split(".")
    plain = all(label.strip("-") == label and label.replace("-", "a").isalnum() for label in labels)
    if not (plain and text.isascii() and text == text.lower() and len(text) <= MAX_NAME):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a ConfigMap")
    return text


def _read(path: Path, file_format: str, *, groups: bool) -> Imported:
    try:
        with path.open("rb") as packed, unpacked(packed, str(path)) as file:
            _check_size(packed, path)
            return Import(groups=groups).read(file, plain_name(path.name), file_format)
    except OSError as error:
        raise _Refused(f"{path}: {error.strerror or 'input/output error'}") from None
    except DomainTrainingError as error:
        raise _Refused(error.message) from None


def _check_size(packed: BinaryIO, path: Path) -> None:
    size = os.fstat(packed.fileno()).st_size
    if size > MAX_FILE:
        raise _Refused(f"{path}: the file has {size:,} bytes; at most {MAX_FILE // MEBIBYTE} MiB are read")


def _usable(found: Imported, given: argparse.Namespace) -> Imported:
    """What was read, if it may be written."""
    if not found.samples and not found.errors:
        raise _Refused(f"{given.export}: holds no samples")
    if found.samples and (given.skip_invalid or not found.errors):
        return found
    lines = [f"{given.export}: {found.faulty:,} of {found.rows:,} samples have errors; nothing is written"]
    lines += [f"  {error}" for error in found.errors]
    more = (
        "correct them" if given.skip_invalid else "correct them, or leave these samples out by --skip-invalid"
    )
    raise _Refused("\n".join([*lines, f"the first {len(found.errors)} errors are shown; {more}"]))


def _write(output: str, text: str) -> None:
    """The whole file or none: an earlier one stays until the new one is complete."""
    if output == "-":
        sys.stdout.write(text)
        return
    path = Path(output)
    try:
        mode = _mode(path)
        if mode is None or stat.S_ISREG(mode):
            _replace(path.resolve(), text, mode)
        else:
            path.write_text(text, encoding="utf-8")  # a device or a pipe, which has no earlier content
    except OSError as error:
        raise _Refused(f"{output}: {error.strerror or 'input/output error'}; nothing is written") from None


def _mode(path: Path) -> int | None:
    """Kind and mode of what a path leads to; None: nothing is there."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _replace(path: Path, text: str, mode: int | None) -> None:
    """A new file in the place of an earlier one, with its mode; else with that of any new file."""
    new = path.with_name(f".{secrets.token_hex(8)}")
    given = 0o666 if mode is None else mode & 0o777
    try:
        made = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, given)  # less what the umask takes away
        with os.fdopen(made, "w", encoding="utf-8") as file:
            file.write(text)
            if mode is not None:
                new.chmod(given)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _words(found: Imported, given: argparse.Namespace, size: int) -> str:
    what = f"ConfigMap {given.configmap}" if given.configmap else "samples"
    lines = [
        f"{given.export}: {len(found.samples):,} samples from {found.rows:,} rows; {what}: {given.output}"
    ]
    lines += [f"  converted: {name}: {count:,}" for name, count in found.converted.items()]
    lines += [f"  warning: {warning}" for warning in found.warnings]
    if found.faulty:
        lines.append(f"  left out: {found.faulty:,} samples with errors")
        lines += [f"    {error}" for error in found.errors]
    if given.configmap:
        how = " --server-side" if size > MAX_APPLIED else ""
        lines.append(f"next: kubectl apply{how} -f {given.output}")
    return "\n".join(lines)


def _json(found: Imported, given: argparse.Namespace) -> str:
    summary: dict[str, Any] = {
        "export": str(given.export),
        "output": given.output,
        "rows": found.rows,
        "samples": len(found.samples),
        "labelled": {
            "entities": sum(sample.entities is not None for sample in found.samples),
            "relations": sum(sample.relations is not None for sample in found.samples),
        },
        "groups": len({sample.group for sample in found.samples if sample.group}),
        "converted": dict(found.converted),
        "warnings": list(found.warnings),
        "leftOut": found.faulty,
        "errors": list(found.errors),
    }
    return json.dumps(summary, indent=2)
