"""Roll-ups count every record once, whatever happens in between; people and old hours go out of them."""

from __future__ import annotations

import io
import os
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch
from zoneinfo import ZoneInfo

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from corpproxy.accounting.rollup import hour_of
from corpproxy.accounting.store_address import StoreAddress
from corpproxy.audit.erasure import Erasure
from corpproxy.audit.record import encode
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.backends.afterwork import making as record_afterwork
from corpproxy.backends.afterwork import run as afterwork_run
from corpproxy.backends.afterwork.job import AfterworkJob, zone_name
from corpproxy.backends.afterwork.making import roll_up
from corpproxy.backends.afterwork.now import afterwork_now
from corpproxy.backends.search.index import INDEX_KEY, without_index
from corpproxy.backends.store.opening import database_at, read_at
from corpproxy.backends.store.rollup import concerned, drop_before, drop_unused_terms, erase
from tests.audit.test_record import a_record
from tests.support.rows import rows, tabular

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
KOLKATA = ZoneInfo("Asia/Kolkata")
FIRST = "records-20261123T090000Z-0001.jsonl"
SECOND = "records-20261123T110000Z-0001.jsonl"


def a_line(minute: int, **fields) -> bytes:
    """A record of a minute after ten, UTC."""
    at = f"2026-11-23T{10 + minute // 60}:{minute % 60:02d}:00.000Z"
    return encode(a_record(at=at, received=1, sent=10, **fields))


class RollUpCase(SynchronousTestCase):
    """A state folder with some records."""

    def setUp(self) -> None:
        self.state = Path(self.mktemp())
        self.folder = self.state / "records"
        self.folder.mkdir(parents=True)
        self.address = self.made()

    def made(self) -> StoreAddress:
        """Where the store is, which is not made yet."""
        self.store = self.state / "corpproxy.db"
        return StoreAddress(file=str(self.store), state=str(self.state))

    def add(self, name: str, *lines: bytes) -> None:
        """Add lines to a segment."""
        with (self.folder / name).open("ab") as file:
            file.writelines(lines)

    def roll(self, zone=UTC) -> int:
        """Roll up what came."""
        return roll_up(self.folder, self.address, zone, NOW)

    def rows(self, query: str) -> list[tuple]:
        """What stands in the store, in no order that is its own."""
        return sorted(read_at(self.address, lambda connection: connection.execute(query).fetchall()))

    def people(self) -> dict[str, int]:
        """How many exchanges each person had."""
        return dict(
            self.rows(
                "SELECT text, SUM(exchanges) FROM hourly_person JOIN term ON term.id = user GROUP BY text"
            )
        )


class OnceTests(RollUpCase):
    """Each record counts once."""

    def test_again(self) -> None:
        """What was added up is not added up again; what came since is."""
        self.add(FIRST, a_line(0, user="amir"), a_line(1, user="beth"))
        self.assertEqual(self.roll(), 2)
        self.assertEqual(self.roll(), 0)
        self.add(FIRST, a_line(2, user="amir"), b'{"v":1,"id"')
        self.assertEqual(self.roll(), 1)
        self.assertEqual(self.people(), {"amir": 2, "beth": 1})

    def test_half_line(self) -> None:
        """Half a line waits for its other half."""
        line = a_line(0, user="amir")
        self.add(FIRST, line[:20])
        self.assertEqual(self.roll(), 0)
        self.add(FIRST, line[20:])
        self.assertEqual((self.roll(), self.people()), (1, {"amir": 1}))

    def test_crash(self) -> None:
        """A crash between two parts leaves the first counted and the second not, and then both, once."""
        self.add(FIRST, a_line(0, user="amir"))
        self.add(SECOND, a_line(61, user="amir"), a_line(62, user="beth"))
        adding, calls = record_afterwork.add_sums, []

        def dies_the_second_time(*arguments):
            calls.append(adding(*arguments))
            if len(calls) == 3:
                raise KeyboardInterrupt
            return calls[-1]

        self.patch(record_afterwork, "add_sums", dies_the_second_time)
        self.assertRaises(KeyboardInterrupt, self.roll)
        self.assertEqual(self.people(), {"amir": 1})
        self.patch(record_afterwork, "add_sums", adding)
        self.roll()
        self.assertEqual(self.people(), {"amir": 2, "beth": 1})

    def test_both_at_once(self) -> None:
        """A command that adds up while the service does adds nothing twice."""
        self.add(FIRST, a_line(0, user="amir"))
        real, first = record_afterwork.line_runs, []

        def meanwhile(*arguments, **more):
            runs = list(real(*arguments, **more))
            if not first:
                first.append(True)
                self.roll()
            return iter(runs)

        self.patch(record_afterwork, "line_runs", meanwhile)
        self.assertEqual(self.roll(), 0)
        self.assertEqual(self.people(), {"amir": 1})

    def test_rewritten(self) -> None:
        """A segment that was rewritten to erase somebody is gone on with where it was left, by its lines."""
        self.add(FIRST, a_line(0, user="amir"), a_line(1, user="beth"))
        self.roll()
        beside = self.folder / "beside"
        beside.write_bytes(a_line(0) + a_line(1, user="beth") + a_line(2, user="carol"))
        os.replace(beside, self.folder / FIRST)
        self.assertEqual(self.roll(), 1)
        self.assertEqual(self.people(), {"amir": 1, "beth": 1, "carol": 1})

    def test_gone(self) -> None:
        """The sums of a segment that retention deleted stay; how far it was added up is forgotten."""
        self.add(FIRST, a_line(0, user="amir"))
        self.add(SECOND, a_line(61, user="beth"))
        self.roll()
        (self.folder / FIRST).unlink()
        self.roll()
        self.assertEqual(self.people(), {"amir": 1, "beth": 1})
        ((segment, is_done),) = self.rows("SELECT segment, is_done FROM rolled_up")
        self.assertEqual((segment.rpartition("/")[2], is_done), (SECOND, 0))

    def test_odd_lines(self) -> None:
        """What is no record counts for nothing, and nothing stops at it."""
        self.add(FIRST, b"nonsense\n", a_line(0, user="\ud800\x1b"), encode(a_record(at="soon")))
        self.assertEqual(self.roll(), 3)
        self.assertEqual(self.people(), {"\\ud800\x1b": 1})


class SumTests(RollUpCase):
    """What is added up."""

    def test_kinds(self) -> None:
        """A tunnel counts when it is over; who asked and who was let through counts beside it."""
        self.add(
            FIRST,
            a_line(0, user="amir", kind=Kind.OPENING, result=ResultCode.OPEN),
            a_line(1, user="amir", kind=Kind.CLOSING, result=ResultCode.TUNNELLED, host="a.example"),
            a_line(2, user="amir", result=ResultCode.BLOCKED, host="b.example", rule="games"),
            a_line(3, user="carol", kind=Kind.DEED, result=ResultCode.DONE, deed="grant-given",
                   whom="amir", hosts=("b.example", "c.example"), rule="games"),
        )  # fmt: skip
        self.roll()
        self.assertEqual(self.people(), {"amir": 2})
        self.assertEqual(
            self.rows("SELECT text, exchanges, received, sent FROM hourly_place JOIN term ON id = host"),
            [("a.example", 1, 1, 10), ("b.example", 1, 1, 10)],
        )
        self.assertEqual(
            self.rows("SELECT text, times FROM hourly_refusal JOIN term ON id = rule"), [("games", 1)]
        )
        self.assertEqual(self.rows("SELECT COUNT(*), SUM(times) FROM hourly_deed"), [(2, 2)])

    def test_zone(self) -> None:
        """Hours are those of the site, also where they begin at half past those of UTC."""
        self.add(FIRST, a_line(29, user="amir"), a_line(30, user="amir"))
        self.roll(KOLKATA)
        hours = [
            datetime.fromtimestamp(hour, KOLKATA) for (hour,) in self.rows("SELECT hour FROM hourly_person")
        ]
        self.assertEqual([f"{hour:%H:%M}" for hour in hours], ["15:00", "16:00"])


class ForgettingTests(RollUpCase):
    """What goes out again."""

    def setUp(self) -> None:
        super().setUp()
        for minute in (0, 65):
            for name in ("amir", ""):
                self.add(
                    FIRST,
                    a_line(minute, user=name, host="b.example", rule="games", result=ResultCode.BLOCKED),
                )
        self.roll()

    def forget(self, work) -> int:
        """Do something to the store in a transaction."""
        with closing(database_at(self.address, lambda: NOW)) as file:
            return file.change(lambda connection, terms: work(connection), forgets=True)

    def erase(self, **about) -> int:
        """Erase what that is about."""
        return self.forget(lambda connection: erase(connection, Erasure(**about)))

    def hosts(self) -> list[tuple]:
        """How much there was at each host."""
        return self.rows("SELECT text, SUM(exchanges) FROM hourly_place JOIN term ON id = host GROUP BY text")

    def test_person(self) -> None:
        """A person is taken out of all sums; what they did becomes that of nobody."""
        self.assertEqual(self.erase(user="amir"), 4)
        self.assertEqual(self.people(), {"": 4})
        self.assertEqual(self.rows("SELECT SUM(times) FROM hourly_refusal"), [(4,)])
        self.forget(drop_unused_terms)
        self.assertEqual(self.rows("SELECT count(*) FROM term WHERE text = 'amir'"), [(0,)])

    def test_counted(self) -> None:
        """Counting changes nothing."""
        self.assertEqual(self.forget(lambda one: concerned(one, Erasure(user="amir"))), 4)
        self.assertEqual(self.people(), {"": 2, "amir": 2})

    def test_until(self) -> None:
        """Up to a moment, and not behind it."""
        self.erase(user="amir", until=NOW - 3600)
        self.assertEqual(self.people(), {"": 3, "amir": 1})

    def test_host(self) -> None:
        """A host with all below it becomes one that is not told apart."""
        self.assertEqual(self.erase(host="example"), 6)
        self.assertEqual(self.hosts(), [("*", 4)])
        self.assertEqual(self.people(), {"": 2, "amir": 2})

    def test_old(self) -> None:
        """Of hours that are old enough no host is told apart any more, or nobody is named."""
        self.erase(until=NOW - 3600, groups=("where", "url"))
        self.assertEqual(self.hosts(), [("*", 2), ("b.example", 2)])
        self.assertEqual(self.people(), {"": 2, "amir": 2})
        self.erase(until=NOW - 3600, groups=("who",))
        self.assertEqual(self.people(), {"": 3, "amir": 1})

    def test_nobody(self) -> None:
        """Somebody who is in no sum is taken out of none; an address is in none."""
        self.assertEqual(self.erase(user="carol"), 0)
        self.assertEqual(self.erase(client="10.0.0.1"), 0)
        self.assertEqual(self.people(), {"": 2, "amir": 2})

    def test_read_before(self) -> None:
        """What was read before somebody was erased does not come back behind it."""
        self.add(SECOND, a_line(70, user="dora"))
        real = record_afterwork.line_runs

        def erased_meanwhile(*arguments, **more):
            runs = list(real(*arguments, **more))
            beside = self.folder / "beside"
            beside.write_bytes(a_line(70))
            os.replace(beside, self.folder / SECOND)
            return iter(runs)

        self.patch(record_afterwork, "line_runs", erased_meanwhile)
        self.assertEqual(self.roll(), 0)
        self.patch(record_afterwork, "line_runs", real)
        self.roll()
        self.assertEqual(self.people(), {"": 3, "amir": 2})

    def test_before(self) -> None:
        """Hours of before a moment go."""
        self.assertEqual(self.forget(lambda connection: drop_before(connection, NOW - 3600)), 5)
        self.assertEqual(self.people(), {"": 1, "amir": 1})


class ChildTests(RollUpCase):
    """The child process that does it."""

    def job(self, **more) -> AfterworkJob:
        """Its job."""
        return AfterworkJob(str(self.state), "Europe/London", **more)

    def test_all(self) -> None:
        """Both are made, in a process of its own."""
        self.add(FIRST, a_line(0, user="amir"))
        self.add(SECOND, a_line(61, user="amir"))
        self.assertEqual(afterwork_now(self.job()), "")
        self.assertEqual(self.people(), {"amir": 2})
        self.assertEqual(without_index(self.folder, (self.state / INDEX_KEY).read_bytes()), [])

    def test_nothing_yet(self) -> None:
        """Before the first record there is nothing to do."""
        self.folder.rmdir()
        self.assertEqual(afterwork_now(self.job()), "")
        self.assertEqual(list(self.state.iterdir()), [])

    def test_each_part(self) -> None:
        """A store that cannot be written to is told, and the indexes are made all the same."""
        self.add(FIRST, a_line(0, user="amir"))
        self.add(SECOND, a_line(61, user="amir"))
        sqlite3.connect(self.store).execute("PRAGMA application_id = 7").connection.close()
        said: list[str] = []
        afterwork_run.do_afterwork(self.job(), said.append)
        self.assertEqual(len(said), 1)
        self.assertIn("roll-ups could not be made", said[0])
        self.assertEqual(without_index(self.folder, (self.state / INDEX_KEY).read_bytes()), [])

    def test_main(self) -> None:
        """The job comes on stdin."""
        stdin = io.TextIOWrapper(io.BytesIO(msgspec.json.encode(self.job())))
        with patch.object(sys, "stdin", stdin), patch.object(os, "nice"):
            self.assertEqual(afterwork_run.main(), 0)


@tabular
class ZoneTests(SynchronousTestCase):
    """Hours and zones."""

    @rows(utc=(UTC, "UTC"), london=(ZoneInfo("Europe/London"), "Europe/London"))
    def test_name(self, zone, name) -> None:
        """A zone has a name for another process."""
        self.assertEqual(zone_name(zone), name)

    @rows(whole=(UTC, 0), kolkata=(KOLKATA, 1800), kathmandu=(ZoneInfo("Asia/Kathmandu"), 900))
    def test_hour(self, zone, behind) -> None:
        """An hour begins where it does at the site."""
        self.assertEqual(hour_of(int(NOW) + 1799, zone) % 3600, behind if behind < 1800 else 1800)

    @rows(
        before=("2026-04-04T14:59:59", "2026-04-04T14:00:00"),
        set_back=("2026-04-04T15:00:00", "2026-04-04T15:00:00"),
        after=("2026-04-04T15:29:59", "2026-04-04T15:00:00"),
        next=("2026-04-04T15:30:00", "2026-04-04T15:30:00"),
        before_spring=("2026-10-03T15:29:59", "2026-10-03T14:30:00"),
        set_forward=("2026-10-03T15:30:00", "2026-10-03T15:30:00"),
        after_spring=("2026-10-03T15:59:59", "2026-10-03T15:30:00"),
        next_spring=("2026-10-03T16:00:00", "2026-10-03T16:00:00"),
    )
    def test_half_an_hour(self, at, begins) -> None:
        """Where clocks are set by half an hour, each moment lies in one hour, which begins in itself."""
        seconds, begin = (int(datetime.fromisoformat(one + "+00:00").timestamp()) for one in (at, begins))
        zone = ZoneInfo("Australia/Lord_Howe")
        self.assertEqual(hour_of(seconds, zone), begin)
        self.assertEqual(hour_of(begin, zone), begin)
