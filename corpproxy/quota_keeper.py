"""Keeps quotas: adds up what all processes tell, tells them how everybody stands, keeps it on the disk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from corpproxy.accounting.charging import Charging
from corpproxy.accounting.quotas import Asked, Charge, Kept, Lent, Quotas
from corpproxy.backends.one_thread import OneThread
from corpproxy.backends.store.quota_file import QUOTA_FILE, QuotaFile
from corpproxy.net.counting import Counts
from corpproxy.policy.limits import NO_LIMITS
from corpproxy.policy.quota import UNKNOWN, Member, Standing
from corpproxy.repeating import every

if TYPE_CHECKING:
    from corpproxy.service import CorpproxyService

log = Logger()

# What is used is on the disk after so long.
KEEP_SECONDS = 1.0
# While it cannot be read what was used, people are told to come back after so long.
UNKNOWN_SECONDS = 60.0

# This process, as a borrower.
HERE = "here"


class QuotaKeeper:
    """
    The quotas of a service.

    While what was used cannot be read, nobody has anything left, and nothing is written over it.

    :ivar problem: why it cannot be read, or kept; empty when all is well.
    """

    def __init__(self, service: CorpproxyService) -> None:
        self._service = service
        self.quotas = Quotas()
        self._file = QuotaFile(service.state / QUOTA_FILE, OneThread(service.reactor, "quotas"), service.now)
        self._unkept: set[Member] = set()
        self._charging = Charging(self.quotas)
        self._uncharged: set[Member] = set()
        self._is_known = False
        self._is_reading = False
        self._loop: LoopingCall | None = None
        self.problem = ""

    def start(self) -> None:
        """Bring back what was used before a restart, and count from now on."""
        self.define()
        self._load()
        self._loop = every(KEEP_SECONDS, self._keep, self._service.reactor)

    def stop(self) -> None:
        """Keep what is not kept yet."""
        if self._loop is not None:
            self._loop.stop()
        self._keep()
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

    def lend(self, borrower: str, asked: Iterable[Asked]) -> list[Lent]:
        """A process moved octets of what it was lent, and asks for more."""
        now, seconds = self._service.now(), self._service.reactor.seconds()
        lent = [self.quotas.lend(borrower, one, now, seconds) for one in asked]
        self.tell()
        return lent

    def borrow(self, asked: Iterable[Asked]) -> None:
        """This process itself asks."""
        self._service.proxy.borrowing.take(self.lend(HERE, asked))

    def bury(self, borrower: str) -> None:
        """A process is over, and nobody accounts for what it was lent."""
        self.quotas.bury(borrower)
        self.tell()

    def grant(self, limit: str, whom: str, more: float) -> Standing | None:
        """Give a member more."""
        standing = self.quotas.grant(limit, whom, more, self._service.now())
        self.tell()
        return standing

    def reset(self, limit: str, whom: str | None) -> int:
        """Begin anew."""
        count = self.quotas.reset(limit, whom, self._service.now())
        self.tell()
        return count

    def tell(self) -> None:
        """Tell all processes who stands otherwise."""
        changed = self.quotas.changed(self._service.now())
        if changed:
            self._unkept |= changed.keys()
            self._uncharged |= changed.keys()
            self._service.take_standings(changed)

    def charges(self) -> list[Charge]:
        """Give what is to be charged to the budgets that other nodes have, too."""
        uncharged, self._uncharged = self._uncharged, set()
        return self._charging.charges(uncharged)

    def not_charged(self, charges: list[Charge]) -> None:
        """Charges could not be kept: they are given once more."""
        self._charging.undo(charges)
        self._uncharged |= {(one.limit, one.whom) for one in charges}

    def take(self, rows: list[Kept]) -> None:
        """Take up what all nodes together used."""
        self._charging.take(rows)
        self.tell()

    def _load(self) -> None:
        self._is_reading = True
        self._file.load(self._service.now()).addCallbacks(self._loaded, self._not_loaded)

    def _keep(self) -> None:
        if not self._is_known:
            # What counts meanwhile is added when it is known; written now, it would take the place of that.
            if not self._is_reading:
                self._load()
            return
        unkept, self._unkept = self._unkept, set()
        self.quotas.forget(self._service.now())
        self._charging.forget(self._service.now())
        self._service.lasting.standings.forget(self._service.now())
        if unkept:
            self._file.keep(self.quotas.reserved(unkept)).addCallbacks(
                self._kept, self._not_kept, errbackArgs=(unkept,)
            )

    def _loaded(self, kept: list[Kept]) -> None:
        self._is_known, self._is_reading = True, False
        self._tell_damage("begins anew")
        now = self._service.now()
        self._charging.begin(kept)
        self.quotas.load(kept, now)
        if self.problem:
            log.warn("what was used of quotas can be read again")
            self.problem = ""
            self._service.take_standings({UNKNOWN: Standing(0.0, 1.0, now)})
        self.tell()

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
