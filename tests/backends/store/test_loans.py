"""What nodes borrow of quotas stands in the database, whoever asks at the same time."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.common import NODE_TERM_SECONDS, Common, Ledgered, Moved, NodeAsked, NodeLent
from corpproxy.accounting.quotas import Charge
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.lending import LendingDatabase
from corpproxy.backends.store.loan_file import LOAN_FILE, LoanFile
from corpproxy.backends.store.outage import PatientDatabase
from corpproxy.backends.store.postgresql import read_postgresql
from corpproxy.backends.store.quotas import LISTENS_SECONDS, ledgered
from tests.support.postgresql import do, empty_store, server
from tests.support.rows import rows, tabular
from tests.support.threads import DirectThread

NOW = 1795428010.0
UNTIL = NOW + 3600
MIB = 1 << 20
TURN = "pg_current_xact_id()"


def asked(seen: int = 0, moved: int = 0, returned: int = 0, wants: int = 0, **more) -> NodeAsked:
    names = more.pop("limit", "day"), more.pop("whom", "amir"), more.pop("until", UNTIL)
    return NodeAsked(*names, MIB, seen, moved, returned, wants, **more)


@tabular
class LoansTests(SynchronousTestCase):
    """Two nodes; a quota of 1 MiB."""

    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.address = empty_store(self.state)
        self.one, self.two = self.node("one"), self.node("two")
        self.store = PatientDatabase(self.own("one"), lambda: NOW)
        self.addCleanup(self.store.close)

    def own(self, name: str):
        (self.state / name).mkdir(exist_ok=True)
        return msgspec.structs.replace(self.address, state=str(self.state / name))

    def node(self, name: str) -> LendingDatabase:
        made = LendingDatabase(self.own(name), lambda: NOW)
        self.addCleanup(made.close)
        return made

    def common(self) -> list[Common]:
        return sorted(self.store.shared(NOW).quotas)

    def silent(self, seconds: float) -> None:
        do(f"UPDATE loan SET heard = heard - {seconds}")

    def test_lent(self) -> None:
        """A node is lent what it wants; what it moves is used for all, and what it holds is nobody else's."""
        (first,) = self.one.borrow("1", [asked(wants=MIB)])
        self.assertEqual(first, NodeLent("day", "amir", UNTIL, MIB // 2, 0, False, False))
        (second,) = self.two.borrow("2", [asked(wants=MIB)])
        self.assertEqual((second.granted, second.calls_back), (MIB // 8, True))
        self.one.borrow("1", [asked(seen=first.granted, moved=1000, returned=200)])
        told = Common("day", "amir", UNTIL, 1000, 0, first.granted - 1200 + second.granted, MIB)
        self.assertEqual(self.common(), [told])
        self.assertEqual(self.common(), [])

    def test_mine(self) -> None:
        """A node is told what the others used, and what it told itself it knows."""
        self.one.borrow(self.store.run, [asked(moved=1000)])
        self.two.borrow("2", [asked(moved=70)])
        self.assertEqual(self.common(), [Common("day", "amir", UNTIL, 70, 0)])

    def test_many(self) -> None:
        """All members are asked for at once, whatever their names."""
        names = ["amir", "beth", "nul\0", "ümit", ""]
        lent = self.one.borrow("1", [asked(whom=name, moved=7, wants=MIB) for name in names])
        self.assertEqual([one.whom for one in lent], names)
        lent = self.one.borrow("1", [asked(whom=name, moved=9) for name in names])
        self.assertEqual({one.granted for one in lent}, {7 + (MIB - 7) // 2})
        self.assertEqual({one.elsewhere for one in self.common()}, {9.0})

    def test_minutes(self) -> None:
        """A minute that two nodes count is one."""
        for node, run in ((self.one, "1"), (self.two, "2"), (self.two, "2")):
            node.borrow(run, [asked(moved=1, minute=29_923_845, minutes=(1 << 63) - 1)])
        self.assertEqual(self.common(), [Common("day", "amir", UNTIL, 1, 0)])

    def test_days(self) -> None:
        """Each day is counted for itself."""
        self.one.borrow("1", [asked(moved=MIB)])
        (lent,) = self.one.borrow("1", [asked(wants=1000, until=UNTIL + 86400)])
        self.assertEqual(lent.granted, 16 * 1024)

    def test_at_once(self) -> None:
        """Nodes that ask at the same moment are lent no more than there is, all together."""
        nodes = [self.node(f"n{number}") for number in range(4)]
        moved = [0] * 4

        def use(number: int) -> None:
            granted = 0
            for _ in range(40):
                # It moves all that it was lent, and asks for more.
                question = asked(seen=granted, moved=granted, wants=100_000)
                (lent,) = nodes[number].borrow(f"run {number}", [question])
                granted = moved[number] = lent.granted

        threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        self.assertEqual(sum(moved), MIB)

    def test_in_any_order(self) -> None:
        """Nodes that ask for the same people at once, each in its order, do not stop each other."""
        deadlocks = self.deadlocks()
        names = [f"person{number}" for number in range(12)]
        nodes = [LendingDatabase(self.own(f"n{number}"), lambda: NOW) for number in range(3)]
        moved: dict[tuple[int, str], int] = {}

        def use(number: int) -> None:
            chance = random.Random(number)
            granted = dict.fromkeys(names, 0)
            while any(granted[name] < MIB and not is_over for name, is_over in over[number].items()):
                some = chance.sample(names, 8)
                questions = [
                    asked(whom=name, seen=granted[name], moved=granted[name], wants=MIB) for name in some
                ]
                for name, lent in zip(some, nodes[number].borrow(f"run {number}", questions), strict=True):
                    granted[name] = moved[number, name] = lent.granted
                    over[number][name] = lent.is_over
            nodes[number].close()

        over = [dict.fromkeys(names, False) for _ in nodes]
        threads = [threading.Thread(target=use, args=(number,)) for number in range(len(nodes))]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        for name in names:
            with self.subTest(name):
                self.assertEqual(sum(octets for (_, whom), octets in moved.items() if whom == name), MIB)
        self.assertEqual(self.deadlocks(), deadlocks)

    def test_own_people(self) -> None:
        """Nodes with other people do not wait for each other."""
        self.one.borrow("1", [asked(), asked(whom="beth")])
        with self.holding("amir"):
            self.two.borrow("2", [asked(whom="beth", moved=5), asked(whom="carol", moved=5)])
            self.store.charge([Charge("day", "carol", UNTIL, 0.0, 1.0)])
            self.assertEqual({one.whom for one in self.common()}, {"amir", "beth", "carol"})

    def test_others_people(self) -> None:
        """A node reads nothing of people who are with others alone."""
        self.assertEqual(self.common(), [])
        self.two.borrow("2", [asked(moved=70)])
        self.assertEqual(self.common(), [])

    def test_newcomer(self) -> None:
        """Who comes to a node from another is known there at once, and when anything changes."""
        self.two.borrow("2", [asked(moved=70)])
        self.common()
        self.one.borrow(self.store.run, [asked(moved=1)])
        self.assertEqual(self.common(), [Common("day", "amir", UNTIL, 70, 0)])
        self.one.borrow(self.store.run, [asked(moved=2)])
        self.assertEqual(self.common(), [])
        self.two.borrow("2", [asked(moved=90)])
        self.assertEqual(self.common(), [Common("day", "amir", UNTIL, 90, 0)])

    def test_gone_and_back(self) -> None:
        """A node is not told of whoever left it long ago, until they are back."""
        self.one.borrow(self.store.run, [asked(moved=1)])
        self.common()
        self.silent(LISTENS_SECONDS)
        self.two.borrow("2", [asked(moved=70)])
        self.assertEqual(self.common(), [])
        self.one.borrow(self.store.run, [asked(moved=2)])
        self.assertEqual(self.common(), [Common("day", "amir", UNTIL, 70, 0)])

    @rows(near=(MIB - 1000, 1000), end=(MIB, 0))
    def test_ending(self, moved, left):
        """All nodes know who has nothing more, or little, also where they never were."""
        self.common()
        self.two.borrow("2", [asked(moved=1000)])
        self.assertEqual(self.common(), [])
        self.two.borrow("2", [asked(moved=moved)])
        self.assertEqual(self.common(), [Common("day", "amir", UNTIL, MIB - left, 0)])
        self.two.borrow("2", [asked(moved=moved)])
        self.assertEqual(self.common(), [])

    def test_late(self) -> None:
        """What was begun sooner and done later than another change is read, too."""
        self.store.charge([Charge("day", name, UNTIL, 0.0, 1.0) for name in ("amir", "beth")])
        self.common()
        with self.holding("amir", f"UPDATE quota SET turn = {TURN}, granted = 5 WHERE whom = 'amir'"):
            self.store.charge([Charge("day", "beth", UNTIL, 0.0, 1.0)])
            self.assertEqual([one.whom for one in self.common()], ["beth"])
        self.assertEqual([(one.whom, one.granted) for one in self.common()], [("amir", 5)])
        self.assertEqual(self.common(), [])

    def test_copy(self) -> None:
        """A database that is a copy of a time before, and counts from there, is read anew."""
        self.one.borrow("1", [asked(moved=70)])
        self.common()
        self.store._seen = "900000000000:900000000000:"
        self.assertEqual(self.common(), [Common("day", "amir", UNTIL, 70, 0)])
        self.assertEqual(self.common(), [])

    @staticmethod
    def deadlocks() -> list[tuple]:
        return do("SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'")

    @contextlib.contextmanager
    def holding(self, whom: str, *statements: str) -> Iterator[None]:
        """Somebody else is changing one."""
        import psycopg

        with psycopg.connect(server().address) as connection:
            connection.execute("SET search_path = corpproxy")
            connection.execute("SELECT FROM quota WHERE whom = %s FOR UPDATE", (whom,))
            for statement in statements:
                connection.execute(statement)
            yield

    def test_settled(self) -> None:
        """A node that begins anew accounts for its runs before, and for nobody else's."""
        self.one.borrow("1", [asked(wants=1000), asked(whom="beth", wants=1000)])
        self.two.borrow("2", [asked(wants=1000)])
        lent = 16 * 1024
        told = [Common("day", "amir", UNTIL, 600, 0, lent, 1000), Common("day", "beth", UNTIL, lent, 0)]
        for _ in range(2):
            # Also where the answer was lost, and it is told once more.
            self.one.settle("3", [Moved("1", "day", "amir", UNTIL, 600)])
            self.store.begin_anew()
            self.assertEqual(self.common(), told)

    def test_never_told(self) -> None:
        """What a run moved while the database was away is charged by the next one."""
        self.one.settle("3", [Moved("1", "day", "amir", UNTIL, 600), Moved("3", "day", "amir", UNTIL, 9)])
        self.assertEqual(self.common(), [Common("day", "amir", UNTIL, 600, 0)])

    def test_anew(self) -> None:
        """Another run of a node is told what the run before used as what others did."""
        self.one.borrow(self.store.run, [asked(moved=1000)])
        self.assertEqual(self.common()[0].elsewhere, 0)
        self.store.begin_anew()
        self.assertEqual(self.common()[0].elsewhere, 1000)

    def test_ledgered(self) -> None:
        """It is known of all, or of one limit or person, what they used, and which nodes hold what of it."""
        self.one.settle("1", [])
        self.one.borrow("1", [asked(moved=70, wants=1000), asked(whom="beth"), asked(limit="week", moved=5)])
        self.silent(60)
        self.two.borrow("2", [asked(moved=30, wants=1000), asked(whom="old", until=1e9)])
        one, two = (LendingDatabase(self.own(name))._name for name in ("one", "two"))
        members, loans = self.ledgered(None, None)
        self.assertEqual([(row.limit, row.whom, row.elsewhere) for row in sorted(members)], [
            ("day", "amir", 30), ("day", "beth", 0), ("week", "amir", 0)
        ])  # fmt: skip
        found = {(loan.node, loan.host, loan.octets, round(loan.silent), loan.is_here) for loan in loans}
        host = socket.gethostname()
        self.assertEqual(found, {(one, host, 16 * 1024, 60, True), (two, "", 16 * 1024, 0, False)})
        self.assertEqual({row.limit for row in self.ledgered("week", None).members}, {"week"})
        self.assertEqual({row.whom for row in self.ledgered(None, "beth").members}, {"beth"})
        self.assertEqual(self.ledgered("day", "nobody"), ([], []))

    def ledgered(self, limit: str | None, whom: str | None) -> Ledgered:
        return read_postgresql(self.address, lambda connection: ledgered(connection, "1", limit, whom, NOW))

    def test_granted(self) -> None:
        """What an administrator grants on any node is lent by all."""
        self.one.borrow("1", [asked(moved=MIB)])
        self.store.charge([Charge("day", "amir", UNTIL, 0.0, float(MIB))])
        (lent,) = self.two.borrow("2", [asked(wants=MIB)])
        self.assertEqual(lent.granted, MIB // 2)

    def test_reset(self) -> None:
        """Who begins anew has what a node held that stopped long ago; one that is there keeps what it has."""
        self.one.borrow("1", [asked(moved=100, wants=1000)])
        self.silent(NODE_TERM_SECONDS)
        self.two.borrow("2", [asked(moved=50, wants=1000)])
        self.store.charge([Charge("day", "amir", UNTIL, -150.0, 0.0)])
        held = do("SELECT granted - returned - moved FROM loan ORDER BY run")
        self.assertEqual(held, [(0,), (16 * 1024,)])
        (lent,) = self.one.borrow("1", [asked(seen=100 + 16 * 1024, moved=100)])
        self.assertEqual(lent.returned, 16 * 1024)
        (told,) = self.common()
        self.assertEqual((told.elsewhere, told.granted), (0, 0))

    def test_reset_twice(self) -> None:
        """Who begins anew twice at once, on two nodes, has not less than nothing used, nor granted."""
        self.one.borrow("1", [asked(moved=100)])
        for _ in range(2):
            self.store.charge([Charge("day", "amir", UNTIL, -100.0, -5.0)])
        self.assertEqual(do("SELECT used, granted FROM quota"), [(0, 0)])

    def test_made_good(self) -> None:
        """What was made good long ago is forgotten with its loans."""
        self.one.borrow("1", [asked(wants=1000, until=1e9), asked(limit="week", until=NOW + 9e5)])
        self.store.shared(NOW)
        self.assertEqual(do('SELECT "limit" FROM loan'), [("week",)])

    def test_away(self) -> None:
        """A database that is away lends nothing, says so, and lends on when it is back."""
        self.one._address = msgspec.structs.replace(
            self.own("one"), database="postgresql://postgres@127.0.0.1:1/postgres"
        )
        error = self.assertRaises(StoreError, self.one.borrow, "1", [asked(wants=1000)])
        self.assertEqual(error.code, "store-away")
        self.one._address = self.own("one")
        self.assertEqual(len(self.one.borrow("1", [asked(wants=1000)])), 1)


class LoanFileTests(SynchronousTestCase):
    """What a node moved of loans, on its disk."""

    ROWS = (Moved("1", "day", "amir", UNTIL, 5), Moved("2", "day", "amir", UNTIL, 7))

    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.state.mkdir()
        self.file = self.opened()

    def opened(self) -> LoanFile:
        made = LoanFile(self.state / LOAN_FILE, DirectThread(), lambda: NOW)
        self.addCleanup(made.close)
        return made

    def test_kept(self) -> None:
        """What was written last of each run is there after a crash."""
        self.file.keep_moved(self.ROWS)
        self.file.keep_moved([self.ROWS[0]._replace(moved=6)])
        rows = self.successResultOf(self.opened().load_moved())
        self.assertEqual(sorted(rows), [self.ROWS[0]._replace(moved=6), self.ROWS[1]])

    def test_forgotten(self) -> None:
        """Runs that are accounted for are forgotten, and what was made good."""
        old = self.ROWS[1]._replace(until=NOW)
        self.file.keep_moved([*self.ROWS, old])
        self.file.forget_moved("2", NOW)
        self.assertEqual(self.successResultOf(self.file.load_moved()), [self.ROWS[1]])

    def test_damaged(self) -> None:
        """A file that is damaged is set aside, and nothing is known of what stood in it."""
        (self.state / LOAN_FILE).write_bytes(b"this is no database at all, but rather some text" * 100)
        self.assertEqual(self.successResultOf(self.file.load_moved()), [])
        self.assertIn(LOAN_FILE, str(self.file.damaged))
