"""The store keeps what it said it has, adds nothing twice, and is loud about damage."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from corpproxy.accounting.last_days import LAST_DAYS, last_days, question_of
from corpproxy.accounting.ledger import Usage
from corpproxy.accounting.report import By, UsageQuestion, UsageReport, UsageSum
from corpproxy.backends.store.database import Database
from corpproxy.backends.store.interface import StoreError
from corpproxy.backends.store.schema import APPLICATION, MIGRATIONS, open_store
from corpproxy.backends.store.sqlite import SqliteFile, SqliteStore, report_from
from corpproxy.identity.grants import Grant
from corpproxy.identity.requests import KEPT_SECONDS, AccessRequest, State
from corpproxy.policy.days import Days, Unit
from tests.backends.killing import killed_children
from tests.support.rows import rows, tabular
from tests.support.threads import DirectThread

SLOT = 1_795_428_000
NOW = SLOT + 10.0
AMIR = Usage(SLOT, "amir", ("pupils", "year-9"), ("games",), "miniclip.com", 300, 5000, 2)
BETH = Usage(SLOT, "beth", ("pupils",), (), "bbc.co.uk", 100, 900, 1)
NOBODY = Usage(SLOT + 900, "", (), ("updates",), "debian.org", 10, 70, 1)


class FileTestCase(SynchronousTestCase):
    """A store in a file of the test's own."""

    file: Database

    def setUp(self) -> None:
        self.file = self.made()
        self.addCleanup(self.file.close)

    def made(self) -> Database:
        """Make one that is empty."""
        self.path = Path(self.mktemp()) / "corpproxy.db"
        return SqliteFile(self.path, lambda: NOW)

    def answer(self, question: UsageQuestion) -> UsageReport:
        """What the store says to somebody else who asks."""
        return report_from(self.path, question)

    def ask(self, by: By = By.USER, **asked) -> list[tuple[str, int, int, int]]:
        made = self.answer(UsageQuestion(by, UTC, **asked))
        return [(row.name, row.received, row.sent, row.exchanges) for row in made.rows]

    def events(self) -> list[dict]:
        """The log events from now on."""
        seen: list[dict] = []
        globalLogPublisher.addObserver(seen.append)
        self.addCleanup(globalLogPublisher.removeObserver, seen.append)
        return seen


@tabular
class UsageTests(FileTestCase):
    """Sums go in and reports come out."""

    @rows(
        user=(By.USER, [("amir", 300, 5000, 2), ("beth", 100, 900, 1), ("", 10, 70, 1)]),
        group=(By.GROUP, [("pupils", 400, 5900, 3), ("year-9", 300, 5000, 2), ("", 10, 70, 1)]),
        category=(By.CATEGORY, [("games", 300, 5000, 2), ("", 100, 900, 1), ("updates", 10, 70, 1)]),
        host=(
            By.HOST,
            [("miniclip.com", 300, 5000, 2), ("bbc.co.uk", 100, 900, 1), ("debian.org", 10, 70, 1)],
        ),
        hour=(By.HOUR, [("2026-11-23 10:00 +0000", 410, 5970, 4)]),
        day=(By.DAY, [("2026-11-23", 410, 5970, 4)]),
    )
    def test_by(self, by, expected) -> None:
        """Usage is added up by whatever is asked for."""
        self.file.add_usage([AMIR, BETH, NOBODY])
        self.assertEqual(self.ask(by), expected)

    @rows(
        since=({"since": SLOT + 900.0}, [("", 10, 70, 1)]),
        until=({"until": SLOT + 900.0, "user": "beth"}, [("beth", 100, 900, 1)]),
        nobody=({"user": ""}, [("", 10, 70, 1)]),
        stranger=({"user": "eve"}, []),
    )
    def test_kept_to(self, asked, expected) -> None:
        """A report keeps to a time and to a person."""
        self.file.add_usage([AMIR, BETH, NOBODY])
        self.assertEqual(self.ask(**asked), expected)

    def test_added_up(self) -> None:
        """What comes later for the same row is added to it, also after a restart."""
        self.file.add_usage([AMIR])
        self.file.close()
        self.file.add_usage([AMIR, BETH])
        self.assertEqual(self.ask(), [("amir", 600, 10000, 4), ("beth", 100, 900, 1)])

    def test_total(self) -> None:
        """The total counts each octet once, whatever the rows are."""
        self.file.add_usage([AMIR, BETH])
        for by in By:
            self.assertEqual(self.answer(UsageQuestion(by, UTC)).total, UsageSum("", 400, 5900, 3), by)

    @rows(
        user=(By.USER, {"user": "amir"}, [("amir", 900)]),
        nobody=(By.USER, {"user": ""}, [("", 10)]),
        group=(By.USER, {"group": "pupils"}, [("amir", 900), ("beth", 100)]),
        no_group=(By.USER, {"group": ""}, [("", 10)]),
        device=(By.HOST, {"device": "10.1.2.3"}, [("www.miniclip.com", 600)]),
        category=(By.RULE, {"category": "games"}, [("games", 600), ("", 300)]),
        host=(By.HOST, {"host": "miniclip.com"}, [("www.miniclip.com", 600), ("miniclip.com", 300)]),
        literal=(By.HOST, {"host": "m%"}, []),
        rule=(By.DEVICE, {"rule": "games"}, [("10.1.2.3", 600)]),
        both=(By.USER, {"group": "pupils", "host": "bbc.co.uk"}, [("beth", 100)]),
        nothing=(By.USER, {"group": "staff"}, []),
    )
    def test_keeps_to(self, by, asked, expected) -> None:
        """A report keeps to one person, group, device, category, host or rule; a host has all below it."""
        elsewhere = AMIR._replace(host="www.miniclip.com", device="10.1.2.3", rule="games", received=600)
        self.file.add_usage([AMIR, BETH, NOBODY, elsewhere])
        self.assertEqual([row[:2] for row in self.ask(by, **asked)], expected)

    def test_per(self) -> None:
        """There are rows for each day, week or month, and every octet is in one of them."""
        night = AMIR._replace(minute=SLOT + 17 * 3600, minutes=1)
        morning = AMIR._replace(minute=SLOT + 18 * 3600, minutes=1)
        self.file.add_usage([AMIR, BETH, night, morning])
        made = self.answer(UsageQuestion(By.USER, UTC, per=Unit.DAY))
        self.assertEqual(
            [(row.span, row.name, row.received, row.minutes) for row in made.rows],
            [("2026-11-23", "amir", 600, 1), ("2026-11-23", "beth", 100, 0), ("2026-11-24", "amir", 300, 1)],
        )
        self.assertEqual(made.total, UsageSum("", 1000, 15900, 7, 2))
        for per in Unit:
            self.assertEqual(self.answer(UsageQuestion(By.HOST, UTC, per=per)).total, made.total)

    def test_per_within(self) -> None:
        """A span that is cut by what is asked for has what is within."""
        self.file.add_usage([AMIR, AMIR._replace(minute=SLOT + 900), AMIR._replace(minute=SLOT + 1800)])
        asked = UsageQuestion(By.USER, UTC, SLOT + 900.0, SLOT + 1800.0, per=Unit.MONTH)
        (row,) = self.answer(asked).rows
        self.assertEqual((row.span, row.received), ("2026-11", 300))

    def test_last_days(self) -> None:
        """The last days of a person are each there, as sums over all that is asked for would have them."""
        days = Days(UTC, 240)
        night = AMIR._replace(minute=SLOT + 17 * 3600)
        before = AMIR._replace(minute=SLOT - 9 * 86_400, received=7)
        long_ago = AMIR._replace(minute=SLOT - 20 * 86_400)
        self.file.add_usage([AMIR, BETH, night, before, long_ago])
        now = SLOT + 18 * 3600.0
        asked = question_of("amir", now, days)
        found = last_days(self.answer(asked), now, days)
        self.assertEqual(len(found), LAST_DAYS)
        moved = [(day.name, day.received) for day in found if day.octets]
        self.assertEqual(moved, [("2026-11-14", 7), ("2026-11-23", 600)])
        # The same, found in another way: without a person all rows of the time are read.
        every_row = self.answer(replace(asked, user=None, host=AMIR.host))
        self.assertEqual([(row.name, row.received) for row in every_row.rows], moved)

    def test_odd_names(self) -> None:
        """Names that no database column can hold are spelled out."""
        self.file.add_usage([Usage(SLOT, "\udc80'; --", ("\x00",), (), "ü\n", 1, 2, 1)])
        self.assertEqual(self.ask(), [("\\udc80'; --", 1, 2, 1)])
        self.assertEqual(self.ask(By.GROUP), [("\x00", 1, 2, 1)])


class GrownTests(FileTestCase):
    """A store that knows many hosts."""

    def steps(self, batch: list[Usage]) -> int:
        """Tell how many hundreds of SQLite's steps it takes to add a batch."""
        taken: list[None] = []
        self.file.change(
            lambda connection, _: connection.set_progress_handler(lambda: taken.append(None), 100)
        )
        self.file.add_usage(batch)
        return len(taken)

    def test_spelled_alike(self) -> None:
        """Names that are one when they are spelled out are added up, in one batch, too."""
        spelled = Usage(SLOT, "\\udc80", (), (), "bbc.co.uk", 3, 4, 1)
        self.file.add_usage([spelled._replace(user="\udc80"), spelled, BETH, spelled])
        self.assertEqual(self.ask(), [("beth", 100, 900, 1), ("\\udc80", 9, 12, 3)])

    def test_nothing(self) -> None:
        """A second in which nobody moved anything adds nothing."""
        self.file.add_usage([])
        self.assertEqual(self.ask(), [])

    def test_new_hosts(self) -> None:
        """A host that is new costs as much among thousands of hosts as among a few."""
        batches = [
            [AMIR._replace(host=f"www{number}.{size}.test") for number in range(size)]
            for size in (100, 10_000, 101)
        ]
        few, _, many = map(self.steps, batches)
        self.assertGreater(few, 10)
        self.assertLess(many, 2 * few)


class SumsTests(FileTestCase):
    """Any sums."""

    @settings(max_examples=25, deadline=None)
    @given(
        st.lists(
            st.lists(
                st.builds(
                    Usage,
                    st.sampled_from([SLOT, SLOT + 900]),
                    st.sampled_from(["", "amir", "beth"]),
                    st.sampled_from([(), ("a",), ("a", "b")]),
                    st.sampled_from([(), ("x",)]),
                    st.sampled_from(["a.example", "b.example"]),
                    st.integers(0, 2**40),
                    st.integers(0, 2**40),
                    st.integers(0, 3),
                    st.sampled_from(["", "10.1.2.3"]),
                    st.sampled_from(["", "everything else"]),
                    st.integers(0, 2),
                ),
                max_size=6,
            ),
            max_size=4,
        )
    )
    def test_sums(self, batches) -> None:
        """However sums are spread over batches, the report has their sum."""
        with closing(self.made()) as file:
            for batch in batches:
                file.add_usage(batch)
            asked = UsageQuestion(By.GROUP, UTC)
            total = self.answer(asked).total if batches else UsageSum("", 0, 0, 0)
        added = [row for batch in batches for row in batch]
        self.assertEqual(total.received, sum(row.received for row in added))
        self.assertEqual(total.sent, sum(row.sent for row in added))
        self.assertEqual(total.exchanges, sum(row.exchanges for row in added))


class MigratedUsageTests(FileTestCase):
    """Usage of an older corpproxy."""

    def test_kept(self) -> None:
        """It is all there, of a device and a rule that are not told, and grows with what comes."""
        self.path.parent.mkdir(parents=True)
        with closing(sqlite3.connect(self.path)) as old:
            for statements in MIGRATIONS[:3]:
                for statement in statements:
                    old.execute(statement)
            names = ("user", "amir"), ("groups", '["pupils","year-9"]'), ("categories", '["games"]')
            for term in (*names, ("host", "miniclip.com")):
                old.execute("INSERT INTO term (kind, text) VALUES (?, ?)", term)
            old.execute("INSERT INTO usage VALUES (?, 1, 2, 3, 4, 300, 5000, 2)", (SLOT,))
            old.execute(f"PRAGMA application_id = {APPLICATION}")
            old.execute("PRAGMA user_version = 3")
            old.commit()
        self.file.add_usage([AMIR, AMIR._replace(device="10.1.2.3", rule="games", minutes=1)])
        self.assertEqual(self.ask(), [("amir", 900, 15000, 6)])
        self.assertEqual(self.ask(By.DEVICE), [("", 600, 10000, 4), ("10.1.2.3", 300, 5000, 2)])
        self.assertEqual(self.ask(By.RULE)[0], ("", 600, 10000, 4))


class GrantTests(FileTestCase):
    """Grants and requests outlive a restart."""

    def test_kept(self) -> None:
        """A grant is there after a restart, as long as it holds."""
        holds = Grant(
            "group:9b",
            "bet.example",
            "gambling",
            NOW + 60,
            "beth",
            "for the essay",
            "0nk4x7a2k40001",
            also=(("cdn.example", "no ads"),),
            among=("pupils",),
            since=NOW,
        )
        self.file.save_grant(holds)
        self.file.save_grant(Grant("beth", "bet.example", "gambling", NOW - 1, "beth", "", "other"))
        self.file.close()
        self.assertEqual(self.file.load_grants(NOW), [holds])
        self.assertEqual(len(self.file.load_grants(0.0)), 1)

    def test_ended(self) -> None:
        """A grant that was ended does not come back."""
        self.file.save_grant(Grant("amir", "bet.example", "gambling", NOW + 60, "beth", "", "one"))
        self.file.end_grant("one")
        self.assertEqual(self.file.load_grants(NOW), [])

    def test_requests(self) -> None:
        """A request is kept as it was last, and forgotten a week after that."""
        asked = AccessRequest(
            "one", "amir", "bet.example", "gambling", "http://bet.example/", NOW, "an \ud800 essay"
        )
        self.file.save_request(asked)
        self.file.save_request(replace(asked, state=State.REFUSED, by="beth", decided_at=NOW + 60))
        self.file.close()
        (kept,) = self.file.load_requests(NOW + 61)
        self.assertEqual((kept.state, kept.by, kept.reason), (State.REFUSED, "beth", "an \\ud800 essay"))
        self.assertEqual(self.file.load_requests(NOW + 60 + KEPT_SECONDS), [])

    def test_renewed(self) -> None:
        """A grant for the same person, host and rule takes the place of the one before."""
        for until in (NOW + 60, NOW + 120):
            self.file.save_grant(Grant("amir", "bet.example", "gambling", until, "amir", "", f"id{until}"))
        self.assertEqual([grant.until for grant in self.file.load_grants(NOW)], [NOW + 120])


class StoreTests(TestCase):
    """The store on its own threads, under the real reactor."""

    async def test_threads(self) -> None:
        """Usage and grants go in and come out while the reactor runs on."""
        from twisted.internet import reactor

        store = SqliteStore(reactor, Path(self.mktemp()) / "corpproxy.db")
        for _ in range(20):
            store.add_usage([AMIR])
        await store.save_grant(Grant("amir", "a.example", "r", NOW + 60, "amir", ""))
        answer = await store.usage(UsageQuestion(By.USER, UTC))
        self.assertEqual([(row.name, row.exchanges) for row in answer.rows], [("amir", 40)])
        self.assertEqual(len(await store.load_grants(NOW)), 1)
        await store.close()

    async def test_failure(self) -> None:
        """What the store refuses comes back as its own kind of failure."""
        path = Path(self.mktemp())
        path.write_bytes(b"")
        store = SqliteStore(None, path / "corpproxy.db", writer=DirectThread(), reader=DirectThread())
        with self.assertRaises(StoreError):
            await store.add_usage([AMIR])
        with self.assertRaises(StoreError):
            await store.usage(UsageQuestion(By.USER, UTC))
        await store.close()


class KilledTests(SynchronousTestCase):
    """Kill -9 under load; slow, about half a minute."""

    def test_hundred_instants(self) -> None:
        """Killed at a hundred instants, it lost no more than its interval and counted nothing twice."""
        folder = Path(self.mktemp())
        folder.mkdir()
        stored, late, kills = 0, 0, 0
        for told in killed_children("store", str(folder), 100):
            before = stored
            stored = self.total(folder)
            gained = stored - before
            self.assertLessEqual(told["acknowledged"], gained, "what was confirmed is lost")
            self.assertLessEqual(gained, told["said"], "something was counted twice")
            late += gained < told["before"]
            kills += 1
        self.assertEqual(kills, 100)
        # Four intervals are enough but where a busy machine held up the disk: then for some, never for most.
        self.assertLessEqual(late, 25)

    def total(self, folder: Path) -> int:
        path = folder / "corpproxy.db"
        if not path.exists():
            return 0
        try:
            made = report_from(path, UsageQuestion(By.USER, UTC))
        except StoreError:
            return 0  # killed before its tables were there
        beth = [row for row in made.rows if row.name == "beth"]
        self.assertEqual([row.received for row in beth], [10 * row.exchanges for row in beth])
        return made.total.received


class TogetherTests(SynchronousTestCase):
    """Several processes may make the store at the same moment."""

    def test_made_once(self):
        """Whoever comes first makes it; the others find it made."""
        for number in range(10):
            path = Path(self.mktemp()) / f"{number}.db"
            with ThreadPoolExecutor(4) as pool:
                stores = list(pool.map(lambda _, path=path: open_store(path, 0.0), range(4)))
            for store in stores:
                self.assertEqual(store.execute("PRAGMA user_version").fetchone()[0], len(MIGRATIONS))
                store.close()
