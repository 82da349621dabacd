"""``corpproxy rotate``: the running service begins a new file of records."""

from __future__ import annotations

import argparse

from corpproxy.cli.failed import CommandFailed
from corpproxy.cli.reload import add_service_arguments, asked
from corpproxy.net.ask import ControlError

DESCRIPTION = (
    "Make the running service begin a new file of records with the next one, as SIGUSR1 does. "
    "For whoever moves files away and wants the last one closed."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    add_service_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Ask for it; gives the exit code."""
    try:
        asked(options, "rotate")
    except ControlError as error:
        raise CommandFailed(error.message) from error
    return 0
