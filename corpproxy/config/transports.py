"""Which transports carry the connections of clients and servers: the ``transports:`` key."""

from __future__ import annotations

import enum


class Transports(enum.StrEnum):
    """
    Transports of our own, in one nested epoll, or those of Twisted.

    Protocols cannot tell the difference.  Where the system has no epoll, Twisted's serve either way.
    """

    ENGINE = "engine"
    TWISTED = "twisted"
