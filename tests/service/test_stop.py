"""The end: no new connections, what runs may end, what cannot is ended with its record."""

from __future__ import annotations

import errno
import socket
import time

from corpproxy.audit.results import Kind
from tests.service.case import ALLOW, ServiceCase
from tests.service.client import Client


class StopTests(ServiceCase):
    """A service that is told to stop while clients are there; whoever waits in vain waits for long."""

    policy = "timeouts: {drain: 1h}\n" + ALLOW

    async def test_idle(self):
        """With nothing running it stops at once, and closes connections that wait for a request."""
        client = Client(self.forward)
        self.addCleanup(client.close)
        await self.thread(client.ask, "GET", self.url())
        await self.stop()
        self.assertEqual(await self.thread(client.more), b"")

    async def test_exchange_ends(self):
        """An exchange that runs gets its answer, while nobody new is let in and /ready says no."""
        client = Client(self.forward)
        self.addCleanup(client.close)
        await self.thread(client.send_request, "GET", self.url(path="/held"))
        await self.until(self.origin.arrived.is_set)
        service, stopped = self.service, self.stop()
        await self.pause(0.1)
        ready = await self.ask_admin("/ready")
        self.assertEqual((ready.status, "corpproxy is stopping" in ready.text), (503, True))
        self.assertEqual(await self.thread(_connects, self.forward), errno.ECONNREFUSED)
        self.assertFalse(stopped.called)
        self.origin.release()
        answer = await self.thread(client.answer)
        self.assertEqual((answer.status, answer.fields["Connection"]), (200, "close"))
        await stopped
        self.assertEqual(service.writer.lost, 0)
        (record,) = await self.closed(1, path="/held")
        self.assertEqual(record.result, "forwarded")

    async def test_tunnel(self):
        """A tunnel has no end of its own: it is ended, with a record that says so."""
        client = Client(self.forward)
        self.addCleanup(client.close)
        await self.thread(client.ask, "CONNECT", f"origin.test:{self.origin.echo_port}")
        await self.thread(client.echoes, b"hello")
        await self.stop()
        (record,) = await self.closed(1, kind=Kind.CLOSING)
        self.assertEqual((record.result, record.failure), ("ended", "stopping"))
        self.assertEqual((record.received, record.sent), (client.sent, client.received))
        with self.assertRaises(OSError):
            await self.thread(_read_to_the_reset, client)

    async def test_half_a_head(self):
        """Half a request is recorded, too."""
        self.write("timeouts: {drain: 1s}\n" + ALLOW)
        await self.service.reload("test", 0)
        client = Client(self.forward).connect()
        self.addCleanup(client.close)
        await self.thread(client.send, b"GET http://origin.test/ HT")
        await self.pause(0.1)
        await self.stop()
        (record,) = await self.closed(1)
        self.assertEqual((record.result, record.received), ("client-gone", 26))


class DrainTests(ServiceCase):
    """The time that exchanges have."""

    policy = "timeouts: {drain: 1s}\n" + ALLOW

    async def test_time_is_up(self):
        """An exchange that takes longer is cut off, and recorded."""
        client = Client(self.forward)
        self.addCleanup(client.close)
        await self.thread(client.send_request, "GET", self.url(path="/held"))
        await self.until(self.origin.arrived.is_set)
        began = time.monotonic()
        await self.stop()
        self.assertGreater(time.monotonic() - began, 0.9)
        (record,) = await self.closed(1, path="/held")
        self.assertEqual((record.result, record.failure), ("ended", "stopping"))


class HurryTests(ServiceCase):
    """Asked a second time."""

    policy = "timeouts: {drain: 1h}\n" + ALLOW

    async def test_second(self):
        """The second request to end cuts off what runs."""
        client = Client(self.forward)
        self.addCleanup(client.close)
        await self.thread(client.send_request, "GET", self.url(path="/held"))
        await self.until(self.origin.arrived.is_set)
        service = self.service
        stopped = self.stop()
        await self.pause(0.2)
        self.assertFalse(stopped.called)
        service.end()
        await stopped
        self.assertEqual((await self.closed(1, path="/held"))[0].result, "ended")


class StopOnTwistedTests(StopTests):
    """The same on the transports of Twisted."""

    transports = "twisted"


class FailingStopTests(ServiceCase):
    """A part that cannot be stopped."""

    async def test_others_stop(self):
        """The parts behind it are stopped all the same: what was counted and recorded is written."""
        await self.get()
        self.patch(self.service.lists, "stop", _fails)
        await self.stop()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.records()), 1)


def _fails():
    raise ZeroDivisionError


def _connects(port: int) -> int:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port))


def _read_to_the_reset(client: Client) -> None:
    while client.more():
        pass
    raise ConnectionError("an end without a reset")
