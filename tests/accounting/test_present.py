"""What several processes have on the line, as one answer with the rows that are asked for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.present import (
    LEAST_HELD,
    SORTS,
    Firsts,
    Person,
    Present,
    Question,
    QuotaUse,
    Running,
    Sort,
    View,
    matches,
    ordered,
    together,
)
from tests.support.rows import rows, tabular


def taken(steps):
    """What steps come to."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def first_of(kind, question):
    """The first of some rows."""
    firsts = Firsts(question)
    for one in kind:
        firsts.add(one)
    return firsts.rows()


def person(who="amir", **more):
    return Person(who, True, **more)


def running(reference="0v7x01", who="amir", **more):
    told = {
        "client": "10.1.2.3", "groups": ("pupils",), "method": "GET", "is_tunnel": False, "host": "a.example",
        "port": 443, "categories": ("video",), "rule": "rest", "started": 100.0, "received": 0, "sent": 0,
    }  # fmt: skip
    return Running(reference, 1, who, **{**told, **more})


PEOPLE = [
    person("amir", sent_rate=30.0, sent=5, slowed=("line",), groups=("pupils",)),
    person("beth", received_rate=40.0, connections=3, quota=QuotaUse("day", 0.9, 0.0)),
    person("carol", tunnels=2, refused=4, received=900, addresses=("10.0.0.1",), groups=("art",)),
]
RUNNING = [
    running("1", "carol", started=50.0, host="b.example", method="PUT", categories=("news",)),
    running("2", "amir", sent_rate=9.0, rule="all", groups=("art",), client="10.0.0.9"),
    running("3", "beth", is_tunnel=True, sent=70, slowed=("line",), host="c.example", method="POST"),
]


@tabular
class OrderTests(SynchronousTestCase):
    """In which order rows come."""

    @rows(
        rate=(Sort.RATE, "beth"),
        down=(Sort.DOWN, "amir"),
        up=(Sort.UP, "beth"),
        moved=(Sort.MOVED, "carol"),
        open=(Sort.OPEN, "beth"),
        tunnels=(Sort.TUNNELS, "carol"),
        refused=(Sort.REFUSED, "carol"),
        quota=(Sort.QUOTA, "beth"),
        slowed=(Sort.SLOWED, "amir"),
        who=(Sort.WHO, "amir"),
    )
    def test_people(self, sort, first):
        """The largest comes first, and names from the first letter on; turned round it comes last."""
        self.assertEqual(first_of(PEOPLE, Question(sort=sort))[0].who, first)
        self.assertEqual(first_of(PEOPLE, Question(sort=sort, backwards=True))[-1].who, first)

    @rows(
        rate=(Sort.RATE, "2"),
        moved=(Sort.MOVED, "3"),
        age=(Sort.AGE, "1"),
        tunnels=(Sort.TUNNELS, "3"),
        slowed=(Sort.SLOWED, "3"),
        host=(Sort.HOST, "2"),
        method=(Sort.METHOD, "2"),
        rule=(Sort.RULE, "2"),
        category=(Sort.CATEGORY, "1"),
        group=(Sort.GROUP, "2"),
        address=(Sort.ADDRESS, "2"),
    )
    def test_running(self, sort, first):
        """The same holds for what runs; the oldest is the largest age."""
        self.assertEqual(first_of(RUNNING, Question(View.RUNNING, sort))[0].reference, first)

    def test_all(self):
        """Rows of either kind have every order that is told for them."""
        for view, kind in ((View.PEOPLE, PEOPLE), (View.RUNNING, RUNNING)):
            for sort in SORTS[view]:
                self.assertEqual(len(first_of(kind, Question(view, sort))), 3)

    def test_many(self):
        """Of thousands no more are held than some times what is wanted, and the first are the right ones."""
        question = Question(limit=10)
        firsts: Firsts[Person] = Firsts(question)
        many = [person(f"p{n}", sent_rate=float(n * 7919 % 10_007)) for n in range(10_000)]
        for one in many:
            firsts.add(one)
            self.assertLess(len(firsts._rows), 2 * 10 + LEAST_HELD)
        expected = sorted(many, key=lambda one: -one.sent_rate)[:10]
        self.assertEqual([one.who for one in firsts.rows()], [one.who for one in expected])


@tabular
class MatchTests(SynchronousTestCase):
    """Which rows are asked for."""

    @rows(
        all=(Question(), True),
        name=(Question(text="MIR"), True),
        group=(Question(text="pupils"), True),
        address=(Question(text="10.1."), True),
        host=(Question(text="a.example"), True),
        rule=(Question(text="rest"), True),
        category=(Question(text="video"), True),
        other=(Question(text="nothing"), False),
        whose=(Question(who="amir"), True),
        part_of_a_name=(Question(who="ami"), False),
        both=(Question(who="amir", text="nothing"), False),
    )
    def test_running(self, question, expected):
        """A text may stand anywhere in what a row names; one person is that person alone."""
        self.assertEqual(matches(running(), question), expected)


class TogetherTests(SynchronousTestCase):
    """What several processes tell."""

    def test_sums(self):
        """Rates, connections and exchanges add up, and a person is one row."""
        one = Present(
            2.0, 3, 1, 2, 5.0, 6.0, people=(person(sent=5, addresses=("10.0.0.2",)), person("beth"))
        )
        other = Present(1.9, 4, 0, 1, 1.0, 1.0, people=(person(sent=7, running=1, addresses=("10.0.0.1",)),))
        seen = taken(together([one, other], Question()))
        self.assertEqual((seen.seconds, seen.connections, seen.tunnels, seen.exchanges), (2.0, 7, 1, 3))
        self.assertEqual((seen.received_rate, seen.sent_rate, seen.workers, seen.active), (6.0, 7.0, 2, 1))
        first = taken(ordered(seen, Question(limit=1)))
        self.assertEqual((first.found, [one.who for one in first.people]), (2, ["amir"]))
        self.assertEqual((first.people[0].sent, first.people[0].addresses), (12, ("10.0.0.1", "10.0.0.2")))

    def test_running(self):
        """What runs comes in one order, however it is spread, and all that was found is counted."""
        parts = [Present(found=40, running=(one,)) for one in RUNNING]
        seen = taken(together(parts, Question(View.RUNNING, Sort.MOVED, limit=2)))
        self.assertEqual((seen.running[0].reference, len(seen.running)), ("3", 2))
        self.assertEqual(seen.found, 120)

    def test_nobody(self):
        """Where no process answers there is nothing, and no rate."""
        seen = taken(together([], Question()))
        self.assertEqual((seen.workers, seen.seconds, seen.people), (0, 0.0, ()))
