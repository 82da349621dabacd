"""What pydantic says of a wrong value, said in our words at its place, with the nearest right name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from corpproxy.config.nearest import did_you_mean
from corpproxy.config.nodes import Path, Scalar, Sequence, Table, existing, node_at, place_of
from corpproxy.config.schema import table as tables
from corpproxy.config.schema.policy_file import PolicyFile
from corpproxy.errors import Problem


def shape_problem(error: Mapping[str, Any], root: Table) -> Problem:
    """Turn one of pydantic's errors into a problem; ``root`` is the tree that was checked."""
    path: Path = tuple(error["loc"])
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown_field(path, root)
    if kind == "missing":
        return _missing_field(path, root)
    place = place_of(root, existing(root, path))
    if kind in _WANTED:
        return _wrong_kind(path, root, _WANTED[kind])
    context = error.get("ctx", {})
    said = str(context.get("said") or error["msg"])
    return Problem(place, kind.replace("_", "-"), said if context.get("whole") else f"{name_of(path)} {said}")


# What each of pydantic's complaints about kinds wanted to see.
_WANTED = {
    "model_type": "a table ('field: value' lines)",
    "model_attributes_type": "a table ('field: value' lines)",
    "dict_type": "a table ('name: value' lines)",
    "list_type": "a list ('- ' lines, or [a, b])",
}


def name_of(path: Path) -> str:
    """What to call the value at a path: its field, or the entry of a list."""
    fields = [step for step in path if isinstance(step, str)]
    if not fields:
        return "the file"
    if isinstance(path[-1], int):
        return f"entry {path[-1] + 1} of '{fields[-1]}'"
    return f"'{fields[-1]}'"


def _unknown_field(path: Path, root: Table) -> Problem:
    table = tables.table_at(PolicyFile, path[:-1])
    known: Iterable[str] = tables.fields_of(table) if table else ()
    written = str(path[-1])
    near = did_you_mean(written, known)
    if not near and known:
        near = f"; there are {', '.join(known)}"
    return Problem(place_of(root, path, key=True), "unknown-field", f"unknown field '{written}'{near}")


def _missing_field(path: Path, root: Table) -> Problem:
    place = place_of(root, path[:-1])
    return Problem(place, "missing-field", f"{name_of(path[:-1])} has no '{path[-1]}'")


def _wrong_kind(path: Path, root: Table, wanted: str) -> Problem:
    node = node_at(root, path)
    place = place_of(root, path)
    if isinstance(node, Scalar) and not node.text:
        said = f"{name_of(path)} has no value; write {wanted}, or leave the line out"
        return Problem(place, "empty-value", said)
    found = (
        "a list" if isinstance(node, Sequence) else "a table" if isinstance(node, Table) else "a single value"
    )
    return Problem(place, "wrong-kind", f"{name_of(path)} wants {wanted}, not {found}")
