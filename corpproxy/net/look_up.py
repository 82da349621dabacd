"""One name being looked up: two families of addresses, and the moment to answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.names import dns
from twisted.python.failure import Failure

from corpproxy.errors import UpstreamError
from corpproxy.net.name_answer import Found
from corpproxy.net.name_query import NoAnswer

# How long the first family of addresses waits for the second (RFC 8305, section 3: Resolution Delay).
RESOLUTION_DELAY_SECONDS = 0.05

# One look-up in all: a chain of aliases may ask several questions, each with its own limit.
LOOK_UP_SECONDS = 5.0

_log = Logger()


@dataclass(slots=True)
class Known:
    """What the cache holds for a name, until then: addresses, or the failure (code, sentence, timed out)."""

    until: float
    addresses: tuple[str, ...] = ()
    failure: tuple[str, str, bool] = ("", "", False)

    def problem(self) -> UpstreamError:
        """The failure, made anew for each who asks."""
        code, message, timed_out = self.failure
        return UpstreamError(code, message, phase="resolve", timed_out=timed_out)


class Sources(Protocol):
    """What a look-up needs of the names it is for."""

    async def family(self, host: str, kind: int) -> Found:
        """Find the addresses of one family."""

    def known(self, host: str, six: Found | NoAnswer | None, four: Found | NoAnswer | None) -> Known:
        """Put together what is known of both families."""

    def settled(self, look_up: LookUp, known: Known) -> None:
        """The answer is there."""

    def completed(self, look_up: LookUp, before: Known, known: Known) -> None:
        """The second family came after the answer."""

    def ended(self, look_up: LookUp) -> None:
        """Nothing is on the way any more."""


class LookUp:
    """One name being looked up, for all who ask for it meanwhile."""

    def __init__(self, names: Sources, clock: IReactorTime, host: str) -> None:
        self.host = host
        self._names = names
        self._clock = clock
        self._askers: list[Deferred[tuple[str, ...]]] = []
        self._families: dict[int, Found | NoAnswer] = {}
        self._open: dict[int, Deferred[Any]] = {}
        self._answer: Known | None = None
        self._delay: IDelayedCall | None = None
        self._end: IDelayedCall | None = None
        self._given_up = NoAnswer(f"no answer in {LOOK_UP_SECONDS:.0f} s", timed_out=True)

    def start(self) -> None:
        """Ask for both families, IPv6 first (RFC 8305, section 3)."""
        self._end = self._clock.callLater(LOOK_UP_SECONDS, self._give_up)
        for kind in (dns.AAAA, dns.A):
            self._open[kind] = ensureDeferred(self._names.family(self.host, kind))
        for kind, family in list(self._open.items()):
            family.addBoth(self._came, kind)

    def wait(self) -> tuple[str, ...] | Deferred[tuple[str, ...]]:
        """The addresses, for one more who asks."""
        if self._answer is not None:
            return self._answer.addresses or fail(self._answer.problem())
        asker: Deferred[tuple[str, ...]] = Deferred(self._askers.remove)
        self._askers.append(asker)
        return asker

    def stop(self) -> None:
        """Ask no more: the proxy stops, or has other names now."""
        self._given_up = NoAnswer("the proxy has stopped looking names up")
        self._give_up()

    def _give_up(self) -> None:
        for family in list(self._open.values()):
            family.cancel()

    def _came(self, outcome: Found | Failure, kind: int) -> None:
        """One family is in: answer when that is enough, or when the other is in too."""
        del self._open[kind]
        self._families[kind] = self._told(outcome)
        if self._answer is not None:
            self._names.completed(self, self._answer, self._together())
        elif not self._open:
            self._settle()
        elif self._says_enough(kind):
            self._delay = self._clock.callLater(RESOLUTION_DELAY_SECONDS, self._settle)
        if not self._open:
            self._cancel(self._end)
            self._names.ended(self)

    def _says_enough(self, kind: int) -> bool:
        """
        Whether one family alone is an answer.

        NXDOMAIN holds for all families, but some servers say it for AAAA alone (RFC 4074, section 4.2): it
        counts when it was said for A.
        """
        family = self._families[kind]
        return isinstance(family, Found) and (bool(family.addresses) or (kind == dns.A and not family.exists))

    def _settle(self) -> None:
        """Answer all who wait."""
        self._cancel(self._delay)
        answer = self._answer = self._together()
        self._names.settled(self, answer)
        askers, self._askers = self._askers, []
        for asker in askers:
            if answer.addresses:
                asker.callback(answer.addresses)
            else:
                asker.errback(answer.problem())

    def _together(self) -> Known:
        return self._names.known(self.host, self._families.get(dns.AAAA), self._families.get(dns.A))

    def _told(self, outcome: Found | Failure) -> Found | NoAnswer:
        if isinstance(outcome, Found):
            return outcome
        if isinstance(outcome.value, NoAnswer):
            return outcome.value
        if not isinstance(outcome.value, CancelledError):
            _log.failure("Looking up a host failed in a way that nobody expected", outcome)
            return NoAnswer("a fault of the proxy; its log says more")
        return self._given_up

    def _cancel(self, timer: IDelayedCall | None) -> None:
        if timer is not None and timer.active():
            timer.cancel()
