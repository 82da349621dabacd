"""What a service recorded, decided again: by the policy that ran nothing changes, by another what should."""

from __future__ import annotations

import contextlib
import io
import json
import re
from urllib.parse import urlencode

from corpproxy import cli
from tests.service.case import PEOPLE, SIGN_IN, ServiceCase
from tests.service.client import Client, ask

RULES = """
categories:
  own: {betting: [bets.test], news: [news.test]}
rules:
  - {name: no bets, what: {category: betting}, do: block}
  - {name: not this page, who: {group: pupils}, what: {url: origin.test/secret}, do: block}
  - {name: games with a thought, what: {domain: games.test}, do: warn, for: 10m}
  - {name: news elsewhere, what: {category: news}, do: redirect, to: "http://origin.test/hello"}
  - {name: people, who: {group: [pupils, staff]}, do: allow}
  - {name: everything else, do: block}
safe_search: [{who: {group: pupils}}]
"""


def replay(*words):
    """What ``corpproxy replay`` finds."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(["replay", "--json", "--since", "1d", *map(str, words)])
    assert (code, err.getvalue()) == (0, ""), err.getvalue()
    return json.loads(out.getvalue())


class ReplayTests(ServiceCase):
    """A service with all kinds of traffic behind it."""

    people = PEOPLE
    policy = SIGN_IN + RULES

    async def traffic(self):
        """Something of everything; gives how many exchanges there were."""
        for user, host, path in (
            ("amir", "origin.test", "/hello"),
            ("amir", "origin.test", "/secret/plan"),
            ("beth", "origin.test", "/secret/plan"),
            ("amir", "bets.test", "/"),
            ("amir", "news.test", "/"),
            ("beth", "games.test", "/hello"),
        ):
            await self.get(host, path, user)
        await self.thread(ask, self.forward, self.url())
        await self.confirm_games()
        await self.get("games.test", "/hello", "amir")
        for target in ("origin.test:22", "10.9.9.9:443", f"games.test:{self.origin.echo_port}"):
            await self.thread(ask, self.forward, target, "CONNECT", "beth", PEOPLE["beth"])
        await self.thread(ask, self.forward, "http://10.9.9.9/", "GET", "amir", PEOPLE["amir"])
        await self.tunnel()
        broken = Client(self.forward).connect()
        await self.thread(broken.send, b"GET http://origin.test/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        await self.thread(broken.more)
        broken.close()
        await self.closed(16)

    async def confirm_games(self):
        """Amir is warned of games, and confirms that."""
        warning = await self.get("games.test", user="amir", lines=["Accept: text/html"])
        token = re.search(r'name="?token"? value="([^"]+)"', warning.text)[1]
        await self.thread(
            ask, self.forward, "http://proxy.internal/confirm", "POST", "amir", PEOPLE["amir"],
            lines=["Content-Type: application/x-www-form-urlencoded"],
            content=urlencode({"token": token}).encode(),
        )  # fmt: skip

    async def tunnel(self):
        """Amir opens a tunnel, moves something and closes it."""
        tunnel = Client(self.forward, "amir", PEOPLE["amir"])
        await self.thread(tunnel.ask, "CONNECT", f"origin.test:{self.origin.echo_port}")
        await self.thread(tunnel.echoes, b"y" * 1000)
        tunnel.close()

    async def test_running_policy(self):
        """The policy that ran decides everything as it did; what no rule decided is counted apart."""
        await self.traffic()
        found = await self.thread(replay, "--policy", self.file)
        self.assertEqual((found["changed"], found["by_other_rule"]), (0, []))
        self.assertEqual(found["undecidable"]["exchanges"], 0)
        self.assertEqual(found["unchanged"], found["decided"])
        self.assertEqual(found["passed_over"], {"challenged": 1, "malformed": 1, "portal": 1})
        self.assertEqual(found["decided"], 13)

    async def test_candidate(self):
        """A policy that did not run yet shows what it would change, and for whom; the service goes on."""
        await self.traffic()
        candidate = self.file.with_name("new.yaml")
        text = self.file.read_text().replace("games with a thought", "games are closed")
        text = text.replace("do: warn, for: 10m", "do: block").replace(
            "betting: [bets.test]", "betting: [hello.test]"
        )
        candidate.write_text(text)
        found = await self.thread(replay, "--policy", candidate)
        blocked = found["changes"]["newly blocked"]
        # Amir had confirmed the warning of another rule; beth and amir before had only been warned.
        self.assertEqual((blocked["exchanges"], blocked["people"]), (1, 1))
        self.assertEqual(blocked["by_rule"][0]["after"], "games are closed")
        self.assertEqual([one["host"] for one in blocked["by_host"]], ["games.test"])
        allowed = found["changes"]["newly allowed"]
        self.assertEqual(
            [(one["before"], one["after"]) for one in allowed["by_rule"]], [("no bets", "people")]
        )
        self.assertEqual([one["group"] for one in allowed["by_group"]], ["pupils"])
        self.assertEqual(found["changes"]["refused in another way"]["exchanges"], 3)
        self.assertEqual(self.service.configuration.version, self.records()[0].policy)

    async def test_explained(self):
        """The reference on a block page leads to what was decided and why, by the policy of that time."""
        page = await self.get("bets.test", "/", "amir", lines=["Accept: text/html"])
        (record,) = await self.closed(1)
        self.assertIn(record.id, page.text)
        self.write(self.policy.replace("no bets", "bets are for the old"))
        self.assertTrue((await self.service.reload("test", 0)).taken)
        out = io.StringIO()
        words = ["explain", "--policy", str(self.file), "--ref", record.id]
        with contextlib.redirect_stdout(out):
            self.assertEqual(await self.thread(cli.main, words), 0)
        for said in (
            f"{record.id}: blocked. ",
            f"policy: version {record.policy}, in force from",
            "who: amir (basic), groups pupils, from 127.0.0.1, listener rooms\n",
            "category betting: list own, entry bets.test\n",
            "block by 'no bets' at ",
        ):
            self.assertIn(said, out.getvalue())

    async def test_query(self):
        """Where a rule asks for a query that was left out, the exchange cannot be decided, and says so."""
        await self.get("origin.test", "/hello?q=1", "amir")
        await self.get("origin.test", "/hello", "amir")
        await self.closed(2)
        candidate = self.file.with_name("new.yaml")
        candidate.write_text(self.file.read_text().replace("origin.test/secret", "origin.test/hello?q=1"))
        found = await self.thread(replay, "--policy", candidate)
        self.assertEqual((found["changed"], found["unchanged"]), (0, 1))
        (doubt,) = found["undecidable"]["by"]
        self.assertEqual((doubt["rule"], doubt["fact"], doubt["people"]), ("not this page", "the query", 1))
