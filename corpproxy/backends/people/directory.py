"""What a place that knows people and passwords promises, and how it fails."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred

from corpproxy.errors import CorpproxyError


class DirectoryDown(CorpproxyError):
    """Nobody can be checked just now; whoever asks refuses (we fail closed) and counts nobody as wrong."""


class DirectoryBusy(DirectoryDown):
    """Too many checks wait already; the same credentials may be tried again in a moment."""


class Directory(Protocol):
    """Knows whether a name and a password belong together."""

    def check(self, name: str, password: str) -> Deferred[bool]:
        """Fire with whether they do, or fail with `DirectoryDown`."""
