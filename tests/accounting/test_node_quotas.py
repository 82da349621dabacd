"""
Nodes that lend to workers what is lent to them: whatever dies, is lost or away, the budget holds.

Time is simulated, and so are a database, nodes, their workers and what lies between these.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import chain

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.common import NODE_TERM_SECONDS, Budget, Common, NodeAsked, NodeLent
from corpproxy.accounting.leases import LEAST_OCTETS, Borrower, Reply
from corpproxy.accounting.node_quotas import AWAY_SECONDS, IDLE_SECONDS, NodeQuotas
from corpproxy.accounting.quotas import Asked, Lent
from corpproxy.policy.limits import Limit, Limits
from corpproxy.policy.quota import Quota

KIB = 1024
MIB = 1 << 20
MEMBER = ("day", "amir")
# Sunday, long before four in the morning of the next day.
NOW = 1_795_430_700.0


class Database:
    """What nodes have in common, on a clock of its own."""

    def __init__(self) -> None:
        self.budget = Budget()
        self.heard: dict[str, float] = {}

    def borrow(self, node: str, run: str, asked: list[NodeAsked], now: float) -> list[NodeLent]:
        self.hear(now)
        lent = [self.budget.lend(node, run, one) for one in asked]
        if asked:
            self.heard[run] = now
        return lent

    def hear(self, now: float) -> None:
        for name, loan in self.budget.loans.items():
            loan.silent = now - self.heard[name]

    def settle(self, node: str, run: str, moved: dict[str, int]) -> None:
        runs = [name for name, loan in self.budget.loans.items() if loan.node == node]
        for name in {*runs, *moved} - {run}:
            self.budget.settle(node, name, moved.get(name))
            self.heard.setdefault(name, 0.0)

    def common(self, run: str, until: float) -> Common:
        loans = self.budget.loans
        mine = loans[run].moved if run in loans else 0
        lent = sum(max(0, one.granted - one.returned - one.moved) for one in loans.values())
        wanted = sum(one.wants for name, one in loans.items() if name != run and one.silent < 5)
        return Common(*MEMBER, until, self.budget.used - mine, self.budget.granted, lent, wanted)


class Worker:
    """One process of a node, with an appetite."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.borrower = Borrower()
        self.appetite = 0
        self.until = 0.0
        self.calls_back = False

    @property
    def moved(self) -> int:
        return self.borrower.moved

    def ask(self, seconds: float) -> Asked:
        borrower = self.borrower
        if self.calls_back or not self.appetite:
            borrower.give_back(borrower.holds - self.appetite)
        wants = max(0, self.appetite - borrower.holds)
        return Asked(*MEMBER, self.until, seconds, *borrower.ask(wants))

    def take(self, lent: Lent) -> None:
        if lent.until != self.until:
            self.until = lent.until
            return
        self.borrower.take(Reply(lent.granted, lent.term), lent.asked_at, self.borrower.holds)
        self.calls_back = lent.calls_back

    def move(self, seconds: float, most: int) -> int:
        octets = min(self.appetite, self.borrower.may_move(seconds), most)
        self.borrower.move(octets)
        self.appetite -= octets
        return octets


@dataclass
class Node:
    """A machine; what it wrote on its disk outlives it."""

    name: str
    quota: Quota
    database: Database
    workers: list[Worker] = field(default_factory=list)
    disk: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    buried: int = 0
    is_dead: bool = False
    is_away: bool = False

    def __post_init__(self) -> None:
        self.begin(2)

    def begin(self, workers: int) -> None:
        self.runs += 1
        self.run = f"{self.name}.{self.runs}"
        self.quotas = NodeQuotas()
        self.quotas.define(Limits([Limit("day", quota=self.quota)]))
        self.workers = [Worker(f"{self.run}.w{number}") for number in range(workers)]
        self.is_settled = False

    def restart(self) -> None:
        self.begin(len(self.workers))

    def replace(self, number: int) -> None:
        """A worker is killed, and another begins in its place."""
        for _ in self.quotas.burying(self.workers[number].name):
            pass
        self.buried += 1
        self.workers[number] = Worker(f"{self.run}.r{self.buried}")

    def look(self, seconds: float, loses: float = 0.0, chance: random.Random | None = None) -> None:
        """One turn: workers ask, the node asks, what others did is read."""
        self.serve(seconds)
        if not self.is_away:
            if not self.is_settled:
                self.database.settle(self.name, self.run, self.disk)
                self.is_settled = True
            asked = finish(self.quotas.asking(seconds))
            if chance is not None and chance.random() < loses:
                self.quotas.not_answered(asked)
            elif asked:
                lent = self.database.borrow(self.name, self.run, asked, seconds)
                if chance is not None and chance.random() < loses:
                    self.quotas.not_answered(asked)
                else:
                    finish(self.quotas.taking(lent, seconds))
                    self.keep()
            self.database.hear(seconds)
            self.quotas.put_common(self.database.common(self.run, self.quota.ends(NOW)), NOW)
        else:
            self.quotas.not_answered(finish(self.quotas.asking(seconds)))
        for borrower, asked_before in chain.from_iterable(self.quotas.answerable()):
            lent = self.quotas.lend(borrower, asked_before, NOW, seconds)
            for worker in self.workers:
                if worker.name == borrower:
                    worker.take(lent)
        self.keep()

    def serve(self, seconds: float) -> None:
        for worker in self.workers:
            for _ in range(2):
                # The first answer tells when it is made good.
                worker.take(self.quotas.lend(worker.name, worker.ask(seconds), NOW, seconds))
        self.keep()

    def keep(self) -> None:
        for row in self.quotas.moved_at_most([MEMBER], self.run):
            self.disk[row.run] = row.moved

    @property
    def is_spent(self) -> bool:
        standing = self.quotas.standing(*MEMBER, NOW)
        return standing is not None and standing.is_spent


def finish(steps):
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


class Site:
    """Nodes that have one database."""

    def __init__(self, volume: int, count: int = 2, **more) -> None:
        self.database = Database()
        self.quota = Quota(volume=volume, **more)
        self.nodes = [Node(f"n{number}", self.quota, self.database) for number in range(count)]
        self.seconds = 1000.0
        self.moved = 0

    @property
    def workers(self) -> list[Worker]:
        return [worker for node in self.nodes if not node.is_dead for worker in node.workers]

    def pass_time(self, seconds: float, step: float = 0.25, most: int = 1 << 40) -> None:
        for _ in range(round(seconds / step)):
            self.seconds += step
            for node in self.nodes:
                if not node.is_dead:
                    node.look(self.seconds)
                    self.moved += sum(worker.move(self.seconds, most) for worker in node.workers)


class TreeTests(SynchronousTestCase):
    """Nodes and workers that die, answers that are lost, a database that is away."""

    @given(
        st.integers(0, 1 << 32),
        st.integers(0, 200 * MIB),
        st.integers(1, 4),
        st.sampled_from([0.0, 0.2]),
    )
    @settings(max_examples=60, deadline=None)
    def test_never_more(self, seed: int, budget: int, count: int, loses: float) -> None:
        """The sum never passes the budget, and nobody moves after the term of what lent to them."""
        chance = random.Random(seed)
        site = Site(budget, count)
        allowed = budget
        heard: dict[str, float] = {}
        for _ in range(100):
            site.seconds += chance.choice((0.05, 0.25, 1.0, 5.0, 200.0))
            for node in site.nodes:
                if node.is_dead:
                    continue
                if chance.random() < 0.05:
                    node.is_away = not node.is_away
                for worker in node.workers:
                    if chance.random() < 0.3:
                        worker.appetite += chance.randrange(0, max(1, budget))
                if chance.random() < 0.7:
                    node.look(site.seconds, loses, chance)
                heard = dict(site.database.heard)
                for worker in node.workers:
                    moved = worker.move(site.seconds, chance.randrange(1, 1 << 23))
                    site.moved += moved
                    if moved:
                        self.assertLess(site.seconds, heard[node.run] + NODE_TERM_SECONDS)
                if chance.random() < 0.05:
                    node.replace(chance.randrange(len(node.workers)))
                if chance.random() < 0.03:
                    node.restart()
                elif chance.random() < 0.01:
                    node.is_dead = True
            if chance.random() < 0.05:
                site.database.hear(site.seconds)
                # Somebody says that these have not been used; what a dead node moved untold is on top.
                allowed += site.database.budget.release()
            held = sum(
                max(0, one.granted - one.returned - one.moved) for one in site.database.budget.loans.values()
            )
            self.assertLessEqual(site.moved, allowed)
            self.assertLessEqual(site.database.budget.used + held, allowed)

    @given(st.integers(0, 1 << 32), st.integers(1 * MIB, 100 * MIB), st.integers(2, 4), st.booleans())
    @settings(max_examples=40, deadline=None)
    def test_nobody_starves(self, seed: int, budget: int, count: int, dies: bool) -> None:
        """While budget is left whoever wants more gets some, though other nodes hold what they do not use."""
        chance = random.Random(seed)
        site = Site(budget, count)
        for worker in site.workers:
            worker.appetite = chance.randrange(1, budget)
        site.pass_time(1.0, most=chance.randrange(1, budget // 16))
        for worker in site.workers:
            worker.appetite = 0
        if dies:
            gone = site.nodes[-1]
            gone.is_dead = True
        hungry = site.nodes[0].workers[0]
        hungry.appetite = 2 * budget
        site.pass_time(60.0, most=budget // 8)
        lost = 0
        if dies:
            loan = site.database.budget.loans[gone.run]
            lost = loan.granted - loan.returned - sum(worker.moved for worker in gone.workers)
        self.assertEqual(site.moved, budget - lost)
        self.assertTrue(site.nodes[0].is_spent)


class NodeTests(SynchronousTestCase):
    """Two nodes, a quota of 100 MiB."""

    def setUp(self) -> None:
        self.site = Site(100 * MIB)
        self.one, self.two = self.site.nodes

    def wants(self, node: Node, appetite: int, number: int = 0) -> Worker:
        worker = node.workers[number]
        worker.appetite = appetite
        return worker

    def held(self, node: Node) -> int:
        loan = self.site.database.budget.loans.get(node.run)
        return loan.granted - loan.returned - loan.moved if loan else 0

    def test_prefetch(self) -> None:
        """A node holds a part of what is left beforehand: who uses little costs the database little."""
        worker = self.wants(self.one, 100 * KIB)
        self.site.pass_time(2)
        self.assertEqual(worker.moved, 100 * KIB)
        turns = []
        borrow = self.site.database.borrow
        self.site.database.borrow = lambda *words: turns.append(words[2]) or borrow(*words)
        for _ in range(20):
            worker.appetite += 100 * KIB
            self.site.pass_time(1)
        self.assertEqual(worker.moved, 2100 * KIB)
        # It is told every five seconds what moved.
        self.assertLessEqual(len([one for one in turns if one]), 5)

    def test_idle(self) -> None:
        """What nobody uses for a minute goes back."""
        self.wants(self.one, MIB)
        self.site.pass_time(5)
        self.assertGreater(self.held(self.one), MIB)
        self.site.pass_time(IDLE_SECONDS)
        self.assertEqual((self.held(self.one), self.site.database.budget.used), (0, MIB))

    def test_restart(self) -> None:
        """A node that begins anew accounts for what it was lent before; nothing is lost or charged twice."""
        self.wants(self.one, 3 * MIB)
        self.site.pass_time(5)
        self.one.restart()
        self.site.pass_time(2)
        self.assertEqual((self.held(self.one), self.site.database.budget.used), (0, 3 * MIB))
        self.assertEqual(self.one.quotas.standing(*MEMBER, NOW).used, 3 * MIB)

    def test_lost_disk(self) -> None:
        """Where its disk is gone, too, all that it was lent counts as used."""
        self.wants(self.one, 3 * MIB)
        self.site.pass_time(5)
        held = self.held(self.one)
        self.one.disk.clear()
        self.one.restart()
        self.site.pass_time(2)
        self.assertEqual(self.site.database.budget.used, 3 * MIB + held)

    def test_goes_on_while_away(self) -> None:
        """While the database is away a node lends what it holds, and then all counts as used for a while."""
        worker = self.wants(self.one, MIB)
        self.site.pass_time(2)
        held = self.held(self.one)
        self.one.is_away = True
        worker.appetite = 50 * MIB
        self.site.pass_time(AWAY_SECONDS - 0.5)
        self.assertEqual(worker.moved, MIB + held)
        self.assertFalse(self.one.is_spent)
        self.site.pass_time(1.5)
        self.assertTrue(self.one.is_spent)
        self.assertEqual(self.one.quotas.shut, 1)
        self.assertFalse(self.one.quotas.standing(*MEMBER, NOW).is_known)
        self.assertEqual(self.one.quotas.all(NOW)[MEMBER].used, MIB + held)
        self.one.is_away = False
        self.site.pass_time(2)
        self.assertEqual((self.one.is_spent, self.one.quotas.shut), (False, 0))
        self.site.pass_time(20)
        self.assertEqual(worker.moved, 51 * MIB)

    def test_counts_by_itself(self) -> None:
        """Where the policy says so a node goes on by what it knows; what it moved is charged afterwards."""
        self.site = Site(100 * MIB, goes_on=True)
        self.one, self.two = self.site.nodes
        other = self.wants(self.two, 30 * MIB)
        worker = self.wants(self.one, MIB)
        self.site.pass_time(5)
        self.one.is_away = True
        worker.appetite = 200 * MIB
        self.site.pass_time(20)
        self.assertEqual((worker.moved, other.moved), (70 * MIB, 30 * MIB))
        self.assertTrue(self.one.is_spent)
        self.one.is_away = False
        self.site.pass_time(5)
        self.assertEqual(self.site.database.budget.used, 100 * MIB)

    def test_long_silence(self) -> None:
        """A loan that was not renewed for its term is not used, and is again once the database answers."""
        worker = self.wants(self.one, MIB)
        self.site.pass_time(2)
        self.one.is_away = True
        self.site.pass_time(NODE_TERM_SECONDS, step=5.0)
        worker.appetite = MIB
        self.site.pass_time(2)
        self.assertEqual(worker.moved, MIB)
        self.one.is_away = False
        self.site.pass_time(2)
        self.assertEqual(worker.moved, 2 * MIB)

    def test_granted_elsewhere(self) -> None:
        """More that was granted on another node opens it again here."""
        worker = self.wants(self.one, 200 * MIB)
        self.site.pass_time(30)
        self.assertEqual((worker.moved, self.one.is_spent), (100 * MIB, True))
        self.site.database.budget.granted += MIB
        self.site.pass_time(5)
        self.assertEqual(worker.moved, 101 * MIB)

    def test_released(self) -> None:
        """What a dead node held is released, and those who were told that it is over get it."""
        self.wants(self.two, 10 * MIB)
        self.site.pass_time(2)
        self.two.is_dead = True
        worker = self.wants(self.one, 200 * MIB)
        self.site.pass_time(30)
        lost = self.held(self.two)
        self.assertGreater(lost, LEAST_OCTETS)
        self.assertEqual((worker.moved, self.one.is_spent), (90 * MIB - lost, True))
        self.site.seconds += NODE_TERM_SECONDS
        self.site.database.hear(self.site.seconds)
        self.site.database.budget.release()
        self.site.pass_time(10)
        self.assertEqual(worker.moved, 90 * MIB)

    def test_minutes(self) -> None:
        """Minutes are told at once; one in which somebody moves on both nodes is one, and both know it."""
        self.site = Site(0, minutes=45)
        self.one, self.two = self.site.nodes
        for minute, nodes in ((0, self.site.nodes), (1, [self.one]), (2, self.site.nodes)):
            for node in nodes:
                node.quotas.count(*MEMBER, 40 * KIB, NOW + 60 * minute)
            self.site.pass_time(1)
        self.assertEqual(self.site.database.budget.used, 3)
        used = [node.quotas.standing(*MEMBER, NOW).used for node in self.site.nodes]
        self.assertEqual(used, [3, 3])

    def test_wrong_clock(self) -> None:
        """What a node counted whose clock is a day ahead is not taken for today, nor what is of yesterday."""
        self.wants(self.one, MIB)
        self.site.pass_time(2)
        quotas, until = self.one.quotas, self.site.quota.ends(NOW)
        for days in (-1, 1):
            quotas.put_common(Common(*MEMBER, until + days * 86400, 99.0 * MIB, 0.0), NOW)
            quotas.put_common(Common("day", "beth", until + days * 86400, 99.0 * MIB, 0.0), NOW)
        self.assertEqual(quotas.standing(*MEMBER, NOW).used, MIB)
        self.assertIsNone(quotas.standing("day", "beth", NOW))
        quotas.put_common(Common("day", "beth", until, 5.0, 0.0), NOW)
        self.assertEqual(quotas.standing("day", "beth", NOW).used, 5.0)

    def test_next_day(self) -> None:
        """A day that is over is forgotten with what was on loan."""
        self.wants(self.one, MIB)
        self.site.pass_time(2)
        quotas, until = self.one.quotas, self.site.quota.ends(NOW)
        finish(quotas.forgetting(until - 1))
        self.assertEqual(len(quotas.moved_at_most([MEMBER], "run")), 1)
        finish(quotas.forgetting(until))
        self.assertEqual((quotas.moved_at_most([MEMBER], "run"), finish(quotas.asking(2000.0))), ([], []))
