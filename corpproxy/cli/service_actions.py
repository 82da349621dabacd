"""Commands with actions that speak with the running service: ``grants`` and ``requests``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.reload import add_service_arguments
from corpproxy.cli.site import Site, site_of
from corpproxy.net.ask import ControlError

Actions = Mapping[str, Callable[[argparse.Namespace, Site], None]]


def add_action(actions: Any, name: str, line: str) -> argparse.ArgumentParser:
    """Make the parser of one action."""
    parser: argparse.ArgumentParser = actions.add_parser(name, help=line, description=line)
    add_service_arguments(parser)
    return parser


def do(actions: Actions, options: argparse.Namespace, *, needs_policy: bool = False) -> int:
    """Do the action that was asked for; gives the exit code."""
    site = site_of(options, needed=needs_policy)
    try:
        actions[options.action](options, site)
    except ControlError as error:
        raise CommandFailed(error.message) from error
    except ValueError as error:
        raise CommandFailed(str(error), WRONG_USAGE) from error
    return 0
