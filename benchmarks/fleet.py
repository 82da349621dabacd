"""
How a fleet grows, from two hundred people to a million: ``python -m benchmarks.fleet``.

A real PostgreSQL, made for it and thrown away, is measured first (`benchmarks.fleet_database`).  Then the
busiest minutes of a day are played on a simulated clock: two nodes run the real code of the proxy (limits,
meters, loans between worker, node and database, ledger, bookkeeper, spool), and the network and the database
are simulated, with the times that were measured.  Where a fleet has more nodes, or a node more people, than
are played, each that is played stands for several: what it costs the database is multiplied.

In the middle the database is away for a while.  At the end a budget that all nodes have in common is used up
by downloads on both.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from benchmarks.fleet_database import Measured, NoPostgresql, measure
from benchmarks.fleet_store import Database, NoFile, Store
from corpproxy import node_borrowing
from corpproxy.accounting.accounts import Account, Accounts
from corpproxy.accounting.common import Common
from corpproxy.accounting.ledger import Ledger
from corpproxy.accounting.quotas import Asked, Lent
from corpproxy.backends.bookkeeping import Bookkeeper
from corpproxy.backends.intake import Intake
from corpproxy.destination.model import Host
from corpproxy.identity.model import Identity
from corpproxy.net.borrowing import Borrowing
from corpproxy.net.counting import Counter
from corpproxy.net.limiting import Limiting
from corpproxy.net.pacing import TURN_SECONDS, Pacer
from corpproxy.policy.limits import Limit, Limits, Per
from corpproxy.policy.model import Facts
from corpproxy.policy.quota import Every, Quota

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
# Monday at noon.
BEGINS = 1795435200.0
# What people do in the busiest hour: so many of them at a time, an exchange each few seconds, each with one
# of the hosts that they go to.
ACTIVE = 0.3
EXCHANGES_A_SECOND = 0.25
HOSTS = 2_000
EXCHANGE_OCTETS = 40 * KIB
# So many of those who are active at a node are so at another, too, with a telephone or on their way.
ROAMING = 0.05
# And over a day, for what is on the disk: hours of it, and different hosts in a quarter of an hour.
HOURS_A_DAY, DAYS_A_MONTH, HOSTS_A_QUARTER = 4, 22, 12
# So many people of a node are played, at most; the others are like them.
PLAYED = 1_500
# The whole takes so long; in its second quarter the database is away.
ALL_SECONDS = 80.0
# What all have in common ends in the last part.
BUDGET = 2 * GIB
DOWNLOADS, DOWNLOAD_OCTETS = 8, 4 * MIB

DAY = Limit("day", quota=Quota(volume=2 * GIB, every=Every.DAY))
FILM = "film"


@dataclass(frozen=True, slots=True)
class Size:
    """A fleet; with several databases people and nodes are divided between them."""

    people: int
    nodes: int
    workers: int
    databases: int = 1


SIZES = (
    Size(200, 1, 1),
    Size(2_000, 1, 2),
    Size(10_000, 2, 2),
    Size(50_000, 4, 4),
    Size(200_000, 10, 4),
    Size(200_000, 12, 4, 4),
    Size(1_000_000, 50, 4),
    Size(1_000_000, 60, 4, 20),
)
# A budget of which so much moved is at its end.
ENDED = 0.98
# A database is enough while it has a third of its time left.
FULL = 0.67


class Node:
    """One node with one worker, and the people who are active there."""

    def __init__(self, name: str, people: int, database: Database, budget: int, folder: Path) -> None:
        chance = random.Random(name)
        clock = self.clock = database.clock
        self.name, self._database, self._chance = name, database, chance
        self.limits = Limits((DAY,))
        self.store = Store(database, name)
        service = SimpleNamespace(state=folder, reactor=clock, now=clock.seconds, store=self.store)
        self.node = _on_no_disk(lambda: node_borrowing.NodeBorrowing(service, self._lend_again))
        self.node._file = NoFile()
        self.quotas = self.node.quotas
        film = Limit(FILM, per=Per.SITE, quota=Quota(volume=budget, every=Every.DAY))
        self.quotas.define(Limits((DAY, film)))
        pacer = Pacer(clock)
        self.proxy = SimpleNamespace(pacer=pacer, counter=Counter(clock), borrowing=Borrowing(pacer, clock))
        borrowing = self.proxy.borrowing
        pacer.looked, pacer.lacking = borrowing.turning, borrowing.lack
        self.proxy.counter.send = borrowing.count
        borrowing.send = self._lend
        self.accounts = Accounts(Ledger())
        intake = Intake(self.store, clock.seconds)
        self.bookkeeper = Bookkeeper(clock, self.accounts, intake, now=clock.seconds)
        roaming = round(ROAMING * people)
        names = [
            f"person{number}" if number < roaming else f"{name}-person{number}" for number in range(people)
        ]
        self.people = [Identity(one, ("staff",)) for one in names]
        self.downloads: list[Download] = []
        self.exchanges = 0
        self.node.start()
        self.bookkeeper.start()

    def live(self, seconds: float) -> None:
        """Let people do what they do in so many seconds."""
        self.exchanges_due = len(self.people) * EXCHANGES_A_SECOND * seconds
        for _ in range(_rounded(self.exchanges_due, self._chance)):
            self._exchange(self._chance.choice(self.people))
        for one in self.downloads:
            one.move(seconds)

    def follow(self) -> None:
        """Take up what others changed; called each second."""
        database = self._database
        if not database.is_away:
            seconds, rows = database.follow(self.store.run)
            self.clock.callLater(seconds, self._take, rows)
            self.store.deliver()

    def _take(self, rows: Iterable[Common]) -> None:
        for row in rows:
            self.quotas.put_common(row, self.clock.seconds())
        self.quotas.changed(self.clock.seconds())

    def _exchange(self, person: Identity) -> None:
        now, host = self.clock.seconds(), f"www{int(self._chance.paretovariate(0.8)) % HOSTS}.example"
        account = Account()
        facts = Facts(person, "10.1.2.3", "rooms", "GET", "http", Host(host), 80, "/", (), now)
        exchange = SimpleNamespace(account=account, identity=person, client="10.1.2.3")
        limiting = Limiting(SimpleNamespace(proxy=self.proxy, exchange=exchange))
        limiting.take(self.limits.find(facts), begins=True)
        account.sent += int(self._chance.expovariate(1 / EXCHANGE_OCTETS))
        account.received += 600
        limiting.close()
        self.accounts.count(account, now, person.name, person.groups, (), host, "10.1.2.3", "everybody")
        self.exchanges += 1

    def _lend(self, asked: Iterable[Asked]) -> None:
        self.proxy.borrowing.take([self._lend_one(one) for one in asked])
        self.node.hasten()

    def _lend_again(self, waiting: Iterable[tuple[str, Asked]]) -> None:
        self.proxy.borrowing.take([self._lend_one(asked) for _, asked in waiting])

    def _lend_one(self, asked: Asked) -> Lent:
        now = self.clock.seconds()
        return self.quotas.lend("worker", asked, now, now)


class Download:
    """A download below the quota that all have in common, as fast as it is let."""

    def __init__(self, node: Node, number: int) -> None:
        self.moved = 0
        self._proxy = node.proxy
        self._member = FILM, ""
        key = node.proxy.borrowing.key(self._member)
        self._claim = node.proxy.pacer.join(f"down {node.name}{number}", [(key, 0.0)], lambda: None)

    def move(self, seconds: float) -> None:
        """Move what may be moved in so many seconds."""
        left = int(DOWNLOAD_OCTETS * seconds)
        while left > 0 and (may := self._proxy.pacer.ask(self._claim)) > 0:
            octets = min(may, left)
            self._claim.allowance -= octets
            self._proxy.borrowing.count({self._member: octets})
            self.moved += octets
            left -= octets


@dataclass(slots=True)
class Found:
    """
    What became of a fleet: of all its nodes and databases together, but for what is said of a node.

    ``load`` is how much of its time a database is busy with each kind of work.  ``budget`` is what moved of
    the budget that all have in common, None where it was not at its end when the time was over.
    ``in_again_seconds`` is how long after an outage all that waited was in, None where it was not.
    """

    people: int
    nodes: int
    workers: int
    databases: int
    exchanges: float
    usage_rows: float = 0.0
    members: float = 0.0
    statements_a_node: float = 0.0
    load: dict[str, float] = field(default_factory=dict)
    turn_ms: float = 0.0
    turn_ms_most: float = 0.0
    budget: float | None = None
    spool_mib_a_node: float = 0.0
    in_again_seconds: float | None = None
    connections_a_database: int = 0
    gib_a_month: float = 0.0

    @property
    def is_enough(self) -> bool:
        """Whether the databases have time left."""
        return max(self.load.values(), default=0.0) < FULL

    @property
    def serves(self) -> int:
        """How many people one database serves: its load, as it is here, grows with them."""
        share = self.people / self.databases
        return int(min(share * FULL / load for load in self.load.values()))


def play(
    size: Size, measured: Measured, folder: Path, seconds: float = ALL_SECONDS, budget: int = BUDGET
) -> Found:
    """Play the busiest minutes of a fleet."""
    clock = Clock()
    clock.rightNow = BEGINS
    people, nodes_each = size.people / size.nodes, size.nodes / size.databases
    playing = int(min(nodes_each, 2))
    played = min(people, PLAYED)
    database = Database(clock, measured, people / played, nodes_each / playing, folder)
    active = max(1, int(played * ACTIVE))
    nodes = [Node(f"node{number}", active, database, budget, folder) for number in range(playing)]
    passed = 0.0
    while passed < seconds:
        database.is_away = seconds / 4 <= passed < seconds / 2
        if passed == seconds / 2:
            for node in nodes:
                node.downloads = [Download(node, number) for number in range(DOWNLOADS)]
        for node in nodes:
            node.live(TURN_SECONDS)
            if passed % 1.0 == 0:
                node.follow()
        clock.advance(TURN_SECONDS)
        passed += TURN_SECONDS
    return _found(size, database, nodes, seconds, budget)


def _found(size: Size, database: Database, nodes: Sequence[Node], seconds: float, budget: int) -> Found:
    scale, there = database.scale * database.likes * size.databases, seconds * 3 / 4
    exchanges = sum(node.exchanges for node in nodes) * scale / seconds
    found = Found(size.people, size.nodes, size.workers, size.databases, exchanges)
    rows_a_month = size.people * HOURS_A_DAY * 4 * HOSTS_A_QUARTER * DAYS_A_MONTH
    found.gib_a_month = rows_a_month * database.measured.row_octets / GIB
    found.usage_rows = database.rows * scale / seconds
    if size.nodes > 1:
        turns = sorted(database.turn_seconds)
        found.spool_mib_a_node = database.waited * database.scale / len(nodes) / MIB
        found.in_again_seconds = database.in_again - BEGINS - seconds / 2 if database.in_again else None
        found.members = database.members * scale / there
        found.statements_a_node = database.statements * size.databases / there / size.nodes
        found.load = {what: busy / there for what, busy in database.busy.items()}
        found.turn_ms, found.turn_ms_most = 1000 * turns[len(turns) // 2], 1000 * turns[-1]
        moved = sum(one.moved for node in nodes for one in node.downloads)
        found.budget = moved / budget if moved > ENDED * budget else None
        # One for sums, one for loans, one while a report is read.
        found.connections_a_database = 3 * size.nodes // size.databases
    return found


def _on_no_disk(make: Callable[[], Any]) -> Any:
    before = node_borrowing.OneThread
    node_borrowing.OneThread = lambda *_: SimpleNamespace(run=lambda work: succeed(work()), stop=None)
    try:
        return make()
    finally:
        node_borrowing.OneThread = before


def _rounded(number: float, chance: random.Random) -> int:
    return int(number) + (chance.random() < number % 1)


def show(measured: Measured, found: Sequence[Found]) -> None:
    """Print it."""
    for name, fixed, each in (
        ("a batch of usage", measured.usage_ms, measured.usage_row_ms),
        ("a turn of quotas", measured.turn_ms, measured.turn_member_ms),
        ("to follow", measured.follow_ms, measured.follow_row_ms),
    ):
        print(f"measured: {name:16} {fixed:5.1f} ms, and {1000 * each:4.0f} us for each row or member")
    for name, by_nodes in (("usage rows", measured.usage_rows), ("turns of 300 members", measured.turns)):
        told = ", ".join(f"{number:,.0f} by {count}" for count, number in by_nodes.items())
        print(f"measured: {name} a second, by how many nodes: {told}")
    print()
    print(" | ".join(f"{title:>{width}}" for title, width, _ in COLUMNS))
    for one in found:
        print(" | ".join(f"{text(one):>{width}}" for _, width, text in COLUMNS))
    enough = [one for one in found if one.load and one.is_enough]
    if enough:
        serves = min(enough, key=lambda one: abs(one.serves - one.people / one.databases)).serves
        print(f"\none database as measured serves about {round(serves, -3):,} people")


def _percent(what: str) -> Callable[[Found], str]:
    return lambda one: f"{100 * one.load[what]:.0f} %" if one.load else "-"


def _again(one: Found) -> str:
    if not one.load:
        return "-"
    return f"{one.in_again_seconds:.0f} s" if one.in_again_seconds is not None else "not yet"


COLUMNS: tuple[tuple[str, int, Callable[[Found], str]], ...] = (
    ("people", 9, lambda one: f"{one.people:,}"),
    ("nodes", 5, lambda one: str(one.nodes)),
    ("databases", 9, lambda one: str(one.databases) if one.load else "SQLite"),
    ("exchanges/s", 11, lambda one: f"{one.exchanges:,.0f}"),
    ("rows/s", 7, lambda one: f"{one.usage_rows:,.0f}"),
    ("members/s", 9, lambda one: f"{one.members:,.0f}"),
    ("statements/s a node", 19, lambda one: f"{one.statements_a_node:,.0f}"),
    ("sums", 6, _percent("usage")),
    ("loans", 6, _percent("quotas")),
    ("following", 9, _percent("follow")),
    ("turn ms", 7, lambda one: f"{one.turn_ms:,.0f}"),
    ("budget", 8, lambda one: f"{100 * one.budget:.2f} %" if one.budget is not None else "-"),
    ("spool MiB a node", 16, lambda one: f"{one.spool_mib_a_node:.1f}"),
    ("in again", 8, _again),
    ("connections", 11, lambda one: str(one.connections_a_database)),
    ("GiB a month", 11, lambda one: f"{one.gib_a_month:,.1f}"),
    ("", 8, lambda one: "" if one.is_enough else "too much"),
)


def main() -> None:
    """Measure, play, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__.splitlines()[1])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--measured", type=Path, help="take what was measured from this file, or keep it there"
    )
    parser.add_argument(
        "--no-fsync", action="store_true", help="measure a database that keeps nothing for good"
    )
    options = parser.parse_args()
    if options.measured is not None and options.measured.exists():
        measured = Measured(**json.loads(options.measured.read_text()))
    else:
        try:
            measured = measure(is_synced=not options.no_fsync)
        except NoPostgresql as problem:
            raise SystemExit(str(problem)) from None
        if options.measured is not None:
            options.measured.write_text(json.dumps(asdict(measured), indent=1) + "\n")
    found = []
    for size in SIZES:
        with tempfile.TemporaryDirectory(prefix="corpproxy-fleet-") as folder:
            found.append(play(size, measured, Path(folder)))
    if options.json:
        print(json.dumps({"measured": asdict(measured), "found": [asdict(one) for one in found]}, indent=1))
    else:
        show(measured, found)


if __name__ == "__main__":
    main()
