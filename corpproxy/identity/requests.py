"""
Requests: a person asks for a host that a rule refuses, or for more of a quota, and somebody who may decides.

What was asked, and what became of it, is kept for the person and for those who decide.  Nobody can fill the
list: each person has few requests that wait, and asking again for the same host is the same request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from corpproxy.identity.grants import MAX_ALSO

# A person who waits for so many answers need not ask for more; those who decide must be able to read them.
MAX_WAITING = 5
# What one person finds of the own requests, and what is kept of all.
MAX_PER_PERSON = 20
MAX_REQUESTS = 5_000
# A request that nobody looked at until the next day is no longer the question of anybody.
WAITING_SECONDS = 24 * 3600.0
# What was decided is shown for so long; then only the record has it.
KEPT_SECONDS = 7 * 24 * 3600.0
# Who was refused does not ask again at once.
QUIET_SECONDS = 15 * 60.0
MAX_REASON_CHARACTERS = 300


class State(StrEnum):
    """What became of a request."""

    WAITING = "waiting"
    GRANTED = "granted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """
    One request.

    ``who`` is the grantee (`corpproxy.identity.grants.grantee`), ``client``, ``listener`` and ``groups`` are
    those of then.  ``host`` was refused by ``rule``; ``also`` are the hosts that further refused requests of
    the same time named, each with its rule.  ``reason`` are the words of the person.  ``at`` and
    ``decided_at`` are POSIX seconds.  ``by`` decided, with ``answer`` as the words for the person; ``grant``
    is the id of the grant that came of it, which holds until ``until``.

    A request for more of a quota names its ``limit`` and the ``member`` of it, and no host and no rule;
    ``more`` is how much was given, octets or minutes, until ``until``.
    """

    id: str
    who: str
    host: str
    rule: str
    uri: str
    at: float
    reason: str = ""
    category: str = ""
    client: str = ""
    listener: str = ""
    groups: tuple[str, ...] = ()
    also: tuple[tuple[str, str], ...] = ()
    state: State = State.WAITING
    by: str = ""
    decided_at: float = 0.0
    answer: str = ""
    grant: str = ""
    until: float = 0.0
    limit: str = ""
    member: str = ""
    more: float = 0.0

    @property
    def about(self) -> tuple[str, str, str]:
        """What it is for: asking for the same again is the same request."""
        return self.host, self.rule, self.limit

    @property
    def is_waiting(self) -> bool:
        """Whether nobody has decided yet."""
        return self.state is State.WAITING

    @property
    def last_at(self) -> float:
        """When something happened to it last."""
        return max(self.at, self.decided_at)


class TooMany(Exception):
    """A request is not taken: ``code`` is ``too-many-waiting`` or ``refused-lately``."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Requests:
    """
    The requests of a site, within bounds.

    Settled ones go before those that wait, and the oldest go first.
    """

    def __init__(self, limit: int = MAX_REQUESTS) -> None:
        self._limit = limit
        self._all: dict[str, AccessRequest] = {}

    def __len__(self) -> int:
        return len(self._all)

    def taken(self, asked: AccessRequest) -> AccessRequest:
        """
        Give the request as it is to be kept: a new one, or one that waits with what was added to it.

        Raises `TooMany`.  Nothing is kept by it (see `keep`).
        """
        mine = self._of(asked.who)
        for one in mine:
            if one.about == asked.about:
                if self._waits(one, asked.at):
                    also = tuple(dict.fromkeys((*one.also, *asked.also)))[:MAX_ALSO]
                    return replace(one, at=asked.at, reason=asked.reason or one.reason, also=also)
                if one.state is State.REFUSED and asked.at - one.decided_at < QUIET_SECONDS:
                    raise TooMany("refused-lately")
        if sum(self._waits(one, asked.at) for one in mine) >= MAX_WAITING:
            raise TooMany("too-many-waiting")
        return asked

    def keep(self, request: AccessRequest) -> None:
        """Keep a request as it is now; what was known of it before is replaced."""
        self._all[request.id] = request
        mine = self._of(request.who)
        if len(mine) > MAX_PER_PERSON:
            self._drop(mine)
        elif len(self._all) > self._limit:
            self._drop(self._all.values())

    def get(self, id: str) -> AccessRequest | None:
        """Give the request of this id."""
        return self._all.get(id)

    def of(self, who: str, now: float) -> tuple[AccessRequest, ...]:
        """Give the requests of one person that are still worth showing, the last one first."""
        return _last_first(one for one in self._of(who) if self._lives(one, now))

    def waiting(self, now: float) -> tuple[AccessRequest, ...]:
        """Give the requests that wait, the first one first: who waited longest."""
        return tuple(reversed(_last_first(one for one in self._all.values() if self._waits(one, now))))

    def all(self, now: float) -> tuple[AccessRequest, ...]:
        """Give all that are still worth showing, the last one first."""
        return _last_first(one for one in self._all.values() if self._lives(one, now))

    def expire(self, now: float) -> None:
        """Let go of what is too old."""
        self._all = {id: one for id, one in self._all.items() if self._lives(one, now)}

    def forget(self, is_erased: Callable[[AccessRequest], bool]) -> None:
        """Forget the requests that are to be forgotten, settled or not."""
        self._all = {id: one for id, one in self._all.items() if not is_erased(one)}

    def load(self, kept: Iterable[AccessRequest], now: float) -> None:
        """Add the requests that a store kept."""
        for request in kept:
            if self._lives(request, now):
                self.keep(request)

    def _of(self, who: str) -> list[AccessRequest]:
        return [one for one in self._all.values() if one.who == who]

    def _drop(self, some: Iterable[AccessRequest]) -> None:
        del self._all[min(some, key=lambda one: (one.is_waiting, one.last_at)).id]

    def _waits(self, request: AccessRequest, now: float) -> bool:
        return request.is_waiting and now - request.at < WAITING_SECONDS

    def _lives(self, request: AccessRequest, now: float) -> bool:
        return self._waits(request, now) or (
            not request.is_waiting and now - request.decided_at < KEPT_SECONDS
        )


def _last_first(requests: Iterator[AccessRequest]) -> tuple[AccessRequest, ...]:
    return tuple(sorted(requests, key=lambda one: one.last_at, reverse=True))
