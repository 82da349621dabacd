"""The child process that erases in files, as the service starts it and hears of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from corpproxy.audit.erasure import Reached
from corpproxy.backends.erasing.job import Done, EraseJob, Line, Told
from corpproxy.backends.lists.files import build_command, failure_in_words
from corpproxy.errors import CorpproxyError

_MAX_SAID_OCTETS = 64 * 1024
_DECODER = msgspec.json.Decoder(Line)


class NotErased(CorpproxyError):
    """An erasure came to no end (``not-erased``); the message says why.  It goes on when it is done again."""


class EraseChild(ProcessProtocol):
    """
    One child; ``done`` hears of each segment that it finished.

    :ivar over: fires with what each place came to, or fails with `NotErased`.
    """

    transport: IProcessTransport

    def __init__(self, done: Callable[[Done], None] = lambda one: None) -> None:
        self.over: Deferred[list[Reached]] = Deferred()
        self._done = done
        self._told: list[Reached] = []
        self._line = b""
        self._said = b""

    def start(self, reactor: Any, job: EraseJob) -> Deferred[list[Reached]]:
        """Start the child and give it its job."""
        argv, environment = build_command("erasing.job")
        reactor.spawnProcess(self, argv[0], argv, environment)
        self.transport.writeToChild(0, msgspec.json.encode(job))
        self.transport.closeStdin()
        return self.over

    def kill(self) -> None:
        """End it; what it did stays done."""
        try:
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            pass

    def outReceived(self, data: bytes) -> None:
        """Take what it tells, a line each."""
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            told = _DECODER.decode(line)
            if isinstance(told, Told):
                self._told.append(told.reached)
            else:
                self._done(told)

    def errReceived(self, data: bytes) -> None:
        """Keep the end of what it complains of."""
        self._said = (self._said + data)[-_MAX_SAID_OCTETS:]

    def processEnded(self, reason: Failure) -> None:
        """Say how it went."""
        died = reason.value
        if isinstance(died, ProcessTerminated):
            said = failure_in_words(died.exitCode or died.signal, self._said)
            self.over.errback(NotErased("not-erased", f"records could not be erased: {said}"))
        else:
            self.over.callback(self._told)
