"""Chromium through the PAC file, with a person who signs in: what people see."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.programs.case import PEOPLE, ProgramCase, needs
from tests.programs.chromium import Page, chromium
from tests.programs.origin import TOKEN

Visit = Callable[[Page], Awaitable[None]]


@needs("chromium")
class ChromiumTests(ProgramCase):
    """A pupil at a browser that was given the address of the PAC file and nothing else."""

    people = PEOPLE
    rules = """
contact: {name: IT room 4, mail: it@hillside.example}
rules:
  - {name: no games, what: {domain: games.test}, do: block, say: Games are for home.}
  - {name: bets with a warning, what: {domain: bets.test}, do: warn, say: Think twice.}
  - {name: everything else, do: allow}
"""

    def browse(self, visit: Visit, name: str = "amir", password: str = PEOPLE["amir"]) -> None:
        pac = f"http://127.0.0.1:{self.proxy.portal}/proxy.pac"

        async def with_browser() -> None:
            async with chromium(self.work, pac, name, password) as browser:
                await visit(await browser.page())

        asyncio.run(with_browser())

    async def keep_picture(self, page: Page, name: str) -> None:
        """Keep what the page looks like, for people to see, where CORPPROXY_PICTURES names a folder."""
        folder = os.environ.get("CORPPROXY_PICTURES")
        if folder:
            await page.picture(Path(folder) / f"{name}.png")

    def test_http(self) -> None:
        """A page over http, and what its script fetches; the person signs in once."""

        async def visit(page: Page) -> None:
            self.assertEqual(await page.open(self.origin.http("/page")), "")
            self.assertEqual((await page.text()).strip(), TOKEN)
            self.assertEqual(page.asked, 1)

        self.browse(visit)
        self.assertTrue(self.proxy.closed(user="amir", host="origin.test", path="/page", status=200))

    def test_https(self) -> None:
        """A page over https, through a tunnel."""

        async def visit(page: Page) -> None:
            self.assertEqual(await page.open(self.origin.https("/page")), "")
            self.assertEqual((await page.text()).strip(), TOKEN)

        self.browse(visit)
        self.assertTrue(self.proxy.closed(user="amir", host="origin.test", method="CONNECT"))

    def test_socket(self) -> None:
        """A WebSocket over http: Chromium opens a tunnel for it."""

        async def visit(page: Page) -> None:
            self.assertEqual(await page.open(self.origin.http("/talk")), "")
            self.assertEqual((await page.text()).strip(), "you said: are you there")

        self.browse(visit)
        (record,) = self.proxy.closed(user="amir", method="CONNECT", port=self.origin.port)
        self.assertIn(record.result, {"tunnelled", "client-gone", "ended"})

    def test_socket_over_tls(self) -> None:
        """A WebSocket over TLS."""

        async def visit(page: Page) -> None:
            self.assertEqual(await page.open(self.origin.https("/talk")), "")
            self.assertEqual((await page.text()).strip(), "you said: are you there")

        self.browse(visit)

    def test_wrong_password(self) -> None:
        """With a wrong password the person sees the page that says how to sign in, and no content."""

        async def visit(page: Page) -> None:
            await page.open(self.origin.http("/page"))
            self.assertNotIn(TOKEN, await page.text())

        self.browse(visit, password="wrong")
        self.assertEqual(self.origin.seen, [])

    def test_blocked(self) -> None:
        """The block page says what, why, whom to ask, and the reference of the record."""

        async def visit(page: Page) -> None:
            await page.open(self.origin.http("/page", "games.test"))
            said = await page.text()
            await self.keep_picture(page, "blocked")
            for words in ("games.test", "Games are for home.", "IT room 4"):
                self.assertIn(words, said)
            (record,) = self.proxy.closed(user="amir", host="games.test", path="/page", result="blocked")
            self.assertIn(record.id, said)

        self.browse(visit)
        self.assertEqual(self.origin.seen, [])

    def test_warned(self) -> None:
        """The warn page goes on when it is confirmed, and is not shown again."""

        async def visit(page: Page) -> None:
            await page.open(self.origin.http("/page", "bets.test"))
            self.assertIn("Think twice.", await page.text())
            self.assertEqual(self.origin.seen, [])
            await self.keep_picture(page, "warned")
            await page.value("document.querySelector('form button').click()")
            await page.until("document.title === 'loaded'")
            self.assertEqual((await page.text()).strip(), TOKEN)
            await page.open(self.origin.http("/page?again", "bets.test"))
            self.assertEqual((await page.text()).strip(), TOKEN)

        self.browse(visit)
        self.assertTrue(self.proxy.closed(user="amir", host="bets.test", result="warned"))

    def test_refused_over_https(self) -> None:
        """
        Who is refused over https finds the reason on the own page.

        A browser shows its own error for a tunnel that is refused.
        """

        async def visit(page: Page) -> None:
            error = await page.open(self.origin.https("/page", "games.test"))
            self.assertEqual(error, "net::ERR_TUNNEL_CONNECTION_FAILED")
            self.assertEqual(await page.open("http://proxy.internal/"), "")
            said = await page.text()
            await self.keep_picture(page, "portal")
            self.assertIn("amir", said)
            self.assertIn("games.test", said)
            self.assertIn("Games are for home.", said)

        self.browse(visit)

    def test_warned_over_https(self) -> None:
        """Who is warned over https confirms on the own page, and then gets through."""

        async def visit(page: Page) -> None:
            error = await page.open(self.origin.https("/page", "bets.test"))
            self.assertEqual(error, "net::ERR_TUNNEL_CONNECTION_FAILED")
            await page.open("http://proxy.internal/")
            self.assertIn("Think twice.", await page.text())
            await page.value("document.querySelector('form button').click()")
            # It leads back to the start page of the site: the proxy never saw more of the address.
            start = self.origin.https("/", "bets.test")
            await page.until(f"location.href === '{start}' && document.readyState === 'complete'")
            await page.open(self.origin.https("/page", "bets.test"))
            self.assertEqual((await page.text()).strip(), TOKEN)

        self.browse(visit, name="beth", password=PEOPLE["beth"])
