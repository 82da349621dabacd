"""Actions of a command that the running service does."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.reload import add_service_arguments
from corpproxy.cli.site import Site, site_of
from corpproxy.net.ask import ControlError


def service_action(actions: Any, name: str, line: str) -> argparse.ArgumentParser:
    """Add an action, with the options that find the service."""
    parser: argparse.ArgumentParser = actions.add_parser(name, help=line, description=line)
    add_service_arguments(parser)
    return parser


def run_action(
    actions: Mapping[str, Callable[[argparse.Namespace, Site], None]], options: argparse.Namespace
) -> int:
    """
    Do the action that was asked for; gives the exit code.

    :raises CommandFailed: with what the service or the options say against it.
    """
    try:
        actions[options.action](options, site_of(options, needed=False))
    except ControlError as error:
        raise CommandFailed(error.message) from error
    except ValueError as error:
        raise CommandFailed(str(error), WRONG_USAGE) from error
    return 0
