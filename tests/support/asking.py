"""Connections in memory that ask before each read how much of it a limit lets through, as the engine's do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from twisted.internet.interfaces import IHalfCloseableProtocol

from tests.support.wires import Transport


def _paced_by(transport: Any, pace: Any) -> None:
    transport.pace = pace
    if transport.inbox:
        transport._clock.callLater(0, transport._deliver)


def _deliver(transport: Any) -> None:
    while transport.inbox and not transport.paused and not transport.closed:
        what, data = transport.inbox[0]
        rest, pace = b"", transport.pace
        if pace is not None:
            octets = pace.ask()
            if not octets:
                return
            data, rest = data[:octets], data[octets:]
        if rest:
            transport.inbox[0] = (what, rest)
        else:
            transport.inbox.pop(0)
        if what == "end":
            IHalfCloseableProtocol(transport.protocol).readConnectionLost()
            continue
        if pace is not None:
            pace.took(len(data))
        transport.protocol.dataReceived(data)


@contextmanager
def asking() -> Iterator[None]:
    """Let all connections in memory be such."""
    with (
        patch.object(Transport, "pace", None, create=True),
        patch.object(Transport, "paced_by", _paced_by, create=True),
        patch.object(Transport, "_deliver", _deliver),
    ):
        yield
