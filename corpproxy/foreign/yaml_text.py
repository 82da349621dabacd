"""YAML as an administrator writes it: short tables in braces on one line, long ones line by line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

Value: TypeAlias = "str | list[Value] | dict[str, Value]"

# As wide as a policy is read comfortably.
WIDTH = 100

# What means the same with and without quotes, inside braces too.
_PLAIN = re.compile(r"[A-Za-z0-9_/.][A-Za-z0-9_/.+@=-]*(?: [A-Za-z0-9_/.(][A-Za-z0-9_/.+@=()-]*)*")


def scalar(text: str) -> str:
    """A text, in quotes where it needs them."""
    text = "".join(one if one.isprintable() else " " for one in text)
    if _PLAIN.fullmatch(text) and not text.startswith(("---", "...")) and text not in ("~", "null"):
        return text
    return "'" + text.replace("'", "''") + "'"


def flow(value: Value) -> str:
    """A value on one line."""
    if isinstance(value, str):
        return scalar(value)
    if isinstance(value, list):
        return f"[{', '.join(flow(one) for one in value)}]"
    return "{" + ", ".join(f"{scalar(key)}: {flow(one)}" for key, one in value.items()) + "}"


def block(table: Mapping[str, Value], indent: int = 0, *, wide: Iterable[str] = ()) -> list[str]:
    """The lines of a table; values stand on the line of their key where they fit, except ``wide`` ones."""
    lines: list[str] = []
    for key, value in table.items():
        head = " " * indent + scalar(key) + ":"
        line = f"{head} {flow(value)}"
        if isinstance(value, str) or (len(line) <= WIDTH and key not in wide):
            lines.append(line)
        else:
            lines += [head, *_lines(value, indent + 2)]
    return lines


def item(table: Mapping[str, Value], indent: int) -> list[str]:
    """A table as one entry of a list, key under key."""
    lines = block(table, indent + 2)
    lines[0] = " " * indent + "- " + lines[0].lstrip()
    return lines


def _lines(value: Value, indent: int) -> list[str]:
    if isinstance(value, dict):
        return block(value, indent)
    assert isinstance(value, list)
    lines: list[str] = []
    for one in value:
        line = " " * indent + "- " + flow(one)
        if isinstance(one, dict) and len(line) > WIDTH:
            lines += item(one, indent)
        else:
            lines.append(line)
    return lines
