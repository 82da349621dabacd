"""What a place that knows people and passwords promises, and how it fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.python.failure import Failure

from corpproxy.errors import CorpproxyError


class DirectoryDown(CorpproxyError):
    """Nobody can be checked just now; whoever asks refuses (we fail closed) and counts nobody as wrong."""


class DirectoryBusy(DirectoryDown):
    """Too many checks wait already; the same credentials may be tried again in a moment."""


def failing(down: DirectoryDown) -> Failure:
    """Give a failure as it is told, which was not raised."""
    return Failure(down)  # type: ignore[no-untyped-call]


class Directory(Protocol):
    """Knows whether a name and a password belong together."""

    def check(self, name: str, password: str, tell: Callable[[bool | Failure], None]) -> None:
        """Call ``tell`` with whether they do, or with the failure `DirectoryDown`; at once or later."""
