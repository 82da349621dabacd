"""What runs in all workers, seen and ended as one."""

from __future__ import annotations

from typing import Any

from corpproxy.audit.record import Record
from corpproxy.audit.results import Kind
from corpproxy.backends.state_folder import CONTROL_SOCKET
from corpproxy.net.ask import ControlError, ask
from tests.service.case import PEOPLE, SIGN_IN
from tests.supervisor.case import WorkersCase

AMIR, BETH = PEOPLE.items()


class PresentTests(WorkersCase):
    """Two workers."""

    people = PEOPLE
    policy = (
        SIGN_IN
        + """
rules:
  - {name: everything else, do: allow}
"""
    )

    async def given(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Give a command to the service."""
        return await self.thread(ask, self.folder / "state" / CONTROL_SOCKET, command, **arguments)

    async def test_both(self) -> None:
        """A person with connections to both workers is one row, whose exchanges of both are counted."""
        first, second = await self.serving()
        clients = [await self.on(first, *AMIR), await self.on(second, *AMIR)]
        await self.given("present")
        for client in clients:
            await self.thread(client.ask, "GET", self.url())
        await self.pause(1)
        seen = await self.given("present")
        rows = [(one["who"], one["connections"], one["ended"]) for one in seen["people"]]
        self.assertEqual(rows, [("amir", 2, 2)])
        self.assertEqual((seen["workers"], seen["active"]), (2, 1))
        for client in clients:
            client.close()

    async def test_ended(self) -> None:
        """All of a person ends in all workers; the record has who did it, and each tunnel why it ended."""
        first, second = await self.serving()
        clients = [await self.on(first, *AMIR), await self.on(second, *AMIR), await self.on(first, *BETH)]
        target = f"origin.test:{self.origin.echo_port}"
        for client in clients:
            self.assertEqual((await self.thread(client.ask, "CONNECT", target)).status, 200)
        rows = (await self.given("present", view="running", who="amir"))["running"]
        self.assertEqual([(one["host"], one["is_tunnel"]) for one in rows], [("origin.test", True)] * 2)
        ended = await self.given("present-end", who="amir", why="too much")
        self.assertEqual((ended["count"], ended["whom"], ended["hosts"]), (2, "amir", ["origin.test"]))
        await self.until(lambda: len(self.closing()) == 2, "both are recorded")
        for record in self.closing():
            self.assertTrue(record.ended_reason.endswith(" ended it: too much"), record.ended_reason)
        await self.until(lambda: any(one.deed for one in self.records()), "the deed is recorded")
        (deed,) = [one for one in self.records() if one.deed]
        self.assertEqual((deed.deed, deed.whom, deed.reason), ("running-ended", "amir", "too much"))
        self.assertEqual(await self.thread(clients[2].echoes, b"hello"), b"hello")

    def closing(self) -> list[Record]:
        """The closing records of tunnels."""
        return [one for one in self.records() if one.kind is Kind.CLOSING]

    async def test_nothing(self) -> None:
        """What cannot be shown or ended is said by a code."""
        await self.serving()
        for command, arguments, code in (
            ("present", {"view": "all"}, "bad-question"),
            ("present-end", {"why": "x"}, "bad-end"),
            ("present-end", {"who": "nobody", "why": "x"}, "not-running"),
        ):
            with self.assertRaises(ControlError) as refused:
                await self.given(command, **arguments)
            self.assertEqual(refused.exception.code, code)
