"""
Erasing at the sinks: in files of other formats, and in PostgreSQL; others are named, with what to do.

In a file of another format a line that is concerned goes as a whole, as such formats have no line without a
user or a URL.  In the database the columns of what is erased become empty, and so does the whole record.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from corpproxy.audit.erasure import LASTING_DEEDS, Erasing, Erasure, Reached
from corpproxy.audit.formats import FormatName
from corpproxy.audit.formats.read_back import reader
from corpproxy.audit.record import UnreadableRecord
from corpproxy.audit.sinks import SinkKind, SinkSettings
from corpproxy.audit.times import UTC_END
from corpproxy.backends.records.segment_rewrite import sync_folder
from corpproxy.backends.sinks.delivery import SinkFailure
from corpproxy.backends.sinks.file import held

_COLUMNS = {
    "who": ("client", "user_name", "agent", "whom"),
    "where": ("host", "upstream", "server_name", "reason", "url"),
    "url": ("url",),
}
# The moment after all others, which is none in PostgreSQL.
_END = UTC_END - 1
# What log rotation packs is not read.
_PACKED = frozenset({".gz", ".bz2", ".xz", ".zst"})

# The line as it is to be; None where it goes.
_Change = Callable[[bytes], bytes | None]
# What is done in one file, and in the table for one erasure; each gives how many lines or rows.
_InFile = Callable[[Path, _Change], int]
_InTable = Callable[[Any, Erasure], int]


def erase_sinks(sinks: Iterable[SinkSettings], erasures: tuple[Erasure, ...]) -> list[Reached]:
    """Erase in all sinks that can be reached, and name the others."""
    return [_reach(one, erasures, _rewrite, _empty) for one in sinks if one.records]


def concerned_sinks(sinks: Iterable[SinkSettings], erasures: tuple[Erasure, ...]) -> list[Reached]:
    """What `erase_sinks` would reach."""
    return [_reach(one, erasures, _count, _count_rows) for one in sinks if one.records]


def _reach(
    sink: SinkSettings, erasures: tuple[Erasure, ...], in_file: _InFile, in_table: _InTable
) -> Reached:
    place = f"sink-{sink.name}"
    try:
        if sink.kind is SinkKind.FILE and not sink.template:
            count = _reach_files(sink, erasures, in_file)
            return Reached(place, count, said=_packed(Path(sink.to)))
        if sink.kind is SinkKind.POSTGRESQL:
            return Reached(place, _reach_rows(sink, erasures, in_table))
    except (OSError, SinkFailure) as error:
        said = f"sink '{sink.name}' cannot be reached now: {error}; ask for the same once more later"
        return Reached(place, 0, is_reached=False, said=said)
    if sink.kind is SinkKind.FILE:
        said = f"{sink.to} has a format of its own, which is not read back; edit it, or delete it"
    else:
        said = f"what went to sink '{sink.name}' is in the hands of who keeps it; ask them to erase it"
    return Reached(place, 0, is_reached=False, said=said)


def _reach_files(sink: SinkSettings, erasures: tuple[Erasure, ...], in_file: _InFile) -> int:
    """
    Erase or count in the file of a sink and those that were put aside; gives in how many lines.

    :raises OSError: when one cannot be read or written.
    """
    path = Path(sink.to)
    change = _change(sink.format, erasures)
    files = [one for one in _files(path) if one.suffix not in _PACKED]
    return sum(in_file(one, change) for one in files)


def _files(path: Path) -> list[Path]:
    """The file of a sink, and those that were put aside by us or by log rotation."""
    name = glob.escape(path.name)
    files = [path, *path.parent.glob(f"{name}-*"), *path.parent.glob(f"{name}.[0-9]*")]
    return [one for one in files if one.is_file()]


def _packed(path: Path) -> str:
    """What is said of files that somebody packed, which are left as they are."""
    names = sorted(one.name for one in _files(path) if one.suffix in _PACKED)
    if not names:
        return ""
    return (
        f"{', '.join(names)} beside it: packed, and not looked into; unpack and ask once more, or delete it"
    )


def _count(path: Path, change: _Change) -> int:
    with held(path) as descriptor, open(descriptor, "rb", closefd=False) as file:
        return sum(change(line) is not line for line in file)


def _rewrite(path: Path, change: _Change) -> int:
    with held(path) as descriptor, open(descriptor, "rb", closefd=False) as file:
        count = sum(change(line) is not line for line in file)
        if not count:
            return count
        beside = path.with_name(f".rewriting-{path.name}")
        file.seek(0)
        like = os.fstat(descriptor)
        new = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(new, "wb") as out:
                os.fchmod(new, like.st_mode & 0o777)
                out.writelines(kept for line in file if (kept := change(line)) is not None)
                out.flush()
                os.utime(new, ns=(like.st_atime_ns, like.st_mtime_ns))
                os.fsync(new)
            os.replace(beside, path)
        except BaseException:
            with suppress(FileNotFoundError):
                beside.unlink()
            raise
        sync_folder(path.parent)
    return count


def _change(name: FormatName, erasures: tuple[Erasure, ...]) -> _Change:
    read = reader(name)
    together = Erasing(erasures)

    def record(line: bytes) -> bytes | None:
        try:
            return together.erased(line) or line
        except UnreadableRecord:
            return line

    def other(line: bytes) -> bytes | None:
        assert read is not None
        try:
            found = read(line.decode("utf-8", "replace").rstrip("\n"))
        except (ValueError, KeyError):
            return line
        concerned = any(
            one.concerns(user=found.user, client=found.client, host=found.host, at=found.at)
            for one in erasures
        )
        return None if concerned else line

    return record if read is None else other


def _reach_rows(sink: SinkSettings, erasures: tuple[Erasure, ...], in_table: _InTable) -> int:
    """
    Erase or count in the table of a sink; gives in how many rows.

    :raises SinkFailure: when the database cannot be reached.
    """
    from corpproxy.backends.sinks.postgresql import connected, migrate, told

    with told():
        connection = connected(sink)
        try:
            migrate(connection)
            with connection.transaction():
                return sum(in_table(connection, one) for one in erasures)
        finally:
            connection.close()


def _count_rows(connection: Any, erasure: Erasure) -> int:
    where, values, _ = _concerned(erasure)
    cursor = connection.execute(f"SELECT count(*) FROM corpproxy_record WHERE {where}", values)
    return int(cursor.fetchone()[0])


def _empty(connection: Any, erasure: Erasure) -> int:
    where, values, columns = _concerned(erasure)
    emptied = ", ".join(f"{column} = NULL" for column in (*columns, "record"))
    done = connection.execute(f"UPDATE corpproxy_record SET {emptied} WHERE {where}", values)
    return int(done.rowcount)


def _concerned(erasure: Erasure) -> tuple[str, list[object], list[str]]:
    """The rows that an erasure is about and that have something left of it, and which columns that is."""
    columns = list(dict.fromkeys(column for group in erasure.groups for column in _COLUMNS[group]))
    conditions = " AND ".join(text for text, _ in _conditions(erasure))
    values = [value for _, some in _conditions(erasure) for value in some]
    left = " OR ".join(f"{column} IS NOT NULL" for column in columns)
    return f"{conditions} AND (record IS NOT NULL OR {left})", values, columns


def _conditions(erasure: Erasure) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Each condition of an erasure in SQL, with its values."""
    yield "at >= to_timestamp(%s) AND at < to_timestamp(%s)", (erasure.since, min(erasure.until, _END))
    if erasure.user:
        yield (
            "(user_name = %s OR whom = %s) AND coalesce(deed, '') <> ALL (%s)",
            (erasure.user, erasure.user, sorted(LASTING_DEEDS)),
        )
    if erasure.client:
        yield "(client = %s OR whom = %s)", (erasure.client, f"address:{erasure.client}")
    if erasure.host:
        below = f".{erasure.host}"
        yield "(host = %s OR right(host, %s) = %s)", (erasure.host, len(below), below)
