"""``corpproxy audit sql``: questions to the record in SQL, answered by DuckDB."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

from corpproxy.audit.cells import csv_line
from corpproxy.audit.line import printable
from corpproxy.audit.record import Record
from corpproxy.backends.records.segments import RECORDS_FOLDER, segment_names
from corpproxy.cli.failed import WRONG_USAGE, CommandFailed
from corpproxy.cli.site import add_site_arguments, site_of

DESCRIPTION = (
    "Ask the record in SQL: the view 'records' has the fields of records as columns, and 'time', the moment "
    "in the time of the site. It only reads, and no other file. It needs DuckDB: pip install corpproxy[sql]."
)

# What a statement may be that only reads.
_READING = frozenset({"SELECT", "EXPLAIN"})
_TYPES = {str: "VARCHAR", int: "UBIGINT", float: "DOUBLE"}
# Salts and commitments, which nobody asks in SQL.
_LEFT_OUT = frozenset({"salts", "erased"})
_AT_ONCE = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say which options there are."""
    add_site_arguments(parser)
    parser.add_argument(
        "statement", metavar="STATEMENT", help="such as: SELECT host, count(*) FROM records GROUP BY 1"
    )
    parser.add_argument("--records", type=Path, metavar="FOLDER", help="read this folder of records")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print a table for a spreadsheet")
    form.add_argument("--json", action="store_true", help="print an object for each row")


def run(options: argparse.Namespace) -> int:
    """Ask and print; gives the exit status."""
    duckdb = _duckdb()
    site = site_of(options, needed=options.records is None)
    folder = options.records or site.state / RECORDS_FOLDER
    try:
        names = [str(name.path) for name in segment_names(folder)]
    except FileNotFoundError as error:
        raise CommandFailed(f"{error.filename}: there are no records; the service makes them") from error
    if not names:
        raise CommandFailed(f"{folder}: there are no records; the service makes them")
    try:
        _check(duckdb, options.statement)
        with _connected(duckdb, names, site.zone) as connection:
            answer = connection.execute(options.statement)
            columns = [str(one[0]) for one in answer.description]
            _print(options, columns, _rows(answer))
    except duckdb.Error as error:
        raise CommandFailed(printable(str(error).replace("\n", " ")), WRONG_USAGE) from error
    return 0


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise CommandFailed("DuckDB is not there; install it with: pip install 'corpproxy[sql]'") from error
    return duckdb


def _check(duckdb: Any, statement: str) -> None:
    """DuckDB could write to files that it may read: what is no question is not asked."""
    kinds = [one.type.name for one in duckdb.extract_statements(statement)]
    if len(kinds) != 1 or kinds[0] not in _READING:
        raise CommandFailed(
            "write one statement, and one that only reads: SELECT ... FROM records", WRONG_USAGE
        )


def _connected(duckdb: Any, names: Sequence[str], zone: tzinfo) -> Any:
    """A connection to a database in memory, with the view over these files and access to them alone."""
    connection = duckdb.connect(":memory:")
    files = _quoted(names)
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in column_types().items())
    for statement in (
        "SET autoinstall_known_extensions = false",
        "SET autoload_known_extensions = false",
        f"SET allowed_paths = {files}",
        f"CREATE VIEW records AS SELECT *, timezone('{_zone_name(zone)}', \"at\") AS time "
        f"FROM read_json({files}, format = 'newline_delimited', ignore_errors = true, "
        f"maximum_object_size = 1048576, columns = {{{columns}}})",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement)
    return connection


def _zone_name(zone: tzinfo) -> str:
    return zone.key if isinstance(zone, ZoneInfo) and zone.key else "UTC"


def column_types() -> dict[str, str]:
    """The columns of the view and their types, which are the fields of a record."""
    types = {}
    for name, hint in get_type_hints(Record).items():
        if name in Record.__struct_fields__ and name not in _LEFT_OUT:
            types[name] = "TIMESTAMP WITH TIME ZONE" if name == "at" else _type(hint)
    return types


def _type(hint: Any) -> str:
    if get_origin(hint) is tuple:
        return "VARCHAR[]"
    if get_origin(hint) is UnionType:
        hint = get_args(hint)[0]
    return next((written for kind, written in _TYPES.items() if issubclass(hint, kind)), "VARCHAR")


def _quoted(names: Iterable[str]) -> str:
    return "[" + ", ".join("'" + name.replace("'", "''") + "'" for name in names) + "]"


def _rows(answer: Any) -> Iterable[tuple[Any, ...]]:
    while rows := answer.fetchmany(_AT_ONCE):
        yield from rows


def _print(options: argparse.Namespace, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    if options.json:
        for row in rows:
            print(json.dumps(dict(zip(columns, (_json(cell) for cell in row), strict=True))))
        return
    if options.csv:
        print(csv_line(columns))
        for row in rows:
            print(csv_line(_cell(cell) for cell in row))
        return
    print("\t".join(map(printable, columns)))
    for row in rows:
        print("\t".join(str(_cell(cell)) for cell in row))
    sys.stdout.flush()


def _cell(cell: Any) -> Any:
    if isinstance(cell, bool | int | float):
        return cell
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M:%S}"
    if isinstance(cell, list | tuple):
        return " ".join(str(_cell(one)) for one in cell)
    return "" if cell is None else printable(str(cell))


def _json(cell: Any) -> Any:
    if isinstance(cell, datetime):
        return cell.isoformat()
    if cell is None or isinstance(cell, bool | int | float | str):
        return cell
    if isinstance(cell, list | tuple):
        return [_json(one) for one in cell]
    return str(cell)
