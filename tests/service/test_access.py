"""Access on the portal: asked for, decided, used, ended; in one process and with two workers."""

from __future__ import annotations

import contextlib
import getpass
import io
import json
import re
import time
from urllib.parse import urlencode

from corpproxy.audit.results import Kind
from corpproxy.cli import main
from tests.service.case import ServiceCase
from tests.service.client import Answer, Client, ask
from tests.supervisor.case import WorkersCase

RULES = """
identity:
  methods: [{basic: {htpasswd: users.htpasswd}}]
  groups: {pupils: [amir, dan], teachers: [beth, carol], 9b: [amir, dan]}
  networks: {lab: {addresses: [127.0.0.0/8], user: lab}}
approve:
  - {who: {user: beth}, for: {group: pupils}, at_most: 2h}
limits:
  - {name: day, who: {user: dan}, volume: 1MiB, every: day}
rules:
  - {name: never, what: {domain: bets.test}, do: block, override: no}
  - {name: no games, what: {domain: [games.test, news.test]}, do: block}
  - {name: everything else, do: allow}
"""
PORTAL = "http://proxy.internal"
FORM = "Content-Type: application/x-www-form-urlencoded"


class AccessOnThePortal:
    """A pupil asks, a teacher decides, each with the own sign-in."""

    policy = RULES
    people = {name: f"the password of {name}" for name in ("amir", "dan", "beth", "carol")}

    async def all_serve(self) -> None:
        """Wait until all processes serve."""

    async def page(self, path: str, user: str, *, form: dict[str, str] | None = None) -> Answer:
        """A page of the portal, from whichever process answers."""
        content = urlencode(form or {}).encode()
        method, lines = (
            ("GET", ["Accept: text/html"]) if form is None else ("POST", ["Accept: text/html", FORM])
        )
        target = path if path.startswith("http") else PORTAL + path
        return await self.thread(
            ask, self.forward, target, method, user, self.people[user], lines=lines,
            content=content if form is not None else b"",
        )  # fmt: skip

    def hidden(self, page: Answer, action: str) -> str:
        """The token of the form with this action."""
        found = re.search(
            rf'action="?[^">]*{action}"?>\s*<input type="?hidden"? name="?token"? value="([^"]+)"', page.text
        )
        self.assertTrue(found, page.text)
        return found[1]

    async def asks(self, user: str = "amir", host: str = "games.test", reason: str = "chess club") -> Answer:
        """A person meets the page of a blocked host, and asks there."""
        refusal = await self.page(self.url(host), user)
        self.assertEqual(refusal.status, 403)
        done = await self.page("/ask", user, form={"token": self.hidden(refusal, "/ask"), "reason": reason})
        self.assertEqual(done.status, 200, done.text)
        await self.settle()
        return done

    async def settle(self) -> None:
        """Other processes hear of it in a moment."""
        await self.pause(0.2)

    async def shows(self, text: str, user: str) -> None:
        """Wait until the start page of a person says something."""
        ends = time.monotonic() + 40
        while text not in (await self.page("/", user)).text:
            self.assertLess(time.monotonic(), ends, text)
            await self.pause(0.1)

    async def request_page(self, user: str = "beth") -> tuple[str, Answer]:
        """The page of the only request that waits."""
        listed = await self.page("/requests", user)
        found = re.search(r'href="http://proxy.internal(/requests/[^"]+)"', listed.text)
        self.assertTrue(found, listed.text)
        return found[1], await self.page(found[1], user)

    async def lets(self, whom: str = "amir", seconds: str = "3600", hosts: str = "alone") -> Answer:
        """A teacher lets through what is asked for."""
        _, page = await self.request_page()
        form = {"token": self.hidden(page, "/requests/let"), "whom": whom, "seconds": seconds, "hosts": hosts}
        return await self.page("/requests/let", "beth", form=form)

    async def statuses(self, user: str, host: str = "games.test") -> set[int]:
        return {(await self.get(host, user=user)).status for _ in range(6)}

    def deeds(self) -> list[tuple[str, str, str]]:
        return [(one.deed, one.user, one.whom) for one in self.records() if one.kind is Kind.DEED]

    async def test_let_through(self) -> None:
        """The pupil asks on the block page, the teacher lets through, at once everywhere; all is recorded."""
        await self.all_serve()
        await self.asks()
        start = await self.page("/", "amir")
        self.assertIn("Waits for an answer", start.text)
        self.assertIn("Requests for access that wait for you: 1", (await self.page("/", "beth")).text)
        _, page = await self.request_page()
        self.assertIn("chess club", page.text)
        given = await self.lets()
        self.assertEqual(given.status, 200, given.text)
        await self.settle()
        self.assertEqual(await self.statuses("amir"), {200})
        self.assertEqual(await self.statuses("dan"), {403})
        self.assertIn("Open to you until", (await self.page("/", "amir")).text)
        self.assertIn("Nobody waits for an answer", (await self.page("/requests", "beth")).text)
        await self.until(lambda: len(self.deeds()) == 2, "both deeds are recorded")
        self.assertEqual(
            sorted(self.deeds()), [("access-asked", "amir", "amir"), ("grant-given", "beth", "amir")]
        )
        (record,) = (await self.closed(1, host="games.test", status=200))[:1]
        (deed,) = [one for one in self.records() if one.deed == "grant-given"]
        self.assertEqual((record.grant, deed.reason, deed.hosts), (deed.grant, "chess club", ("games.test",)))

    async def test_class(self) -> None:
        """A class is let through after it is said for how many that is; teachers in the room are not."""
        await self.all_serve()
        await self.asks()
        sure = await self.lets(whom="group:9b")
        self.assertIn("This is for 2 people that are known now", sure.text)
        self.assertEqual(await self.statuses("dan"), {403})
        done = await self.page("/requests/sure", "beth", form={"token": self.hidden(sure, "/requests/sure")})
        self.assertEqual(done.status, 200, done.text)
        await self.settle()
        self.assertEqual(await self.statuses("dan"), {200})
        self.assertEqual(await self.statuses("carol"), {403})

    async def test_room_with_what_it_needs(self) -> None:
        """A room is let through to the host and to what its pages asked for, and pupils alone are."""
        await self.all_serve()
        await self.page(self.url("news.test"), "amir")
        await self.settle()
        await self.asks()
        _, page = await self.request_page()
        self.assertIn("news.test", page.text)
        sure = await self.lets(whom="network:lab", hosts="also")
        self.assertIn("how many that are is not known", sure.text)
        await self.page("/requests/sure", "beth", form={"token": self.hidden(sure, "/requests/sure")})
        await self.settle()
        for host in ("games.test", "news.test"):
            self.assertEqual(await self.statuses("dan", host), {200})
            self.assertEqual(await self.statuses("carol", host), {403})

    async def test_ended(self) -> None:
        """Who let somebody through ends it again; the tunnel is gone within a second."""
        await self.all_serve()
        await self.asks()
        await self.lets()
        await self.settle()
        client = Client(self.forward, "amir", self.people["amir"])
        self.addCleanup(client.close)
        await self.thread(client.ask, "CONNECT", f"games.test:{self.origin.echo_port}")
        self.assertEqual(await self.thread(client.echoes, b"before"), b"before")
        listed = await self.page("/requests", "beth")
        began = self.now()
        done = await self.page("/requests/end", "beth", form={"token": self.hidden(listed, "/requests/end")})
        self.assertEqual(done.status, 200, done.text)
        self.assertEqual(await self.thread(client.more), b"")
        self.assertLess(self.now() - began, 1.5)
        self.assertEqual(await self.statuses("amir"), {403})

    async def test_refused(self) -> None:
        """Who is refused reads why, and asks again later."""
        await self.all_serve()
        await self.asks()
        _, page = await self.request_page()
        form = {"token": self.hidden(page, "/requests/refuse"), "answer": "After the lesson."}
        self.assertEqual((await self.page("/requests/refuse", "beth", form=form)).status, 200)
        await self.settle()
        start = await self.page("/", "amir")
        self.assertIn("Not granted", start.text)
        self.assertIn("After the lesson.", start.text)
        refusal = await self.page(self.url("games.test"), "amir")
        again = await self.page("/ask", "amir", form={"token": self.hidden(refusal, "/ask"), "reason": "x"})
        self.assertEqual(again.status, 429)

    async def test_not_theirs(self) -> None:
        """Who may not decide finds nothing to decide; what may never be overridden cannot be asked for."""
        await self.all_serve()
        await self.asks()
        path, page = await self.request_page()
        token = self.hidden(page, "/requests/let")
        for user in ("carol", "amir"):
            self.assertEqual((await self.page("/requests", user)).status, 404)
            self.assertEqual((await self.page(path, user)).status, 404)
            form = {"token": token, "whom": "amir", "seconds": "3600", "hosts": "alone"}
            self.assertEqual((await self.page("/requests/let", user, form=form)).status, 403)
        self.assertNotIn("Ask for access", (await self.page(self.url("bets.test"), "amir")).text)
        self.assertNotIn("Ask for access", (await self.page(self.url("games.test"), "carol")).text)

    async def command(self, *words: str) -> tuple[int, str, str]:
        """Give a command of the command line; exit code, output, complaints."""

        def run() -> tuple[int, str, str]:
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(["requests", words[0], "--policy", str(self.file), *words[1:]])
            return code, out.getvalue(), err.getvalue()

        return await self.thread(run)

    async def test_command_line(self) -> None:
        """An administrator on the machine sees the same requests, lets through and refuses."""
        await self.all_serve()
        self.assertEqual(await self.command("list"), (0, "no request waits\n", ""))
        await self.asks()
        _, text, _ = await self.command("list")
        id = text.split()[0]
        self.assertIn("amir (9b, pupils): games.test, past 'no games'", text)
        self.assertIn("    chess club\n", text)
        code, out, err = await self.command("grant", id, "--for", "30m", "--group", "9b")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("group:9b may have games.test until ", out)
        await self.settle()
        self.assertEqual(await self.statuses("dan"), {200})
        await self.shows("Open to you until", "amir")
        code, _, err = await self.command("grant", id, "--for", "30m")
        self.assertEqual((code, err.count("has decided on it already: granted")), (1, 1), err)
        await self.asks("amir", "news.test", "the news")
        (waiting,) = json.loads((await self.command("list", "--format", "json"))[1])
        self.assertEqual((waiting["host"], waiting["reason"]), ("news.test", "the news"))
        code, out, _ = await self.command("refuse", waiting["id"], "--why", "Read a book.")
        self.assertEqual((code, out), (0, "refused\n"))
        await self.settle()
        self.assertIn("Read a book.", (await self.page("/", "amir")).text)
        _, text, _ = await self.command("list", "--all")
        self.assertIn(f"refused by {getpass.getuser()} Read a book.", text)
        code, _, err = await self.command("refuse", "nothing")
        self.assertIn("there is no request 'nothing'", err)

    async def uses_up(self) -> None:
        """A pupil moves all that there is for the day."""
        status = 200
        while status == 200:
            # The last one ends in the middle.
            with contextlib.suppress(ConnectionResetError):
                status = (await self.get("origin.test", user="dan", path="/octets/600000")).status
            await self.settle()

    async def test_more_of_a_quota(self) -> None:
        """A pupil whose quota is used up asks for more; what is given holds at once; all is recorded."""
        await self.all_serve()
        await self.uses_up()
        await self.shows("/ask-more", "dan")
        start = await self.page("/", "dan")
        form = {"token": self.hidden(start, "/ask-more"), "reason": "bees"}
        self.assertEqual((await self.page("/ask-more", "dan", form=form)).status, 200)
        await self.settle()
        self.assertIn("more of 'day'\n    bees\n", (await self.command("list"))[1])
        _, page = await self.request_page()
        self.assertIn("dan asks for more of “day”", page.text)
        form = {"token": self.hidden(page, "/requests/more"), "amount": str(1 << 18)}
        given = await self.page("/requests/more", "beth", form=form)
        self.assertIn("256 KiB more of “day”", given.text)
        await self.shows("Given to you on top", "dan")
        self.assertEqual((await self.get("origin.test", user="dan")).status, 200)
        await self.until(lambda: len(self.deeds()) == 2, "both deeds are recorded")
        self.assertEqual(
            sorted(self.deeds()), [("quota-asked", "dan", "dan"), ("quota-granted", "beth", "dan")]
        )

    async def test_more_by_command(self) -> None:
        """An administrator on the machine gives more of a quota, or is told how it is asked for."""
        await self.all_serve()
        await self.uses_up()
        await self.shows("/ask-more", "dan")
        start = await self.page("/", "dan")
        form = {"token": self.hidden(start, "/ask-more"), "reason": "bees"}
        self.assertEqual((await self.page("/ask-more", "dan", form=form)).status, 200)
        await self.settle()
        id = (await self.command("list"))[1].split()[0]
        code, _, err = await self.command("grant", id, "--for", "1h")
        self.assertEqual((code, err), (1, "say how much: --volume\n"))
        code, out, err = await self.command("grant", id, "--volume", "1MiB")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"^dan: .* of 2 MiB \(\d+%\)")
        await self.shows("Given to you, until", "dan")

    async def test_restart(self) -> None:
        """A request that waits, and a grant that holds, outlive a restart."""
        await self.all_serve()
        await self.asks()
        await self.start_again()
        await self.all_serve()
        await self.until(lambda: len(self.service.lasting.requests), "requests are read")
        await self.settle()
        self.assertEqual((await self.lets()).status, 200)
        await self.start_again()
        await self.all_serve()
        await self.until(lambda: len(self.service.lasting.grants), "grants are read")
        await self.settle()
        self.assertEqual(await self.statuses("amir"), {200})


class OneProcessTests(AccessOnThePortal, ServiceCase):
    """All in one process."""


class WorkerTests(AccessOnThePortal, WorkersCase):
    """Two workers."""

    async def all_serve(self):
        await self.serving()
