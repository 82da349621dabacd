"""
What this package needs to know of a host.

Destinations stand after identities on the road, so their `Host` cannot be named here; it fits this shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class NormalHost(Protocol):
    """A host in its one normal form; ``address`` is None unless it was written as an IP address."""

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> object | None: ...


def upward(host: NormalHost) -> Iterator[str]:
    """Yield the host and every domain above it, the longest first; an IP address has none above it."""
    name = host.name
    yield name
    if host.address is not None:
        return
    while True:
        _, dot, name = name.partition(".")
        if not dot:
            return
        yield name
