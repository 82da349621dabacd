"""Keeps quotas: adds up what all processes tell, tells them how everybody stands, keeps it on the disk."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.accounting.charging import Charging
from corpproxy.accounting.common import Common, Ledgered
from corpproxy.accounting.dividing import Pauses, drained
from corpproxy.accounting.quotas import Asked, Charge, Kept, Lent, Quotas
from corpproxy.backends.one_thread import OneThread
from corpproxy.backends.store.quota_file import QUOTA_FILE, QuotaFile
from corpproxy.interpreter import settle_memory
from corpproxy.net.counting import Counts
from corpproxy.policy.limits import NO_LIMITS
from corpproxy.policy.quota import UNKNOWN, Member, Standing
from corpproxy.repeating import every
from corpproxy.slices import Slices, in_slices
from corpproxy.steady import JUMP_SECONDS

if TYPE_CHECKING:
    from corpproxy.accounting.node_quotas import NodeQuotas
    from corpproxy.node_borrowing import NodeBorrowing
    from corpproxy.service import CorpproxyService

log = Logger()

# What is used is on the disk after so long.
KEEP_SECONDS = 1.0
# So many members are told, or kept, in one turn of the reactor.
AT_ONCE = 200
# How often it is looked in memory for what was made good: it counts no more, and takes some room until then.
LOOK_SECONDS = 60.0
# What was made good days ago is forgotten after so long.
FORGET_SECONDS = 3_600.0
# While it cannot be read what was used, people are told to come back after so long.
UNKNOWN_SECONDS = 60.0

# This process, as a borrower.
HERE = "here"

# Takes what somebody is lent to them.
Way = Callable[[list[Lent]], None]


class QuotaKeeper:
    """
    The quotas of a service.

    While what was used cannot be read, nobody has anything left, and nothing is written over it.

    :ivar problem: why it cannot be read, or kept; empty when all is well.
    """

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service
        self.quotas = Quotas()
        # Where other nodes have the quotas, too.
        self.borrowing: NodeBorrowing | None = None
        if service.store.is_shared:
            # Few have nodes, and all start.
            from corpproxy.node_borrowing import NodeBorrowing

            self.borrowing = NodeBorrowing(service, self._lend_again)
            self.quotas = self.borrowing.quotas
        self._file = QuotaFile(service.state / QUOTA_FILE, OneThread(service.reactor, "quotas"), service.now)
        self._unkept: set[Member] = set()
        self._charging = Charging()
        # How to answer those who borrow here.
        self._ways: dict[str, Way] = {}
        self._is_known = False
        # The latest time that was seen; and whether the clock was set back since then.
        self._latest = 0.0
        self._turns_back = False
        self._is_reading = False
        # When it was looked last what may be forgotten, by a clock that nobody sets; None at first.
        self._forgot_at: float | None = None
        # What is about everybody, and what is told: in slices, each without waiting for the other.
        self._work = Slices(service.reactor)
        self._tells = Slices(service.reactor)
        self._looked = 0.0
        self._loop: LoopingCall | None = None
        self.problem = ""

    def start(self) -> None:
        """Bring back what was used before a restart, and count from now on."""
        self.define()
        self._load()
        if self.borrowing is not None:
            self.borrowing.start()
        self._loop = every(KEEP_SECONDS, self._keep, self._service.reactor)
        self._forget()
        self._forgetting = every(FORGET_SECONDS, self._forget, self._service.reactor)

    def stop(self) -> None:
        """Keep what is not kept yet."""
        if self._loop is not None:
            self._loop.stop()
            self._forgetting.stop()
        self._tells.finish()
        self._work.finish()
        self._keep()
        self._work.finish()
        self._file.close()

    def define(self) -> None:
        """The limits in force are others, perhaps."""
        self.quotas.define(self._service.proxy.in_force.limiting or NO_LIMITS)
        self.tell()

    def count(self, counts: Counts) -> None:
        """Members moved octets."""
        now = self._service.now()
        for (limit, whom), octets in counts.items():
            self.quotas.count(limit, whom, octets, now)
        self.tell()

    def lend(self, borrower: str, asked: Iterable[Asked], way: Way) -> None:
        """
        A process moved octets of what it was lent, and asks for more.

        It is answered by the way that is given: at once, and once more when there is more for it.
        """
        self._ways[borrower] = way
        now, seconds = self._service.now(), self._service.reactor.seconds()
        lent = [self.quotas.lend(borrower, one, now, seconds) for one in asked]
        self.tell()
        way(lent)
        if self.borrowing is not None:
            self.borrowing.hasten()

    def borrow(self, asked: Iterable[Asked]) -> None:
        """This process itself asks."""
        self.lend(HERE, asked, self._service.proxy.borrowing.take)

    def bury(self, borrower: str) -> None:
        """A process is over, and nobody accounts for what it was lent."""
        self._ways.pop(borrower, None)
        self._work.add(self._burying(borrower))

    def grant(self, limit: str, whom: str, more: float) -> Standing | None:
        """Give a member more."""
        standing = self.quotas.grant(limit, whom, more, self._service.now())
        if self.borrowing is not None and standing is not None:
            (row,) = self.quotas.kept([(limit, whom)])
            self._charging.grant(row, more)
        self.tell()
        return standing

    async def reset(self, limit: str, whom: str | None) -> int:
        """
        Begin anew; how many do.

        :raises StoreError: when it is with others who used what, and they do not answer.
        """
        now, members = self._service.now(), set[str]()
        if self.borrowing is not None:
            rows = (await self.ledgered(limit, whom)).members
            members = await in_slices(self._service.reactor, self._charging_back(self.borrowing.quotas, rows))
        members |= await in_slices(self._service.reactor, self.quotas.resetting(limit, whom, now))
        self.tell()
        return len(members)

    async def ledgered(self, limit: str | None, whom: str | None) -> Ledgered:
        """
        How members stand in what nodes have in common: all, or those of a limit or of one name.

        :raises StoreError: when it is away.
        """
        return await self._service.store.ledgered(limit, whom, self._service.now())

    async def standings(self, ledgered: Ledgered) -> dict[Member, Standing]:
        """How everybody stands who used anything: by what is known here, and what nodes have in common."""
        reactor, now = self._service.reactor, self._service.now()
        found = await in_slices(reactor, self.quotas.standing_all(now))
        if self.borrowing is not None:
            common = self._in_common(self.borrowing.quotas, ledgered.members)
            found |= {(row.limit, row.whom): one for row, one in await in_slices(reactor, common)}
        return found

    def _in_common(
        self, quotas: NodeQuotas, rows: Sequence[Common]
    ) -> Generator[None, None, list[tuple[Common, Standing]]]:
        """How those stand whose rows count now, with what is not told yet on top."""
        found, now, pauses = [], self._service.now(), Pauses()
        for row in map(self._charging.on_top, rows):
            standing = quotas.common_standing(row, now)
            if standing is not None:
                found.append((row, standing))
            if pauses.is_due():
                yield
        return found

    def _charging_back(self, quotas: NodeQuotas, rows: Sequence[Common]) -> Generator[None, None, set[str]]:
        """Have all nodes begin anew with these."""
        common = yield from self._in_common(quotas, rows)
        pauses = Pauses()
        for row, standing in common:
            self._charging.reset([Kept(row.limit, row.whom, row.until, standing.used, row.granted)])
            if pauses.is_due():
                yield
        return {row.whom for row, _ in common}

    def tell(self) -> None:
        """Tell all processes who stands otherwise."""
        if not self._tells:
            self._tells.add(self._telling())

    def charges(self) -> list[Charge]:
        """Give what administrators gave and took back, for those who have the quotas, too."""
        return self._charging.charges()

    def not_charged(self, charges: list[Charge]) -> None:
        """Charges could not be kept: they are given once more."""
        self._charging.undo(charges)

    async def take(self, rows: list[Common]) -> None:
        """Take up how members stand in what nodes have in common, a slice at a time."""
        pauses = Pauses()
        for row in rows:
            if self.borrowing is not None:
                self.borrowing.quotas.put_common(self._charging.on_top(row), self._service.now())
            if pauses.is_due():
                await deferLater(self._service.reactor, 0)
        self.tell()

    @property
    def shut(self) -> int:
        """How many members have nothing more because the store that nodes share is away."""
        return 0 if self.borrowing is None else self.borrowing.quotas.shut

    async def stop_borrowing(self) -> None:
        """Give back what is on loan to this node."""
        if self.borrowing is not None:
            await self.borrowing.stop()

    def _lend_again(self, waiting: Iterable[tuple[str, Asked]]) -> None:
        """There is more to be lent: those who wait for it need not ask again."""
        now, seconds = self._service.now(), self._service.reactor.seconds()
        found = [(self._ways.get(one), self.quotas.lend(one, asked, now, seconds)) for one, asked in waiting]
        self.tell()
        for way, lent in found:
            if way is not None:
                way([lent])

    def _load(self) -> None:
        self._is_reading = True
        loading = self._file.load(self._service.now())
        loading.addCallback(lambda kept: Deferred.fromCoroutine(self._loaded(kept)))
        loading.addErrback(self._not_loaded)

    def _keep(self) -> None:
        if not self._is_known:
            # What counts meanwhile is added when it is known; written now, it would take the place of that.
            if not self._is_reading:
                self._load()
            return
        if not self._work:
            self._work.add(self._keeping())
        now, before = self._service.now(), self._latest
        self._latest = now
        if now < before - JUMP_SECONDS:
            # What counts now is that of a time that was before: it stands on the disk.
            self._work.finish()
            self._is_known, self._turns_back = False, True
            self._load()

    def _keeping(self) -> Iterator[None]:
        unkept, self._unkept = list(self._unkept), set()
        for at in range(0, len(unkept), AT_ONCE):
            self._keep_these(set(unkept[at : at + AT_ONCE]))
            if at + AT_ONCE < len(unkept):
                yield
        now = self._service.now()
        self._charging.forget(now)
        # A clock that was set back must not make it remember for ever.
        if abs(now - self._looked) >= LOOK_SECONDS:
            self._looked = now
            yield from self.quotas.forgetting(now)
            yield from self._service.lasting.standings.forgetting(now)

    def _keep_these(self, unkept: set[Member]) -> None:
        if self.borrowing is not None:
            self.borrowing.keep(unkept)
        self._file.keep(self.quotas.reserved(unkept)).addCallbacks(
            self._kept, self._not_kept, errbackArgs=(unkept,)
        )

    def _telling(self) -> Iterator[None]:
        while self.quotas.has_changed:
            changed = self.quotas.changed(self._service.now(), AT_ONCE)
            self._unkept |= changed.keys()
            if changed:
                self._service.take_standings(changed)
            if self.quotas.has_changed:
                yield

    def _burying(self, borrower: str) -> Iterator[None]:
        yield from self.quotas.burying(borrower)
        self.tell()

    def _forget(self) -> None:
        """Forget on the disk what was made good days ago; what cannot be forgotten is so the next time."""
        seconds = self._service.reactor.seconds()
        ran = seconds - self._forgot_at if self._forgot_at is not None else 0.0
        self._forgot_at = seconds
        self._file.forget(self._service.now(), ran).addErrback(lambda _: None)

    async def _loaded(self, kept: list[Kept]) -> None:
        self._tell_damage("begins anew")
        if self._turns_back and self.borrowing is not None:
            await self.borrowing.begin_anew()
        self._work.add(self._taking_up(kept))

    def _taking_up(self, kept: list[Kept]) -> Iterator[None]:
        is_long, now = len(kept) > AT_ONCE, self._service.now()
        take_up = self.quotas.turn_back if self._turns_back else self.quotas.loading
        for _ in take_up(drained(kept), now):
            self.tell()
            yield
        self._is_known, self._is_reading, self._turns_back = True, False, False
        if self.problem:
            log.warn("what was used of quotas can be read again")
            self.problem = ""
            self._service.take_standings({UNKNOWN: Standing(0.0, 1.0, self._service.now())})
        self.tell()
        if is_long:
            yield
            settle_memory()

    def _not_loaded(self, failure: Failure) -> None:
        self._is_reading = False
        if not self.problem:
            self.problem = f"what was used of quotas cannot be read: {failure.getErrorMessage()}"
            log.critical("{problem}; until it can, nobody has anything left", problem=self.problem)
        until = self._service.now() + UNKNOWN_SECONDS
        self._service.take_standings({UNKNOWN: Standing(0.0, 0.0, until)})

    def _tell_damage(self, then: str) -> bool:
        damaged, self._file.damaged = self._file.damaged, None
        if damaged is not None:
            said = "the file of what is used of quotas was damaged; it {then}, and the old file is {path}"
            log.critical(said, then=then, path=str(damaged))
        return damaged is not None

    def _kept(self, _: None) -> None:
        if self._tell_damage("is written anew from what counts now"):
            self._unkept |= self.quotas.all(self._service.now()).keys()
        if self.problem:
            log.warn("what is used of quotas is kept again")
        self.problem = ""

    def _not_kept(self, failure: Failure, unkept: set[Member]) -> None:
        self._unkept |= unkept
        if not self.problem:
            said = "what is used of quotas counts, but cannot be kept over a restart"
            self.problem = f"{said}: {failure.getErrorMessage()}"
            log.critical("{problem}", problem=self.problem)
