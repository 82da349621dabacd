"""
What several nodes share, followed: what was given here goes into the store, what others did comes from it.

Each second: what administrators gave of quotas is charged, then what changed is read.  One after the other,
so that what is read has what was charged before in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.backends.store.interface import StoreError
from corpproxy.repeating import every

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

log = Logger()

# Others hear of a grant, and of what somebody used, after so long.
FOLLOW_SECONDS = 1.0


class Following:
    """Follows the store of a service; one that nobody shares needs no following."""

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service
        self._loop: LoopingCall | None = None
        self._turn: Deferred[None] | None = None

    def start(self) -> None:
        """Begin, where other nodes may have the store, too."""
        if self._service.store.is_shared:
            self._loop = every(FOLLOW_SECONDS, self._look, self._service.reactor)

    def stop(self) -> Deferred[None] | None:
        """Charge what is left, and follow no more."""
        if self._loop is None:
            return None
        self._loop.stop()
        return Deferred.fromCoroutine(self._last_turn())

    async def _last_turn(self) -> None:
        if self._turn is not None:
            await self._turn
        await self._charge()
        await self._service.quota_keeper.stop_borrowing()

    def _look(self) -> None:
        if self._turn is None:
            self._turn = Deferred.fromCoroutine(self._follow()).addErrback(_not_followed)
            self._turn.addCallback(self._over)

    def _over(self, _: object) -> None:
        self._turn = None

    async def _follow(self) -> None:
        await self._charge()
        shared = await self._service.store.shared(self._service.now())
        if shared is None:
            return
        if shared.grants is not None and shared.requests is not None:
            self._service.granting.take(shared.grants, shared.requests)
        if shared.quotas:
            await self._service.quota_keeper.take(shared.quotas)

    async def _charge(self) -> None:
        charges = self._service.quota_keeper.charges()
        if charges:
            try:
                await self._service.store.charge(charges)
            except StoreError:
                self._service.quota_keeper.not_charged(charges)


def _not_followed(failure: Failure) -> None:
    log.failure("what other nodes did could not be taken up; it is tried again", failure)
