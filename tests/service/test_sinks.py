"""A running service delivers to sinks, tells how they do, and goes on after a restart."""

from __future__ import annotations

from corpproxy.commands import status_of
from tests.backends.sinks.servers import SyslogServer
from tests.service.case import ServiceCase


class SinkTests(ServiceCase):
    """One process, and that of the sinks."""

    async def test_delivered(self) -> None:
        """Sinks get records; status tells how they do; one that is dead is a concern, and stops nothing."""
        server = SyslogServer()
        self.addCleanup(server.kill)
        sinks = f'[{{name: siem, syslog: "tcp://127.0.0.1:{server.port}"}}, '
        sinks += '{name: squid, file: access.log, format: squid}, {name: dead, syslog: "tcp://127.0.0.1:1"}]'
        self.write(self.policy + f"audit: {{to: {sinks}}}\n")
        await self.start_again()
        position = self.folder / "state" / "sinks" / "squid.json"
        await self.until(position.exists, "the sinks follow")
        for _ in range(3):
            await self.get()
        await self.until(lambda: len(server.messages) >= 3, "they are there")
        await self.until(lambda: self.service.sinks.states["squid"].delivered == 3, "it is told")
        self.assertEqual(len((self.folder / "access.log").read_text().splitlines()), 3)
        await self.until(self.service.concerns, "the dead one is a concern")
        self.assertIn("sink 'dead' takes nothing: 127.0.0.1:1 cannot be reached", self.service.concerns()[0])
        told = {one["sink"]: one for one in status_of(self.service)["sinks"]}
        self.assertEqual(told["squid"]["delivered"], 3)
        await self.until(lambda: self.service.sinks.states["dead"].waiting > 0, "what waits is told")
        await self.start_again()
        await self.get()
        await self.until(
            lambda: len((self.folder / "access.log").read_text().splitlines()) == 4, "it goes on"
        )
