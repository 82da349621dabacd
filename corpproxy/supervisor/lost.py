"""
The tunnels that a dead worker had open: each gets its closing record, with the result ``lost``.

What is known of them stands in the worker's own segments: the opening record, or the last progress record.
Progress is recorded every few minutes, so that the last minutes of the segments name every tunnel; the
octets in the closing record are those of the last record, a lower bound.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from twisted.logger import Logger

from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.backends.books import PROGRESS_SECONDS
from corpproxy.backends.records.reader import backwards, written_at
from corpproxy.backends.records.segment_file import modified_at
from corpproxy.backends.records.segments import segment_names

log = Logger()

# A tunnel younger than one span of progress has its opening record within it, another its progress; twice
# that is room for a worker that was slow.
LOOK_BACK_SECONDS = 2 * PROGRESS_SECONDS

_OPEN = frozenset({Kind.OPENING, Kind.PROGRESS})


def lost_tunnels(folder: Path, worker: int, began: float, died: float) -> list[Record]:
    """
    Give the closing records of the tunnels that a worker had open when it died, the oldest first.

    ``began`` and ``died`` are POSIX seconds.  Reads files: for a thread.

    :raises OSError: when the folder cannot be read.
    """
    since = max(began, died - LOOK_BACK_SECONDS)
    mine = [name for name in segment_names(folder) if name.worker == worker and _is_recent(name.path, since)]
    closed: set[str] = set()
    open_now: dict[str, Record] = {}
    for record in backwards(mine, _complain):
        if written_at(record) < since:
            break
        if record.kind is Kind.CLOSING:
            closed.add(record.id)
        elif record.kind in _OPEN and record.id not in closed:
            open_now.setdefault(record.id, record)
    return [_closing(record, died) for record in reversed(open_now.values())]


def _closing(record: Record, died: float) -> Record:
    seconds = max(record.seconds, round(died - (written_at(record) - record.seconds), 6))
    return msgspec.structs.replace(record, kind=Kind.CLOSING, result=ResultCode.LOST, seconds=seconds)


def _is_recent(path: Path, since: float) -> bool:
    try:
        return modified_at(path) >= since
    except FileNotFoundError:
        return False


def _complain(sentence: str) -> None:
    log.warn("{sentence}", sentence=sentence)
