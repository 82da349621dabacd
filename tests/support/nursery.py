"""
Where templates of workers come from when the supervisor is inside the test.

A supervisor makes its template by copying itself, while it has one thread.  A test has more, so that each
worker would be a program of its own that imports everything anew: a second of processor for each.  Here one
process has imported all of it, once for all tests of a run, and is copied for each supervisor.
"""

from __future__ import annotations

import atexit
import functools
import os
import signal
import socket
import subprocess
import sys
from typing import Any

from corpproxy.supervisor.copied import be_template
from corpproxy.supervisor.template import Template
from tests.support.running import CHECKOUT

_PID_OCTETS = 32


def template_from_nursery(reactor: Any, configuration: object = None) -> Template:
    """Stand in for `make_template`; the workers load what they begin with themselves."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        nursery = _nursery()
        socket.send_fds(nursery, [b"one"], [theirs.fileno()])
    return Template(ours, int(nursery.recv(_PID_OCTETS)), reactor)


@functools.cache
def _nursery() -> socket.socket:
    """Begin the process that is copied; it ends when this one does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        number = theirs.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.nursery", str(number)], cwd=CHECKOUT, pass_fds=[number]
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve(own: socket.socket) -> None:
    """Copy this process for each socket that comes, until nobody is there any more."""
    # What a supervisor has, and what it imports for its workers.
    import twisted.internet.reactor  # noqa: F401

    import corpproxy.net.engine.connecting
    import corpproxy.supervisor.service
    import corpproxy.worker  # noqa: F401
    from corpproxy.pages.render import make_ready

    make_ready()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        octets, (*sockets,), _, _ = socket.recv_fds(own, _PID_OCTETS, 1)
        if not octets:
            return
        pid = os.fork()
        if not pid:
            be_template(socket.socket(fileno=sockets[0]), None)  # type: ignore[arg-type]
        os.close(sockets[0])
        own.send(str(pid).encode("ascii"))


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
