"""An update is held against what the site asked for last week and what it protects."""

from __future__ import annotations

import gzip
import os
import time

from corpproxy.audit.record import Record, encode
from corpproxy.audit.results import Kind, ResultCode
from corpproxy.audit.times import utc_text
from corpproxy.backends.lists import traffic as list_traffic
from tests.backends.bad_server import answer, serving
from tests.backends.fetched_site import LIST, NOON, FetchedCase

DAY = 86_400.0


def listed(*names: str) -> bytes:
    """The list with more names."""
    return LIST + "".join(f"{name}\n" for name in names).encode()


class JudgedCase(FetchedCase):
    """A site with a record."""

    def setUp(self):
        super().setUp()
        self.records = 0

    def asked(
        self,
        host: str,
        user: str = "amir",
        count: int = 1,
        ago: float = DAY,
        segment: str = "records-20261101T100000Z-0001.jsonl",
        **more,
    ) -> None:
        """Record that somebody was let through to a host."""
        folder = self.folder / "state" / "records"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / segment).open("ab") as file:
            for _ in range(count):
                self.records += 1
                file.write(encode(self.record(host, user, ago, **more)))
        os.utime(folder / segment, (NOON, NOON))

    def record(self, host: str, user: str, ago: float, **more) -> Record:
        fields = {
            "kind": Kind.CLOSING,
            "result": ResultCode.TUNNELLED,
            "method": "CONNECT",
            "scheme": "https",
            "port": 443,
            "decision": "allow",
            "source": "basic",
            **more,
        }
        at = utc_text(NOON - ago)
        return Record(
            id=str(self.records), at=at, client="10.0.0.1", listener="rooms", user=user, host=host, **fields
        )

    def held(self, content: bytes) -> list[str]:
        """Bring a version that must be held; gives the reasons."""
        result, said = self.update(serving(content))
        self.assertEqual(result, "held", said)
        return self.state.held.reasons

    def effect(self, content: bytes):
        """What was found out about a version, whatever became of it."""
        self.update(serving(content))
        state = self.state
        return (state.held.findings if state.held is not None else state.findings).effect


class BlockedTests(JudgedCase):
    """What would newly be blocked."""

    def test_held(self):
        """An update that would block much of last week is held, told with hosts and people."""
        self.taken()
        for number in range(5):
            self.asked("www.wiki.example", f"user{number}", 10)
        self.asked("news.example", "beth", 100)
        (_, reason) = self.held(listed("wiki.example"))
        self.assertTrue(
            reason.startswith(
                "it would newly block 1 host used by 5 people, 50 of last week's 150 exchanges: "
                "www.wiki.example (5 people, category 'games', rule 'no games'); at most"
            ),
            reason,
        )
        self.assertFalse(self.is_game("wiki.example"))

    def test_told(self):
        """An update that blocks little is taken, and says what it blocks."""
        self.categories = "  protect: {top_hosts: 0}"
        self.taken()
        self.asked("chess.example", "amir", 2)
        self.asked("news.example", "beth", 5000)
        result, said = self.update(serving(listed("chess.example")))
        self.assertEqual(result, "taken")
        self.assertIn("it would newly block 1 host used by 1 person, 2 of last week's 5,002", said)

    def test_blocked_already(self):
        """What is refused today is not newly refused."""
        self.taken()
        self.asked("games.example", count=100)
        self.assertEqual(self.effect(listed("www.games.example")).blocked_exchanges, 0)

    def test_let_through_all_the_same(self):
        """What another rule lets through first is not refused, whatever a list says."""
        self.taken()
        self.asked("chess.example", count=100)
        self.patch_rules("  - {name: chess club, what: {domain: chess.example}, do: allow}\n")
        self.assertEqual(self.effect(listed("chess.example")).blocked_exchanges, 0)

    def test_groups_as_recorded(self):
        """Rules for groups are asked with the groups that people had then."""
        self.taken()
        self.asked("chess.example", "amir", groups=("pupils",))
        self.asked("chess.example", "beth", groups=("staff",))
        self.patch_rules(
            "  - {name: staff, who: {group: staff}, do: allow}\n", "identity: {groups: {staff: [x]}}"
        )
        effect = self.effect(listed("chess.example"))
        self.assertEqual((effect.blocked_people, effect.people), (1, 2))

    def test_exceptions(self):
        """What the policy takes out of the category is not refused."""
        self.categories = "  exceptions: {games: [chess.example]}"
        self.taken()
        self.asked("chess.example", count=100)
        self.assertEqual(self.effect(listed("chess.example")).blocked_exchanges, 0)

    def test_paths(self):
        """The beginning of a URL counts for what went over plain http."""
        self.format = "urls"
        self.categories = "  protect: {top_hosts: 0}"
        self.update(serving(b"old.example/a\n"))
        http = {"method": "GET", "scheme": "http", "port": 80, "kind": Kind.EXCHANGE}
        self.asked("wiki.example", path="/play/1", **http)
        self.asked("wiki.example", path="/work", **http)
        self.assertEqual(self.effect(b"old.example/a\nwiki.example/play\n").blocked_exchanges, 1)

    def test_last_week(self):
        """What was asked for before last week does not count, nor do openings and refusals to know."""
        self.taken()
        self.asked("chess.example", ago=8 * DAY)
        self.asked("chess.example", kind=Kind.OPENING)
        self.asked("chess.example", decision="")
        self.assertEqual(self.effect(listed("chess.example")).exchanges, 0)

    def test_all_segments(self):
        """Segments of all workers are read, compressed ones too; damaged lines and files are passed over."""
        self.taken()
        self.asked("chess.example", "a", segment="records-20261101T100000Z-w1-0001.jsonl")
        self.asked("chess.example", "b", segment="records-20261101T100000Z-w2-0001.jsonl")
        records = self.folder / "state" / "records"
        packed = records / "records-20261102T100000Z-w1-0002.jsonl.gz"
        packed.write_bytes(gzip.compress(encode(self.record("chess.example", "c", DAY))))
        os.utime(packed, (NOON, NOON))
        (records / "records-20261103T100000Z-w1-0003.jsonl").write_bytes(b"no record\n")
        (records / "records-20261103T100000Z-w1-0004.jsonl.gz").write_bytes(b"no gzip")
        self.assertEqual(self.effect(listed("chess.example")).blocked_people, 3)

    def test_too_long(self):
        """A record that is too long is read as far back as there is time, and the report says so."""
        self.taken()
        self.asked("chess.example", count=5)
        self.patch(list_traffic, "READ_SECONDS", -1.0)
        effect = self.effect(listed("chess.example"))
        self.assertEqual((effect.exchanges, effect.is_whole), (0, False))

    def test_people_without_names(self):
        """Who did not sign in counts by the address of the device."""
        self.taken()
        self.asked("chess.example", "", source="anonymous")
        self.assertEqual(self.effect(listed("chess.example")).blocked_people, 1)

    def test_own_networks(self):
        """A host that is dialled at an address of the site is judged by that address."""
        self.taken()
        self.patch_rules("  - {name: inside, what: {address: private}, do: allow}\n")
        self.asked("chess.example", upstream="10.1.2.3:443")
        self.assertEqual(self.effect(listed("chess.example")).blocked_exchanges, 0)

    def patch_rules(self, rules: str, more: str = "") -> None:
        """Put rules before those of the policy."""
        before = self.policy
        self.policy = lambda: before().replace("rules:\n", f"{more}\nrules:\n{rules}")


class ProtectedTests(JudgedCase):
    """Names that must not be refused."""

    def test_own_domain(self):
        """The site's own domain is protected without a word."""
        self.taken()
        (reason,) = self.held(listed("hillside.example"))
        self.assertEqual(
            reason,
            "it puts hillside.example into category 'games', which rule 'no games' refuses, "
            "and the policy protects it",
        )

    def test_below(self):
        """A name below a protected one is protected."""
        self.taken()
        self.assertIn("it puts mail.hillside.example into", self.held(listed("mail.hillside.example"))[0])

    def test_above(self):
        """An entry above a protected name would take it along."""
        self.categories = "  protect: {domain: [www.bank.example]}"
        self.taken()
        self.assertIn("by its entry bank.example", self.held(listed("bank.example"))[0])

    def test_unlike(self):
        """A name that only ends alike is another."""
        self.taken()
        self.assertEqual(self.update(serving(listed("nothillside.example")))[0], "taken")

    def test_was_there(self):
        """What the version in force has already holds no later one."""
        self.taken()
        self.held(listed("hillside.example"))
        self.shelf.accept("", NOON, "beth", 1001)
        self.build()
        self.assertEqual(self.update(serving(listed("hillside.example", "chess.example")))[0], "taken")

    def test_category(self):
        """The names of a protected category are protected: the site's own banks."""
        self.categories = "  own: {banks: [bank.example]}\n  protect: {category: banks}"
        self.taken()
        self.assertIn("and category 'banks' is protected", self.held(listed("bank.example"))[0])

    def test_category_of_a_list(self):
        """A protected category may be that of another list."""
        (self.folder / "banks.txt").write_text("bank.example\nother.example\n")
        self.categories = "    - {name: banks, format: names, path: banks.txt}\n  protect: {category: banks}"
        self.taken()
        self.assertIn("it puts other.example into", self.held(listed("other.example"))[0])

    def test_no_rule(self):
        """A category that no rule refuses by does no harm."""
        self.more = ""
        before = self.policy
        self.policy = lambda: (
            before()
            .replace("category: games}, do: block", "category: chess}, do: block")
            .replace("rules:", "  own: {chess: [c.example]}\nrules:")
        )
        self.taken()
        self.assertEqual(self.update(serving(listed("hillside.example")))[0], "taken")

    def test_exception(self):
        """What the policy excepts from the category is not refused, so that it needs no protection."""
        self.categories = "  exceptions: {games: [hillside.example]}"
        self.taken()
        self.assertEqual(self.update(serving(listed("hillside.example")))[0], "taken")

    def test_top_hosts(self):
        """The most asked for hosts of last month are protected, those of the week before last too."""
        self.taken()
        self.asked("wiki.example", count=30, ago=20 * DAY)
        (reason,) = self.held(listed("wiki.example"))
        self.assertIn("it is among the hosts that were asked for most last month", reason)

    def test_top_hosts_end(self):
        """So many hosts are protected as the policy says, and none that was refused or is long ago."""
        self.categories = "  protect: {top_hosts: 1}"
        self.taken()
        self.asked("news.example", count=30)
        self.asked("chess.example", count=9, ago=20 * DAY)
        self.asked("bets.test", count=90, ago=20 * DAY, result=ResultCode.BLOCKED, decision="block")
        self.asked("wiki.example", count=90, ago=40 * DAY)
        names = ("chess.example", "bets.test", "wiki.example")
        self.assertEqual(self.update(serving(listed(*names)))[0], "taken")

    def test_first(self):
        """The first version of a list is held by what the policy protects, and by nothing else."""
        self.asked("games.example", count=500)
        self.assertIn("hillside.example", self.held(listed("hillside.example"))[0])
        self.assertEqual(self.update(serving(LIST))[0], "taken")


class HeldTests(JudgedCase):
    """What becomes of a version that is held."""

    def test_not_asked_twice(self):
        """While it is held its source is asked for something newer, and it stays held."""
        self.taken()
        self.update(serving(listed("hillside.example"), ETag='"2"'))
        result, said = self.update()
        self.assertEqual(result, "held")
        self.assertIn("is still held: it puts hillside.example", said)
        self.assertEqual(self.server.seen[-1].fields["if-none-match"], '"2"')
        self.assertEqual(len(self.state.events), 2)

    def test_newer(self):
        """A newer version that is good is taken past the one that is held."""
        self.taken()
        self.held(listed("hillside.example"))
        self.assertEqual(self.update(serving(listed("chess.example")))[0], "taken")
        self.assertIsNone(self.state.held)

    def test_taken_back(self):
        """When its publisher goes back to what is in force nothing is held any more."""
        self.taken()
        self.held(listed("hillside.example"))
        self.assertEqual(self.update(serving(LIST))[0], "unchanged")
        self.assertIsNone(self.state.held)

    def test_rejected(self):
        """A version that was rejected is not held again, whether it is sent again or not."""
        self.taken()
        self.update(serving(listed("hillside.example"), ETag='"2"'))
        self.shelf.reject(NOON, "beth", 1001)
        for _ in range(2):
            result, said = self.update()
            self.assertEqual(result, "unchanged")
            self.assertIn("was rejected before", said)
            self.server.answers_with(serving(listed("hillside.example")))

    def test_rolled_back(self):
        """A version that was gone back from does not come again by itself."""
        self.taken()
        self.update(serving(listed("chess.example")))
        self.shelf.roll_back(NOON, "beth", 1001)
        self.assertEqual(self.update()[0], "unchanged")
        self.build()
        self.assertFalse(self.is_game("chess.example"))

    def test_suffix(self):
        """A public suffix that was not there before holds an update; it is left out in any case."""
        self.taken(listed("localhost", "co.uk"))
        self.assertEqual(self.update(serving(listed("localhost", "co.uk", "broadcasthost")))[0], "taken")
        (reason,) = self.held(listed("co.uk", "com", "ac.uk"))
        self.assertEqual(
            reason,
            "it names ac.uk, com, below which anybody registers names; the version before did not",
        )

    def test_brought_before(self):
        """What somebody else brought until now is what the first version that is fetched is held to."""
        fetched = self.policy
        (self.folder / "fun.txt").write_bytes(b"".join(b"h%d.example\n" % n for n in range(200)))
        self.policy = lambda: fetched().replace(f'url: "{self.url}", refresh: 1d', "path: fun.txt")
        self.build()
        self.policy = fetched
        (reason,) = self.held(listed("co.uk"))
        self.assertIn("it shrinks from 200 entries to 2", reason)

    def test_category_gone(self):
        """A category of a tree that vanishes holds an update, though the whole hardly shrinks."""
        self.format = "ut1"
        self.more = ""
        before = self.policy
        self.policy = lambda: before().replace("category: games, url", "url").replace("games}", "big}")
        self.update(answer(self.archive(big=1000, small=120)))
        (reason,) = self.held(self.archive(big=1000))
        self.assertIn("category 'small' shrinks from 120 entries to 0", reason)

    def archive(self, **categories: int) -> bytes:
        from tests.backends.lists.test_update import archive

        members = [
            (f"bl/{name}/domains", b"".join(b"%b%d.example\n" % (name.encode(), n) for n in range(count)), "")
            for name, count in categories.items()
        ]
        return archive(*members)


class SpeedTests(JudgedCase):
    """A record of many exchanges."""

    def test_many(self):
        """A hundred thousand exchanges of last week are tried in seconds."""
        self.taken()
        folder = self.folder / "state" / "records"
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            encode(self.record(f"host{number % 500}.example", f"user{number % 300}", DAY))
            for number in range(20_000)
        ]
        segment = folder / "records-20261101T100000Z-0001.jsonl"
        segment.write_bytes(b"".join(lines) * 5)
        os.utime(segment, (NOON, NOON))
        began = time.process_time()
        effect = self.effect(listed("host7.example"))
        self.assertEqual((effect.exchanges, effect.blocked_exchanges), (100_000, 200))
        self.assertLess(time.process_time() - began, 10.0)
