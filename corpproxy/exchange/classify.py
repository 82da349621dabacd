"""Classify: what is asked for, and what the lists say of it."""

from __future__ import annotations

from corpproxy.born import born
from corpproxy.destination.classifier import Answer
from corpproxy.destination.host import normal_host
from corpproxy.destination.model import Destination, Host
from corpproxy.errors import ProtocolError
from corpproxy.exchange.exchange import Exchange, Mode
from corpproxy.http1.target import Form, Target, parse_target

HTTP_PORT = 80
HTTPS_PORT = 443

_destination = born(Destination, "host", "port", "scheme", "path", "categories", "matches")


def classify(exchange: Exchange) -> Destination:
    """Give the destination of an exchange; a target that is no request to a proxy is a `ProtocolError`."""
    target = exchange.target = parse_target(exchange.head)
    if target.form is Form.AUTHORITY:
        return _tunnel(exchange, target)
    if exchange.mode is Mode.PORTAL or target.form is Form.ORIGIN or target.form is Form.ASTERISK:
        return _ours(exchange, target)
    if target.scheme != "http":
        raise ProtocolError(
            "scheme-not-served",
            f"{target.scheme}:// goes through a tunnel (CONNECT), not through a request",
            501,
        )
    host = normal_host(target.host)
    port = HTTP_PORT if target.port is None else target.port
    path = target.path.decode("latin-1")
    categories, matches = exchange.in_force.classifier.classify(host, "http", port, path)
    return _destination(host, port, "http", path, categories, matches)


def is_portal(exchange: Exchange, host: Host, port: int) -> bool:
    """Whether a destination is the portal, which we answer ourselves."""
    return port == HTTP_PORT and host.name == exchange.in_force.site.portal.name


def _tunnel(exchange: Exchange, target: Target) -> Destination:
    if exchange.mode is Mode.PORTAL:
        raise ProtocolError(
            "not-a-proxy", "this address serves the portal; tunnels go to the proxy's port", 405
        )
    host = normal_host(target.host)
    if not target.port:
        raise ProtocolError("bad-port", "CONNECT asks for a port from 1 to 65535")
    scheme = "http" if target.port == HTTP_PORT else "https"
    answer = exchange.in_force.classifier.classify(host, scheme, target.port, "")
    return _tunnels.to(host, target.port, scheme, answer)


class _Tunnels(dict[tuple[str, int], Destination]):
    """Destinations of tunnels: those to one port of a host share one, for as long as each of them is open."""

    BOUND = 1024

    def to(self, host: Host, port: int, scheme: str, answer: Answer) -> Destination:
        """Give the destination for what the lists say now."""
        key = host.name, port
        found = self.get(key)
        # The lists are asked each time: their answer is one object for as long as it is the same.
        if found is not None and (found.categories, found.matches) == answer:
            return found
        if len(self) >= self.BOUND:
            self.clear()
        made = self[key] = Destination(host, port, scheme, "", *answer)
        return made


_tunnels = _Tunnels()


def _ours(exchange: Exchange, target: Target) -> Destination:
    """
    A request in origin form is for us: for the portal on its own listener, whatever name it was
    reached by, and on a forward listener by the reserved name alone.
    """
    portal = exchange.in_force.site.portal
    if exchange.mode is Mode.PORTAL:
        return Destination(portal, HTTP_PORT, "http", target.path.decode("latin-1"))
    if target.host and normal_host(target.host) == portal and target.form is Form.ORIGIN:
        return Destination(portal, HTTP_PORT, "http", target.path.decode("latin-1"))
    if target.form is Form.ASTERISK and exchange.method == b"OPTIONS":
        return Destination(portal, HTTP_PORT, "http", "*")
    raise ProtocolError(
        "not-for-a-proxy",
        "this is a proxy: a request to it names its whole URI; set it as the proxy of the browser",
    )
