"""What people see, end to end: a warning that is confirmed, a refusal that is looked up, a new password."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from corpproxy.backends.store.schema import open_store
from tests.service.case import PEOPLE, SIGN_IN, ServiceCase
from tests.service.client import ask

WARN = """
rules:
  - {name: no bets, what: {domain: bets.test}, do: block, say: Bets are closed here.}
  - {name: games with a thought, what: {domain: games.test}, do: warn, for: 10m, say: Is this work?}
  - {name: everything else, do: allow}
"""
HTML = "Accept: text/html"
PORTAL = "http://proxy.internal"


class PortalCase(ServiceCase):
    """A service with a portal, and people who use it."""

    people = PEOPLE
    policy = SIGN_IN + WARN

    def portal_page(self, path, user, method="GET", fields=None, password=None):
        more = {"lines": [HTML]}
        if fields is not None:
            more["content"] = urlencode(fields).encode()
            more["lines"].append("Content-Type: application/x-www-form-urlencoded")
        word = self.people[user] if password is None else password
        return self.thread(ask, self.forward, PORTAL + path, method, user, word, **more)

    def page(self, host, user):
        """What a browser gets from a host."""
        return self.get(host, user=user, lines=[HTML])

    def token(self, page):
        found = re.search(r'name="?token"? value="([^"]+)"', page.text)
        self.assertTrue(found, page.text)
        return found[1]


class WarnTests(PortalCase):
    """A warning."""

    async def confirm(self, user, token):
        return await self.portal_page("/confirm", user, "POST", {"token": token})

    async def test_confirmed(self):
        """Who confirms a warning goes on, for as long as the rule says; others are still asked."""
        warning = await self.page("games.test", "amir")
        self.assertEqual(warning.status, 403)
        self.assertIn("Is this work?", warning.text)
        confirmed = await self.confirm("amir", self.token(warning))
        self.assertEqual(confirmed.status, 303, confirmed.text)
        self.assertEqual(confirmed.fields["Location"], self.url("games.test"))
        self.assertEqual((await self.get("games.test", user="amir")).status, 200)
        self.assertEqual((await self.get("games.test", user="beth")).status, 403)
        self.jump = 601
        self.assertEqual((await self.get("games.test", user="amir")).status, 403)

    async def test_somebody_else(self):
        """A form that was shown to somebody else opens nothing."""
        token = self.token(await self.page("games.test", "amir"))
        self.assertEqual((await self.confirm("beth", token)).status, 403)
        self.assertEqual((await self.get("games.test", user="beth")).status, 403)
        self.assertEqual((await self.get("games.test", user="amir")).status, 403)

    async def test_forged(self):
        """A form that we did not write opens nothing."""
        token = self.token(await self.page("games.test", "amir"))
        self.assertEqual((await self.confirm("amir", token[:-4] + "AAAA")).status, 403)
        self.assertEqual((await self.get("games.test", user="amir")).status, 403)

    async def test_restart(self):
        """A grant survives a restart, and ends in its time."""
        await self.confirm("amir", self.token(await self.page("games.test", "amir")))
        await self.start_again()
        await self.until(lambda: len(self.service.lasting.grants))
        self.assertEqual((await self.get("games.test", user="amir")).status, 200)
        self.jump = 601
        self.assertEqual((await self.get("games.test", user="amir")).status, 403)
        await self.start_again()
        await self.pause(0.2)
        self.assertEqual(len(self.service.lasting.grants), 0)

    async def test_reload(self):
        """A grant survives a reload."""
        await self.confirm("amir", self.token(await self.page("games.test", "amir")))
        await self.service.reload("test", 0)
        self.assertEqual((await self.get("games.test", user="amir")).status, 200)

    async def test_over_connect(self):
        """A warning over CONNECT is a refusal, found on the portal with the form that confirms it."""
        target = f"games.test:{self.origin.echo_port}"
        refused = await self.thread(ask, self.forward, target, "CONNECT", "amir", PEOPLE["amir"])
        self.assertEqual(refused.status, 403)
        page = await self.portal_page("/", "amir")
        self.assertIn("games.test", page.text)
        self.assertEqual((await self.confirm("amir", self.token(page))).status, 303)
        client = await self.thread(ask, self.forward, target, "CONNECT", "amir", PEOPLE["amir"])
        self.assertEqual(client.status, 200)

    async def test_store_locked(self):
        """With a store that cannot write, a confirmed warning holds, though not over a restart."""
        token = self.token(await self.page("games.test", "amir"))
        lock = open_store(self.folder / "state" / "corpproxy.db", self.now())
        self.addCleanup(lock.close)
        lock.execute("BEGIN IMMEDIATE")
        from corpproxy.backends.store import schema as store_schema

        self.patch(store_schema, "BUSY_SECONDS", 0.1)
        self.service.store._database._connection.execute("PRAGMA busy_timeout = 100")
        confirmed = await self.confirm("amir", token)
        self.assertLess(confirmed.status, 500, confirmed.text)
        self.assertEqual((await self.get("games.test", user="amir")).status, 200)
        lock.execute("ROLLBACK")


class RefusalTests(PortalCase):
    """A refusal that a browser does not show."""

    async def test_found(self):
        """Who was refused over CONNECT finds site, reason and reference on the portal; others do not."""
        target = f"bets.test:{self.origin.echo_port}"
        await self.thread(ask, self.forward, target, "CONNECT", "amir", PEOPLE["amir"])
        (record,) = await self.closed(1, method="CONNECT")
        page = await self.portal_page("/", "amir")
        self.assertIn("bets.test", page.text)
        self.assertIn("Bets are closed here.", page.text)
        self.assertIn(record.id, page.text)
        self.assertIn("Bets are closed here.", (await self.portal_page(f"/why/{record.id}", "amir")).text)
        self.assertNotIn("bets.test", (await self.portal_page("/", "beth")).text)
        self.assertEqual((await self.portal_page(f"/why/{record.id}", "beth")).status, 404)


class PasswordTests(PortalCase):
    """The own password."""

    async def change(self, old, new, user="amir"):
        token = self.token(await self.portal_page("/password", user))
        fields = {"token": token, "old": old, "new": new, "again": new}
        return await self.portal_page("/password", user, "POST", fields)

    async def test_changed(self):
        """The new password signs in at once, the old one no more, and others need not sign in anew."""
        await self.get(user="beth")
        changed = await self.change(PEOPLE["amir"], "quite another password 7")
        self.assertEqual(changed.status, 200, changed.text)
        self.assertEqual((await self.get(user="amir")).status, 407)
        self.assertEqual((await self.get(user="amir", password="quite another password 7")).status, 200)
        checked = self.service.reception.counts.ok
        self.assertEqual((await self.get(user="beth")).status, 200)
        self.assertEqual(self.service.reception.counts.ok, checked)

    async def test_wrong_old(self):
        """Without the old password nothing changes."""
        refused = await self.change("not the old one", "quite another password 7")
        self.assertEqual(refused.status, 403)
        self.assertEqual((await self.get(user="amir")).status, 200)

    async def test_not_written(self):
        """A file that cannot be written is told."""
        from corpproxy.backends.people import sign_in

        def full(*arguments):
            raise OSError(28, "No space left on device")

        self.patch(sign_in, "change_password", full)
        refused = await self.change(PEOPLE["amir"], "quite another password 7")
        self.assertEqual(refused.status, 403)
        self.assertIn("cannot be written", refused.text)


class PeopleTests(PortalCase):
    """The password file of a service that runs."""

    async def test_taken_up(self):
        """A changed line is taken up without a reload, and only that person signs in anew."""
        from corpproxy.backends.people.htpasswd_edit import set_passwords

        await self.get(user="amir")
        await self.get(user="beth")
        remembered = self.service.reception.remembered
        set_passwords(
            self.folder / "users.htpasswd", {"amir": "a newer password", "carol": "a third password"}
        )
        await self.until(lambda: self.service.reception.remembered == remembered - 1)
        self.assertEqual((await self.get(user="amir")).status, 407)
        self.assertEqual((await self.get(user="amir", password="a newer password")).status, 200)
        self.assertEqual((await self.get(user="carol", password="a third password")).status, 200)

    async def test_gone(self):
        """A file that is gone leaves people as they were, and /ready says so."""
        (self.folder / "users.htpasswd").unlink()
        await self.until(self.service.reasons_not_ready)
        self.assertIn("users.htpasswd: the file cannot be read", (await self.ask_admin("/ready")).text)
        self.assertEqual((await self.get(user="amir")).status, 200)


class PortalOnTwistedTests(WarnTests):
    """The same on the transports of Twisted."""

    transports = "twisted"
