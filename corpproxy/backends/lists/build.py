"""
Building the index of category lists, run as ``python -m corpproxy.backends.lists.build`` with a job on stdin.

It is a process of its own because reading five million names takes a minute and 0.7 GiB, which
the service must neither wait for nor keep.  A list that cannot be read keeps the entries that it has in the
index of before; one that did not change is taken from there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import msgspec
import publicsuffixlist

from corpproxy.backends.lists.opening import map_index
from corpproxy.backends.lists.read import SourceBroken, Taking, read_source, signature
from corpproxy.destination.entries import Entry, Kind
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.index_build import IndexBuilder, Members
from corpproxy.destination.index_file import BadIndex
from corpproxy.destination.index_meta import KEPT, MISSING, READ, ListReport, Membership
from corpproxy.destination.sources import ListSource
from corpproxy.destination.suffixes import public_suffixes

# The service goes first where there is one core for both.
NICENESS = 10

# Five million names take less than 1 GiB; what takes more than this would take it from the service.
MEMORY_OCTETS = 4 * 1024 * 1024 * 1024


class Job(msgspec.Struct, frozen=True):
    """What to build: lists as (name, format, path, category), and the file to put the index in."""

    index: str
    lists: list[tuple[str, str, str, str]]

    @classmethod
    def of(cls, sources: Iterable[ListSource], index: Path) -> Job:
        """The job of building the index of some lists."""
        return cls(str(index), [(one.name, one.format, str(one.path), one.category) for one in sources])

    def sources(self) -> list[ListSource]:
        """The lists, as far as building needs to know them."""
        return [ListSource(name, format, Path(path), category) for name, format, path, category in self.lists]


def build(job: Job, now: float) -> list[ListReport]:
    """Build the index and put it in its place; raises OSError when it cannot be written."""
    path = Path(job.index)
    with _written_alone(path) as file:
        pieces, reports = _built(job.sources(), _before(path), now)
        for piece in pieces:
            file.write(piece)
    return reports


def _built(
    sources: list[ListSource], before: CategoryIndex | None, now: float
) -> tuple[list[bytes], list[ListReport]]:
    builder = IndexBuilder()
    with open(publicsuffixlist.PSLFILE, encoding="utf-8") as lines:
        is_public_suffix = public_suffixes(lines)
    reports = []
    for source in sources:
        kept = before.report(source.name) if before is not None else None
        if before is not None and kept is not None and kept.state == READ and _is_same(source, kept):
            carry_over(builder, before, source)
            reports.append(kept)
            continue
        try:
            reader = Taking(builder, source.name)
            reports.append(read_source(source, is_public_suffix, reader.take, reader.know_aliases))
        except SourceBroken as broken:
            builder.forget(source.name)
            reports.append(_kept(builder, before, kept, source, str(broken)))
    return builder.finish(reports, now)


def _is_same(source: ListSource, report: ListReport) -> bool:
    return bool(report.signature) and signature(source) == report.signature


def carry_over(builder: IndexBuilder, before: CategoryIndex, source: ListSource) -> None:
    """Take the entries of a list from the index of before."""
    members: dict[str, Members] = {}

    def of(category: str) -> Members:
        if category not in members:
            members[category] = builder.members(Membership(source.name, source.category or category))
        return members[category]

    for category, key in before.entries_of(source.name):
        builder.add_key(of(category), key)
    for category, text in before.expressions_of(source.name):
        builder.add(of(category), Entry(Kind.EXPRESSION, text))


def _kept(
    builder: IndexBuilder,
    before: CategoryIndex | None,
    report: ListReport | None,
    source: ListSource,
    problem: str,
) -> ListReport:
    """Keep the entries of a list that cannot be read, if it has any."""
    seen = signature(source)
    if before is None or report is None or report.state == MISSING:
        return ListReport(source.name, source.format, MISSING, problem=problem, signature=seen)
    carry_over(builder, before, source)
    return msgspec.structs.replace(report, state=KEPT, problem=problem, signature=seen)


def _before(path: Path) -> CategoryIndex | None:
    try:
        return map_index(path)
    except (OSError, BadIndex):
        return None


@contextlib.contextmanager
def _written_alone(path: Path) -> Iterator[IO[bytes]]:
    """
    Give a file that takes the place of ``path`` at the end, whole and on the disk.

    Who builds at the same time waits.  What a killed builder left is written over.
    """
    beside = path.with_name(f".{path.name}.new")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _locked(beside)
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        os.fsync(descriptor)
        os.replace(beside, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _locked(path: Path) -> int:
    """Open a file, empty, that nobody else has open in this way."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Who held it before may have put it in its place meanwhile.
            if _is_at(descriptor, path):
                os.truncate(descriptor, 0)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def go_behind() -> None:
    """Leave processor and memory to the service."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_OCTETS, MEMORY_OCTETS))


def main() -> int:
    """Read a job from stdin, build, write the reports to stdout."""
    go_behind()
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    try:
        reports = build(job, time.time())
    except OSError as error:
        print(f"the index {job.index} cannot be written: {error.strerror or error}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(reports))
    return 0


if __name__ == "__main__":
    sys.exit(main())
