"""``corpproxy top``: who uses the line now, and for what."""

from __future__ import annotations

import argparse
import json
import locale
import os
import shutil
import sys
import time
from functools import partial
from typing import Any

from corpproxy.accounting.present import MAX_ROWS, Question, Sort, View
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.options import add_format
from corpproxy.cli.reload import add_service_arguments, asked
from corpproxy.cli.top_keys import State
from corpproxy.cli.top_rows import heading, row_line, summary
from corpproxy.net.ask import ControlError

DESCRIPTION = (
    "Show who uses the line now and what runs, live: people or exchanges, in any order, and what slows them; "
    "end something. Where the output is no terminal, or with --once, it is told once."
)

ONCE_ROWS = 20
# Rates are told over this time where they are told once.
RATE_SECONDS = 1.0
MOST_SECONDS = 60.0
WIDTH_WITHOUT_TERMINAL = 160
# The service may be busy; who looks does not wait for long.
ANSWER_SECONDS = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "view",
        nargs="?",
        type=View,
        choices=list(View),
        default=View.PEOPLE,
        help="people (default), or the exchanges and tunnels that are running",
    )
    parser.add_argument(
        "--sort", type=Sort, choices=list(Sort), default=Sort.RATE, help="the order (default: rate)"
    )
    parser.add_argument(
        "--match", default="", metavar="TEXT", help="only rows in which this text is: a name, a group, a host"
    )
    parser.add_argument(
        "--limit", type=int, default=ONCE_ROWS, metavar="NUMBER", help="rows, where it is told once"
    )
    parser.add_argument(
        "--every", type=float, default=2.0, metavar="SECONDS", help="how often it is asked (default: 2)"
    )
    parser.add_argument("--once", action="store_true", help="tell it once")
    add_service_arguments(parser)
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Show it; gives the exit code."""
    if not 0.5 <= options.every <= MOST_SECONDS:
        raise CommandFailed(f"--every wants 0.5 to {MOST_SECONDS:g} seconds", WRONG_USAGE)
    if not 0 < options.limit <= MAX_ROWS:
        raise CommandFailed(f"--limit wants a number from 1 to {MAX_ROWS}", WRONG_USAGE)
    ask = partial(asked, options, timeout=ANSWER_SECONDS)
    if options.once or options.format == "json" or not _is_terminal():
        _tell_once(options, ask)
        return 0
    # What draws is loaded where it is used.
    from corpproxy.cli.top_terminal import Terminal

    locale.setlocale(locale.LC_ALL, "")
    Terminal(ask, State(options.view, options.sort, options.match), options.every).run()
    return 0


def _tell_once(options: argparse.Namespace, ask: Any) -> None:
    question = Question(options.view, options.sort, options.match, options.limit)
    words = {"view": question.view, "sort": question.sort, "text": question.text, "limit": question.limit}
    try:
        answer = ask("present", **words)
        if not answer["seconds"]:
            time.sleep(RATE_SECONDS)
            answer = ask("present", **words)
    except ControlError as error:
        raise CommandFailed(error.message) from error
    if options.format == "json":
        print(json.dumps(answer, indent=2))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    rows = answer["people" if question.view is View.PEOPLE else "running"]
    lines = [*summary(answer, width), heading(question.view, question.sort, width)]
    lines += [row_line(question.view, row, answer["now"], width) for row in rows]
    more = answer["found"] - len(rows)
    print("\n".join(lines + ([f"and {more} more"] if more > 0 else [])))


def _is_terminal() -> bool:
    able = os.environ.get("TERM", "dumb") not in ("", "dumb")
    return able and sys.stdin.isatty() and sys.stdout.isatty()
