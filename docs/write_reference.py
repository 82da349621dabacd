"""
Writes the parts of the manual that are made from the program: fields, schema, commands.

Run as ``python docs/write_reference.py`` from the checkout; a test says when that is due.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from corpproxy.audit.fields import fields_table, kinds_table, results_table
from corpproxy.cli import COMMANDS, POLICY_PLACES, POLICY_VARIABLE, parser_of_all
from corpproxy.config.reference import fields_page, schema_text

REFERENCE = Path(__file__).parent / "reference"


def pages() -> dict[Path, str]:
    """Every file that is written, and its text."""
    return {
        REFERENCE / "policy-fields.inc": fields_page(),
        REFERENCE / "policy.schema.json": schema_text(),
        REFERENCE / "commands.inc": commands_page(),
        REFERENCE / "record-kinds.inc": kinds_table(),
        REFERENCE / "record-fields.inc": fields_table(),
        REFERENCE / "record-results.inc": results_table(),
    }


def commands_page() -> str:
    """All commands with their options, as reStructuredText to be included in the manual."""
    lines = [".. Written by docs/write_reference.py from the commands; edit the commands.", ""]
    lines += [f"The policy is looked for in ``${POLICY_VARIABLE}``, then in " + _places() + ".", ""]
    subparsers = _subparsers(parser_of_all(with_options_of=list(COMMANDS)))
    for name, parser in subparsers.items():
        lines += _command(f"corpproxy {name}", parser, "~")
    return "\n".join(lines)


def _places() -> str:
    *first, last = (f"``{place}``" for place in POLICY_PLACES)
    return f"{', '.join(first)} and {last}"


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _command(title: str, parser: argparse.ArgumentParser, underline: str) -> Iterator[str]:
    yield from (title, underline * len(title), "")
    yield from (parser.description or "").replace(". ", ".\n").split("\n")
    yield ""
    for action in parser._actions:
        if isinstance(action, (argparse._HelpAction, argparse._SubParsersAction)):
            continue
        if action.help == argparse.SUPPRESS:
            continue
        yield f"* ``{_written(action)}``{_help(action)}"
    yield ""
    for name, below in _subparsers(parser).items():
        yield from _command(f"{title} {name}", below, "^")


def _written(action: argparse.Action) -> str:
    metavar = str(action.metavar or "|".join(map(str, action.choices or ())) or action.dest.upper())
    if not action.option_strings:
        return f"[{metavar}]" if action.nargs == "?" else f"{metavar} ..." if action.nargs == "+" else metavar
    takes = "" if action.nargs == 0 else f" {metavar}"
    return ", ".join(f"{option}{takes}" for option in action.option_strings)


def _help(action: argparse.Action) -> str:
    text = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    return f": {text}" if text else ""


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
