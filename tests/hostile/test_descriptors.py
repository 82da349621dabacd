"""When no file can be opened any more: some requests fail, and none of it stays."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack
from unittest import mock

from twisted.internet import error, reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.protocol import ClientFactory
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from corpproxy.audit.results import ResultCode
from corpproxy.backends.open_files import raise_open_files
from corpproxy.exchange.limits import ConnectionLimits
from corpproxy.net.engine.connecting import EngineReactor
from corpproxy.net.engine.listening import EnginePort
from corpproxy.net.engine.loop import Engine
from tests.support.builders import request, response
from tests.support.wires import Site

EMFILE = OSError(24, "Too many open files")


class NoneLeftTests(SynchronousTestCase):
    """Dialling without descriptors."""

    def test_places_come_back(self):
        """A dial that could not begin takes no place at its server for ever."""
        site = Site(connections=ConnectionLimits(per_server=2))
        connect = mock.Mock(side_effect=EMFILE)
        for _ in range(5):
            client = site.client()
            with mock.patch.object(site.reactor, "connectTCP", connect):
                client.send(request())
            self.assertIn(client.take()[9:12], (b"500", b"502"))
        connect.assert_called()
        self.flushLoggedErrors(OSError)
        client = site.client()
        client.send(request())
        site.server().send(response(content=b"again"))
        self.assertTrue(client.take().endswith(b"again"))
        self.assertEqual(site.records[-1].result, ResultCode.FORWARDED)


class Waiting(ClientFactory):
    """Waits for the failure of a connection."""

    noisy = False

    def __init__(self):
        self.failed = Deferred()

    def clientConnectionFailed(self, connector, reason):
        self.failed.errback(reason)


class EngineTests(TestCase):
    """The engine without descriptors."""

    @inlineCallbacks
    def test_connect(self):
        """A connection that has no descriptor fails as any that fails, and not in the face of who asked."""
        engine = Engine(reactor)
        self.addCleanup(engine.stop)
        factory = Waiting()
        with mock.patch.object(socket, "socket", side_effect=EMFILE):
            EngineReactor(engine).connectTCP("127.0.0.1", 9, factory)
        yield self.assertFailure(factory.failed, error.ConnectError)


class AcceptingTests(SynchronousTestCase):
    """Accepting without descriptors."""

    def test_said_once_a_minute(self):
        """It is tried ten times a second, and said once a minute."""
        clock = Clock()
        clock.addReader = clock.removeReader = lambda reader: None
        engine = Engine(clock)
        self.addCleanup(engine.stop)
        listening = socket.create_server(("127.0.0.1", 0))
        accept = mock.Mock(side_effect=EMFILE)
        port = EnginePort(engine, listening, mock.Mock(), accept)
        said = []
        globalLogPublisher.addObserver(said.append)
        self.addCleanup(globalLogPublisher.removeObserver, said.append)
        for _ in range(1200):
            port.ready(1)
            clock.advance(0.1)
        self.assertEqual(accept.call_count, 1200)
        self.assertEqual([one["log_level"].name for one in said], ["critical", "critical"])


class LimitTests(SynchronousTestCase):
    """The limit of open files."""

    def limits(self, soft, hard):
        """Pretend that these are the limits, and give what becomes of them."""
        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(resource, "getrlimit", return_value=(soft, hard)))
            setting = stack.enter_context(mock.patch.object(resource, "setrlimit"))
            now = raise_open_files(1000)
        self.assertIn(setting.call_args_list, ([], [mock.call(resource.RLIMIT_NOFILE, (now, hard))]))
        return now, setting.called

    def test_raised(self):
        """It is raised as far as it may be, and never lowered."""
        self.assertEqual(self.limits(100, 5000), (1000, True))
        self.assertEqual(self.limits(100, 500), (500, True))
        self.assertEqual(self.limits(100, resource.RLIM_INFINITY), (1000, True))
        self.assertEqual(self.limits(2000, 5000), (2000, False))
        self.assertEqual(
            self.limits(resource.RLIM_INFINITY, resource.RLIM_INFINITY), (resource.RLIM_INFINITY, False)
        )
