"""
The shelf of closed segments: they are packed, and the oldest go when the disk budget is used up.

Segments are deleted in one way, whoever wants them gone: what is to go is said in a checkpoint, as the anchor
by which the rest still verifies; once that is signed, and on the disk, they go.  A crash in between leaves
segments that the next look deletes.

Everything here waits on the disk, in a thread of its own that stands behind whatever else the machine does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from corpproxy.audit.proof import Dropped
from corpproxy.audit.settings import AuditSettings
from corpproxy.backends.one_thread import WorkThread
from corpproxy.backends.records.segment_file import where_now
from corpproxy.backends.records.segment_packing import closed, pack, to_pack
from corpproxy.backends.records.segment_rewrite import Busy, sole, sync_folder
from corpproxy.backends.records.segments import SegmentName, begins_with, segment_names
from corpproxy.counted import counted
from corpproxy.resident import give_back_free

# How often it is looked what there is to do.
SHELF_SECONDS = 10.0

_NICE = 10

# Signs that segments are gone; comes back when that is on the disk.
Sign = Callable[[tuple[Dropped, ...]], Deferred[None]]


class RecordShelf:
    """
    Looks after the closed segments of all workers.

    ``sign`` says in a checkpoint that segments go, ``record`` writes a record of it: called with how many
    they are, their names, and why.  Call `look` every `SHELF_SECONDS`.

    :ivar settings: those of the policy in force.
    :ivar packed: how many segments were packed.
    :ivar deleted: how many were deleted because the disk budget was used up.
    :ivar octets: what all segments took on the disk at the last look.
    :ivar failing_reason: what the system said to the last look; empty when all is well.
    """

    _log = Logger()

    def __init__(
        self,
        folder: Path,
        settings: AuditSettings,
        thread: WorkThread,
        now: Callable[[], float],
        sign: Sign,
        record: Callable[[Sequence[str], str], None],
    ) -> None:
        self._folder = folder
        self.settings = settings
        self._thread = thread
        self._now = now
        self._sign = sign
        self._record = record
        self._is_busy = False
        self._is_stopped = threading.Event()
        self.packed = 0
        self.deleted = 0
        self.octets = 0
        self.failing_reason = ""

    def look(self) -> None:
        """Do what there is to do, unless the last look still does."""
        if not self._is_busy:
            self._is_busy = True
            Deferred.fromCoroutine(self._look()).addErrback(self._note_bug)

    def close(self) -> Deferred[None]:
        """End the thread; a segment that is being packed is packed at the next start."""
        self._is_stopped.set()
        return self._thread.run(_nothing).addCallback(lambda _: self._thread.stop())

    async def retire(self, going: Sequence[SegmentName], why: str) -> None:
        """
        Delete closed segments, which must be the oldest of their workers, for good and provably.

        :raises OSError: when one cannot be read or deleted.
        :raises Busy: when segments are being rewritten.
        """
        dropped = await self._thread.run(partial(anchors, self._folder, going))
        if not dropped:
            return
        await self._sign(dropped)
        await self._thread.run(partial(_delete, self._folder, going))
        names = [one.segment for one in dropped]
        said = "{segments} deleted, {why}: {first} to {last}"
        gone = counted(len(names), "segment of the record was", "segments of the record were")
        self._log.warn(said, segments=gone, count=len(names), why=why, first=names[0], last=names[-1])
        self._record(names, why)

    async def _look(self) -> None:
        try:
            await self._thread.run(self._pack)
            going = await self._thread.run(self._beyond_budget)
            if going:
                await self.retire(going, "as the disk budget is used up")
                self.deleted += len(going)
            going = await self._thread.run(self._beyond_count)
            if going:
                kept = self.settings.keep_segments
                await self.retire(going, f"as the policy keeps {kept} of each worker")
            self._recover()
        except Busy:
            pass  # what is being erased comes first
        except OSError as error:
            self._note_failure(error)
        finally:
            self._is_busy = False

    def _pack(self) -> None:
        """Pack what is closed; in the thread."""
        _stand_back()
        if not self.settings.compress:
            return
        packed = self.packed
        for name in to_pack(segment_names(self._folder), self._now()):
            if self._is_stopped.is_set():
                return
            try:
                with sole(self._folder, waits=False):
                    pack(name.path)
            except FileNotFoundError:
                continue  # somebody moved it away, or retention was quicker
            self.packed += 1
        if self.packed > packed:
            # Packing takes a megabyte and more, and comes again in an hour or a day.
            give_back_free()

    def _beyond_count(self) -> list[SegmentName]:
        """The oldest closed segments of each worker beyond the number that is kept; in the thread."""
        keep, by_worker = self.settings.keep_segments, dict[int, list[SegmentName]]()
        for name in closed(segment_names(self._folder)) if keep else ():
            by_worker.setdefault(name.worker, []).append(name)
        return [name for mine in by_worker.values() for name in mine[:-keep]]

    def _beyond_budget(self) -> list[SegmentName]:
        """The oldest closed segments without which the rest is within the budget; in the thread."""
        names = segment_names(self._folder)
        sizes = {name.key: _size(name.path) for name in names}
        self.octets = sum(sizes.values())
        limit, going, left = self.settings.disk_octets, [], self.octets
        for name in closed(names):
            if not limit or left <= limit:
                break
            going.append(name)
            left -= sizes[name.key]
        return going

    def _recover(self) -> None:
        if self.failing_reason:
            self._log.info("closed segments of the record are looked after again")
            self.failing_reason = ""

    def _note_failure(self, error: OSError) -> None:
        if not self.failing_reason:
            said = "closed segments in {folder} cannot be looked after: {reason}; it is tried again"
            self._log.error(said, folder=str(self._folder), reason=str(error))
        self.failing_reason = str(error)

    def _note_bug(self, failure: object) -> None:
        self._log.failure("a bug in looking after the segments of the record", failure)  # type: ignore[arg-type]


def anchors(folder: Path, going: Iterable[SegmentName]) -> tuple[Dropped, ...]:
    """
    What a checkpoint says of segments that are to go: each with the hash that the one behind it begins with.

    :raises OSError: when one cannot be read.
    """
    following: dict[tuple[str, int, int], SegmentName] = {}
    by_worker: dict[int, list[SegmentName]] = {}
    for name in segment_names(folder):
        by_worker.setdefault(name.worker, []).append(name)
    for mine in by_worker.values():
        following |= {name.key: after for name, after in pairwise(mine)}
    return tuple(
        Dropped(name.canonical, begins_with(following[name.key])) for name in going if name.key in following
    )


def _delete(folder: Path, going: Iterable[SegmentName]) -> None:
    with sole(folder, waits=False):
        for name in going:
            where_now(name.path).unlink(missing_ok=True)
        sync_folder(folder)


def _size(path: Path) -> int:
    try:
        return where_now(path).stat().st_size
    except FileNotFoundError:
        return 0


def _stand_back() -> None:
    """Let everybody else go first: in Linux, a thread has a priority of its own."""
    if os.getpriority(os.PRIO_PROCESS, 0) < _NICE:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _nothing() -> None:
    """Take part in the order of the thread."""
