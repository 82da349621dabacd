"""The afterwork of a running service: a child process now and then, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.backends.afterwork.job import AfterworkJob, encoded
from corpproxy.backends.lists.files import build_command

# A closed segment waits so long for its index; what is newer than the roll-ups is added up by whoever asks.
EVERY_SECONDS = 300.0
# Ten million records that were there before take some minutes.
CHILD_SECONDS = 3600.0

_MAX_SAID_OCTETS = 4096


class Afterwork:
    """
    Has the afterwork done every few minutes.

    ``job`` says for what; ``reactor`` spawns processes and keeps time.

    :ivar failing: what could not be done the last time, in words; empty when all is well.
    """

    _log = Logger()

    def __init__(self, reactor: Any, job: Callable[[], AfterworkJob]) -> None:
        self._reactor = reactor
        self._job = job
        self._loop = LoopingCall(self.look)
        self._loop.clock = reactor
        self._child: _Child | None = None
        self.failing = ""

    def start(self) -> None:
        """Begin; the first time is a few minutes after the start, which has enough to do."""
        self._loop.start(EVERY_SECONDS, now=False)

    def look(self) -> None:
        """Have it done, unless it is being done."""
        if self._child is None:
            self._child = _Child(self._ended)
            self._child.start(self._reactor, encoded(self._job()))

    @property
    def is_busy(self) -> bool:
        """Whether a child is at work."""
        return self._child is not None

    def stop(self) -> Deferred[None]:
        """End; the Deferred fires when no child is at work any more.  What it had not done waits."""
        if self._loop.running:
            self._loop.stop()
        return self._child.abandon() if self._child is not None else succeed(None)

    def _ended(self, said: str) -> None:
        self._child = None
        if said and said != self.failing:
            self._log.error("of the record: {said}", said=said)
        self.failing = said


class _Child(ProcessProtocol):
    """A child at work; ``ended`` is told what it could not do, or an empty text."""

    transport: IProcessTransport

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self._said = b""
        self._limit: IDelayedCall | None = None
        self._over: Deferred[None] = Deferred()

    def start(self, reactor: Any, job: bytes) -> None:
        """Start the child and give it its job."""
        argv, environment = build_command("afterwork.run")
        self._limit = reactor.callLater(CHILD_SECONDS, self._kill)
        reactor.spawnProcess(self, argv[0], argv, environment)
        self.transport.writeToChild(0, job)
        self.transport.closeStdin()

    def abandon(self) -> Deferred[None]:
        """End the child as it stands: what it does is whole at any moment."""
        self._kill()
        return self._over

    def errReceived(self, data: bytes) -> None:
        """Keep the end of what the child complains of."""
        self._said = (self._said + data)[-_MAX_SAID_OCTETS:]

    def processEnded(self, reason: Failure) -> None:
        """Tell how it went."""
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
        self._ended(self._said.decode("utf-8", "replace").strip())
        self._over.callback(None)

    def _kill(self) -> None:
        try:
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            pass
