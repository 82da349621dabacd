"""The sockets that clients connect to: bound early, while we may, and listened on once all is ready."""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory

from corpproxy import twins
from corpproxy.config.listeners import Listener
from corpproxy.errors import CorpproxyError
from corpproxy.exchange.exchange import Mode
from corpproxy.net.downstream import Downstream, downstreams
from corpproxy.net.proxy import Proxy

if TYPE_CHECKING:
    from corpproxy.exchange.limits import Timeouts
    from corpproxy.net.deadlines import Deadlines
    from corpproxy.net.engine.listening import EnginePort
    from corpproxy.net.engine.loop import Engine

# Connections that the kernel holds until we take them: the first bell of the day brings a thousand at once.
BACKLOG = 4096


class CannotListen(CorpproxyError):
    """An address of the policy cannot be listened on; the message says where it stands and what to do."""


class ClientsInPython:
    """Makes the protocol of each client with what is in force then; ``native/clients.c`` is its twin."""

    def __init__(self, proxy: Proxy, make: Callable[[Deadlines, Timeouts], Downstream]) -> None:
        self._proxy = proxy
        self._make = make

    def __call__(self) -> Downstream:
        proxy = self._proxy
        return self._make(proxy.deadlines, proxy.in_force.timeouts)


_Clients = ClientsInPython if twins.ahead is None else twins.ahead.Clients


class ClientFactory(Factory):
    """
    Makes the protocol for each client of one listener.

    ``fresh`` makes it, for whoever comes.
    """

    noisy = False

    def __init__(self, proxy: Proxy, mode: Mode, listener: str) -> None:
        self.fresh: Callable[[], Downstream] = _Clients(proxy, downstreams(proxy, mode, listener))

    def buildProtocol(self, addr: object) -> Downstream:  # type: ignore[override]
        return self.fresh()


class Socket:
    """
    One bound socket and, later, the port that listens on it.

    ``inherited`` is a socket that another process bound.
    """

    def __init__(self, listener: Listener, inherited: socket.socket | None = None) -> None:
        self.listener = listener
        self._socket = bind(listener) if inherited is None else inherited
        self._port: IListeningPort | EnginePort | None = None

    def listen(self, reactor: Any, factory: Factory) -> None:
        """Take connections from now on, on transports of the reactor."""
        family = self._socket.family
        self._port = reactor.adoptStreamPort(self._socket.fileno(), family, factory)
        self._socket.close()

    def listen_in(self, engine: Engine, factory: Factory) -> None:
        """Take connections from now on, on transports of the engine."""
        # Only Linux has what the engine is made of.
        from corpproxy.net.engine.listening import EnginePort

        self._port = EnginePort(engine, self._socket, factory)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens; a port of 0 in the policy has become a real one."""
        if self._port is not None:
            host: Any = self._port.getHost()
            return host.host, host.port
        name = self._socket.getsockname()
        return name[0], name[1]

    @property
    def written(self) -> str:
        """The address as text."""
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def take_waiting(self) -> bool:
        """
        Take the connections that wait in the kernel, which would be reset when the socket is closed.

        What comes between the last look and the closing is still lost; that is microseconds.  Gives whether
        there were any.
        """
        port: Any = self._port
        if port is None:
            return False
        take = getattr(port, "doRead", None) or partial(port.ready, select.EPOLLIN)
        looking = select.poll()
        looking.register(port.fileno(), select.POLLIN)
        for count in range(BACKLOG):
            if not looking.poll(0):
                return count > 0
            take()
        return True

    def stop(self) -> Any:
        """Take no more connections."""
        if self._port is None:
            self._socket.close()
            return None
        return self._port.stopListening()


# What to do when an address cannot be bound (ip(7)).
_ADVICE = {
    errno.EADDRINUSE: "another program is there; stop it, or change the port",
    errno.EACCES: "ports below 1024 are for root; start as root and give 'twistd --uid' who to become, "
    "or change the port",
    errno.EADDRNOTAVAIL: "this machine does not have that address; 'ip address' lists those that it has",
    errno.EAFNOSUPPORT: "this machine has no IPv6; take the listener out",
}


def bind_shared(listener: Listener, count: int) -> list[socket.socket]:
    """
    Bind so many sockets to the address of one listener: the kernel spreads connections over them.

    Raises CannotListen, also where another program shares its address with whoever asks (SO_REUSEPORT):
    half of the connections would go there.
    """
    first = bind(listener)
    host, port = first.getsockname()[:2]
    first.close()
    shared: list[socket.socket] = []
    try:
        for _ in range(count):
            shared.append(bind(replace(listener, address=host, port=port), shared=True))
    except CannotListen:
        for one in shared:
            one.close()
        raise
    return shared


def bind(listener: Listener, *, shared: bool = False) -> socket.socket:
    """
    Bind the socket of a listener; a ``shared`` one leaves room for others at the same address.

    Raises CannotListen.  An IPv6 socket takes IPv6 only, so that ``0.0.0.0`` and ``::`` stand side by side.
    """
    family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
    bound = None
    try:
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((listener.address, listener.port))
        # What is accepted here inherits it: a call less for each client.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.listen(BACKLOG)
        bound.setblocking(False)
    except OSError as error:
        if bound is not None:
            bound.close()
        advice = _ADVICE.get(error.errno or 0, "change the address")
        said = f"{listener.place}: cannot listen on {listener}: {error.strerror or error}; {advice}"
        raise CannotListen("cannot-listen", said) from error
    return bound
