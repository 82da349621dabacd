"""Connections on which a client signed in to a server: they belong to that client's connection alone."""

from __future__ import annotations

from corpproxy.destination.model import AddressClass
from corpproxy.net.upstream import Keeper, Server, Upstream


class Pins:
    """
    Keeps the bound connections of one client connection.

    Given to another client, such a connection would act in the name of the one who signed in.
    """

    def __init__(self, pool: Keeper) -> None:
        self._pool = pool
        self._kept: dict[Server, Upstream] = {}

    def bind(self, upstream: Upstream) -> None:
        """From now on this connection is kept here."""
        upstream.bound = True
        upstream.keeper = self

    def take(self, server: Server, addresses: frozenset[AddressClass]) -> Upstream | None:
        """Give the bound connection to a server, if it is free and its address may be reached."""
        upstream = self._kept.get(server)
        if upstream is None or upstream.address_class not in addresses:
            return None
        return self._kept.pop(server)

    def give_back(self, upstream: Upstream) -> None:
        """Keep a bound connection until the next exchange of this client."""
        before = self._kept.get(upstream.server)
        self._kept[upstream.server] = upstream
        if before is not None:
            before.discard()

    def closed(self, upstream: Upstream) -> None:
        """Forget a connection."""
        if self._kept.get(upstream.server) is upstream:
            del self._kept[upstream.server]
        self._pool.closed(upstream)

    def close(self) -> None:
        """The client is gone: nobody may use these connections again."""
        for upstream in list(self._kept.values()):
            upstream.discard()
