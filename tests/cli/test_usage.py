"""``corpproxy usage`` shows who moved how much."""

from __future__ import annotations

import json
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.ledger import OTHER_HOSTS, Usage
from corpproxy.backends.store.sqlite import SqliteFile
from corpproxy.policy.amounts import octets_text
from corpproxy.reports.aligned import cells
from tests.cli.reading import output_of
from tests.support.rows import rows, tabular

SLOT = 1_795_428_000  # 2026-11-23T10:00Z
ROWS = [
    Usage(
        SLOT,
        "amir",
        ("pupils", "year-9"),
        ("games",),
        "miniclip.com",
        3000,
        5_000_000,
        2,
        "10.1.2.3",
        "games",
        5,
    ),
    Usage(SLOT, "beth", ("pupils",), (), "bbc.co.uk", 100, 900, 1),
    Usage(SLOT + 18 * 3600, "", (), (), OTHER_HOSTS, 10, 70, 1),
]


class UsageTestCase(SynchronousTestCase):
    """A store with some usage."""

    def setUp(self) -> None:
        self.store = Path(self.mktemp()) / "corpproxy.db"
        file = SqliteFile(self.store)
        file.add_usage(ROWS)
        file.close()
        self.patch(os, "environ", {**os.environ, "TZ": "Europe/London"})

    def usage(self, *arguments: str) -> str:
        code, out, err = output_of("usage", "--store", str(self.store), *arguments)
        self.assertEqual((code, err), (0, ""))
        return out


class TableTests(UsageTestCase):
    """For people."""

    def test_by_user(self) -> None:
        """By default there is a row for each person, the one with most octets first, and a total."""
        self.assertEqual(
            self.usage(),
            "user             from clients  to clients  together  exchanges  minutes\n"
            "amir                  2.9 KiB     4.8 MiB   4.8 MiB          2        5\n"
            "beth                    100 B       900 B    1000 B          1        0\n"
            "(not signed in)          10 B        70 B      80 B          1        0\n"
            "total                 3.0 KiB     4.8 MiB   4.8 MiB          4        5\n",
        )

    def test_by_group(self) -> None:
        """By group it says that people may count in several rows."""
        lines = self.usage("--by", "group").splitlines()
        self.assertEqual([line.split()[0] for line in lines[1:4]], ["pupils", "year-9", "(no"])
        self.assertIn("A person in several groups counts in each", lines[-1])

    def test_other_hosts(self) -> None:
        """Hosts that were added up together have a name of their own."""
        self.assertIn("(other hosts)", self.usage("--by", "host"))

    def test_limit(self) -> None:
        """Rows that are not shown are counted, and are in the total."""
        lines = self.usage("--limit", "1").splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["user", "amir", "total", "2"])
        self.assertEqual(lines[-1], "2 more rows are not shown.")
        self.assertEqual(lines[2].split()[-2:], ["4", "5"])

    def test_no_such_rows(self) -> None:
        """What there are no rows for is told, with what there are rows for."""
        code, _, err = output_of("usage", "--store", str(self.store), "--by", "room")
        self.assertEqual(code, 2)
        self.assertIn("invalid choice: 'room' (choose from 'user', 'group',", err)

    def test_days(self) -> None:
        """Days are those of the site, and begin at four."""
        lines = self.usage("--by", "day").splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["day", "2026-11-23", "2026-11-24", "total"])

    def test_nights(self) -> None:
        """The night is of the day before, unless the site says otherwise."""
        file = SqliteFile(self.store)
        file.add_usage([Usage(SLOT + 17 * 3600, "late", (), (), "h", 1, 1, 1)])
        file.close()
        self.assertEqual(self.usage("--user", "late", "--by", "day").splitlines()[1].split()[0], "2026-11-23")
        policy = self.store.parent / "policy.yaml"
        policy.write_text(
            'listen: [{name: proxy, forward: "127.0.0.1:3128"}]\n'
            'day_begins: "02:30"\ntime_zone: Europe/London\nrules: [{name: all, do: allow}]\n'
        )
        days = self.usage("--policy", str(policy), "--user", "late", "--by", "day").splitlines()
        self.assertEqual(days[1].split()[0], "2026-11-24")

    def test_per(self) -> None:
        """There can be rows for each day, and each day is written once."""
        lines = self.usage("--by", "rule", "--per", "day", "--limit", "1").splitlines()
        self.assertEqual(
            [line.split()[:2] for line in lines[:-1]],
            [["day", "rule"], ["2026-11-23", "games"], ["2026-11-24", "(no"], ["total", "3.0"]],
        )

    def test_per_hour_of_hours(self) -> None:
        """What has a row for each hour already cannot have rows for each day."""
        code, _, err = output_of("usage", "--store", str(self.store), "--by", "hour", "--per", "day")
        self.assertEqual(code, 2)
        self.assertIn("--by hour has a row for each hour already; leave out --per", err)

    def test_trend(self) -> None:
        """Days stand beside each other; of one that is not over no change is told."""
        lines = self.usage("--trend", "day", "--until", "2026-11-24", "--limit", "2").splitlines()
        self.assertEqual(lines[0].split(), ["user", "2026-11-23", "2026-11-24", "change", "trend"])
        self.assertEqual([line.split()[0] for line in lines[1:4]], ["(not", "amir", "total"])
        self.assertIn("1 more row is not shown.", lines)

    def test_trend_of_nothing(self) -> None:
        """Who asks on the first day is told how to see it."""
        told = self.usage("--trend", "day", "--until", "2026-11-01")
        self.assertIn("Nothing moved until the end of 2026-11-01; '--until today' has what is", told)

    def test_trend_alone(self) -> None:
        """A trend has its own times, and no rows of times."""
        for words, said in (
            (("--trend", "day", "--per", "day"), "not allowed with argument"),
            (("--trend", "day", "--since", "today"), "the last of which --until chooses; leave out --since"),
            (("--trend", "day", "--by", "hour"), "leave out --trend, or write --by user"),
        ):
            code, _, err = output_of("usage", "--store", str(self.store), *words)
            self.assertEqual(code, 2)
            self.assertIn(said, err)

    def test_wide_letters(self) -> None:
        """Numbers stand below each other beside names of any script."""
        file = SqliteFile(self.store)
        file.add_usage([Usage(SLOT, "\u5c71\u7530\u592a\u90ce", (), (), "h", 1, 1, 1)])
        file.close()
        self.assertEqual(len({cells(line) for line in self.usage().splitlines()}), 1)

    def test_device(self) -> None:
        """What one device moved can be told by where it went."""
        lines = self.usage("--device", "10.1.2.3", "--by", "host").splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["host", "miniclip.com", "total"])

    def test_until_a_day(self) -> None:
        """Until a day includes that day."""
        self.assertEqual(self.usage("--until", "2026-11-23").splitlines()[-1].split()[-2], "3")
        self.assertEqual(self.usage("--since", "2026-11-24").splitlines()[-1].split()[-2], "1")

    def test_empty(self) -> None:
        """A time without usage has a total of nothing."""
        self.assertEqual(self.usage("--since", "2027-01-01").splitlines()[-1].split()[0], "total")

    def test_terminal(self) -> None:
        """A name cannot speak to the terminal."""
        file = SqliteFile(self.store)
        file.add_usage([Usage(SLOT, "\x1b[2J", (), (), "h", 1, 1, 1)])
        file.close()
        self.assertNotIn("\x1b", self.usage())


class MachineTests(UsageTestCase):
    """For programs."""

    def test_csv(self) -> None:
        """CSV has octets as plain numbers."""
        self.assertEqual(
            self.usage("--format", "csv", "--user", "amir"),
            "user,received_octets,sent_octets,exchanges,active_minutes\namir,3000,5000000,2,5\n",
        )

    def test_csv_per(self) -> None:
        """CSV says of each row of which day it is."""
        self.assertEqual(
            self.usage("--format", "csv", "--user", "amir", "--by", "category", "--per", "month"),
            "month,category,received_octets,sent_octets,exchanges,active_minutes\n"
            "2026-11,games,3000,5000000,2,5\n",
        )

    def test_trend_csv(self) -> None:
        """Of a trend CSV has a column for each day."""
        lines = self.usage("--format", "csv", "--trend", "day", "--until", "2026-11-23").splitlines()
        self.assertEqual(lines[0].split(",")[0::7], ["user", "2026-11-22"])
        self.assertEqual(lines[1], "amir,0,0,0,0,0,0,0,5003000")

    def test_trend_json(self) -> None:
        """JSON has the days with their beginnings and ends, and numbers for each."""
        told = json.loads(self.usage("--json", "--trend", "day", "--until", "2026-11-23", "--by", "group"))
        self.assertEqual(told["spans"][-1]["name"], "2026-11-23")
        self.assertEqual(told["rows"][0], {"group": "pupils", "octets": [0] * 7 + [5004000]})
        self.assertEqual((told["total"][-1], told["rows_overlap"]), (5004000, True))

    def test_json_per(self) -> None:
        """So does JSON."""
        document = json.loads(self.usage("--json", "--user", "beth", "--per", "week"))
        self.assertEqual(document["per"], "week")
        self.assertEqual((document["rows"][0]["week"], document["rows"][0]["user"]), ("2026-W48", "beth"))

    def test_json(self) -> None:
        """JSON has rows and a total, and says whether rows overlap."""
        document = json.loads(self.usage("--format", "json", "--by", "group", "--user", "amir"))
        self.assertEqual(
            document["rows"],
            [
                {
                    "group": name,
                    "received_octets": 3000,
                    "sent_octets": 5000000,
                    "exchanges": 2,
                    "active_minutes": 5,
                }
                for name in ("pupils", "year-9")
            ],
        )
        self.assertEqual(document["total"]["exchanges"], 2)
        self.assertTrue(document["rows_overlap"])


class SiteTests(UsageTestCase):
    """Which store is read."""

    def test_of_the_policy(self) -> None:
        """Without a file it is the store in the state folder of the policy, also of a broken one."""
        policy = self.store.parent / "policy.yaml"
        policy.write_text("state: .\nrulez: []\n")
        code, out, err = output_of("usage", "--policy", str(policy))
        self.assertEqual((code, out.splitlines()[1].split()[0]), (0, "amir"))
        self.assertIn("cannot be loaded", err)

    def test_no_store(self) -> None:
        """A store that is not there is told by its path."""
        code, out, err = output_of("usage", "--store", "nowhere.db")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("no store at nowhere.db", err)

    def test_no_policy(self) -> None:
        """A policy that is not there is told by its path."""
        code, _, err = output_of("usage", "--policy", "nowhere.yaml")
        self.assertEqual(code, 1)
        self.assertIn("nowhere.yaml: there is no such policy", err)

    def test_odd_moment(self) -> None:
        """A moment that is none is told with the forms that are."""
        code, _, err = output_of("usage", "--store", str(self.store), "--since", "last tuesday")
        self.assertEqual(code, 2)
        self.assertIn("'last tuesday' is no moment; write 2026-11-23", err)


@tabular
class HumanTests(SynchronousTestCase):
    """Octets for people."""

    @rows(
        nothing=(0, "0 B"),
        some=(1023, "1023 B"),
        kibi=(1024, "1.0 KiB"),
        mebi=(5 * 2**20 + 2**19, "5.5 MiB"),
        huge=(2**60, "1024 PiB"),
    )
    def test_units(self, octets, text) -> None:
        """A number has a unit that fits."""
        self.assertEqual(octets_text(octets), text)
