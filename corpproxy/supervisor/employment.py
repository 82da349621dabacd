"""One worker process, from its start to its end, as the supervisor sees it."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
from twisted.logger import Logger, LogLevel

from corpproxy.supervisor.wire import Link, PairTransport

log = Logger()

# The descriptor of the socket pair in a worker; listening sockets follow it.
LINK_DESCRIPTOR = 3
FIRST_SOCKET = 4

# What a dead worker sent last is read within this time after its end.
LAST_WORDS_SECONDS = 2.0

# A line of a worker's log, at most; the rest is cut.
MAX_LINE_OCTETS = 64 * 1024


class LogLine(msgspec.Struct):
    """One event of a worker's log, on its way to the log of the service."""

    level: str
    namespace: str
    text: str


class Employer(Protocol):
    """Who is told of a worker process."""

    def link(self) -> Link:
        """Make our end of the socket pair."""

    def ended(self, how: str) -> None:
        """The process is over, and all that it sent has been read; ``how`` is for the log."""


class Process(Protocol):
    """A process that was begun."""

    @property
    def pid(self) -> int:
        """Its number, 0 while it is not known yet and when it is over."""

    def signal(self, name: str) -> None:
        """Send a signal, as ``KILL``; one that is over gets none."""


class Watcher(Protocol):
    """Who is told what a process does."""

    def said(self, stream: int, octets: bytes) -> None:
        """It wrote to its standard output (1) or error (2)."""

    def over(self, how: str) -> None:
        """It ended; all that it wrote has been told."""

    def orphaned(self) -> None:
        """Nobody will tell its end any more: the loss of its link has to."""


class Maker(Protocol):
    """Begins worker processes."""

    def make(self, watcher: Watcher, parcels: Path, descriptors: Sequence[int]) -> Process:
        """
        Begin one, which inherits these descriptors from `LINK_DESCRIPTOR` on.

        :raises OSError: when the system refuses.
        """


class Employment:
    """
    Has one worker process begun, passes on its log, and tells when it is over.

    The end is told once the process has ended and its link is read to its end: what it sent before it died is
    taken first.
    """

    def __init__(self, number: int, employer: Employer, reactor: Any, maker: Maker) -> None:
        self.number = number
        self.link = employer.link()
        self._employer = employer
        self._reactor = reactor
        self._maker = maker
        self._process: Process | None = None
        self._rest: dict[int, bytes] = {}
        self._how: str | None = None
        self._is_orphan = False
        self._waiting: Any = None

    @property
    def pid(self) -> int:
        """The process, 0 when it is over."""
        return self._process.pid if self._process is not None else 0

    def start(self, sockets: Sequence[int]) -> None:
        """Start the process, which inherits these descriptors from `FIRST_SOCKET` on."""
        ours, theirs = socket.socketpair()
        try:
            self._process = self._maker.make(self, self.link.parcels.folder, [theirs.fileno(), *sockets])
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.link.when_lost = self._link_lost
        PairTransport(ours, self.link, self._reactor)

    def signal(self, name: str) -> None:
        """Send a signal; one that is over gets none."""
        if self._process is not None:
            self._process.signal(name)

    # What the process does.

    def said(self, stream: int, octets: bytes) -> None:
        """Pass on whole lines."""
        *lines, rest = (self._rest.get(stream, b"") + octets).split(b"\n")
        self._rest[stream] = rest[-MAX_LINE_OCTETS:]
        for line in lines:
            self._say(line)

    def over(self, how: str) -> None:
        """Tell the end, once the link is read."""
        for line in self._rest.values():
            if line:
                self._say(line)
        self._how = how
        if self.link.is_open:
            self._waiting = self._reactor.callLater(LAST_WORDS_SECONDS, self._cut)
        else:
            self._employer.ended(how)

    def orphaned(self) -> None:
        """Its end will be seen by the link alone."""
        self._is_orphan = True
        if not self.link.is_open and self._how is None:
            self._link_lost()

    def _cut(self) -> None:
        """Somebody else holds the other end open: the process is over all the same."""
        self._waiting = None
        self.link.transport.abortConnection()

    def _link_lost(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if self._is_orphan and self._how is None:
            # It ends by itself without a link; one that cannot must not go on beside its successor.
            self.signal("KILL")
            self._how = "unseen"
        if self._how is not None:
            self._employer.ended(self._how)

    def _say(self, line: bytes) -> None:
        try:
            said = msgspec.json.decode(line, type=LogLine)
            level = LogLevel.lookupByName(said.level)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
            text = line.decode("utf-8", "replace")
            log.warn("worker {number} said: {text}", number=self.number, text=text)
            return
        Logger(said.namespace).emit(level, "worker {number}: {text}", number=self.number, text=said.text)


def in_words(exit_code: int) -> str:
    """Say how a process ended; a negative code is the signal that ended it."""
    if exit_code < 0:
        return f"by signal {-exit_code}"
    return "in order" if exit_code == 0 else f"with exit code {exit_code}"
