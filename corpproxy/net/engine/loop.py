"""The engine: one epoll descriptor that the reactor watches, and all sockets behind it."""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

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


class LoopInPython:
    """
    Who is told of a descriptor, and what is due; ``native/engine.c`` is made after it.

    ``leaving`` are the transports with octets that leave together when the turn is over; None between turns,
    where octets leave at once.
    """

    def __init__(self) -> None:
        # By the number of the descriptor, which the kernel takes from the lowest that are free.
        self._members: list[Member | None] = []
        self._soon: deque[Callable[[], None]] = deque()

    def __len__(self) -> int:
        return len(self._all_members())

    # What sockets ask for.

    def put(self, descriptor: int, member: Member) -> None:
        """Tell ``member`` from now on; the kernel knows of the descriptor already, or will."""
        members = self._members
        if descriptor < 0:
            raise ValueError("a descriptor is not below 0")
        if descriptor >= len(members):
            members.extend([None] * (descriptor + 1 - len(members)))
        members[descriptor] = member

    def join(self, descriptor: int, member: Member, events: int = EVENTS) -> None:
        """Tell ``member`` of all that happens to a descriptor."""
        self.put(descriptor, member)
        self._register(descriptor, events)

    def leave(self, descriptor: int) -> None:
        """Tell nobody any more; closing the descriptor takes it out of the epoll by itself."""
        if 0 <= descriptor < len(self._members):
            self._members[descriptor] = None

    def member(self, descriptor: int) -> Member | None:
        """Who is told of a descriptor."""
        return self._members[descriptor] if 0 <= descriptor < len(self._members) else None

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

    def is_due(self) -> bool:
        """Whether something is to be called soon."""
        return bool(self._soon)

    # What the reactor asks for.

    def doRead(self) -> None:
        """Take one turn."""
        self._running = True
        leaving: list[Leaving] = []
        self.leaving = leaving
        try:
            self._turn()
            self.leaving = None
            _leave(leaving)
            if self._soon:
                self._run_soon()
        finally:
            self.leaving = None
            self._running = False
            if self._soon:
                self._schedule()

    # What happens in a turn.

    def _all_members(self) -> list[Member]:
        return [member for member in self._members if member is not None]

    def _run_soon(self) -> None:
        """Make the calls that are due; those that they add wait for the next turn, so that nobody starves."""
        soon, self._soon = self._soon, deque()
        for call in soon:
            try:
                call()
            except Exception as problem:
                self._due_failed(problem)

    # What only the whole engine knows.

    leaving: list[Leaving] | None
    _running: bool
    _register: Callable[[int, int], None]
    _schedule: Callable[[], None]
    _turn: Callable[[], None]
    _due_failed: Callable[[Exception], None]


if twins.wire is None or TYPE_CHECKING:
    Loop = LoopInPython
else:
    Loop = twins.wire.Loop


@implementer(IReadDescriptor)
class Engine(Loop):
    """
    Runs sockets inside a Twisted reactor.

    ``soon`` is for what must not happen while somebody else's call is still on the stack: the end of a
    connection that a write found broken, for example.
    """

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self.reactor = reactor
        self._epoll = select.epoll()
        self._register: Callable[[int, int], None] = self._epoll.register
        # Where it is compiled, the kernel is asked without the lock of the interpreter being let go.
        self._descriptor = self._epoll.fileno()
        self._most = MAX_EVENTS
        self.leaving: list[Leaving] | None = None
        self._running = False
        self._scheduled = False
        self._stopped = False
        self.patience = Patience(reactor)
        reactor.addReader(self)

    def pause(self, descriptor: int) -> None:
        """Tell nothing of a descriptor that stays open, until it joins again."""
        self.leave(descriptor)
        self._epoll.unregister(descriptor)

    # What the reactor asks for.

    def fileno(self) -> int:
        """The descriptor that is readable while any socket has something to tell."""
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        return "engine"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor stops, and drops its readers."""
        self.stop()

    def stop(self) -> None:
        """Close all sockets; each protocol is told that its connection is lost."""
        if self._stopped:
            return
        self._stopped = True
        self.reactor.removeReader(self)
        for member in self._all_members():
            member.engine_stopped()
        self._run_soon()
        self.patience.stop()
        self._epoll.close()

    # What happens in a turn.

    def _turn(self) -> None:
        """Tell the members what has happened to them; ``native/turn.c`` is made after it."""
        for descriptor, events in self._epoll.poll(0, MAX_EVENTS):
            member = self.member(descriptor)
            if member is not None:
                try:
                    member.ready(events)
                except Exception as problem:
                    _failed(member, problem)

    def _run_scheduled(self) -> None:
        self._scheduled = False
        self._run_soon()
        if self.is_due():
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.reactor.callLater(0, self._run_scheduled)

    def _due_failed(self, problem: Exception) -> None:
        log.failure("a connection failed", _failure(problem))

    def _failed(self, member: Member, problem: Exception) -> None:
        _failed(member, problem)


def _leave(leaving: list[Leaving]) -> None:
    """Let transports send what they have kept; ``native/turn.c`` is made after it."""
    for transport in leaving:
        try:
            transport.leave()
        except Exception as problem:
            _failed(transport, problem)


def _failed(member: Member, problem: Exception) -> None:
    """The fault of one connection ends that one; all others live in this loop too."""
    log.failure("a connection failed", _failure(problem))
    member.failed()


def _failure(problem: Exception) -> Failure:
    return Failure(problem, type(problem), problem.__traceback__)  # type: ignore[no-untyped-call]
