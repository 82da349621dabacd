"""
The writer of the record: records come in one by one on the reactor's thread and go to disk in batches.

``write`` only puts them onto a sheet, and they are encoded together; a batch goes to a thread when it has
256 records or is a second old, and comes back once it is on the disk.  One batch is under way at a time, so
that the order stays; what arrives meanwhile makes the next one, which is how batches grow under load.

When the disk fails, the batch is kept and tried again each second.  Until it is through,
:meth:`RecordWriter.accepts` is false where the policy says ``when_full: stop``, and the service answers 503.
Closing records of what runs still come; they are held up to a bound, and counted as lost beyond it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.audit.proof import End
from corpproxy.audit.record import Record
from corpproxy.audit.settings import AuditSettings, WhenFull
from corpproxy.audit.sheet import Sheet
from corpproxy.backends.one_thread import OneThread, WorkThread
from corpproxy.backends.records.segments import FileSegment, Segment, Segments
from corpproxy.counted import counted

# Large enough that syncing costs less than encoding, small enough that a batch is some 100 KB.
BATCH_RECORDS = 256
FLUSH_SECONDS = 1.0

# What is held in memory while the disk is slow or full: a minute of a busy site.
MAX_HELD_OCTETS = 32 * 1024 * 1024


class ITimersAndThreads(IReactorTime, IReactorFromThreads):
    """Timers, and answers from the thread."""


class RecordWriter:
    """
    Writes records to the segments of a folder.

    :ivar accepts: whether a new exchange may begin: its record can be kept, or the policy goes on without.
    :ivar sheet: what came since the last batch; who can, writes lines there without a record.
    :ivar written: records that are on the disk.
    :ivar lost: records that could not be kept.
    :ivar failing_since: POSIX seconds of the first failure of a row, 0 when all is well.
    :ivar failing_reason: what the system said, in its words.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: ITimersAndThreads,
        folder: Path,
        settings: AuditSettings,
        *,
        thread: WorkThread | None = None,
        begin: Callable[[Path], Segment] = FileSegment,
        now: Callable[[], float] = time.time,
        flush_seconds: float = FLUSH_SECONDS,
        max_held_octets: int = MAX_HELD_OCTETS,
        worker: int = 0,
    ) -> None:
        """
        Make the folder where it is missing; the first segment is begun with the first batch.

        :raises OSError: when the folder cannot be made.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._reactor = reactor
        self._folder = folder
        self._stops = settings.when_full is WhenFull.STOP
        self._thread = thread or OneThread(reactor, "records")
        self._segments = Segments(folder, settings, begin, worker)
        self._now = now
        self._flush_seconds = flush_seconds
        self.sheet = Sheet(self._note_waiting)
        self.sheet.bound = max_held_octets
        self.accepts = self.sheet.accepts
        # The batch that is under way or has to be tried again.
        self._batch = b""
        self._batch_count = 0
        self._is_busy = False
        self._is_closed = False
        self._timer: IDelayedCall | None = None
        self.written = 0
        self.lost = 0
        self.failing_since = 0.0
        self.failing_reason = ""
        self._set_most()

    @property
    def waiting(self) -> int:
        """How many records are not on the disk yet."""
        return self.sheet.waiting + self._batch_count

    @property
    def is_failing(self) -> bool:
        """Whether the last batch could not be written."""
        return self.failing_since > 0

    def write(self, record: Record) -> None:
        """Take one record; it is on the disk within about a second."""
        sheet = self.sheet
        if sheet.octets >= sheet.bound:
            self.lost += 1
            return
        sheet.add(record)
        if self.failing_since:
            # Lines are what the bound counts.
            sheet.encode()

    def take_up(self, settings: AuditSettings) -> None:
        """Go on by other settings, those of a policy that was reloaded."""
        self._stops = settings.when_full is WhenFull.STOP
        self._segments.settings = settings
        self._set_most()

    def reached(self) -> End | None:
        """How far the chain is on the disk."""
        return self._segments.end

    def reopen(self) -> None:
        """Begin a new segment with the next batch: someone moved the old one away, or wants it closed."""
        self._thread.run(self._segments.close).addErrback(self._note_bug)

    def settle(self) -> Deferred[None]:
        """
        Write what is waiting, and close the segment: the Deferred fires when the next batch begins another.

        What comes meanwhile may be in the segment that is closed or in the next one.
        """
        return Deferred.fromCoroutine(self._settle())

    async def _settle(self) -> None:
        # The thread works in order: once it did nothing, the batch under way has come back.
        await self._thread.run(_nothing)
        while self._is_busy and not self.failing_since:
            await self._thread.run(_nothing)
        if not self._is_closed and not self._is_busy:
            self._send()
        await self._thread.run(self._segments.close)

    def close(self) -> Deferred[None]:
        """Write what is waiting, close the segment and end the thread; what cannot be written now is lost."""
        self._is_closed = True
        self.sheet.bound = 0
        self._set_most()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        # The thread works in order: once it did nothing, the batch under way has come back.
        await self._thread.run(_nothing)
        lines, count = self._taken()
        self._batch += lines
        self._batch_count += count
        if self._batch:
            await self._append()
        if self._batch_count:
            self.lost += self._batch_count
            self._log.critical(
                "{records} could not be written before the end: {reason}",
                records=counted(self._batch_count, "record"),
                count=self._batch_count,
                reason=self.failing_reason,
            )
        await self._thread.run(self._segments.close)
        self._thread.stop()

    def _set_most(self) -> None:
        """Say until when new exchanges may begin."""
        may_begin = 0 if self.failing_since else self.sheet.bound // 2
        self.sheet.most = may_begin if self._stops else sys.maxsize

    def _note_waiting(self) -> None:
        """As many wait as were to be told of: a first one, or a batch."""
        self._wake_later()
        if self._is_busy or self.failing_since:
            # Lines are what the bound counts, and what takes least memory.
            self.sheet.encode()
        elif self.sheet.waiting >= BATCH_RECORDS:
            self._send()
        self._await_more()

    def _await_more(self) -> None:
        """Say when we are told again that records wait."""
        if self._timer is None and not self._is_closed:
            self.sheet.due = 1
        elif self._is_busy or self.failing_since:
            self.sheet.due = self.sheet.waiting + BATCH_RECORDS
        else:
            self.sheet.due = BATCH_RECORDS

    def _taken(self) -> tuple[bytes, int]:
        """Take what waits off the sheet, as lines; give them, and how many they are."""
        lines, count = self.sheet.take()
        bad, self.sheet.bad = self.sheet.bad, 0
        if bad:
            self.lost += bad
            said = "{records} could not be written down."
            self._log.critical(said, records=counted(bad, "record"), count=bad)
        return lines, count

    def _tick(self) -> None:
        self._timer = None
        if self._is_busy:
            self._wake_later()
        else:
            self._send()
        self._await_more()

    def _wake_later(self) -> None:
        if self._timer is None and not self._is_closed:
            self._timer = self._reactor.callLater(self._flush_seconds, self._tick)

    def _send(self) -> None:
        if not self._batch:
            self._batch, self._batch_count = self._taken()
        if self._batch:
            self._append()

    def _append(self) -> Deferred[None]:
        self._is_busy = True
        batch, now = self._batch, self._now()
        writing = self._thread.run(lambda: self._segments.append(batch, now))
        return writing.addCallbacks(self._note_written, self._note_failure)

    def _note_written(self, _: None) -> None:
        self._is_busy = False
        self.written += self._batch_count
        self._batch, self._batch_count = b"", 0
        if self.failing_since:
            self._recover()
        if self.sheet.waiting >= BATCH_RECORDS and not self._is_closed:
            self._send()
        elif self.sheet.waiting:
            self._wake_later()
        self._await_more()

    def _recover(self) -> None:
        self._log.warn(
            "The record is written again after {seconds:.0f} s; records lost in all: {lost}.",
            seconds=self._now() - self.failing_since,
            lost=self.lost,
        )
        self.failing_since, self.failing_reason = 0.0, ""
        self._set_most()

    def _note_failure(self, failure: Failure) -> None:
        if not isinstance(failure.value, OSError):
            self._note_bug(failure)
        self._is_busy = False
        reason = failure.getErrorMessage()
        if not self.failing_since:
            self._log.critical(
                "The record cannot be written to {folder}: {reason}. "
                "{consequence} Make room or mend the disk; it is tried again each second.",
                folder=str(self._folder),
                reason=reason,
                consequence="New requests are answered with 503." if self._stops else "The service goes on.",
            )
            self.failing_since = self._now()
            self._set_most()
        self.failing_reason = reason
        self._wake_later()
        self._await_more()

    def _note_bug(self, failure: Failure) -> None:
        self._log.failure("A bug in the writer of the record.", failure)


def _nothing() -> None:
    """Take part in the order of the thread."""
