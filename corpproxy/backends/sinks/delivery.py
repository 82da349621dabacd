"""
Delivering to one sink, for as long as it takes: in a thread of its own, which may wait.

A sink that cannot take records is tried again after a while that doubles each time.  What it was given on a
connection that broke soon after is given once more: some protocols never say what has arrived.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from corpproxy.audit.formats import writer
from corpproxy.audit.record import Record, UnreadableRecord, decode
from corpproxy.audit.sinks import SinkSettings, SinkState
from corpproxy.backends.sinks.checkpoints import CheckpointFollower
from corpproxy.backends.sinks.follow import Batch, Positions, RecordFollower
from corpproxy.masked import masked

# How often it is looked for new records, and how far behind the sink is.
LOOK_SECONDS = 0.25
MEASURE_SECONDS = 1.0

# At the end nobody waits for long; at worst, records come once more.
LAST_CONFIRM_SECONDS = 0.5

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0


class SinkFailure(Exception):
    """A sink did not take what it was given; it may be tried again, after ``seconds`` if it said so."""

    def __init__(self, reason: str, seconds: float = 0.0) -> None:
        super().__init__(masked(reason))
        self.seconds = seconds


class Entry(NamedTuple):
    """A record, and how it is written for the sink."""

    record: Record
    line: bytes


class Sink(Protocol):
    """
    What takes lines somewhere.

    ``confirm_seconds`` is how long a connection must hold until what went over it counts as delivered; 0
    where the other side says what it has.
    """

    confirm_seconds: float

    def send(self, entries: Sequence[Entry], positions: Positions) -> int:
        """
        Send records; gives how many were refused for good.

        :raises SinkFailure: when it does not take them now.
        """

    def send_checkpoint(self, line: bytes) -> None:
        """
        Send a checkpoint.

        :raises SinkFailure: when it does not take it now.
        """

    def positions(self) -> Positions:
        """How far the sink is, where it keeps that itself."""

    def is_taken(self) -> bool:
        """
        Whether the machine on the other side has all that was sent.

        :raises SinkFailure: when the connection is gone.
        """

    def close(self) -> None:
        """Let go of the connection."""


class Delivery:
    """Delivers to one sink until it is stopped."""

    def __init__(
        self,
        settings: SinkSettings,
        sink: Sink,
        records: Path,
        positions: Path,
        program: str,
        *,
        now: Callable[[], float] = time.time,
        first_wait: float = FIRST_WAIT_SECONDS,
    ) -> None:
        self.state = SinkState(name=settings.name)
        self._sink = sink
        self._write = writer(settings.format, settings.template, program)
        self._now = now
        self._first_wait = first_wait
        self._stop = threading.Event()
        self._ends_at = 0.0
        self._follower = (
            RecordFollower(records, positions / f"{settings.name}.json", settings.spool_octets)
            if settings.records
            else None
        )
        self._checkpoints = (
            CheckpointFollower(records, positions / f"{settings.name}.checkpoint")
            if settings.checkpoints
            else None
        )
        # What was sent and may still be lost: when, up to where, and how many records.
        self._unsure: deque[tuple[float, Positions, int]] = deque()
        self._measured = 0.0
        self._wait = 0.0
        self._knows_positions = False

    def stop(self, seconds: float) -> None:
        """Deliver what is there for so long at most, and end."""
        self._ends_at = time.monotonic() + seconds
        self._stop.set()

    def run(self) -> None:
        """Deliver until stopped."""
        while True:
            try:
                is_idle = not self._step()
                self._recover()
            except SinkFailure as failure:
                self._note_failure(str(failure), failure.seconds)
                is_idle = True
            except OSError as error:
                self._note_failure(str(error), 0.0)
                is_idle = True
            if self._stop.is_set() and self._is_over(is_idle=is_idle):
                break
            if is_idle:
                self._pause(self._wait or LOOK_SECONDS)
        self._sink.close()

    def _pause(self, seconds: float) -> None:
        """Wait; how far the sink falls behind meanwhile is looked at all the same."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._stop.is_set():
            self._stop.wait(min(left, MEASURE_SECONDS))
            with suppress(OSError):
                self._measure()

    def _is_over(self, *, is_idle: bool) -> bool:
        """Whether to end now: nothing is left, or nobody takes it, or the time is over."""
        is_done = is_idle and (self.state.failing_since > 0 or not self._unsure)
        return is_done or time.monotonic() > self._ends_at

    def _step(self) -> bool:
        """Deliver a batch; false when there was nothing to do."""
        self._measure()
        if self._follower is not None and not self._knows_positions:
            self._follower.adopt(self._sink.positions())
            self._knows_positions = True
        self._confirm()
        sent = self._send_checkpoints()
        batch = self._follower.batch() if self._follower is not None else None
        if batch is None:
            return sent
        self._send(batch)
        return True

    def _send(self, batch: Batch) -> None:
        assert self._follower is not None
        entries = self._entries(batch.lines)
        refused = self._sink.send(entries, batch.positions) if entries else 0
        self.state.refused += refused
        if self._sink.confirm_seconds:
            self._unsure.append((time.monotonic(), batch.positions, len(entries)))
            return
        self._follower.deliver(batch.positions)
        self.state.delivered += len(entries) - refused

    def _entries(self, lines: Sequence[bytes]) -> list[Entry]:
        """Write records in the sink's format; some have no line in it."""
        found = []
        for line in lines:
            try:
                record = decode(line)
            except UnreadableRecord:
                # Somebody else wrote it, or the disk is failing: every command tells of such a line.
                self.state.refused += 1
                continue
            written = line if self._write is None else _octets(self._write(record))
            if written is not None:
                found.append(Entry(record, written))
        return found

    def _confirm(self) -> None:
        """What was sent a while ago on a connection that still holds was delivered."""
        if not self._unsure:
            return
        if not self._sink.is_taken():
            return
        seconds = LAST_CONFIRM_SECONDS if self._stop.is_set() else self._sink.confirm_seconds
        until = time.monotonic() - seconds
        while self._unsure and self._unsure[0][0] <= until:
            _, positions, count = self._unsure.popleft()
            assert self._follower is not None
            self._follower.deliver(positions)
            self.state.delivered += count

    def _send_checkpoints(self) -> bool:
        if self._checkpoints is None:
            return False
        line = self._checkpoints.next()
        if line is None:
            return False
        self._sink.send_checkpoint(line)
        self._checkpoints.sent(line)
        self.state.checkpoints += 1
        return True

    def _measure(self) -> None:
        """How far the sink is behind, once a second."""
        now = time.monotonic()
        if self._follower is None or now - self._measured < MEASURE_SECONDS:
            return
        self._measured = now
        self.state.waiting = self._follower.waiting()
        self.state.dropped = self._follower.dropped

    def _note_failure(self, reason: str, seconds: float) -> None:
        self._sink.close()
        self._unsure.clear()
        self._knows_positions = False
        if self._follower is not None:
            self._follower.rewind()
        if not self.state.failing_since:
            self.state.failing_since = self._now()
        self.state.reason = reason
        doubled = min(LONGEST_WAIT_SECONDS, self._wait * 2) if self._wait else self._first_wait
        # Not all services of a site come back in the same moment.
        self._wait = seconds or doubled * random.uniform(0.8, 1.0)

    def _recover(self) -> None:
        if self._wait and not self._unsure:
            self._wait = 0.0
            self.state.failing_since, self.state.reason = 0.0, ""


def _octets(line: str | None) -> bytes | None:
    return None if line is None else line.encode("utf-8", "backslashreplace")
