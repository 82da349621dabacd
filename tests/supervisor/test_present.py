"""What runs in all workers, seen and ended as one."""

from __future__ import annotations

from typing import Any

from corpproxy.backends.state_folder import CONTROL_SOCKET
from corpproxy.net.ask import ControlError, ask
from tests.service.case import ALLOW
from tests.supervisor.case import WorkersCase


class PresentTests(WorkersCase):
    """Two workers."""

    policy = ALLOW

    async def given(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Give a command to the service."""
        return await self.thread(ask, self.folder / "state" / CONTROL_SOCKET, command, **arguments)

    async def test_both(self) -> None:
        """A person with connections to both workers is one row, whose exchanges of both are counted."""
        first, second = await self.serving()
        clients = [await self.on(first), await self.on(second)]
        await self.given("present")
        for client in clients:
            await self.thread(client.ask, "GET", self.url())
        await self.pause(1)
        seen = await self.given("present")
        rows = [(one["who"], one["connections"], one["ended"]) for one in seen["people"]]
        self.assertEqual(rows, [("127.0.0.1", 2, 2)])
        for client in clients:
            client.close()

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
