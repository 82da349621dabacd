"""
The manual's tables of fields and the JSON Schema, written from the schema that the reader uses.

`docs/write_reference.py` puts them into files, and a test compares those with what stands here.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from corpproxy.config.advice import ADVICE
from corpproxy.config.codes import CODES
from corpproxy.config.schema.policy_file import PolicyFile
from corpproxy.config.schema.table import Kind, Table, fields_of, kind_of, tables_below

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"


def schema_text() -> str:
    """The JSON Schema of a policy file, for editors."""
    schema = PolicyFile.model_json_schema()
    defined = {"PolicyFile": schema, **schema.get("$defs", {})}
    for table in dict.fromkeys(table for _, table in tables_below(PolicyFile)):
        _finish(defined[table.__name__], table)
    whole = {"$schema": SCHEMA_ID, **schema, "title": "corpproxy policy"}
    return json.dumps(whole, indent=2, sort_keys=True) + "\n"


def _finish(schema: dict[str, Any], table: type[Table]) -> None:
    """Write defaults as they stand in a policy, and leave out what pydantic adds for programs."""
    schema.pop("title", None)
    schema["description"] = " ".join((inspect.getdoc(table) or "").split())
    for name, field in fields_of(table).items():
        described = schema["properties"][name]
        described.pop("title", None)
        described.pop("default", None)
        kind = kind_of(field)
        if kind.leaf and not kind.shape and not field.is_required() and field.get_default() is not None:
            described["default"] = default_text(field)
    if table.short_for:
        _or_short(schema, table)


def _or_short(schema: dict[str, Any], table: type[Table]) -> None:
    """That a text, or a list, may stand for the table."""
    alone = schema["properties"][table.short_for]
    short = alone.get("anyOf", [alone])[0]
    whole = dict(schema)
    reference = {"$ref": f"#/$defs/{table.__name__}"}
    schema.clear()
    schema["description"] = whole.pop("description")
    many = [{"type": "array", "items": {"anyOf": [short, reference]}}] if "anyOf" in alone else []
    schema["anyOf"] = [short, *many, whole]


def fields_page() -> str:
    """The tables of fields, as reStructuredText to be included in the manual."""
    lines = [".. Written by docs/write_reference.py from the schema; edit the schema.", ""]
    for table, where in _sections().items():
        lines += _table_section(table, where)
    lines += _codes_section()
    return "\n".join(lines)


def _sections() -> dict[type[Table], list[str]]:
    """Every table with its names; one that stands in several places is shown at the least deep of them."""
    names: dict[type[Table], list[str]] = {}
    order = [name for name, _ in tables_below(PolicyFile)]
    for name, table in sorted(tables_below(PolicyFile), key=lambda one: one[0].count(".")):
        names.setdefault(table, []).append(name)
    return dict(sorted(names.items(), key=lambda one: order.index(one[1][0])))


def _table_section(table: type[Table], where: list[str]) -> Iterator[str]:
    title = " and ".join(f"``{name}``" for name in where) if where != [""] else "The policy file"
    yield from (title, "~" * len(title), "")
    yield from _sentences(inspect.getdoc(table) or "")
    yield from ("", ".. list-table::", "   :header-rows: 1", "   :widths: 18 22 14 46", "")
    yield from _row("Field", "Value", "Default", "Meaning")
    for name, field in fields_of(table).items():
        kind = kind_text(kind_of(field))
        yield from _row(f"``{name}``", kind, _shown_default(field), field.description or "")
    yield ""


def _sentences(text: str) -> list[str]:
    """A docstring with its sentences on lines of their own."""
    paragraphs = text.split("\n\n")
    lines = [" ".join(paragraph.split()).replace(". ", ".\n").split("\n") for paragraph in paragraphs]
    return [line for paragraph in lines for line in [*paragraph, ""]][:-1]


def _row(*cells: str) -> Iterator[str]:
    for number, cell in enumerate(cells):
        yield ("   * - " if number == 0 else "     - ") + cell


def kind_text(kind: Kind) -> str:
    """What a field may hold, in words."""
    text = kind.leaf.name if kind.leaf else "table"
    if kind.table is not None and kind.table.short_for:
        text = f"{kind.table.short_for}, a list of them, or a table"
    for shape in reversed(kind.shape):
        text = {
            "list": f"list of {text}s" if text == "table" else f"list of {text}",
            "one-or-many": f"{text}, or a list of them",
            "mapping": f"table of names, each with: {text}",
        }[shape]
    return text.replace("|", "or").replace("  ", " ")


def default_text(field: FieldInfo) -> str:
    """The default of a field as it stands in a policy; empty where there is none to write."""
    default = field.get_default(call_default_factory=False)
    leaf = kind_of(field).leaf
    if default is None or default is PydanticUndefined or leaf is None or kind_of(field).shape:
        return ""
    return leaf.write(default)


def _shown_default(field: FieldInfo) -> str:
    if field.is_required():
        return "*must be given*"
    text = default_text(field)
    return f"``{text}``" if text else ""


def _codes_section() -> Iterator[str]:
    title = "Kinds of problems"
    yield from (title, "~" * len(title), "")
    yield "``corpproxy check --json`` gives each problem with one of these codes."
    yield from ("", ".. list-table::", "   :header-rows: 1", "   :widths: 26 37 37", "")
    yield from _row("Code", "What is wrong", "What to do")
    for code, sentence in CODES.items():
        yield from _row(f"``{code}``", sentence, ADVICE[code])
    yield ""
