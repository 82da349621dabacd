"""
The board: what workers learned, kept for those that come later and passed on to all others.

Sign-ins, wrong attempts and refusals live in the memory of each worker.  What one worker learns is told here
and to all other workers at once.  A worker that begins later, in the place of one that died, is told all that
is still worth knowing: else it would check every password again, and forgive who guesses.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from corpproxy.audit.erasure import Erasure
from corpproxy.identity.attempts import FORGET_SECONDS
from corpproxy.pages.refusals import LIFE_SECONDS, is_erased
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
from corpproxy.supervisor.sign_ins import KeptSignIns

# All that is kept, each kind by itself: as much as one process remembers of sign-ins, attempts and refusals.
MAX_SIGNED_IN = 50_000
MAX_MISTAKEN = 20_000
MAX_REFUSED = 30_000

# Notices that are sent together: some 60 KiB.
BATCH = 200

_Key = tuple[object, ...]
_Name = TypeVar("_Name")
_Kind = TypeVar("_Kind")


class Board:
    """Keeps notices, each kind bounded; the oldest go first.  ``now`` is POSIX seconds."""

    def __init__(self, now: Callable[[], float], remember_seconds: float) -> None:
        self._now = now
        self.remember_seconds = remember_seconds
        self._signed_in = KeptSignIns(MAX_SIGNED_IN, MAX_MISTAKEN)
        self._mistaken: OrderedDict[_Key, Mistaken] = OrderedDict()
        self._refused: OrderedDict[_Key, RefusedOnce] = OrderedDict()

    def __len__(self) -> int:
        return len(self._signed_in) + len(self._mistaken) + len(self._refused)

    def post(self, notices: Iterable[Notice]) -> None:
        """Keep what a later worker has a use for; grants and requests are told to it by themselves."""
        for notice in notices:
            match notice:
                case SignedIn():
                    # As in the memory of a worker: what was right is wrong no more, and forgives its name.
                    self._forget(notice.name, notice.address)
                    self._signed_in.add(notice, self._now() - self.remember_seconds)
                case Mistaken():
                    self._signed_in.wrong(notice.digest)
                    key = (notice.name, notice.address, notice.digest)
                    # The same wrong password counts once, when it came first.
                    _put(self._mistaken, key, self._mistaken.get(key, notice), MAX_MISTAKEN)
                case RefusedOnce():
                    self._add_refusal(notice)
                case Granted() | GrantEnded() | Requested() | LookAgain():
                    pass

    def batches(self) -> Iterator[tuple[Notice, ...]]:
        """Give what is worth knowing now, the oldest first, in pieces."""
        worth = list(self._living())
        for at in range(0, len(worth), BATCH):
            yield tuple(worth[at : at + BATCH])

    def forget(self, erasure: Erasure) -> None:
        """Forget the refusals that an erasure is about; what is kept of sign-ins names no place."""
        gone = [key for key, one in self._refused.items() if is_erased(erasure, one.who, one.past)]
        for key in gone:
            del self._refused[key]

    def _living(self) -> Iterator[Notice]:
        now = self._now()
        # Attempts first: a later sign-in forgives them.
        yield from (one for one in self._mistaken.values() if one.at > now - FORGET_SECONDS)
        yield from self._signed_in.since(now - self.remember_seconds)
        yield from (one for one in self._refused.values() if one.past.at > now - LIFE_SECONDS)

    def _forget(self, name: str, address: str) -> None:
        mine = [key for key in self._mistaken if key[:2] == (name, address)] if self._mistaken else ()
        for key in mine:
            del self._mistaken[key]

    def _add_refusal(self, notice: RefusedOnce) -> None:
        past = notice.past
        key = (notice.who, past.host, past.rule, past.effect)
        before = self._refused.get(key)
        times = notice.times + (before.times if before is not None else 0)
        _put(self._refused, key, RefusedOnce(notice.who, past, times), MAX_REFUSED)


def _put(kept: OrderedDict[_Name, _Kind], key: _Name, notice: _Kind, limit: int) -> None:
    kept[key] = notice
    kept.move_to_end(key)
    if len(kept) > limit:
        kept.popitem(last=False)
