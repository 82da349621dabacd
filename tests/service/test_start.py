"""A start: what listens, in which order, and what is told when it cannot be."""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import time
from contextlib import closing

from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import TestCase

from corpproxy.backends.store.quota_file import QUOTA_FILE
from corpproxy.config.listeners import Listener, Purpose
from corpproxy.errors import CorpproxyError, Place
from corpproxy.net.listening import CannotListen, bind
from corpproxy.service import NotStarted
from tests.service.case import ALLOW, WITHOUT_IPV6, ServiceCase
from tests.service.client import ask
from tests.support.rows import rows, tabular
from tests.support.running import free_ports


class StartTests(ServiceCase):
    """A service that starts."""

    async def test_answers(self):
        """Proxy, portal and admin answer at once."""
        self.assertEqual((await self.get()).content, b"xxxxx")
        self.assertEqual((await self.thread(ask, self.portal, "/proxy.pac", host="pac")).status, 200)
        self.assertEqual((await self.ask_admin("/ready")).text, "ready\n")

    async def test_quick(self):
        """From the policy file to the first answer it takes less than a second of the processor."""
        await self.stop()
        began = time.process_time()
        self.start()
        await self.get()
        self.assertLess(time.process_time() - began, 1.0)

    async def test_modes(self):
        """What is secret is its owner's alone."""
        await self.get()
        state = self.folder / "state"
        await self.until((state / "corpproxy.db").exists)
        await self.until(lambda: list((state / "records").iterdir()))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [state, *state.iterdir()]}
        self.assertEqual(modes["state"], 0o700)
        self.assertEqual(modes["forms.key"], 0o600)
        self.assertEqual(modes["corpproxy.db"], 0o600)
        self.assertEqual(modes["control.sock"], 0o600)
        self.assertEqual(modes["records"], 0o700)
        open_to_all = [name for name, mode in modes.items() if mode & 0o007 and name != "control.sock"]
        self.assertEqual(open_to_all, [])
        self.assertEqual({stat.S_IMODE(one.stat().st_mode) for one in (state / "records").iterdir()}, {0o600})

    async def test_again(self):
        """The key of forms outlives a restart, so that a form shown before it still counts."""
        key = (self.folder / "state" / "forms.key").read_bytes()
        await self.start_again()
        self.assertEqual((self.folder / "state" / "forms.key").read_bytes(), key)
        self.assertEqual((await self.get()).status, 200)

    async def test_second(self):
        """A second service on the same state folder does not start, and says so in a line."""
        other = self.folder / "other.yaml"
        ports = free_ports(3)
        text = self.yaml(ALLOW)
        for before, after in zip((self.forward, self.portal, self.admin), ports, strict=True):
            text = text.replace(f":{before}", f":{after}")
        other.write_text(text)
        from corpproxy.start import start_service

        second = start_service(other, self.service.reactor)
        said = self.hear(LogLevel.critical)
        self.assertRaises(NotStarted, second.startService)
        for one in second.sockets:
            one.stop()
        second.signals.stop()
        self.assertIn("another corpproxy is running on this state folder", said[0])
        self.assertEqual((await self.get()).status, 200)

    def hear(self, level):
        """What is logged from now on at a level, as text."""
        from twisted.logger import formatEvent

        said = []

        def observe(event):
            if event.get("log_level") is level:
                said.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return said


class StartOnTwistedTests(StartTests):
    """The same on the transports of Twisted."""

    transports = "twisted"

    async def test_transports(self):
        """No socket is in an engine."""
        self.assertIsNone(self.service.engine)


class NotStartedTests(ServiceCase):
    """A service that cannot start."""

    starts = False

    def test_nothing_good(self):
        """Without a good policy every problem is told, and nothing is bound or written."""
        self.write("rules:\n  - {name: a, do: alow}\n  - {name: b, whom: {group: x}, do: block}\n")
        said = self.assertRaises(CorpproxyError, self.start).message
        self.assertIn("alow", said)
        self.assertIn("whom", said)
        self.assertEqual([line.count("policy.yaml:") for line in said.splitlines()[1:3]], [1, 1])
        self.assertFalse((self.folder / "state").exists())

    def test_taken(self):
        """A port that is taken is told with its place; the other ports are let go of."""
        with socket.socket() as there:
            there.bind(("127.0.0.1", self.portal))
            there.listen()
            said = self.assertRaises(CannotListen, self.start).message
        self.assertRegex(
            said, r"policy.yaml:6:5: cannot listen on 127.0.0.1:\d+: Address already in use; another"
        )
        self.assertNotIn("\n", said)
        self.start()

    def test_no_folder(self):
        """A state folder that cannot be made is told with the user that it must belong to."""
        (self.folder / "state").write_text("a file in its place")
        self.assertIn("cannot be made", self.assertRaises(NotStarted, self.start).message)
        self.let_go()

    def test_database_of_another_program(self):
        """With a file of another program it does not start: to begin anew would be a free pass."""
        path = self.folder / "state" / QUOTA_FILE
        path.parent.mkdir(mode=0o700)
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE quota (song TEXT)")
        said = self.assertRaises(NotStarted, self.start).message
        self.assertIn(f"{path} is a database of another program; move it elsewhere", said)
        self.let_go()

    def let_go(self):
        """Let go of the sockets of a service that was not started."""
        for one in self.service.sockets:
            one.stop()
        self.service = None

    def test_empty_token(self):
        """A token file without a token lets nobody in: the start is refused."""
        (self.folder / "admin.token").write_text("\n")
        (self.folder / "admin.token").chmod(0o600)
        text = self.yaml(ALLOW).replace(
            f'admin: "127.0.0.1:{self.admin}"', f'admin: "127.0.0.1:{self.admin}", token: admin.token'
        )
        self.file.write_text(text)
        self.assertIn("is empty", self.assertRaises(CorpproxyError, self.start).message)


class Ipv6Tests(ServiceCase):
    """IPv6 beside IPv4."""

    skip = WITHOUT_IPV6

    def yaml(self, policy, reach=None):
        text = super().yaml(policy, reach)
        six = f'  - {{name: rooms6, forward: "[::1]:{self.forward}"}}\n'
        six += f'  - {{name: office6, admin: "[::1]:{self.admin}"}}\n'
        return text.replace("listen:\n", "listen:\n" + six)

    async def test_both(self):
        """The same port serves both, each under its own name in the record."""
        from tests.service.client import Client

        client = Client(self.forward, host="::1")
        self.addCleanup(client.close)
        self.assertEqual((await self.thread(client.ask, "GET", self.url())).status, 200)
        self.assertEqual((await self.get()).status, 200)
        records = await self.closed(2)
        self.assertEqual(
            {(one.listener, one.client) for one in records}, {("rooms6", "::1"), ("rooms", "127.0.0.1")}
        )
        admin = Client(self.admin, host="::1")
        self.addCleanup(admin.close)
        self.assertEqual((await self.thread(admin.ask, "GET", "/health", host="[::1]")).status, 200)


@tabular
class BindTests(TestCase):
    """What is said when an address cannot be bound: a line with what to do."""

    @rows(
        elsewhere=("192.0.2.1", 3128, "this machine does not have that address"),
        elsewhere6=("2001:db8::1", 3128, "this machine"),
    )
    def test_advice(self, address, port, expected):
        """Each reason has its advice."""
        listener = Listener("rooms", Purpose.FORWARD, address, port, place=Place("policy.yaml", 4, 5))
        said = self.assertRaises(CannotListen, bind, listener).message
        self.assertTrue(said.startswith("policy.yaml:4:5: cannot listen on "), said)
        self.assertIn(expected, said)

    def test_privileged(self):
        """A low port is for root, who may become somebody else behind."""
        if os.geteuid() == 0:
            self.patch(socket.socket, "bind", _denied)
        listener = Listener("rooms", Purpose.FORWARD, "127.0.0.1", 80, place=Place("policy.yaml", 4, 5))
        said = self.assertRaises(CannotListen, bind, listener).message
        self.assertIn("Permission denied; ports below 1024 are for root", said)


def _denied(*arguments):
    raise PermissionError(13, "Permission denied")
