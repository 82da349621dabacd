"""Staged rules and exceptions in a service that runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from corpproxy.audit.results import ResultCode
from corpproxy.policy.staged import is_in_share
from tests.service.case import PEOPLE, SIGN_IN
from tests.service.client import Client
from tests.service.test_reload import ReloadCase

SHADOW = """
rules:
  - {name: no games, what: {domain: games.test}, do: block, mode: shadow, owner: carol}
  - {name: everything else, do: allow}
"""

CANARY = (
    SIGN_IN
    + """
rules:
  - {name: no games, what: {domain: games.test}, do: block, canary: 50%}
  - {name: everything else, do: allow}
"""
)

BLOCKED = """
include_exceptions: exceptions.d/*.yaml
rules:
  - {name: no games, what: {domain: games.test}, do: block}
  - {name: everything else, do: allow}
"""
CLUB = """
exceptions:
  - {name: chess club, what: {domain: games.test}, past: no games, owner: carol, reason: chess,
     until: "2099-01-01T10:00"}
"""
# 2099-01-01T10:00 in UTC, which a policy without a time zone means.
CLUB_ENDS = 4_070_944_800


class StagedCase(ReloadCase):
    """A service with files of exceptions."""

    def write_exceptions(self, text: str) -> None:
        """Put a file of exceptions beside the policy."""
        folder = self.folder / "exceptions.d"
        folder.mkdir(exist_ok=True)
        (folder / "club.yaml").write_text(text)


class ShadowTests(StagedCase):
    """A rule in shadow."""

    policy = SHADOW

    async def test_recorded(self):
        """The page comes as ever, the record says what would have become of it, and can be asked for it."""
        self.assertEqual((await self.get("games.test")).status, 200)
        (record,) = await self.closed(1)
        self.assertEqual((record.decision, record.rule), ("allow", "everything else"))
        self.assertEqual(record.would_block, "no games")
        _, out, _ = await self.command("audit", "search", "--would-block", "no games")
        self.assertIn('would be blocked by "no games"', out)


class CanaryTests(StagedCase):
    """A rule for half of the people."""

    policy = CANARY
    people: ClassVar[dict[str, str]] = PEOPLE

    async def test_told_apart(self):
        """Who belongs to the share is refused; what becomes of the others is recorded as in shadow."""
        for name, password in PEOPLE.items():
            answer = await self.get("games.test", user=name, password=password)
            met = is_in_share("no games", name, 5_000)
            self.assertEqual(answer.status, 403 if met else 200, name)
        found = {record.user: record.would_block for record in await self.closed(2)}
        self.assertEqual(
            found, {name: "" if is_in_share("no games", name, 5_000) else "no games" for name in PEOPLE}
        )


class CanaryInWorkersTests(CanaryTests):
    """The same people in every process."""

    workers = 2


class ExceptionTests(StagedCase):
    """Exceptions in files of their own."""

    policy = BLOCKED
    starts = False

    async def test_ends_by_itself(self):
        """It lets through until its minute comes, without a reload, and the record names it."""
        self.write_exceptions(CLUB)
        self.start()
        self.assertEqual((await self.get("games.test")).status, 200)
        self.jump = CLUB_ENDS - self.now() - 30
        self.assertEqual((await self.get("games.test")).status, 200)
        self.jump += 31
        self.assertEqual((await self.get("games.test")).status, 403)
        self.assertEqual(
            [(one.rule, one.exception) for one in await self.closed(3)],
            [("everything else", "chess club")] * 2 + [("no games", "")],
        )

    async def test_open_tunnel(self):
        """A tunnel that an exception let through ends with it, within the second, and says why."""
        until = self.now() + 4
        self.write_exceptions(
            CLUB.replace("2099-01-01T10:00", f"{datetime.fromtimestamp(until, UTC):%FT%T.%f}")
        )
        self.start()
        client = Client(self.forward)
        self.addCleanup(client.close)
        target = f"games.test:{self.origin.echo_port}"
        self.assertEqual((await self.thread(client.ask, "CONNECT", target)).status, 200)
        self.assertEqual(await self.thread(client.echoes, b"before"), b"before")
        self.assertEqual(await self.thread(client.more), b"")
        self.assertTrue(0 <= self.now() - until < 1, self.now() - until)
        (record,) = await self.closed(1, result=ResultCode.ENDED)
        self.assertEqual((record.exception, record.ended_rule), ("chess club", "no games"))

    async def test_watched(self):
        """With ``watch:`` a file that appears in the folder is taken up by itself."""
        self.write_exceptions(CLUB)
        self.write("watch: yes" + BLOCKED)
        self.start()
        later = CLUB.replace("chess club", "drama club")
        (self.folder / "exceptions.d" / "drama.yaml").write_text(later)
        await self.until(lambda: "exceptions.d/drama.yaml" in self.service.texts)
        entries = self.service.configuration.policy.exceptions.entries
        self.assertEqual([entry.name for entry in entries], ["chess club", "drama club"])

    async def test_broken_file(self):
        """A mistake in a file of exceptions, or anything else in it, changes nothing of what runs."""
        self.write_exceptions(CLUB)
        self.start()
        for text in (CLUB.replace("until", "untill"), CLUB + "rules: [{name: open, do: allow}]\n"):
            self.write_exceptions(text)
            code, out, err = await self.command("reload")
            self.assertEqual(code, 1)
            self.assertIn("exceptions.d/club.yaml:", out + err)
            self.assertEqual((await self.get("games.test")).status, 200)
