"""
Names where no name server is known: the C library is asked, in threads of its own.

A machine without name servers in /etc/resolv.conf may still have other sources (nsswitch.conf(5): a
directory, the names of containers). The C library waits as long as it likes, so it gets a few threads that
nothing else needs; the caller sets the time limit.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.names import dns
from twisted.python.threadpool import ThreadPool

from corpproxy.net.name_answer import MAX_ADDRESSES, Found
from corpproxy.net.name_query import NoAnswer

# Look-ups that wait at once; further ones queue, and time out there if the sources are away.
THREADS = 4

# The C library does not tell how long its answers hold.
SYSTEM_SECONDS = 30.0

# What it says when there is no such name, or no address of the family.
_NOTHING = frozenset({socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY})

GetAddrInfo = Callable[..., list[tuple[Any, ...]]]


class SystemNames:
    """The C library as a source of addresses.  Its threads start with the first question."""

    def __init__(self, reactor: Any, getaddrinfo: GetAddrInfo = socket.getaddrinfo) -> None:
        self._reactor = reactor
        self._getaddrinfo = getaddrinfo
        self._pool: ThreadPool | None = None

    def find(self, name: str, kind: int) -> Deferred[Found]:
        """The addresses of one family (``dns.A`` or ``dns.AAAA``); NoAnswer when they cannot be found out."""
        if self._pool is None:
            self._pool = ThreadPool(minthreads=0, maxthreads=THREADS, name="names")
            self._pool.start()
        return deferToThreadPool(self._reactor, self._pool, self._look_up, name, kind)

    def close(self) -> None:
        """Let the threads go once they have finished what they wait for."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            self._reactor.callInThread(pool.stop)

    def _look_up(self, name: str, kind: int) -> Found:
        family = socket.AF_INET if kind == dns.A else socket.AF_INET6
        try:
            answers = self._getaddrinfo(name, None, family=family, type=socket.SOCK_STREAM)
        except socket.gaierror as problem:
            if problem.errno in _NOTHING:
                # EAI_NONAME is said of a name without addresses of this family, too.
                return Found((), SYSTEM_SECONDS)
            raise NoAnswer(f"the system says: {problem.strerror}") from problem
        except (OSError, UnicodeError) as problem:
            raise NoAnswer(f"the system says: {problem}") from problem
        addresses = dict.fromkeys(str(answer[4][0]) for answer in answers)
        return Found(tuple(addresses)[:MAX_ADDRESSES], SYSTEM_SECONDS)
