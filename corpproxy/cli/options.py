"""
Options that stand where people write them.

A command with actions (``lists build``, ``grants end``) takes an option that all of its actions have before
the action too, and one of its own behind it.  Commands say each option once; `placed_anywhere` does the rest.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Iterator, Sequence


def placed_anywhere(parser: argparse.ArgumentParser) -> None:
    """Let the options of a command stand before or behind its actions."""
    for below in _actions_of(parser):
        _let_before(parser, below)
        _let_behind(parser, below)


def add_format(parser: argparse.ArgumentParser) -> None:
    """Say how to ask for JSON: ``--json``, as everywhere, or ``--format json``."""
    parser.add_argument("--format", choices=["text", "json"], default="text", help="lines (default) or JSON")
    add_json(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let ``--json`` stand for ``--format json``."""
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="as --format json")


def _actions_of(parser: argparse.ArgumentParser) -> Iterator[Sequence[argparse.ArgumentParser]]:
    for action in list(parser._actions):
        if isinstance(action, argparse._SubParsersAction):
            yield list(dict.fromkeys(action.choices.values()))


def _let_before(parser: argparse.ArgumentParser, below: Sequence[argparse.ArgumentParser]) -> None:
    """What all actions have may stand before them; it is shown with these."""
    for option in _optional(below[0]):
        same = [_like(option, other) for other in below]
        taken = any(written in parser._option_string_actions for written in option.option_strings)
        if option.required or taken or None in same:
            continue
        parser._add_action(_copy(option, help=argparse.SUPPRESS, default=option.default))
        for one in same:
            # What was written before the action must not be replaced by what stands for nothing behind it.
            assert one is not None
            one.default = argparse.SUPPRESS


def _let_behind(parser: argparse.ArgumentParser, below: Sequence[argparse.ArgumentParser]) -> None:
    """What the command itself takes may stand behind its actions."""
    for option in _optional(parser):
        for one in below:
            if not any(written in one._option_string_actions for written in option.option_strings):
                one._add_action(_copy(option, help=option.help, default=argparse.SUPPRESS))


def _optional(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in list(parser._actions):
        if action.option_strings and not isinstance(action, argparse._HelpAction):
            yield action


def _like(option: argparse.Action, parser: argparse.ArgumentParser) -> argparse.Action | None:
    """The option of another action that is the same; None when there is none."""
    found = parser._option_string_actions.get(option.option_strings[0])
    same = found is not None and (type(found), found.dest, found.nargs, found.default, found.choices) == (
        type(option),
        option.dest,
        option.nargs,
        option.default,
        option.choices,
    )
    return found if same else None


def _copy(option: argparse.Action, *, help: str | None, default: object) -> argparse.Action:
    copied = copy.copy(option)
    copied.help, copied.default = help, default
    return copied
