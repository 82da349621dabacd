"""The driver of the road: it performs what a coroutine awaits, and sends the outcome back in."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from twisted.python.failure import Failure

from corpproxy import twins
from corpproxy.errors import CorpproxyError
from corpproxy.exchange.commands import Command

# What a performer returns when the outcome comes later, through `Run.succeed` or `Run.fail`.
PENDING = object()


class Performs(Protocol):
    """Does what a road asks."""

    def perform(self, command: Command[Any]) -> Any:
        """Give the outcome at once, raise the failure, or give ``PENDING``."""


class Owner(Protocol):
    """Whose road it is."""

    def ended(self, error: BaseException | None) -> None:
        """The road is over; ``error`` is the exception that it did not expect."""


class RunInPython:
    """What drives a coroutine from one command to the next; ``native/road.c`` is made after it."""

    __slots__ = ("_coroutine", "_deaf", "_owner", "_performer", "_ready", "_running", "abandon", "over")

    def __init__(self, coroutine: Coroutine[Any, Any, None], owner: Owner, performer: Performs) -> None:
        self._coroutine = coroutine
        self._owner = owner
        self._performer = performer
        self._ready: tuple[bool, Any] | None = None
        self._running = False
        self._deaf = False
        self.abandon: Callable[[], None] | None = None
        self.over = False

    def start(self) -> None:
        """Run to the first command that has to wait, or to the end."""
        self._drive(self._coroutine.send, None)

    def succeed(self, outcome: Any = None) -> None:
        """Go on with the outcome of the pending command."""
        if self._running or self.over or self._deaf:
            self._go_on(False, outcome)
            return
        self.abandon = None
        self._drive(self._coroutine.send, outcome)

    def _go_on(self, failed: bool, value: Any) -> None:
        if self.over or self._deaf:
            return
        self.abandon = None
        if self._running:
            # The outcome came before the performer returned.  A cancellation in that moment wins.
            if self._ready is None or failed:
                self._ready = (failed, value)
            return
        self._drive(self._coroutine.throw if failed else self._coroutine.send, value)

    def _drive(self, step: Callable[[Any], Any], value: Any) -> None:
        self._running = True
        while True:
            try:
                command = step(value)
            except StopIteration:
                self._end(None)
                return
            except Exception as bug:
                self._end(bug)
                return
            step = self._coroutine.send
            try:
                value = self._performer.perform(command)
            except CorpproxyError as failure:
                step, value = self._coroutine.throw, failure
            except Exception as bug:
                step, value = self._coroutine.throw, bug
            ready, self._ready = self._ready, None
            if ready is not None:
                failed, value = ready
                step = self._coroutine.throw if failed else self._coroutine.send
            elif value is PENDING:
                self._running = False
                return

    def _end(self, error: BaseException | None) -> None:
        self.over = True
        self.abandon = None
        self._owner.ended(error)


if TYPE_CHECKING or twins.road is None:
    _Run = RunInPython
else:
    twins.road.set_pending(PENDING)
    _Run = twins.road.Run


class Run(_Run):
    """
    One coroutine on its way.

    No Deferred is made for what need not wait.  ``abandon`` is set by whoever is pending, and called when the
    road is cancelled instead.
    """

    __slots__ = ()

    def fail(self, failure: BaseException | Failure) -> None:
        """Go on with the failure of the pending command."""
        self._go_on(True, failure.value if isinstance(failure, Failure) else failure)

    def cancel(self, reason: BaseException) -> None:
        """Give the pending command up and throw ``reason`` in at the place where the road waits."""
        if self.over:
            return
        abandon, self.abandon = self.abandon, None
        if abandon is not None:
            # Who is told to give up may say so (a cancelled Deferred does): the reason is what counts.
            self._deaf = True
            try:
                abandon()
            finally:
                self._deaf = False
        self.fail(reason)
