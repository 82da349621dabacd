"""One worker process, from its start to its end, as the supervisor sees it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

import corpproxy
from corpproxy.supervisor.wire import Link, PairTransport

log = Logger()

# The descriptor of the socket pair in a worker; listening sockets follow it.
LINK_DESCRIPTOR = 3
FIRST_SOCKET = 4

# What a dead worker sent last is read within this time after its end.
LAST_WORDS_SECONDS = 2.0

# A line of a worker's log, at most; the rest is cut.
MAX_LINE_OCTETS = 64 * 1024

_ROOT = str(Path(corpproxy.__file__).resolve().parent.parent)


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


class Employment(ProcessProtocol):
    """
    Starts one worker process, passes on its log, and tells when it is over.

    The end is told once the process has ended and its link is read to its end: what it sent before it died is
    taken first.
    """

    transport: Any

    def __init__(self, number: int, employer: Employer, reactor: Any) -> None:
        self.number = number
        self.link = employer.link()
        self._employer = employer
        self._reactor = reactor
        self._rest: dict[int, bytes] = {}
        self._how: str | None = None
        self._waiting: Any = None

    @property
    def pid(self) -> int:
        """The process, 0 when it is over."""
        return int(getattr(self.transport, "pid", 0) or 0)

    def start(self, sockets: Sequence[int]) -> None:
        """Start the process, which inherits these descriptors from `FIRST_SOCKET` on."""
        ours, theirs = socket.socketpair()
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            descriptors: dict[int, Any] = {0: nothing, 1: "r", 2: "r", LINK_DESCRIPTOR: theirs.fileno()}
            descriptors.update(enumerate(sockets, FIRST_SOCKET))
            argv, environment = worker_command(self.link.parcels.folder)
            self._reactor.spawnProcess(self, argv[0], argv, environment, childFDs=descriptors)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(nothing)
        self.link.when_lost = self._link_lost
        PairTransport(ours, self.link, self._reactor)

    def signal(self, name: str) -> None:
        """Send a signal; one that is over gets none."""
        try:
            self.transport.signalProcess(name)
        except ProcessExitedAlready:
            pass

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Pass on whole lines."""
        *lines, rest = (self._rest.get(childFD, b"") + data).split(b"\n")
        self._rest[childFD] = rest[-MAX_LINE_OCTETS:]
        for line in lines:
            self._say(line)

    def processEnded(self, reason: Failure) -> None:
        """Tell the end, once the link is read."""
        for line in self._rest.values():
            if line:
                self._say(line)
        self._how = _in_words(reason)
        if self.link.is_open:
            self._waiting = self._reactor.callLater(LAST_WORDS_SECONDS, self._cut)
        else:
            self._employer.ended(self._how)

    def _cut(self) -> None:
        """Somebody else holds the other end open: the process is over all the same."""
        self._waiting = None
        self.link.transport.abortConnection()

    def _link_lost(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
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


def worker_command(parcels: Path) -> tuple[list[str], Mapping[str, str]]:
    """
    Give the arguments and the environment of a worker.

    It finds the same corpproxy as we are, and nothing in the folder where it happens to be started.
    """
    before = os.environ.get("PYTHONPATH")
    search = os.pathsep.join([_ROOT, before] if before else [_ROOT])
    argv = [sys.executable, "-P", "-m", "corpproxy.worker", str(parcels)]
    return argv, {**os.environ, "PYTHONPATH": search}


def _in_words(reason: Failure) -> str:
    number, code = getattr(reason.value, "signal", None), getattr(reason.value, "exitCode", None)
    if number:
        return f"by signal {number}"
    return "in order" if code == 0 else f"with exit code {code}"
