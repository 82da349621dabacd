"""
The maker of checkpoints: once a minute, and whenever a segment is closed, it signs how far the chains are.

Chains are those of this process and of workers; whoever writes one tells how far it is on the disk.  A
checkpoint names what has changed since the last one.  While none can be written the ends are kept, and signed
together later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from corpproxy.audit.checkpoint import NONE_BEFORE, Checkpoint, line_hash, signed
from corpproxy.audit.proof import Dropped, End
from corpproxy.audit.times import utc_text
from corpproxy.backends.one_thread import WorkThread
from corpproxy.backends.records.checkpoint_files import append_checkpoint, last_checkpoint

# What is not signed yet can be lost unnoticed: a minute of it, at the most.
CHECKPOINT_SECONDS = 60.0
# How often it is looked whether one is due.
LOOK_SECONDS = 1.0


class Checkpoints:
    """
    Signs the ends of chains.

    ``folder`` is that of the records; ``copies`` are folders elsewhere that get every checkpoint too.
    ``now`` gives POSIX seconds.  Call `look` each second, and `close` at the end.

    :ivar made: how many were made.
    :ivar failing_since: POSIX seconds since when none can be written, 0 when all is well.
    :ivar failing_reason: what the system said.
    """

    _log = Logger()

    def __init__(
        self,
        folder: Path,
        key: Ed25519PrivateKey,
        thread: WorkThread,
        now: Callable[[], float],
        copies: Iterable[Path] = (),
    ) -> None:
        """
        Go on from the last checkpoint in the folder.

        :raises OSError: when the folder cannot be read.
        """
        self._folder = folder
        self._key = key
        self._thread = thread
        self._now = now
        self.copies = tuple(copies)
        before = last_checkpoint(folder)
        self._number, self._before = (before[0].number, before[1]) if before else (0, NONE_BEFORE)
        self._ends: dict[tuple[object, str], End] = {}
        self._signed: dict[object, End] = {}
        self._dropped: list[Dropped] = []
        self._last_at = now()
        self._is_due = False
        self._is_busy = False
        self.made = 0
        self.failing_since = 0.0
        self.failing_reason = ""

    def note(self, chain: object, end: End | None) -> None:
        """Take notice of how far a chain is."""
        if end is None or self._signed.get(chain) == end:
            return
        segments = [segment for whose, segment in self._ends if whose == chain]
        if segments and end.segment not in segments:
            # The segment before is closed: its end is signed for itself, and at once.
            self._is_due = True
        self._ends[chain, end.segment] = end

    def look(self) -> None:
        """Make a checkpoint if one is due; called each second."""
        due = self._is_due or self._now() - self._last_at >= CHECKPOINT_SECONDS or self._now() < self._last_at
        if due and not self._is_busy:
            self._make()

    def sign_dropped(self, dropped: Iterable[Dropped]) -> Deferred[None]:
        """
        Sign at once that segments are deleted; comes back when that is on the disk.

        Fails with OSError when it cannot be written: nothing may be deleted then.
        """
        return Deferred.fromCoroutine(self._sign_dropped(tuple(dropped)))

    async def _sign_dropped(self, dropped: tuple[Dropped, ...]) -> None:
        # One is made at a time: the thread works in order, so that what was under way has come back.
        await self._thread.run(_nothing)
        self._dropped += dropped
        made = self._make()
        if made is not None:
            await made
        if self.failing_since:
            raise OSError(f"no checkpoint can be written: {self.failing_reason}")

    def close(self) -> Deferred[None]:
        """Sign what is left, and end the thread."""
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        # The thread works in order: once it did nothing, what was under way has come back.
        await self._thread.run(_nothing)
        made = self._make()
        if made is not None:
            await made
        self._thread.stop()

    def _make(self) -> Deferred[None] | None:
        self._last_at, self._is_due = self._now(), False
        if not (self._ends or self._dropped):
            return None
        ends, dropped = dict(self._ends), tuple(self._dropped)
        checkpoint = Checkpoint(
            number=self._number + 1,
            at=utc_text(self._last_at),
            chains=tuple(ends.values()),
            dropped=dropped,
            before=self._before,
        )
        line = signed(checkpoint, self._key)
        self._is_busy = True
        writing = self._thread.run(partial(append_checkpoint, self._folder, line, self._last_at))
        writing.addCallback(lambda _: self._note_made(line, ends, len(dropped)))
        return writing.addErrback(self._note_failure)

    def _note_made(
        self, line: bytes, ends: dict[tuple[object, str], End], dropped: int
    ) -> Deferred[None] | None:
        self._is_busy = False
        self._number, self._before = self._number + 1, line_hash(line)
        self.made += 1
        for (chain, segment), end in ends.items():
            self._signed[chain] = end
            if self._ends.get((chain, segment)) == end:
                del self._ends[chain, segment]
        del self._dropped[:dropped]
        if self.failing_since:
            self._log.warn("checkpoints of the record are written again")
            self.failing_since, self.failing_reason = 0.0, ""
        if not self.copies:
            return None
        return self._thread.run(partial(self._copy, line, self._last_at))

    def _copy(self, line: bytes, at: float) -> None:
        """Write it elsewhere, too: one place that is gone keeps no other from having it."""
        for folder in self.copies:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                append_checkpoint(folder, line, at)
            except OSError as error:
                said = "checkpoint {number} could not be copied to {folder}: {reason}"
                self._log.error(said, number=self._number, folder=str(folder), reason=str(error))

    def _note_failure(self, failure: object) -> None:
        self._is_busy = False
        error = failure.value  # type: ignore[attr-defined]
        if not isinstance(error, OSError):
            self._log.failure("a checkpoint of the record could not be made", failure)  # type: ignore[arg-type]
        self.failing_reason = str(error)
        if not self.failing_since:
            self.failing_since = self._now()
            said = "checkpoints cannot be written to {folder}: {reason}; it is tried again each minute"
            self._log.critical(said, folder=str(self._folder), reason=self.failing_reason)


def _nothing() -> None:
    """Take part in the order of the thread."""
