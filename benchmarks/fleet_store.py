"""What the nodes of a simulated fleet have in common: a database that takes the time that a real one took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from benchmarks.fleet_database import Measured
from corpproxy.accounting.common import CALL_SECONDS, Budget, Common, Moved, NodeAsked, NodeLent
from corpproxy.accounting.ledger import Usage
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.spool import Added, Entry, Spool

# The network between node and database, both ways.
NETWORK_SECONDS = 0.001


class Database:
    """
    What the nodes have in common: budgets as in the real one, and the time that it takes.

    ``likes`` says for how many nodes each of those played stands.  Turns of quotas, and sums of usage, wait
    for each other as far as it was measured.
    """

    def __init__(self, clock: Clock, measured: Measured, scale: float, likes: float, folder: Path) -> None:
        self.clock = clock
        self.measured = measured
        self.scale, self.likes = scale, likes
        self.is_away = False
        self.budgets: dict[tuple[str, str, float], Budget] = {}
        self.heard: dict[tuple[tuple[str, str, float], str], float] = {}
        # What each run is to be told.
        self.told: dict[str, dict[tuple[str, str, float], None]] = {}
        self.free = {"usage": 0.0, "quotas": 0.0, "follow": 0.0}
        self.busy = dict.fromkeys(self.free, 0.0)
        self.statements = 0.0
        self.rows = self.members = 0
        self.turn_seconds: list[float] = []
        self.spool = Spool(folder / "spool.db", 1 << 40)
        self.waited, self.in_again = 0, 0.0
        best = max(measured.usage_rows.values())
        self.writers = max(1.0, best / measured.usage_rows["1"])
        self.lenders = max(1.0, max(measured.turns.values()) / measured.turns["1"])

    def after(self, what: str, milliseconds: float, parallel: float = 1.0) -> float:
        """Give after how many seconds something is done that takes the database so long."""
        now, seconds = self.clock.seconds(), milliseconds / 1000
        begins = max(now, self.free[what])
        occupied = seconds * self.likes / parallel
        self.free[what] = begins + occupied
        self.busy[what] += occupied
        return begins - now + seconds + NETWORK_SECONDS

    def write(self, rows: int) -> float:
        """Give after how many seconds a batch is written."""
        each, known = rows * self.scale, self.measured
        self.rows += rows
        self.statements += self.likes * (known.usage_statements + each * known.usage_row_statements)
        return self.after("usage", known.usage_ms + each * known.usage_row_ms, self.writers)

    def lend(self, node: str, run: str, asked: Sequence[NodeAsked]) -> tuple[float, list[NodeLent]]:
        """Lend to a node, and say after how many seconds it knows."""
        now, known = self.clock.seconds(), self.measured
        lent = []
        for one in asked:
            place = one.limit, one.whom, one.until
            budget = self.budgets.setdefault(place, Budget())
            for other, loan in budget.loans.items():
                loan.silent = now - self.heard[place, other]
            others = [other for other in budget.loans if other != run]
            for told in others if run in budget.loans else [*others, run]:
                self.told.setdefault(told, {})[place] = None
            lent.append(budget.lend(node, run, one))
            self.heard[place, run] = now
        self.members += len(asked)
        each = len(asked) * self.scale
        self.statements += self.likes * (known.turn_statements + each * known.turn_member_statements)
        seconds = self.after("quotas", known.turn_ms + each * known.turn_member_ms, self.lenders)
        self.turn_seconds.append(seconds)
        return seconds, lent

    def follow(self, run: str) -> tuple[float, list[Common]]:
        """What others changed of those whom a run knows, and after how many seconds that is known."""
        now, found = self.clock.seconds(), []
        for place in self.told.pop(run, {}):
            budget = self.budgets[place]
            mine = budget.loans.get(run)
            lent = sum(max(0, one.granted - one.returned - one.moved) for one in budget.loans.values())
            wanted = sum(
                one.wants for other, one in budget.loans.items()
                if other != run and now - self.heard[place, other] < CALL_SECONDS
            )  # fmt: skip
            used = budget.used - (mine.moved if mine is not None else 0)
            found.append(Common(*place, used, budget.granted, lent, wanted))
        known = self.measured
        milliseconds = known.follow_ms + len(found) * self.scale * known.follow_row_ms
        self.statements += self.likes * 4
        return self.after("follow", milliseconds, self.writers), found


class Store:
    """The store of one node, over the simulated network; what waits goes into a real spool."""

    def __init__(self, database: Database, name: str) -> None:
        self.run = f"run of {name}"
        self.name = name
        self._database = database
        self._clock = database.clock
        self._delivers = False
        self._number = 0

    def add_usage(self, batch: Sequence[Usage]) -> Deferred[None]:
        """Add a batch, now or when the database is back."""
        database = self._database
        self._number += 1
        if not database.is_away and not database.spool.entries:
            return self._later(database.write(len(batch)), None)
        database.spool.add(Entry(self.run, self._number, Added(list(batch))))
        database.waited = max(database.waited, database.spool.octets)
        self.deliver()
        return succeed(None)

    def deliver(self) -> None:
        """Bring in what waits, one batch after the other."""
        database = self._database
        if database.is_away or self._delivers:
            return
        entry = database.spool.first()
        if entry is None:
            return
        self._delivers = True
        assert isinstance(entry.what, Added)
        rows = len(entry.what.rows)
        database.spool.drop_first()

        def over() -> None:
            self._delivers = False
            if not database.spool.entries:
                database.in_again = self._clock.seconds()
            self.deliver()

        self._clock.callLater(database.write(rows), over)

    def settle(self, moved: Sequence[Moved]) -> Deferred[None]:
        """Nothing was lent before."""
        return succeed(None)

    def borrow(self, asked: Sequence[NodeAsked]) -> Deferred[list[NodeLent]]:
        """Borrow of quotas."""
        if self._database.is_away:
            return fail(StoreError("store-away", "the database is away"))
        return self._later(*self._database.lend(self.name, self.run, asked))

    def _later(self, seconds: float, outcome: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self._clock.callLater(seconds, done.callback, outcome)
        return done


class NoFile:
    """A disk that takes all and has nothing."""

    damaged = None

    def __getattr__(self, name: str) -> Callable[..., Deferred[list[Moved]]]:
        return lambda *_: succeed([])
