"""The engine: one epoll descriptor that the reactor watches, and all sockets behind it."""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from corpproxy import twins
from corpproxy.net.engine.patience import Patience

# Everything is registered once and for both ways; what cannot be read or written now is asked again when
# the kernel says that this has changed.
EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
READABLE = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP
ENDING = select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP
WRITABLE = select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP

# Events taken in one turn.  The reactor's timers and other readers wait for the turn to end.
MAX_EVENTS = 256


log = Logger()


class Member(Protocol):
    """A socket in the engine."""

    def ready(self, events: int) -> None:
        """The kernel says that something has changed."""

    def failed(self) -> None:
        """Its own code raised: whatever it serves cannot go on."""

    def engine_stopped(self) -> None:
        """The reactor stops."""


class Leaving(Member, Protocol):
    """A socket with octets that leave at the end of the turn."""

    def leave(self) -> None:
        """The turn is over."""


@implementer(IReadDescriptor)
class Engine:
    """
    Runs sockets inside a Twisted reactor.

    ``soon`` is for what must not happen while somebody else's call is still on the stack: the end of a
    connection that a write found broken, for example.

    ``leaving`` are the transports with octets that leave together when the turn is over; None between turns,
    where octets leave at once.
    """

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self._epoll = select.epoll()
        self._register: Callable[[int, int], None] = self._epoll.register
        if twins.wire is not None:
            # As above, but it keeps the lock of the interpreter.
            self._register = partial(twins.wire.watch, self._epoll.fileno())
        # Who is told of a descriptor.
        self.members: dict[int, Member] = {}
        self._soon: deque[Callable[[], None]] = deque()
        self.leaving: list[Leaving] | None = None
        self._running = False
        self._scheduled = False
        self._stopped = False
        self.patience = Patience(reactor)
        reactor.addReader(self)

    def __len__(self) -> int:
        return len(self.members)

    # What sockets ask for.

    def join(self, descriptor: int, member: Member, events: int = EVENTS) -> None:
        """Tell ``member`` of all that happens to a descriptor."""
        self.members[descriptor] = member
        self._register(descriptor, events)

    def pause(self, descriptor: int) -> None:
        """Tell nothing of a descriptor that stays open, until it joins again."""
        self.leave(descriptor)
        self._epoll.unregister(descriptor)

    def leave(self, descriptor: int) -> None:
        """Tell nobody any more; closing the descriptor takes it out of the epoll by itself."""
        self.members.pop(descriptor, None)

    def soon(self, call: Callable[[], None]) -> None:
        """Call this before the engine sleeps again, but not now."""
        self._soon.append(call)
        if not self._running:
            self._schedule()

    def at_end(self, call: Callable[[], None]) -> None:
        """Call this when what the turn has to send has left; now, between turns."""
        if self.leaving is None:
            call()
        else:
            self._soon.append(call)

    # What the reactor asks for.

    def fileno(self) -> int:
        """The descriptor that is readable while any socket has something to tell."""
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        return "engine"

    def doRead(self) -> None:
        """Take one turn."""
        self._running = True
        leaving = self.leaving = []
        try:
            if twins.wire is not None and type(self._epoll) is select.epoll:
                twins.wire.turn(self._epoll.fileno(), self.members, MAX_EVENTS, _failed)
            else:
                self._turn()
            self.leaving = None
            if twins.wire is not None:
                twins.wire.leave(leaving, _failed)
            else:
                _leave(leaving)
            if self._soon:
                self._run_soon()
        finally:
            self.leaving = None
            self._running = False
            if self._soon:
                self._schedule()

    def _turn(self) -> None:
        """Tell the members what has happened to them; ``native/wire.c`` is made after it."""
        members = self.members
        for descriptor, events in self._epoll.poll(0, MAX_EVENTS):
            member = members.get(descriptor)
            if member is not None:
                try:
                    member.ready(events)
                except Exception as problem:
                    _failed(member, problem)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor stops, and drops its readers."""
        self.stop()

    def stop(self) -> None:
        """Close all sockets; each protocol is told that its connection is lost."""
        if self._stopped:
            return
        self._stopped = True
        self.reactor.removeReader(self)
        for member in list(self.members.values()):
            member.engine_stopped()
        self._run_soon()
        self.patience.stop()
        self._epoll.close()

    def _run_scheduled(self) -> None:
        self._scheduled = False
        self._run_soon()
        if self._soon:
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.reactor.callLater(0, self._run_scheduled)

    def _run_soon(self) -> None:
        """Make the calls that are due; those that they add wait for the next turn, so that nobody starves."""
        soon, self._soon = self._soon, deque()
        for call in soon:
            try:
                call()
            except Exception:
                log.failure("a connection failed")


def _leave(leaving: list[Leaving]) -> None:
    """Let transports send what they have kept; ``native/wire.c`` is made after it."""
    for transport in leaving:
        try:
            transport.leave()
        except Exception as problem:
            _failed(transport, problem)


def _failed(member: Member, problem: Exception) -> None:
    """The fault of one connection ends that one; all others live in this loop too."""
    log.failure("a connection failed", Failure(problem, type(problem), problem.__traceback__))  # type: ignore[no-untyped-call]
    member.failed()
