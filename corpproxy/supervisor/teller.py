"""What a worker learns, on its way to the others; and what it hears of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.assembly import Lasting
from corpproxy.backends.people.sign_in import Learned
from corpproxy.pages.refusals import PastRefusal
from corpproxy.supervisor.board import BATCH
from corpproxy.supervisor.messages import (
    Granted,
    GrantEnded,
    LookAgain,
    Mistaken,
    Notice,
    RefusedOnce,
    Requested,
    SignedIn,
)

log = Logger()

# What comes within this time is sent together: less than it takes a person to go from one page to the next.
GATHER_SECONDS = 0.02
# The same for who signed in where no other worker waits to hear it: it is for one that begins later.
ALONE_SECONDS = 0.75
# Notices that wait; more refusals in that time than this are left to the record alone.
MAX_WAITING = 2_000


class Teller:
    """
    Gathers notices, and gives them to ``send`` in pieces; ``clock`` keeps time (IReactorTime).

    ``is_alone`` says that there is no other worker.

    A page brings thirty blocked trackers at once, and again at each visit: what repeats is sent once, with
    how often it was.
    """

    def __init__(
        self, send: Callable[[tuple[Notice, ...]], Deferred[Any]], clock: Any, *, is_alone: bool = False
    ) -> None:
        self._send = send
        self._clock = clock
        self._right_seconds = ALONE_SECONDS if is_alone else GATHER_SECONDS
        self._waiting: list[Notice] = []
        self._refused: dict[tuple[str, str, str, str], RefusedOnce] = {}
        self._timer: Any = None
        self.dropped = 0

    def learned(self, learned: Learned) -> None:
        """Credentials were checked."""
        told = (learned.digest, learned.name, learned.address, learned.line, learned.at)
        if not learned.is_right:
            self.tell(Mistaken(*told, learned.is_kept))
            return
        self._waiting.append(SignedIn(*told))
        self._soon(self._right_seconds)

    def changed(self) -> None:
        """The password file has changed."""
        self.tell(LookAgain())

    def refused(self, who: str, past: PastRefusal) -> None:
        """A person was refused something."""
        key = (who, past.host, past.rule, past.effect)
        before = self._refused.get(key)
        if before is None and len(self._refused) >= MAX_WAITING:
            self.dropped += 1
            return
        self._refused[key] = RefusedOnce(who, past, 1 if before is None else before.times + 1)
        self._soon()

    def tell(self, notice: Notice) -> None:
        """Send a notice soon; sign-ins and attempts are bounded by what it costs to check a password."""
        self._waiting.append(notice)
        self._soon()

    def flush(self) -> None:
        """Send what waits now."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        waiting = [*self._waiting, *self._refused.values()]
        self._waiting, self._refused = [], {}
        for at in range(0, len(waiting), BATCH):
            self._send(tuple(waiting[at : at + BATCH])).addErrback(_not_sent)

    def _soon(self, seconds: float = GATHER_SECONDS) -> None:
        if self._timer is None:
            self._timer = self._clock.callLater(seconds, self.flush)
        elif self._timer.getTime() > self._clock.seconds() + seconds:
            self._timer.reset(seconds)


def hear(notices: tuple[Notice, ...], lasting: Lasting) -> None:
    """Take notice of what other workers learned."""
    for notice in notices:
        match notice:
            case SignedIn(digest, name, address, line, at):
                lasting.reception.hear(Learned(digest, name, address, line, at, is_right=True))
            case Mistaken(digest, name, address, line, at, is_kept):
                learned = Learned(digest, name, address, line, at, is_right=False, is_kept=is_kept)
                lasting.reception.hear(learned)
            case LookAgain():
                lasting.reception.look()
            case Granted(grant):
                lasting.grants.add(grant)
            case GrantEnded(id):
                lasting.grants.end(id)
            case Requested(request):
                lasting.requests.keep(request)
            case RefusedOnce(who, past, times):
                lasting.refusals.keep(who, past, times)


def _not_sent(failure: Failure) -> None:
    if not failure.check(ConnectionDone, ConnectionLost):  # type: ignore[no-untyped-call]
        log.failure("what this worker learned could not be passed on", failure)
