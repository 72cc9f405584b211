"""The tables of the docs, generated from the models: `python -m domaintraining docs README.md`.

A file holds `<!-- generated:NAME -->` … `<!-- /generated -->` where a table belongs; what stands between is
replaced. NAME is `spec`, `status` or `reasons`.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from domaintraining.api.crd import Schema, structural
from domaintraining.api.reasons import REASONS, ReasonRow
from domaintraining.api.spec import DomainTrainingSpec
from domaintraining.api.status import DomainTrainingStatus

MARKED: Final = re.compile(r"(<!-- generated:([a-z]+) -->\n).*?(<!-- /generated -->)", re.DOTALL)


def spec_table() -> str:
    """Every field of spec with its type, bounds, default, meaning and rules."""
    rows = [
        (f"`{path}`", _type(node) + (", **required**" if required else ""), _shown(node), _words(node))
        for path, node, required in _fields(structural(DomainTrainingSpec, defaults=True))
        if "properties" not in node or "x-kubernetes-validations" in node
    ]
    return _table(("spec field", "type", "default", "meaning"), rows)


def status_table() -> str:
    """Every field of status with its type and meaning."""
    rows = [
        (f"`{path}`", _type(node).partition(" (")[0], _words(node))
        for path, node, _ in _fields(structural(DomainTrainingStatus, defaults=False))
        if "properties" not in node
    ]
    return _table(("status field", "type", "meaning"), rows)


def reasons_table() -> str:
    """Every reason of conditions with its remedy."""
    rows = [(f"`{reason}`", row.meaning, row.remedy, _then(row)) for reason, row in REASONS.items()]
    return _table(("reason", "meaning", "what to do", "then"), rows)


TABLES: Final[dict[str, Callable[[], str]]] = {
    "spec": spec_table,
    "status": status_table,
    "reasons": reasons_table,
}


def generated(text: str, source: str) -> str:
    """A text with its marked tables replaced.

    Raises:
        ValueError: no mark is in it, a mark names no table or has no end; the message names `source`.
    """
    opened = re.findall(r"<!-- generated:(\S*) -->", text)
    unknown = [name for name in opened if name not in TABLES]
    if unknown or len(MARKED.findall(text)) != len(opened) or not opened:
        raise ValueError(
            f"{source}: found the marks {opened}; each must be one of {list(TABLES)} and be closed "
            "by <!-- /generated --> before the next"
        )
    return MARKED.sub(lambda mark: mark[1] + TABLES[mark[2]]() + mark[3], text)


def main(argv: list[str]) -> int:
    """Replaces the tables in files, or prints them all."""
    parser = argparse.ArgumentParser(prog="domaintraining docs", description="Write the tables of the docs.")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="Markdown with marks (print all)")
    files: list[Path] = parser.parse_args(argv).files
    if not files:
        sys.stdout.write("\n".join(table() for table in TABLES.values()))
    for file in files:
        old = file.read_text(encoding="utf-8")
        new = generated(old, str(file))
        if new != old:
            file.write_text(new, encoding="utf-8")
    return 0


def _fields(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Schema, bool]]:
    """All fields below a node, depth first: path, node, whether it is required."""
    required = schema.get("required", ())
    for names, node in _alike(schema.get("properties", {})):
        path = prefix + (names[0] if len(names) == 1 else f"{{{','.join(names)}}}")
        yield path, node, names[0] in required
        yield from _fields(node, f"{path}.")
        yield from _fields(node.get("items", {}), f"{path}[].")


def _alike(properties: Schema) -> Iterator[tuple[list[str], Schema]]:
    """Fields in their order, those with the same fields below them as one."""
    groups: list[tuple[list[str], Schema]] = []
    for name, node in properties.items():
        inner = node.get("properties")
        alike = next((names for names, first in groups if inner and first.get("properties") == inner), None)
        if alike is None:
            groups.append(([name], node))
        else:
            alike.append(name)
    yield from groups


def _type(node: Schema) -> str:
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "items" in node:
        return f"list{_bounds(node, 'Items')} of {_type(node['items'])}"
    if "additionalProperties" in node:
        return f"map{_bounds(node, 'Properties')} of {_type(node['additionalProperties'])}"
    if node.get("x-kubernetes-int-or-string"):
        return "quantity"
    if node["type"] == "string":
        return "time" if node.get("format") == "date-time" else f"string{_bounds(node, 'Length')}"
    return f"{node['type']}{_bounds(node, 'imum')}"


def _bounds(node: Schema, what: str) -> str:
    """Bounds in parentheses: of a number, a length or a count."""
    low, high = node.get(f"min{what}"), node.get(f"max{what}")
    if low is None and high is None:
        return ""
    if high is None:
        return f" (from {low:,})"
    return f" ({low:,} to {high:,})" if low is not None else f" (up to {high:,})"


def _shown(node: Schema) -> str:
    """A default as YAML writes it."""
    if "default" not in node or "properties" in node:
        return ""
    default = node["default"]
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`[{', '.join(default)}]`" if isinstance(default, list) else f"`{default}`"


def _words(node: Schema) -> str:
    """The description, then what the CEL rules ask for, as sentences."""
    rules = [entry["message"] for entry in node.get("x-kubernetes-validations", ())]
    return " ".join([node.get("description", ""), *(_sentence(rule) for rule in rules)])


def _sentence(words: str) -> str:
    """Words as a sentence; a field's name that they begin with stays as it is."""
    first = words.partition(" ")[0]
    return (words[0].upper() + words[1:] if first.islower() else words) + "."


def _then(row: ReasonRow) -> str:
    if row.stalled:
        return "waits for you"
    return "tried again" if row.passes else ""


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)
