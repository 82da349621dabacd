"""A record as the cells of a table, and tables as files that a spreadsheet opens."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo

from corpproxy.audit.record import Record

# The moment in the time of the site; all other columns are fields of the record.
TIME = "time"

# A spreadsheet takes a cell that begins so for a formula, which may open files and addresses.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cells(record: Record, columns: Sequence[str], zone: tzinfo) -> list[str]:
    """Give the values of some fields as texts; nothing for what a record does not say."""
    return [_local(record.at, zone) if name == TIME else _text(getattr(record, name)) for name in columns]


def csv_line(values: Iterable[object]) -> str:
    """
    Write a line of a CSV file (RFC 4180), without its end.

    A text that a spreadsheet would take for a formula gets an apostrophe before it; numbers are left alone.
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([_harmless(value) for value in values])
    return line.getvalue()


def _harmless(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(value)


def _local(at: str, zone: tzinfo) -> str:
    try:
        return datetime.fromisoformat(at).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return at
