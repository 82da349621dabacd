"""
What is made of the record after it was written: indexes of closed segments, and roll-ups in the store.

It costs processor time and can wait, so a child process of the service does it every few minutes, and
commands do it before they answer.  Both may at once: how far it is done changes in one transaction with
what is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import tzinfo
from pathlib import Path

from corpproxy.accounting.rollup import RollUp, Sums
from corpproxy.accounting.store_address import StoreAddress
from corpproxy.backends.records.reader import Complain
from corpproxy.backends.records.segments import SegmentName, segment_names
from corpproxy.backends.search.index import closed_segments, drop_orphans, make_index, without_index
from corpproxy.backends.search.runs import RUN_OCTETS, line_runs
from corpproxy.backends.store.database import Database
from corpproxy.backends.store.opening import database_at
from corpproxy.backends.store.rollup import Progress, add_sums, forget_segments, progress
from corpproxy.backends.store.sql import Connection
from corpproxy.backends.store.usage import Terms

# Records are added to the store so many octets at a time: the service waits for its turn no longer than this
# takes, a tenth of a second.
_PART_OCTETS = 32 * RUN_OCTETS


def make_indexes(folder: Path, key: bytes, complain: Complain) -> int:
    """
    Make the indexes that are missing, and take away those of segments that are gone.

    Gives how many were made.

    :raises OSError: when the folder cannot be read or written to.
    """
    missing = without_index(folder, key)
    for name in missing:
        runs = line_runs(name, complain, is_open=False)
        make_index(name, key, (line for run in runs for line in run.splitlines(keepends=True)))
    drop_orphans(folder)
    return len(missing)


def roll_up(folder: Path, store: StoreAddress, zone: tzinfo, now: float) -> int:
    """
    Add what was recorded since the last time to the roll-ups; gives how many records that were.

    :raises OSError: when the folder cannot be read.
    :raises StoreError: when the store cannot be written to.
    """
    names = segment_names(folder)
    closed = set(closed_segments(folder))
    with closing(database_at(store, lambda: now)) as database:
        known = database.change(lambda connection, _: progress(connection, database.node))
        records = 0
        for name in names:
            before = known.get(database.node + name.canonical, Progress())
            if not before.is_done:
                records += _roll_up_segment(database, name, before, zone, is_closed=name in closed)
        gone = known.keys() - {database.node + name.canonical for name in names}
        if gone:
            database.change(lambda connection, _: forget_segments(connection, gone))
        return records


def _roll_up_segment(
    database: Database, name: SegmentName, before: Progress, zone: tzinfo, *, is_closed: bool
) -> int:
    rolling, records = RollUp(zone), 0
    try:
        inode = name.path.stat().st_ino
    except FileNotFoundError:
        return 0
    for runs in _parts(_new_runs(name, before, inode)):
        for run in runs:
            rolling.take(run.splitlines(keepends=True))
        sums = rolling.hand_out()
        now = Progress(before.records + sums.records, before.octets + sums.octets, inode)
        if not database.change(_adding(database.node, name, before, sums, now)):
            return records
        records += sums.records
        before = now
    if is_closed:
        done = Progress(before.records, before.octets, inode, is_done=True)
        database.change(_adding(database.node, name, before, rolling.hand_out(), done))
    return records


def _adding(
    node: str, name: SegmentName, before: Progress, sums: Sums, now: Progress
) -> Callable[[Connection, Terms], bool]:
    """Add sums, unless the segment or what is known of it has changed meanwhile."""

    def add(connection: Connection, _: Terms) -> bool:
        return _is_still(name, now.inode) and add_sums(connection, node + name.canonical, before, sums, now)

    return add


def _new_runs(name: SegmentName, before: Progress, inode: int) -> Iterator[bytes]:
    """
    The lines of a segment that have not been added up.

    A segment that was rewritten since, because somebody was erased from it, has the same lines in other
    places.
    """
    if not before.records:
        yield from line_runs(name, _say_nothing, is_open=True)
    elif inode == before.inode:
        yield from line_runs(name, _say_nothing, is_open=True, begin=before.octets)
    else:
        yield from _behind(line_runs(name, _say_nothing, is_open=True), before.records)


def _behind(runs: Iterator[bytes], lines: int) -> Iterator[bytes]:
    for run in runs:
        here = run.count(b"\n")
        if here <= lines:
            lines -= here
        elif lines:
            yield b"".join(run.splitlines(keepends=True)[lines:])
            lines = 0
        else:
            yield run


def _is_still(name: SegmentName, inode: int) -> bool:
    """
    Whether a segment is still the file that was read.

    Somebody may have been erased from it and from the store meanwhile: what was read before must not bring
    them back.  Whoever erases rewrites the segment first, and changes the store behind that.
    """
    try:
        return name.path.stat().st_ino == inode
    except FileNotFoundError:
        return False


def _parts(runs: Iterator[bytes]) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    octets = 0
    for run in runs:
        part.append(run)
        octets += len(run)
        if octets >= _PART_OCTETS:
            yield part
            part, octets = [], 0
    if part:
        yield part


def _say_nothing(sentence: str) -> None:
    """Lines that are no records are told to whoever reads them; here they count for nothing."""
