"""Each setting of the policy takes effect with a reload."""

from __future__ import annotations

import errno
import socket

from tests.service.case import ALLOW, NAMES, PEOPLE, REACH, SIGN_IN
from tests.service.client import Client, ask
from tests.service.test_reload import ReloadCase


def full(*_: object) -> None:
    """Do as a disk does on which no room is left."""
    raise OSError(errno.ENOSPC, "No space left on device")


class SettingsTests(ReloadCase):
    """One setting to a test: before the reload, and after it."""

    people = PEOPLE
    transports = "engine"

    async def test_hosts(self):
        """A name gets another address."""
        moved = REACH.replace(
            "names: {{hosts: {{{hosts}}}}}", "names: {{hosts: {{origin.test: [192.0.2.1]}}}}"
        )
        self.assertEqual((await self.get()).status, 200)
        # One of the network for examples: nobody listens there, and the safety table refuses it.
        await self.take(ALLOW, reach=moved)
        self.assertEqual((await self.get()).status, 403)

    async def test_limits(self):
        """A shorter head is asked for."""
        long = f"X-Long: {'x' * 3000}"
        self.assertEqual((await self.get(lines=[long])).status, 200)
        await self.take("http: {head_octets: 2KiB}\n" + ALLOW)
        self.assertEqual((await self.get(lines=[long])).status, 431)

    async def test_content_limit(self):
        """Content has a limit."""
        await self.take("http: {content_octets: 1KiB}\n" + ALLOW)
        answer = await self.thread(ask, self.forward, self.url(), "POST", content=b"x" * 2000)
        self.assertEqual(answer.status, 413)

    async def test_timeouts(self):
        """A server is waited for as long as the policy says."""
        await self.take("timeouts: {answer: 1s}\n" + ALLOW)
        self.assertEqual((await self.get(path="/held")).status, 504)

    async def test_kept_connection(self):
        """A client that is connected already is waited for by the new timeouts from its next request on."""
        client = Client(self.forward)
        self.addCleanup(client.close)
        await self.thread(client.ask, "GET", self.url())
        await self.take("timeouts: {idle: 1s}\n" + ALLOW)
        await self.thread(client.ask, "GET", self.url())
        self.assertEqual(await self.thread(client.more), b"")

    async def test_connections(self):
        """Fewer connections of one address are let in."""
        await self.take("connections: {per_address: 1}\n" + ALLOW)
        kept = Client(self.forward)
        self.addCleanup(kept.close)
        await self.thread(kept.ask, "GET", self.url())
        self.assertEqual((await self.get()).status, 429)

    async def test_server_wait(self):
        """The turn at a server with all its connections in use is waited for by the new timeouts."""
        await self.take("timeouts: {connect: 1s}\nconnections: {per_server: 1}\n" + ALLOW)
        held = Client(self.forward)
        self.addCleanup(held.close)
        await self.thread(held.send_request, "GET", self.url(path="/held"))
        await self.until(self.origin.arrived.is_set)
        answer = await self.get()
        self.assertEqual(answer.status, 504)
        self.assertIn("server-busy", (await self.closed(1, failure="server-busy"))[0].failure)

    async def test_htpasswd(self):
        """Another password file: who is only in the old one is a stranger."""
        from corpproxy.backends.people.htpasswd_edit import set_passwords

        await self.take(SIGN_IN + ALLOW)
        self.assertEqual((await self.get(user="amir")).status, 200)
        set_passwords(self.folder / "others.htpasswd", {"beth": PEOPLE["beth"]})
        await self.take(SIGN_IN.replace("users.htpasswd", "others.htpasswd") + ALLOW)
        self.assertEqual((await self.get(user="amir")).status, 407)
        self.assertEqual((await self.get(user="beth")).status, 200)

    async def test_sign_in_comes(self):
        """A policy that asks people to sign in, after one that did not."""
        self.assertEqual((await self.get()).status, 200)
        await self.take(SIGN_IN + ALLOW)
        refused = await self.get()
        self.assertEqual(refused.status, 407)
        self.assertEqual((await self.get(user="amir")).status, 200)
        await self.take(ALLOW)
        self.assertEqual((await self.get()).status, 200)

    async def test_realm(self):
        """The realm of the challenge."""
        await self.take(SIGN_IN.replace("methods", "realm: Hill\n  methods") + ALLOW)
        self.assertIn('realm="Hill"', (await self.get()).fields["Proxy-Authenticate"])

    async def test_remember(self):
        """How long credentials are remembered; those of before are checked once more."""
        await self.take(SIGN_IN + ALLOW)
        await self.get(user="amir")
        await self.take(SIGN_IN.replace("methods", "remember: 1m\n  methods") + ALLOW)
        await self.get(user="amir")
        await self.get(user="amir")
        counts = self.service.reception.counts
        self.assertEqual((counts.ok, counts.remembered), (2, 1))
        self.jump = 61
        await self.get(user="amir")
        self.assertEqual(counts.ok, 3)

    async def test_groups(self):
        """Groups that the policy names."""
        rules = (
            "rules:\n  - {name: staff only, who: {group: staff}, do: allow}\n  - {name: nobody, do: block}\n"
        )
        await self.take(SIGN_IN + rules)
        self.assertEqual((await self.get(user="amir")).status, 403)
        await self.take(SIGN_IN.replace("staff: [beth]", "staff: [beth, amir]") + rules)
        self.assertEqual((await self.get(user="amir")).status, 200)

    async def test_audit(self):
        """What the record keeps."""
        await self.get(path="/hello?q=1", lines=["User-Agent: one"])
        await self.take("audit: {query: yes, user_agent: no}\n" + ALLOW)
        await self.get(path="/hello?q=1", lines=["User-Agent: one"])
        first, second = await self.closed(2)
        self.assertEqual((first.path, first.agent), ("/hello", "one"))
        self.assertEqual((second.path, second.agent), ("/hello?q=1", ""))

    async def test_when_full(self):
        """What happens while records cannot be written."""
        disk = self.patch(self.service.writer._segments, "append", full)
        await self.get()
        await self.until(lambda: self.service.writer.is_failing)
        self.assertEqual((await self.get()).status, 503)
        await self.take("audit: {when_full: continue}\n" + ALLOW)
        self.assertEqual((await self.get()).status, 200)
        disk.restore()

    async def test_pac(self):
        """The PAC file."""
        await self.take(ALLOW, reach=REACH.replace("127.0.0.1:{forward}", "proxy.test:3128"))
        self.assertIn("proxy.test:3128", (await self.thread(ask, self.portal, "/proxy.pac", host="pac")).text)

    async def test_site(self):
        """The name of the site on pages, and the contact."""
        self.file.write_text(
            self.yaml(ALLOW).replace("site: Hillside School", "site: Hollow School\ncontact: {name: Room 9}")
        )
        self.assertEqual((await self.command("reload"))[0], 0)
        page = (await self.thread(ask, self.portal, "/", host="pac")).text
        self.assertIn("Hollow School", page)

    async def test_portal_name(self):
        """The reserved name of the portal."""
        self.assertEqual((await self.thread(ask, self.forward, "http://proxy.internal/")).status, 200)
        await self.take("portal: http://pages.internal/\n" + ALLOW)
        self.assertEqual((await self.thread(ask, self.forward, "http://pages.internal/")).status, 200)
        self.assertEqual((await self.thread(ask, self.forward, "http://proxy.internal/")).status, 502)

    async def test_forwarding(self):
        """What servers learn."""
        await self.get()
        await self.take("forwarding: {via: no, forwarded_for: yes}\n" + ALLOW)
        await self.get()
        first, second = (fields for _, _, fields in self.origin.seen)
        self.assertIn("corpproxy", first["via"])
        self.assertNotIn("x-forwarded-for", first)
        self.assertNotIn("via", second)
        self.assertEqual(second["x-forwarded-for"], "127.0.0.1")

    async def test_safe_search(self):
        """Search engines are asked by their strict addresses."""
        names = [*NAMES, "www.google.com"]
        hosts = (
            ", ".join(f"{name}: [127.0.0.1]" for name in names) + ", forcesafesearch.google.com: [127.0.0.2]"
        )
        reach = REACH.replace("{{{hosts}}}", "{{" + hosts + "}}")
        with socket.socket() as strict:
            strict.bind(("127.0.0.2", self.origin.port))
            strict.listen()
            await self.take(ALLOW, reach=reach)
            self.assertEqual((await self.get("www.google.com")).status, 200)
            await self.take("safe_search: [{engines: [google]}]\n" + ALLOW, reach=reach)
            asked = Client(self.forward)
            self.addCleanup(asked.close)
            await self.thread(asked.send_request, "GET", self.url("www.google.com"))
            strict.settimeout(5)
            connection, _ = await self.thread(strict.accept)
            octets = await self.thread(connection.recv, 65536)
            self.assertIn(b"\r\nHost: www.google.com:", octets)
            connection.close()

    async def test_categories(self):
        """The site's own categories and its exceptions."""
        rules = "rules:\n  - {name: no fun, what: {category: fun}, do: block}\n  - {name: all, do: allow}\n"
        await self.take("categories: {own: {fun: [games.test]}}\n" + rules)
        self.assertEqual((await self.get("games.test")).status, 403)
        await self.take("categories: {own: {fun: [bets.test]}}\n" + rules)
        self.assertEqual((await self.get("games.test")).status, 200)
        self.assertEqual((await self.get("bets.test")).status, 403)

    async def test_networks(self):
        """Who is known by address."""
        networks = "identity: {networks: {print-room: {addresses: [127.0.0.0/8], user: print-room}}}\n"
        await self.take(networks + ALLOW)
        await self.get()
        self.assertEqual((await self.closed(1))[0].user, "print-room")

    async def test_hours(self):
        """Calendars and the time zone."""
        rules = """
time_zone: UTC
calendars: {always: {days: mon-sun, hours: "00:00-24:00"}}
rules:
  - {name: closed, when: always, do: block}
  - {name: all, do: allow}
"""
        self.assertEqual((await self.get()).status, 200)
        await self.take(rules)
        self.assertEqual((await self.get()).status, 403)


class SettingsOnTwistedTests(SettingsTests):
    """The same on the transports of Twisted."""

    transports = "twisted"
