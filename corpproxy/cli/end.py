"""``corpproxy end``: end what runs, one exchange or all of somebody."""

from __future__ import annotations

import argparse

from corpproxy.audit.line import printable
from corpproxy.cli.failed import CommandFailed
from corpproxy.cli.reload import add_service_arguments, asked
from corpproxy.net.ask import ControlError

DESCRIPTION = (
    "End a tunnel, a download, or all that runs for somebody, at once. Whoever is ended may come again: to "
    "keep somebody off, write a rule or a limit."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--reference", metavar="ID", help="the exchange with this reference ('top running')")
    which.add_argument("--of", metavar="NAME", help="all that runs for this person, or for this address")
    parser.add_argument(
        "--why", required=True, metavar="TEXT", help="the reason, for the record and the page"
    )
    add_service_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """End it; gives the exit code."""
    try:
        ended = asked(options, "present-end", reference=options.reference, who=options.of, why=options.why)
    except ControlError as error:
        raise CommandFailed(error.message) from error
    hosts = f": {', '.join(ended['hosts'])}" if ended["hosts"] else ""
    print(printable(f"{ended['count']} ended of {ended['whom']}{hosts}"))
    return 0
