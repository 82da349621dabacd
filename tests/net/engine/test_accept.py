"""Real clients are taken from a real listening socket: who they are is told right, in Python and compiled."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from corpproxy.net.engine.listening import EnginePort
from corpproxy.net.engine.sockets import accept_in_python
from corpproxy.net.listening import ClientsInPython, _Clients
from tests.net.engine.test_serving import Members
from tests.support.rows import rows, tabular


class Fresh:
    """Makes protocols for whoever comes, and tells who came by their transports."""

    def __init__(self) -> None:
        self.made: list[Any] = []

    def fresh(self) -> Any:
        return SimpleNamespace(makeConnection=self.made.append)

    def doStart(self) -> None:
        pass

    doStop = doStart


class Told(Fresh):
    """The same where the peer is told."""

    def buildProtocol(self, peer: Any) -> Any:
        self.peers = [*getattr(self, "peers", []), peer]
        return Fresh.fresh(self)

    fresh = None  # type: ignore[assignment]


@tabular
class AcceptTests(SynchronousTestCase):
    """Clients of several addresses connect to one port."""

    def port(self, factory: Any, address: str = "127.0.0.1", **words: Any) -> Any:
        self.listening = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.listening.bind((address, 0))
        self.listening.listen()
        self.listening.setblocking(False)
        self.addCleanup(self.listening.close)
        return EnginePort(Members(), self.listening, factory, **words)  # type: ignore[arg-type]

    def connect(self, address: str) -> tuple[str, int]:
        """A client connects from an address; gives that, and its port."""
        client = socket.socket(self.listening.family)
        self.addCleanup(client.close)
        client.bind((address, 0))
        client.connect(self.listening.getsockname())
        name: tuple[str, int] = client.getsockname()[:2]
        return name

    @rows(present=({},), python=({"accept": accept_in_python},))
    def test_addresses(self, words: Any) -> None:
        """Each has its own address as it is written, however often it comes."""
        factory = Fresh()
        port = self.port(factory, **words)
        last = range(0, 256, 15)
        addresses = [f"127.{number}.{255 - number}.{number or 1}" for number in last] * 2
        peers = [
            self.connect(address) for address in ["127.0.0.1", "127.9.10.99", "127.100.101.109", *addresses]
        ]
        port.ready(1)
        self.assertEqual([(one.getPeer().host, one.getPeer().port) for one in factory.made], peers)
        self.assertEqual([one._peer for one in factory.made], peers)
        for one in factory.made:
            one._socket.close()

    @rows(present=({},), python=({"accept": accept_in_python},))
    def test_ipv6(self, words: Any) -> None:
        """The address of a client may be one of IPv6."""
        factory = Fresh()
        port = self.port(factory, "::1", **words)
        peer = self.connect("::1")
        port.ready(1)
        self.assertEqual(factory.made[0]._peer, peer)
        factory.made[0]._socket.close()

    @rows(present=({},), python=({"accept": accept_in_python},))
    def test_told(self, words: Any) -> None:
        """A factory that wants to know who comes is told."""
        factory = Told()
        port = self.port(factory, **words)
        peers = [self.connect("127.0.0.1"), self.connect("127.0.0.2")]
        port.ready(1)
        self.assertEqual(factory.peers, peers)
        self.assertEqual([one._peer for one in factory.made], peers)
        for one in factory.made:
            one._socket.close()

    @rows(present=(_Clients,), python=(ClientsInPython,))
    def test_what_is_in_force(self, kind: Any) -> None:
        """A client has the deadlines and the time limits that are in force when it comes."""
        proxy = SimpleNamespace(deadlines="soon", in_force=SimpleNamespace(timeouts="short"))
        clients = kind(proxy, lambda *words: words)
        self.assertEqual(clients(), ("soon", "short"))
        proxy.in_force = SimpleNamespace(timeouts="long")
        self.assertEqual(clients(), ("soon", "long"))
        self.assertRaises(TypeError, clients, "127.0.0.1")
        del proxy.deadlines
        self.assertRaises(AttributeError, clients)
