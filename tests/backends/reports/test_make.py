"""Reports from the roll-ups, and of one person from the record."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.store_address import StoreAddress
from corpproxy.audit.record import encode
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.backends.reports.make import ReportOrder, figures_of, make_report
from corpproxy.backends.store.schema import open_store
from corpproxy.policy.days import Days
from corpproxy.reports.figures import Figures, Harm
from corpproxy.reports.period import Every, period_with
from tests.audit.test_record import a_record

NOW = datetime(2026, 11, 30, 6, tzinfo=UTC).timestamp()
WEEK = period_with(Every.WEEK, date(2026, 11, 23), Days(UTC, 0))
FIRST = "records-20261116T080000Z-0001.jsonl"
GAMES, REFUSED = "games wait", {"result": ResultCode.BLOCKED, "rule": "games wait"}


class ReportTests(SynchronousTestCase):
    """Two weeks of a small school."""

    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        (self.state / "records").mkdir(parents=True)
        self.address = self.made()
        self.said: list[str] = []
        self.lines: list[bytes] = []
        for hour in (8, 9, 10):
            self.add(23, hour, "amir", "www.bbc.example", categories=("news", "cdn"))
        self.add(16, 8, "amir", "www.bbc.example", categories=("news", "cdn"))
        self.add(24, 8, "carol", "www.bbc.example", groups=("staff",), categories=("news",))
        self.add(30, 0, "amir", "next.example")
        # Beth is refused twice within the hour, Amir once and asks, Dora once and leaves it at that.
        for minute in (1, 2):
            self.add(23, 11, "beth", "games.example", minute, **REFUSED)
        self.add(23, 12, "amir", "games.example", **REFUSED)
        self.add(23, 13, "dora", "games.example", **REFUSED)
        self.add(23, 14, "dora", "", result=ResultCode.LIMITED, rule="a gigabyte a day")
        self.deed("access-asked", "amir", "amir", "games.example")
        self.deed("grant-given", "carol", "group:pupils", "other.example")

    def made(self) -> StoreAddress | None:
        """Where the store is, which is not made yet: None for the file of the state folder."""
        return None

    def order(self, group: str = "", **more) -> ReportOrder:
        """A report of the week."""
        return ReportOrder("Hillside", self.state, WEEK, group, store=self.address, **more)

    def add(self, day: int, hour: int, user: str, host: str, minute: int = 0, **fields) -> None:
        """Record an exchange."""
        fields = {"groups": ("pupils",), "received": 10, "sent": 90, **fields}
        at = f"2026-11-{day:02d}T{hour:02d}:{minute:02d}:00.000Z"
        self.lines.append(encode(a_record(at=at, user=user, host=host, **fields)))

    def deed(self, deed: str, by: str, whom: str, host: str) -> None:
        """Record what somebody did."""
        at = "2026-11-23T12:30:00.000Z"
        kind = {"kind": Kind.DEED, "result": ResultCode.DONE}
        self.lines.append(encode(a_record(at=at, user=by, whom=whom, deed=deed, hosts=(host,), **kind)))

    def figures(self, **more) -> Figures:
        """The figures of the week."""
        (self.state / "records" / FIRST).write_bytes(b"".join(self.lines))
        return figures_of(self.order(**more), NOW, self.said.append)

    def test_totals(self) -> None:
        """What was in the week counts, beside the week before; what came behind it does not."""
        found = self.figures()
        self.assertEqual((found.total.exchanges, found.total.octets, found.total.refused), (9, 900, 5))
        self.assertEqual(found.total_before.exchanges, 1)
        self.assertEqual((found.people, found.hosts), (4, 2))
        self.assertEqual(
            [(slot.now.exchanges, slot.before.exchanges) for slot in found.slots][:2], [(8, 1), (1, 0)]
        )

    def test_tops(self) -> None:
        """People, groups, hosts and categories come with the most exchanges first."""
        found = self.figures()
        self.assertEqual(
            [(row.name, row.now.exchanges) for row in found.top_people][:2], [("amir", 4), ("beth", 2)]
        )
        self.assertEqual([row.name for row in found.top_groups], ["pupils", "staff"])
        self.assertEqual(
            [(row.name, row.now.exchanges) for row in found.top_categories][:2], [("", 5), ("news", 4)]
        )
        self.assertEqual(found.top_people[0].before.exchanges, 1)
        self.assertEqual(len(self.figures(top=1).top_people), 1)

    def test_trends(self) -> None:
        """Rows and the whole come with the last eight weeks, the earliest first."""
        self.add(2, 8, "amir", "www.bbc.example", groups=("staff", "pupils"))
        found = self.figures()
        self.assertEqual([slot.name for slot in found.trend][-2:], ["2026-W47", "2026-W48"])
        self.assertEqual([slot.now.exchanges for slot in found.trend], [0, 0, 0, 0, 1, 0, 1, 9])
        self.assertEqual(found.trend[-1].now.refused, 5)
        trends = {row.name: row.trend[4:] for row in (*found.top_people, *found.top_groups, *found.top_hosts)}
        self.assertEqual(trends["amir"], (1, 0, 1, 4))
        self.assertEqual(trends["staff"], (1, 0, 0, 1))
        self.assertEqual(trends["games.example"], (0, 0, 0, 4))
        news = next(row for row in found.top_categories if row.name == "news")
        self.assertEqual(news.trend[4:], (0, 0, 1, 4))

    def test_new_and_gone(self) -> None:
        """Hosts that are new, and those that nobody asks for any more, are told apart."""
        self.add(17, 8, "amir", "old.example")
        found = self.figures()
        self.assertEqual([row.name for row in found.new_hosts], ["games.example"])
        self.assertEqual([(row.name, row.before.exchanges) for row in found.gone_hosts], [("old.example", 1)])

    def test_nothing_before(self) -> None:
        """Where nothing is known of before there is no trend, and nothing is new."""
        self.lines = [line for line in self.lines if b"2026-11-16" not in line]
        found = self.figures()
        self.assertEqual((found.trend, found.new_hosts, found.gone_hosts), ((), (), ()))

    def test_over_blocking(self) -> None:
        """Who tried again, asked or was let through was hurt; who left it at that was not."""
        self.assertEqual(self.figures().harms, (Harm("games.example", GAMES, 2, 3, 1, 1, 0),))

    def test_let_through(self) -> None:
        """A grant to the group, or to the person, says that a refusal was not meant."""
        self.deed("grant-given", "carol", "group:pupils", "games.example")
        self.assertEqual(self.figures().harms, (Harm("games.example", GAMES, 3, 4, 1, 1, 3),))

    def test_refusals(self) -> None:
        """What was refused most, how often and to how many; limits stand for themselves."""
        found = self.figures()
        self.assertEqual(
            [(one.host, one.times, one.people) for one in found.refusals], [("games.example", 4, 3)]
        )
        self.assertEqual([(one.name, one.rule) for one in found.limited], [("dora", "a gigabyte a day")])

    def test_slowed(self) -> None:
        """Who had to wait for a limit stands among those who met one, and was refused nothing."""
        self.add(25, 8, "beth", "films.example", slowed_by=("the line", "each"))
        found = self.figures()
        self.assertEqual(
            [(one.name, one.rule) for one in found.limited][:2], [("beth", "each"), ("beth", "the line")]
        )
        self.assertEqual((found.total.exchanges, found.total.refused), (10, 5))

    def test_quota(self) -> None:
        """A quota that is used up is a limit that somebody met, not a host that was blocked."""
        spent = {"failure": "quota-spent"}
        self.add(25, 8, "beth", "films.example", result=ResultCode.BLOCKED, rule="a film a day", **spent)
        self.add(25, 9, "beth", "films.example", result=ResultCode.ENDED, ended_rule="a film a day", **spent)
        found = self.figures()
        self.assertEqual((found.limited[0].name, found.limited[0].times), ("beth", 2))
        self.assertNotIn("films.example", [one.host for one in (*found.refusals, *found.harms)])

    def test_group(self) -> None:
        """A report of a group has what people of that group did, and nothing of others."""
        found = self.figures(group="staff")
        self.assertEqual([row.name for row in found.top_people], ["carol"])
        self.assertEqual((found.total.exchanges, found.harms, found.refusals), (1, (), ()))
        self.assertNotIn("amir", make_report(self.order("staff"), NOW, print))
        self.assertEqual(self.figures(group="nobody").total.exchanges, 0)

    def test_person(self) -> None:
        """A report of one person comes from the record, and says where they were."""
        found = self.figures(user="amir")
        self.assertEqual([row.name for row in found.top_hosts], ["www.bbc.example", "games.example"])
        self.assertEqual((found.total.exchanges, found.total_before.exchanges), (4, 1))
        self.assertEqual([row.name for row in found.top_people], ["amir"])

    def test_up_to_date(self) -> None:
        """What came since the last roll-up is in the next report."""
        self.figures()
        self.add(29, 23, "amir", "late.example")
        self.assertEqual(self.figures().total.exchanges, 10)
        self.assertEqual(self.said, [])

    def test_not_rolled_up(self) -> None:
        """Where the roll-ups cannot be brought up to date, the report says so and shows what there is."""
        open_store(self.state / "corpproxy.db", NOW).close()
        self.figures()
        (self.state / "records" / "records-20261129T080000Z-0001.jsonl").mkdir()
        self.assertEqual(self.figures().total.exchanges, 9)
        self.assertIn("may lack what came last", self.said[0])
