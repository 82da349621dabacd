"""
Erasing in the files of the record: run as ``python -m corpproxy.backends.erasing.job``, with a job on stdin.

It is a process of its own because a large record takes minutes: the loop, and the people, should not notice.
It writes a line of JSON to stdout for each segment, and one for each place at the end.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import msgspec

from corpproxy.audit.erasure import Erasing, Erasure, Reached
from corpproxy.audit.record import UnreadableRecord
from corpproxy.audit.sinks import SinkSettings
from corpproxy.backends.records.segment_file import DamagedSegment, modified_at, open_segment, where_now
from corpproxy.backends.records.segment_rewrite import SegmentIsOpen, rewrite, sole
from corpproxy.backends.records.segments import RECORDS_FOLDER, SegmentName, segment_names
from corpproxy.backends.search.index import drop_index
from corpproxy.counted import counted

# Others come first.
NICENESS = 10

RECORDS = "records"


class EraseJob(msgspec.Struct, frozen=True):
    """
    What is to be done.

    ``erasures`` are done together.  With ``counts_only`` nothing is changed.  ``done`` names the groups that
    are known to be gone from segments, so that they need not be looked at again.  ``rests`` is how long to
    do nothing after each segment, as a multiple of what that took.  ``sinks`` are where records went besides.
    """

    state: str
    erasures: tuple[Erasure, ...]
    counts_only: bool = False
    done: dict[str, tuple[str, ...]] = {}
    rests: float = 0.0
    sinks: tuple[SinkSettings, ...] = ()


class Done(msgspec.Struct, frozen=True, tag=True):
    """A segment is done: how many records lost each group; ``groups`` are now gone from all of it."""

    segment: str
    records: int
    lost: dict[str, int]
    groups: tuple[str, ...]


class Told(msgspec.Struct, frozen=True, tag=True):
    """What one place came to."""

    reached: Reached


Line = Done | Told


@dataclass(slots=True)
class SegmentErasing:
    """
    Erasing in one segment.

    :ivar records: how many records lose something.
    :ivar lost: how many lose each group.
    """

    erasing: Erasing
    written_at: float
    records: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    # Half a line that a crash left is no record, and may hold what is to be forgotten.
    halves: int = 0
    odd: int = 0

    def count(self, lines: Iterable[bytes]) -> None:
        """Count what would be lost."""
        for line in lines:
            if self._is_half(line):
                self.halves += self._loses_half(line)
            elif self.erasing.may_concern(line):
                self._count(line)

    def _count(self, line: bytes) -> None:
        try:
            groups = self.erasing.groups_of(line)
        except UnreadableRecord:
            self.odd += 1
            return
        if groups:
            self.records += 1
            self.lost.update(groups)

    def change(self, line: bytes) -> bytes | None:
        """Give a line as it is to be."""
        if self._is_half(line):
            return None if self._loses_half(line) else line
        try:
            erased = self.erasing.erased(line)
        except UnreadableRecord:
            return line
        return line if erased is None else erased

    def _loses_half(self, line: bytes) -> bool:
        return any(
            all(needle in line for needle in one.needles)
            if one.is_about_somebody
            else self.written_at < one.until
            for one in self.erasing.erasures
        )

    @staticmethod
    def _is_half(line: bytes) -> bool:
        return not line.endswith(b"\n")


def erase(job: EraseJob, tell: Callable[[Line], None]) -> None:
    """
    Do a job.

    :raises OSError: when files cannot be read or written; what was done until then is done, and the rest can
        be done by doing the job once more.
    """
    folder = Path(job.state) / RECORDS_FOLDER
    records, odd, open_now, damaged = 0, 0, 0, 0
    for name in segment_names(folder):
        began = time.monotonic()
        try:
            one = erase_segment(folder, name, job)
        except FileNotFoundError:
            continue  # retention took it while we looked
        except SegmentIsOpen:
            open_now += 1
            continue
        except DamagedSegment:
            damaged += 1
            continue
        if one is None:
            continue
        records += one.records
        odd += one.odd
        groups = () if job.counts_only else _gone(job, one.written_at)
        tell(Done(name.canonical, one.records, dict(one.lost), groups))
        if not job.counts_only:
            time.sleep(job.rests * (time.monotonic() - began))
    tell(Told(Reached(RECORDS, records, said=_said(odd, open_now, damaged))))
    if job.sinks:
        from corpproxy.backends.sinks.erase import concerned_sinks, erase_sinks

        reach = concerned_sinks if job.counts_only else erase_sinks
        for reached in reach(job.sinks, job.erasures):
            tell(Told(reached))


def erase_segment(folder: Path, name: SegmentName, job: EraseJob) -> SegmentErasing | None:
    """Do what a job says in one segment; None where nothing can be left to do."""
    written_at = modified_at(name.path)
    gone = set(job.done.get(name.canonical, ()))
    erasures = tuple(
        one for one in job.erasures if not gone.issuperset(one.groups) and one.until > name.begun_at - SLACK
    )
    if not erasures:
        return None
    with sole(folder):
        # It may have been packed since its name was read.
        path = where_now(name.path)
        found = SegmentErasing(Erasing(erasures), written_at)
        with open_segment(path) as lines:
            found.count(lines)
        if (found.records or found.halves) and not job.counts_only:
            drop_index(path)
            rewrite(path, found.change)
    return found


# An exchange is recorded at its end; a tunnel may have begun days before the segment that it is in.
SLACK = 400 * 86400.0


def _gone(job: EraseJob, written_at: float) -> tuple[str, ...]:
    """The groups that every record of a segment has lost, for an erasure of all that is old."""
    return tuple(
        group
        for one in job.erasures
        if not one.is_about_somebody and written_at < one.until
        for group in one.groups
    )


def _said(odd: int, open_now: int, damaged: int) -> str:
    said = []
    if odd:
        lines = counted(odd, "line that is", "lines that are")
        said.append(f"{lines} no record may be concerned, left alone")
    if open_now:
        said.append(f"{counted(open_now, 'segment was', 'segments were')} being written, left alone")
    if damaged:
        said.append(f"{counted(damaged, 'packed segment is', 'packed segments are')} damaged, left alone")
    return "; ".join(said)


def main(given: IO[bytes], out: IO[bytes]) -> int:
    """Read a job and do it; gives the exit code."""
    os.nice(NICENESS)
    job = msgspec.json.decode(given.read(), type=EraseJob)

    def tell(line: Line) -> None:
        out.write(msgspec.json.encode(line) + b"\n")
        out.flush()

    try:
        erase(job, tell)
    except OSError as error:
        print(f"{error.filename or job.state}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.stdin.buffer, sys.stdout.buffer))
