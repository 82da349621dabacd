"""A child process that does something for the lists: given a job, with so much time, told of once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from corpproxy.backends.lists.files import build_command, failure_in_words

# What a failing child says, as far as anybody reads it.
MAX_SAID_OCTETS = 64 * 1024


class ListChild(ProcessProtocol):
    """
    A child at work; ``ended`` is told why it failed, or an empty text.

    ``lines`` is told each line that it writes to its standard output.
    """

    transport: IProcessTransport

    def __init__(self, ended: Callable[[str], None], lines: Callable[[bytes], None] | None = None) -> None:
        self._ended: Callable[[str], None] | None = ended
        self._lines = lines
        self._line = b""
        self._said = b""
        self._limit: IDelayedCall | None = None
        self._over: Deferred[None] = Deferred()

    def start(self, reactor: Any, job: bytes, limit_seconds: float, module: str = "lists.build") -> None:
        """Start the child, which runs a module beside this one, and give it its job."""
        argv, environment = build_command(module)
        self._limit = reactor.callLater(limit_seconds, self._kill)
        reactor.spawnProcess(self, argv[0], argv, environment)
        self.transport.writeToChild(0, job)
        self.transport.closeStdin()

    def abandon(self) -> Deferred[None]:
        """End the child, of which nobody is told any more; the Deferred fires when it has ended."""
        self._ended = None
        self._stop_waiting()
        self._kill()
        return self._over

    def outReceived(self, data: bytes) -> None:
        """Take what the child tells, a line each."""
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            if self._lines is not None and self._ended is not None:
                self._lines(line)

    def errReceived(self, data: bytes) -> None:
        """Keep the end of what the child complains of."""
        self._said = (self._said + data)[-MAX_SAID_OCTETS:]

    def processEnded(self, reason: Failure) -> None:
        """Tell how it went."""
        self._stop_waiting()
        self._over.callback(None)
        ended, self._ended = self._ended, None
        if ended is None:
            return
        died = reason.value
        if isinstance(died, ProcessTerminated):
            ended(failure_in_words(died.exitCode or died.signal, self._said))
        else:
            ended("")

    def _stop_waiting(self) -> None:
        if self._limit is not None and self._limit.active():
            self._limit.cancel()

    def _kill(self) -> None:
        try:
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            pass
