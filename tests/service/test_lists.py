"""Category lists of a service that runs: built in a child, taken up as they change, missing ones."""

from __future__ import annotations

from corpproxy.backends.lists import watch as list_watch
from corpproxy.backends.lists.files import index_path
from corpproxy.backends.lists.past import PastLists
from corpproxy.destination.model import Host
from tests.service.case import ServiceCase
from tests.service.test_reload import ReloadCase

LISTS = """
categories:
  lists: [{name: fun, format: names, path: lists/fun, category: fun}]
"""
RULES = """
rules:
  - {name: no fun, what: {category: fun}, do: block}
  - {name: everything else, do: allow}
"""


class ListCase(ReloadCase):
    """A service with one list."""

    policy = LISTS + RULES
    names = "games.test\n"

    def setUp(self):
        self.patch(list_watch, "LOOK_SECONDS", 0.05)
        return super().setUp()

    def start(self):
        self.list = self.folder / "lists" / "fun"
        if self.names and not self.list.exists():
            self.list.parent.mkdir(exist_ok=True)
            self.list.write_text(self.names)
        return super().start()

    async def built(self, category="fun"):
        await self.until(lambda: self.service.index is not None and not self.service.lists.is_building)
        await self.until(lambda: category in self.service.index.known_categories)


class ListTests(ListCase):
    """A list that is there."""

    async def test_taken_up(self):
        """It is built while requests run, and names the version that decided in the record."""
        await self.built()
        self.assertEqual((await self.get("games.test")).status, 403)
        self.assertEqual((await self.get()).status, 200)
        record = (await self.closed(1, rule="no fun"))[0]
        self.assertEqual(record.categories, ("fun",))
        self.assertTrue(record.lists[0].startswith("fun="), record.lists)
        self.assertEqual(await self.metric('corpproxy_list_entries{list="fun"}'), 1)
        self.assertLess(await self.metric('corpproxy_list_age_seconds{list="fun"}'), 60)

    async def test_changed(self):
        """A list that changes on the disk is built again and swapped, without a request that fails."""
        await self.built()
        self.list.write_text("bets.test\n")
        seen = set()
        while (await self.get("bets.test")).status != 403:
            seen.add((await self.get()).status)
        self.assertTrue(seen <= {200})
        self.assertEqual((await self.get("games.test")).status, 200)

    async def test_versions_kept(self):
        """What records cite is kept, in a child process, before and after the list changes."""
        await self.built()
        first = self.service.index.versions["fun"]
        past = PastLists(self.folder / "state")
        source = self.service.configuration.lists[0]
        await self.until(lambda: self.is_kept(first))
        self.list.write_text("bets.test\n")
        await self.until(lambda: self.service.index.versions["fun"] != first)
        second = self.service.index.versions["fun"]
        await self.until(lambda: self.is_kept(second))
        for version, host in ((first, "games.test"), (second, "bets.test")):
            self.assertEqual([one.entry for one in past(source, version).categories(Host(host))], [host])
        code, out, _ = await self.command("lists", "stats")
        self.assertEqual(code, 0)
        self.assertIn("kept for the records that cite them: 2 versions", out)

    def is_kept(self, version):
        return any((self.folder / "state" / "lists-past" / "fun").glob(f"{version}*.index"))

    async def test_restart(self):
        """After a restart the list decides from the first request on."""
        await self.built()
        await self.start_again()
        self.assertEqual((await self.get("games.test")).status, 403)

    async def test_reload_keeps(self):
        """A reload that only moves the list's line goes on with what is built."""
        await self.built()
        await self.take("contact: {name: Room 9}\n" + self.policy)
        self.assertEqual((await self.get("games.test")).status, 403)

    async def test_index_from_elsewhere(self):
        """An index that was built by the command line before a reload is in force after it."""
        await self.built()
        (self.folder / "lists" / "bad").write_text("bets.test\n")
        more = LISTS.replace("]\n", ", {name: bad, format: names, path: lists/bad, category: bad}]\n")
        self.service.lists.stop()
        self.write(more + RULES.replace("category: fun", "category: [fun, bad]"))
        code, _, err = await self.command("lists", "build")
        self.assertEqual(code, 0, err)
        code, _, err = await self.command("reload")
        self.assertEqual(code, 0, err)
        self.assertEqual((await self.get("bets.test")).status, 403)
        self.assertEqual((await self.get("games.test")).status, 403)

    async def test_folder_added(self):
        """A folder of lists can be added, with rules by its categories, while the service runs."""
        await self.built()
        folder = self.folder / "lists" / "ut1" / "gambling"
        folder.mkdir(parents=True)
        (folder / "domains").write_text("bets.test\n")
        more = LISTS.replace("]\n", ", {name: ut1, format: ut1, path: lists/ut1}]\n")
        await self.take_with_warnings(more + RULES.replace("category: fun", "category: [fun, gambling]"))
        await self.built("gambling")
        self.assertEqual((await self.get("bets.test")).status, 403)
        self.assertEqual((await self.get("games.test")).status, 403)
        self.assertEqual((await self.get()).status, 200)

    async def take_with_warnings(self, policy):
        """Put a policy into force that has something to be told about."""
        self.write(policy)
        code, _, err = await self.command("reload")
        self.assertEqual(code, 0, err)

    async def test_taken_out(self):
        """A list that is taken out of the policy decides nothing any more."""
        await self.built()
        await self.take(RULES.replace("category: fun", "domain: bets.test"))
        self.assertEqual((await self.get("games.test")).status, 200)
        self.assertEqual((await self.closed(1))[0].categories, ())

    async def test_gone(self):
        """A list that is gone stays in force as it was."""
        await self.built()
        self.list.unlink()
        await self.until(lambda: self.service.lists.problems)
        self.assertEqual((await self.get("games.test")).status, 403)
        _, _, err = await self.command("status")
        self.assertIn("list 'fun'", err)


class BlockedMissingTests(ListCase):
    """A list that is missing from the start, with ``when_missing: block``."""

    names = ""

    async def test_block(self):
        """What blocks by it blocks everything, /ready says so, and it ends when the list comes."""
        self.assertEqual((await self.get()).status, 403)
        self.assertIn("category lists are missing", (await self.ask_admin("/ready")).text)
        self.list.parent.mkdir(exist_ok=True)
        self.list.write_text("games.test\n")
        await self.built()
        await self.until(lambda: not self.service.reasons_not_ready())
        self.assertEqual((await self.get()).status, 200)
        self.assertEqual((await self.get("games.test")).status, 403)


class IgnoredMissingTests(ListCase):
    """The same with ``when_missing: ignore``."""

    names = ""
    policy = LISTS.replace("category: fun", "category: fun, when_missing: ignore") + RULES

    async def test_ignore(self):
        """Rules by it match nothing."""
        self.assertEqual((await self.get()).status, 200)
        self.assertEqual((await self.ask_admin("/ready")).status, 200)


class WaitingTests(ListCase):
    """The policy's tests, at a start before any list was read."""

    policy = (
        LISTS
        + RULES
        + """
tests:
  - {get: "http://origin.test/", expect: allow}
  - {get: "http://bets.test/", expect: block}
"""
    )

    async def test_told_again(self):
        """They warn; when the lists have been read, those that pass are forgotten and the others told."""
        self.assertEqual([one.severity for one in self.service.problems], ["warning"])
        await self.built()
        (left,) = await self.until(lambda: [one for one in self.service.problems if one.is_error])
        self.assertIn("expected block, got allow", left.message)
        self.assertEqual((await self.get()).status, 200)


class DamagedTests(ListCase):
    """An index that was damaged."""

    async def test_built_again(self):
        """It is built again from the lists."""
        await self.built()
        await self.stop()
        index_path(self.folder / "state").write_bytes(b"no index at all")
        self.start()
        await self.built()
        self.assertEqual((await self.get("games.test")).status, 403)


class NoListsTests(ServiceCase):
    """A policy without lists."""

    async def test_metrics(self):
        """The metrics of lists have no values."""
        self.assertNotIn("corpproxy_list_entries{", (await self.ask_admin("/metrics")).text)
