"""
Keeping what the lists say for as long as records cite it: ``python -m corpproxy.backends.lists.past_job``.

It is a process of its own because going through five million names takes seconds, and runs when a new
index is in force, which it delays by nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

import msgspec

from corpproxy.backends.atomic_file import replace_file
from corpproxy.backends.lists.build import carry_over, go_behind
from corpproxy.backends.lists.opening import map_index
from corpproxy.backends.lists.past import KNOWN_FILE, PAST_FOLDER, WAITING, Known, known_versions, versions_in
from corpproxy.backends.records.cited import may_be_cited, recorded_since
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.index_build import IndexBuilder
from corpproxy.destination.index_file import BadIndex
from corpproxy.destination.index_meta import ListReport
from corpproxy.destination.sources import ListSource


class PastJob(msgspec.Struct, frozen=True):
    """What to do: the state folder, and the lists that the policy puts into one category each."""

    state: str
    of_one_category: list[str]


def keep_past(job: PastJob, now: float) -> None:
    """Keep what is in force and waits, forget what no record can cite; raises OSError."""
    state = Path(job.state)
    folder = state / PAST_FOLDER
    in_force: list[str] | None = None
    for waiting in sorted((folder / WAITING).glob("*.index")):
        with contextlib.suppress(BadIndex):
            in_force = _kept(folder, waiting, job.of_one_category)
        waiting.unlink()
    until = dict(known_versions(state).until)
    if in_force is not None:
        until = {name: ended or now for name, ended in until.items()} | dict.fromkeys(in_force, 0.0)
    # Where there are no records, exchanges may run all the same that will be recorded.
    since = min(recorded_since(state), now)
    gone = {name for name, ended in until.items() if ended and not may_be_cited(ended, since)}
    for name in gone:
        _delete(folder / name)
    kept = Known({name: ended for name, ended in until.items() if name not in gone})
    replace_file(folder / KNOWN_FILE, msgspec.json.encode(kept))


def _kept(folder: Path, waiting: Path, of_one_category: list[str]) -> list[str]:
    """Keep every list of an index that is not kept yet; gives where they all stand, below the folder."""
    index = map_index(waiting)
    found = list(versions_in(index, of_one_category))
    for path, report in found:
        if (folder / path).exists():
            continue
        if len(found) == 1:
            # The index of all lists is that of the only one.
            (folder / path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.link(waiting, folder / path)
        else:
            _write(folder / path, index, report)
    return [str(path) for path, _ in found]


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def _write(path: Path, index: CategoryIndex, report: ListReport) -> None:
    """Write the index of one list of another, whole or not at all."""
    builder = IndexBuilder()
    carry_over(builder, index, ListSource(report.name, report.format, Path()))
    pieces, _ = builder.finish([report], index.meta.built)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    try:
        with open(beside, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def main() -> int:
    """Read a job from stdin and do it."""
    go_behind()
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=PastJob)
    try:
        keep_past(job, time.time())
    except OSError as error:
        print(f"{error.filename or job.state}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
