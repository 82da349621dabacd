"""What could not be told over a link: a bug, or there is nobody any more."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.logger import Logger
from twisted.python.failure import Failure

log = Logger()


def not_told(failure: Failure, said: str, /, **named: Any) -> None:
    """Log that something could not be told; where the link is gone its loss says so."""
    if not failure.check(ConnectionDone, ConnectionLost):  # type: ignore[no-untyped-call]
        log.failure(said, failure, **named)
