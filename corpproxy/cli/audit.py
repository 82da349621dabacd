"""``corpproxy audit``: reading the record, and verifying it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import tzinfo
from itertools import islice
from pathlib import Path
from typing import Any

from corpproxy.audit.cells import TIME, cells, csv_line
from corpproxy.audit.line import printable, readable_line
from corpproxy.audit.query import RecordQuery
from corpproxy.audit.record import Record, encode
from corpproxy.audit.redact import wire_text
from corpproxy.audit.results import ResultCode
from corpproxy.audit.times import utc_text
from corpproxy.backends.records.reader import Follower, last_records
from corpproxy.backends.records.segments import RECORDS_FOLDER
from corpproxy.backends.search.index import INDEX_FOLDER, INDEX_KEY, closed_segments
from corpproxy.backends.search.search import Search
from corpproxy.cli import audit_sql, erase, reveal, verify
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.moments import FORMS, end_moment, moment
from corpproxy.cli.site import add_site_arguments, site_of
from corpproxy.config.nearest import did_you_mean
from corpproxy.counted import counted
from corpproxy.policy.amounts import octets_text
from corpproxy.policy.model import Effect

DESCRIPTION = "Read the record of exchanges."

# How often a followed record is looked at; it is written once a second.
FOLLOW_SECONDS = 0.5
MAX_COMPLAINTS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    parser.description = DESCRIPTION
    commands = parser.add_subparsers(dest="audit_command", metavar="COMMAND", required=True)
    _add_tail(commands)
    _add_search(commands)
    add_site_arguments(
        commands.add_parser(
            "index",
            help="make searches fast now",
            description="Index the closed segments that are not yet; a running service does so by itself.",
        )
    )
    for name, said, description, add in _OTHERS:
        add(commands.add_parser(name, help=said, description=description))


# Commands that stand in files of their own.
_OTHERS = (
    ("sql", "ask the record in SQL", audit_sql.DESCRIPTION, audit_sql.add_arguments),
    ("verify", "show that the record is what was written", verify.DESCRIPTION, verify.add_arguments),
    ("erase", "forget a person, a client or a host", erase.DESCRIPTION, erase.add_arguments),
    ("expire", "erase what is older than the policy keeps", erase.EXPIRE, erase.add_expire_arguments),
    ("reveal", "say who a pseudonym is", reveal.DESCRIPTION, reveal.add_arguments),
    ("keeper", "make the key of a keeper", reveal.KEEPER, reveal.add_keeper_arguments),
)


def _add_tail(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    tail = commands.add_parser("tail", help="show the last records", description="Show the last records.")
    tail.add_argument("-n", dest="count", type=int, default=20, metavar="N", help="how many (default: 20)")
    tail.add_argument("-f", "--follow", action="store_true", help="go on with those that come")
    _add_shared_arguments(tail)


def _add_search(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    said = "Find records; all that is asked for must hold."
    search = commands.add_parser("search", help="find records", description=said)
    search.add_argument("--limit", type=positive, metavar="N", help="end after N records")
    search.add_argument(
        "--order",
        choices=["oldest", "newest"],
        default="oldest",
        help="which come first (default: oldest); with --limit the newest are those that are kept",
    )
    search.add_argument("-f", "--follow", action="store_true", help="go on with those that come")
    _add_shared_arguments(search)


def positive(written: str) -> int:
    """
    Read a number from 1.

    :raises argparse.ArgumentTypeError: when it is none.
    """
    if not written.isascii() or not written.isdigit() or not int(written):
        raise argparse.ArgumentTypeError(f"'{written}' is no number from 1")
    return int(written)


def columns(written: str) -> tuple[str, ...]:
    """
    Read the names of fields.

    :raises argparse.ArgumentTypeError: when there is no such field.
    """
    names = tuple(name.strip() for name in written.split(",") if name.strip())
    known = (TIME, *Record.__struct_fields__)
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"a record has no field '{name}'{did_you_mean(name, known)}")
    if not names:
        raise argparse.ArgumentTypeError("name at least one field, such as time,user,host")
    return names


def _add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    add_site_arguments(parser)
    parser.add_argument("--records", type=Path, metavar="FOLDER", help="read this folder of records")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the records as they are stored")
    form.add_argument(
        "--columns",
        type=columns,
        metavar="A,B",
        help="print these fields of the record, and 'time', with tabulators between them",
    )
    form.add_argument("--csv", type=columns, metavar="A,B", help="the same as a table for a spreadsheet")
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
    parser.add_argument("--whom", metavar="NAME", help="deeds that were about this person")
    parser.add_argument("--grant", metavar="ID", help="what a grant let through, and who gave it")
    parser.add_argument("--deeds", action="store_true", help="what administrators and approvers did")
    parser.add_argument("--deed", metavar="NAME", help="deeds of one kind, such as grant-given")
    parser.add_argument("--ref", dest="reference", metavar="ID", help="a reference, and what is within it")
    parser.add_argument("--since", metavar="WHEN", help=f"exchanges that began then or later: {FORMS}")
    parser.add_argument("--until", metavar="WHEN", help="exchanges that began before; a day includes it")


def run(options: argparse.Namespace) -> int:
    """Print the records asked for; gives the exit status."""
    if options.audit_command == "verify":
        return verify.run(options)
    if options.audit_command == "sql":
        return audit_sql.run(options)
    if options.audit_command == "index":
        return _index(options)
    if options.audit_command == "erase":
        return erase.run(options)
    if options.audit_command == "expire":
        return erase.run_expire(options)
    if options.audit_command == "reveal":
        return reveal.run(options)
    if options.audit_command == "keeper":
        return reveal.run_keeper(options)
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
            print(f"{counted(self.count - MAX_COMPLAINTS, 'more line')} {self._what}", file=sys.stderr)


def _index(options: argparse.Namespace) -> int:
    from corpproxy.backends.afterwork.job import AfterworkJob, zone_name
    from corpproxy.backends.afterwork.now import afterwork_now

    site = site_of(options, needed=True)
    failed = afterwork_now(AfterworkJob(str(site.state), zone_name(site.zone), store=site.address))
    if failed:
        raise CommandFailed(failed)
    folder = site.state / RECORDS_FOLDER
    closed = closed_segments(folder)
    octets = sum(path.stat().st_size for path in (folder / INDEX_FOLDER).glob("*"))
    indexed = counted(len(closed), "closed segment is indexed", "closed segments are indexed")
    print(f"{indexed}, in {octets_text(octets)}")
    return 0


def _print_records(options: argparse.Namespace, complaints: Complaints) -> None:
    site = site_of(options, needed=options.records is None)
    folder = options.records or site.state / RECORDS_FOLDER
    query = _query(options, site.zone)
    show = _printer(options, site.zone)
    follower = Follower(folder, complaints) if options.follow else None
    ends = follower.ends.copy() if follower else None
    if options.audit_command == "search":
        search = Search(folder, query, complaints, _index_key(folder), ends)
        found: Iterable[Record] = search.found(last_first=options.order == "newest")
        found = islice(found, options.limit)
    else:
        found = last_records(folder, options.count, query.matches, complaints, ends)
    for record in found:
        show(record)
    while follower:
        sys.stdout.flush()
        time.sleep(FOLLOW_SECONDS)
        for record in filter(query.matches, follower.added()):
            show(record)


def _index_key(folder: Path) -> bytes:
    """The key of the indexes of a folder of records, where we may read it."""
    try:
        return (folder.parent / INDEX_KEY).read_bytes()
    except OSError:
        return b""


def _query(options: argparse.Namespace, zone: tzinfo) -> RecordQuery:
    now = time.time()
    asked: dict[str, Any] = {name: getattr(options, name) for name in RecordQuery.__slots__}
    query = RecordQuery(**{name: _as_recorded(value) for name, value in asked.items() if value is not None})
    if options.since:
        query = replace(query, since=utc_text(moment(options.since, now, zone)))
    if options.until:
        query = replace(query, until=utc_text(end_moment(options.until, now, zone)))
    return query


def _as_recorded(asked: Any) -> Any:
    """What was asked for as records have it: octets that are no UTF-8 are spelled out there."""
    return wire_text(os.fsencode(asked)) if isinstance(asked, str) else asked


def _printer(options: argparse.Namespace, zone: tzinfo) -> Callable[[Record], None]:
    if options.json:
        return lambda record: print(_unspeaking(encode(record).decode().rstrip()))
    if options.columns:
        return lambda record: print("\t".join(map(printable, cells(record, options.columns, zone))))
    if options.csv:
        print(csv_line(options.csv))
        return lambda record: print(csv_line(map(printable, cells(record, options.csv, zone))))
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return lambda record: print(readable_line(record, zone, colours=colours))


def _unspeaking(line: str) -> str:
    """Escape, as JSON does, what JSON need not escape but a terminal would obey (C1 control characters)."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)
