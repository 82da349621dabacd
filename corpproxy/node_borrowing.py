"""
Borrows of the quotas that several nodes have in common, and lends on what comes.

All members that are in use are told and asked for together, once a second, and at once where somebody waits;
one question is under way at a time.  While the store is away what is on loan goes on being lent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.accounting.common import Moved, NodeAsked
from corpproxy.accounting.node_quotas import NodeQuotas, Waiting
from corpproxy.backends.one_thread import OneThread
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.loan_file import LOAN_FILE, LoanFile
from corpproxy.policy.quota import Member
from corpproxy.repeating import every
from corpproxy.slices import in_slices

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

log = Logger()

# What moved is told, and what is needed asked for, so often.
TURN_SECONDS = 1.0
# Who waits has it asked for no sooner than this after the last time.
SOON_SECONDS = 0.02
# So many are written to the disk in one turn of the reactor.
AT_ONCE = 500
# What nobody needs any more is taken off the disk so often.
FORGET_SECONDS = 3600.0


class NodeBorrowing:
    """
    Borrows for a node.

    ``lend_again`` is given who waits for what, when there is more of that.
    """

    def __init__(self, service: CorpproxyService, lend_again: Callable[[Iterable[Waiting]], None]) -> None:
        self.quotas = NodeQuotas()
        self._service = service
        self._lend_again = lend_again
        self._file = LoanFile(service.state / LOAN_FILE, OneThread(service.reactor, "loans"), service.now)
        self._loop: LoopingCall | None = None
        self._turn: Deferred[None] | None = None
        self._soon: IDelayedCall | None = None
        # What runs before moved; None until it is read, and once it is accounted for.
        self._before: list[Moved] | None = None
        self._is_settled = False
        self._is_failing = False
        self._forget_at = 0.0

    def start(self) -> None:
        """Borrow from now on."""
        self._file.load_moved().addCallbacks(self._loaded, self._not_loaded)
        self._loop = every(TURN_SECONDS, self.look, self._service.reactor)

    def look(self) -> None:
        """Take a turn, unless one is under way."""
        if self._is_settled and self._service.reactor.seconds() >= self._forget_at:
            self._forget()
        if self._turn is None:
            self._turn = Deferred.fromCoroutine(self._take_turn()).addErrback(_not_taken)
            self._turn.addCallback(self._over)

    def hasten(self) -> None:
        """Take a turn soon, where somebody waits for it."""
        if self.quotas.is_urgent and not self._is_failing and self._turn is None and self._soon is None:
            self._soon = self._service.reactor.callLater(SOON_SECONDS, self._look_now)

    def keep(self, members: Iterable[Member]) -> None:
        """Keep what these moved on the disk."""
        rows = self.quotas.moved_at_most(members, self._service.store.run)
        if rows:
            self._file.keep_moved(rows).addErrback(_not_kept)

    async def begin_anew(self) -> None:
        """
        Account for all that was on loan, and borrow anew.

        For when the clock was set back: what was borrowed of a time that counts again is not borrowed twice.
        """
        while self._turn is not None:
            await deferLater(self._service.reactor, SOON_SECONDS)
        self.keep(self.quotas.members())
        self.quotas.begin_anew()
        self._is_settled, self._before = False, None
        await self._service.store.begin_anew()
        self._file.load_moved().addCallbacks(self._loaded, self._not_loaded)

    async def stop(self) -> None:
        """Tell all, give all back, and borrow no more."""
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._turn is not None:
            await self._turn
        self.quotas.end()
        await self._take_turn()
        self._file.close()

    # Inside.

    def _look_now(self) -> None:
        self._soon = None
        self.look()

    def _over(self, _: object) -> None:
        self._turn = None
        self.hasten()

    async def _take_turn(self) -> None:
        try:
            if await self._settle():
                await self._borrow()
        except StoreError:
            # The store tells of its being away.
            self._is_failing = True
            self.quotas.note_silence(self._service.reactor.seconds())

    async def _settle(self) -> bool:
        """Account for the runs before; whether that is done."""
        if not self._is_settled and self._before is not None:
            store = self._service.store
            await store.settle(self._before)
            self._is_settled, self._before = True, None
        return self._is_settled

    def _forget(self) -> None:
        """Forget runs that are accounted for, and what was made good."""
        self._forget_at = self._service.reactor.seconds() + FORGET_SECONDS
        self._file.forget_moved(self._service.store.run, self._service.now()).addErrback(_not_kept)

    async def _borrow(self) -> None:
        asked = await self._asked()
        if not asked:
            return
        asked_at = self._service.reactor.seconds()
        try:
            lent = await self._service.store.borrow(asked)
        except BaseException:
            self.quotas.not_answered(asked)
            raise
        self._is_failing = False
        for _ in self.quotas.taking(lent, asked_at):
            await self._others()
        for waiting in self.quotas.answerable():
            if waiting:
                self._lend_again(waiting)
                await self._others()
        for at in range(0, len(asked), AT_ONCE):
            self.keep((one.limit, one.whom) for one in asked[at : at + AT_ONCE])
            if at + AT_ONCE < len(asked):
                await self._others()

    async def _asked(self) -> list[NodeAsked]:
        return await in_slices(self._service.reactor, self.quotas.asking(self._service.reactor.seconds()))

    async def _others(self) -> None:
        """Let others have their turn."""
        await deferLater(self._service.reactor, 0)

    def _loaded(self, rows: list[Moved]) -> None:
        self._before = rows
        damaged, self._file.damaged = self._file.damaged, None
        if damaged is not None:
            log.critical(
                "the file of what was moved of loans was damaged: what was on loan counts as used; "
                "the old file is {path}",
                path=str(damaged),
            )
        self.look()

    def _not_loaded(self, failure: Failure) -> None:
        log.failure("what was moved of loans cannot be read: what was on loan counts as used", failure)
        self._before = []


def _not_taken(failure: Failure) -> None:
    log.failure("nothing could be borrowed of quotas; it is tried again", failure)


def _not_kept(failure: Failure) -> None:
    log.failure("what was moved of loans cannot be kept over a restart", failure)
