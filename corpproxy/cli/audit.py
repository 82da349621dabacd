"""``corpproxy audit``: reading the record, and verifying it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import tzinfo
from itertools import islice
from pathlib import Path

from corpproxy.audit.line import readable_line
from corpproxy.audit.query import RecordQuery
from corpproxy.audit.record import Record, encode
from corpproxy.audit.results import ResultCode
from corpproxy.audit.times import utc_text
from corpproxy.backends.record_reader import Follower, last_records, records
from corpproxy.backends.record_segments import RECORDS_FOLDER
from corpproxy.cli import erase, verify
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.moments import FORMS, moment
from corpproxy.cli.site import add_site_arguments, site_of
from corpproxy.policy.model import Effect

DESCRIPTION = "Read the record of exchanges."

# How often a followed record is looked at; it is written once a second.
FOLLOW_SECONDS = 0.5
MAX_COMPLAINTS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    commands = parser.add_subparsers(dest="audit_command", metavar="COMMAND", required=True)
    tail = commands.add_parser("tail", help="show the last records", description="Show the last records.")
    tail.add_argument("-n", dest="count", type=int, default=20, metavar="N", help="how many (default: 20)")
    tail.add_argument("-f", "--follow", action="store_true", help="go on with those that come")
    search = commands.add_parser(
        "search",
        help="find records",
        description="Find records, the oldest first; all that is asked for must hold.",
    )
    search.add_argument("--limit", type=int, metavar="N", help="end after N records")
    verifying = commands.add_parser(
        "verify", help="show that the record is what was written", description=verify.DESCRIPTION
    )
    verify.add_arguments(verifying)
    erase.add_arguments(
        commands.add_parser(
            "erase", help="forget a person, a client or a host", description=erase.DESCRIPTION
        )
    )
    erase.add_expire_arguments(
        commands.add_parser(
            "expire", help="erase what is older than the policy keeps", description=erase.EXPIRE
        )
    )
    for command in (tail, search):
        _add_shared_arguments(command)


def _add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    add_site_arguments(parser)
    parser.add_argument("--records", type=Path, metavar="FOLDER", help="read this folder of records")
    parser.add_argument("--json", action="store_true", help="print the records as they are stored")
    parser.add_argument("--user", metavar="NAME")
    parser.add_argument("--group", metavar="NAME")
    parser.add_argument("--client", metavar="ADDRESS")
    parser.add_argument("--host", metavar="NAME", help="a host and all below it")
    parser.add_argument("--category", metavar="NAME")
    parser.add_argument("--rule", metavar="NAME")
    parser.add_argument("--would-block", metavar="NAME", help="what this rule in shadow would have refused")
    parser.add_argument("--exception", metavar="NAME", help="what this exception let through")
    parser.add_argument("--decision", choices=[effect.value for effect in Effect])
    parser.add_argument("--result", choices=[code.value for code in ResultCode], metavar="CODE")
    parser.add_argument("--failure", metavar="CODE")
    parser.add_argument("--method", metavar="NAME")
    parser.add_argument("--status", metavar="CODE", help="404, or 4 for all from 400 to 499")
    parser.add_argument("--listener", metavar="NAME")
    parser.add_argument("--ref", dest="reference", metavar="ID", help="a reference, and what is within it")
    parser.add_argument("--since", metavar="WHEN", help=f"exchanges that began then or later: {FORMS}")
    parser.add_argument("--until", metavar="WHEN", help="exchanges that began before; a day includes it")


def run(options: argparse.Namespace) -> int:
    """Print the records asked for; gives the exit status."""
    if options.audit_command == "verify":
        return verify.run(options)
    if options.audit_command == "erase":
        return erase.run(options)
    if options.audit_command == "expire":
        return erase.run_expire(options)
    complaints = Complaints()
    try:
        _print_records(options, complaints)
    except ValueError as error:
        raise CommandFailed(str(error), WRONG_USAGE) from error
    except FileNotFoundError as error:
        raise CommandFailed(f"{error.filename}: there are no records; the service makes them") from error
    complaints.sum_up()
    return 0


class Complaints:
    """
    Tells of lines that are no records: the first ten one by one, the others as a number.

    :ivar count: how many there were.
    """

    def __init__(self, what: str = "are no records") -> None:
        self._what = what
        self.count = 0

    def __call__(self, sentence: str) -> None:
        """Tell of one."""
        self.count += 1
        if self.count <= MAX_COMPLAINTS:
            print(sentence, file=sys.stderr)

    def sum_up(self) -> None:
        """Say how many more there were."""
        if self.count > MAX_COMPLAINTS:
            print(f"{self.count - MAX_COMPLAINTS} more lines {self._what}", file=sys.stderr)


def _print_records(options: argparse.Namespace, complaints: Complaints) -> None:
    site = site_of(options, needed=options.records is None)
    folder = options.records or site.state / RECORDS_FOLDER
    query, since = _query(options, site.zone)
    show = _printer(options, site.zone)
    if options.audit_command == "search":
        found = filter(query.matches, records(folder, complaints, since))
        for record in islice(found, options.limit):
            show(record)
        return
    follower = Follower(folder, complaints) if options.follow else None
    ends = follower.ends.copy() if follower else None
    for record in last_records(folder, options.count, query.matches, complaints, ends):
        show(record)
    while follower:
        sys.stdout.flush()
        time.sleep(FOLLOW_SECONDS)
        for record in filter(query.matches, follower.added()):
            show(record)


def _query(options: argparse.Namespace, zone: tzinfo) -> tuple[RecordQuery, float]:
    now = time.time()
    since = moment(options.since, now, zone) if options.since else 0.0
    asked = {name: getattr(options, name) for name in RecordQuery.__slots__ if getattr(options, name)}
    query = RecordQuery(**asked)
    if options.since:
        query = replace(query, since=utc_text(since))
    if options.until:
        query = replace(query, until=utc_text(moment(options.until, now, zone, is_end=True)))
    return query, since


def _printer(options: argparse.Namespace, zone: tzinfo) -> Callable[[Record], None]:
    if options.json:
        return lambda record: print(_unspeaking(encode(record).decode().rstrip()))
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return lambda record: print(readable_line(record, zone, colours=colours))


def _unspeaking(line: str) -> str:
    """Escape, as JSON does, what JSON need not escape but a terminal would obey (C1 control characters)."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)
