"""``corpproxy top``: who uses the line now, and for what."""

from __future__ import annotations

import argparse
import json
import locale
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from corpproxy.accounting.present import MAX_ROWS, SORTS, Sort, View
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.options import add_format
from corpproxy.cli.reload import add_service_arguments, control_socket
from corpproxy.cli.top_keys import State
from corpproxy.cli.top_rows import heading, row_line, summary
from corpproxy.net.ask import ControlError, ask

DESCRIPTION = (
    "Show who uses the line now and what runs, live: people or exchanges, in any order, with what slows "
    "them; end something. Where the output is no terminal, or with --once, it is told once."
)

ONCE_ROWS = 20
# Rates are told over this time where they are told once.
RATE_SECONDS = 1.0
LEAST_SECONDS, MOST_SECONDS = 1.0, 60.0
WIDTH_WITHOUT_TERMINAL = 160
# The service may be busy; who looks does not wait for long.
ANSWER_SECONDS = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "view",
        nargs="?",
        choices=[str(view) for view in View],
        default=str(View.PEOPLE),
        help="people (default), or the exchanges and tunnels that are running",
    )
    parser.add_argument(
        "--sort",
        choices=[str(sort) for sort in Sort],
        default=str(Sort.RATE),
        help="the order: the largest first, names from the first letter on (default: rate)",
    )
    parser.add_argument("--backwards", action="store_true", help="turn the order round")
    parser.add_argument(
        "--filter",
        default="",
        metavar="TEXT",
        help="only rows with this text in a name, a group, an address, and of what runs a host or a rule",
    )
    parser.add_argument("--of", default="", metavar="NAME", help="only this person, or this address")
    parser.add_argument(
        "--limit",
        type=int,
        default=ONCE_ROWS,
        metavar="NUMBER",
        help=f"so many rows, where it is told once (default: {ONCE_ROWS})",
    )
    parser.add_argument(
        "--every", type=float, default=2.0, metavar="SECONDS", help="how often it is asked (default: 2)"
    )
    parser.add_argument("--once", action="store_true", help="tell it once")
    add_service_arguments(parser)
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Show it; gives the exit code."""
    state = _state(options)
    service = Service(options)
    if options.once or options.format == "json" or not _is_terminal():
        _tell_once(options, state, service)
        return 0
    with suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, "")
    try:
        # What draws is loaded where it is used, and some builds of Python have it not.
        from corpproxy.cli.top_terminal import Terminal
    except ImportError as error:
        raise CommandFailed("this Python has no 'curses', which draws on terminals; use --once") from error
    return Terminal(service, state, options.every).run()


class Service:
    """
    The service that is asked.

    Where its socket is stands in the policy, which is read again only when nobody answers.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._socket: Path | None = None

    def __call__(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Give a command; raises ControlError."""
        if self._socket is None:
            self._socket = control_socket(self._options)
        try:
            return ask(self._socket, command, timeout=ANSWER_SECONDS, **arguments)
        except ControlError:
            self._socket = None
            raise


def _state(options: argparse.Namespace) -> State:
    view, sort = View(options.view), Sort(options.sort)
    if sort not in SORTS[view]:
        known = ", ".join(SORTS[view])
        raise CommandFailed(f"'{view}' have no order by {sort}; there are {known}", WRONG_USAGE)
    if not LEAST_SECONDS <= options.every <= MOST_SECONDS:
        raise CommandFailed(f"--every wants {LEAST_SECONDS:g} to {MOST_SECONDS:g} seconds", WRONG_USAGE)
    if not 0 < options.limit <= MAX_ROWS:
        raise CommandFailed(f"--limit wants a number from 1 to {MAX_ROWS}", WRONG_USAGE)
    return State(view, sort, options.filter, options.of, options.backwards)


def _tell_once(options: argparse.Namespace, state: State, service: Service) -> None:
    words = {
        "view": state.view,
        "sort": state.sort,
        "text": state.text,
        "limit": options.limit,
        "who": state.who,
        "backwards": state.backwards,
    }
    try:
        answer = service("present", **words)
        if not answer["seconds"]:
            time.sleep(RATE_SECONDS)
            answer = service("present", **words)
    except ControlError as error:
        raise CommandFailed(error.message) from error
    if options.format == "json":
        print(json.dumps(answer, indent=2))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    for line in _lines(state, answer, width):
        print(line)


def _lines(state: State, answer: Mapping[str, Any], width: int) -> Iterator[str]:
    rows = answer["people" if state.view is View.PEOPLE else "running"]
    yield from summary(answer, width)
    yield heading(state.view, state.sort, width, backwards=state.backwards)
    for row in rows:
        yield row_line(state.view, row, answer["now"], width)
    more = answer["found"] - len(rows)
    if more > 0:
        yield f"and {more} more"


def _is_terminal() -> bool:
    able = os.environ.get("TERM", "dumb") not in ("", "dumb")
    return able and sys.stdin.isatty() and sys.stdout.isatty()
