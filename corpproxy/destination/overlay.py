"""
An index in which one list is replaced by another version of it, without building anything.

It answers as the index that would be built; what an update does to people is tried on it first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.model import Host, Match


class Layer(Protocol):
    """What a classifier asks of an index."""

    @property
    def url_count(self) -> int:
        """How many entries are beginnings of URLs."""

    @property
    def reads_paths(self) -> bool:
        """Whether the path of a request can matter on every host."""

    @property
    def known_categories(self) -> frozenset[str]:
        """Every category that there is."""

    @property
    def versions(self) -> dict[str, str]:
        """The version of each list."""

    @property
    def aliases(self) -> dict[str, str]:
        """The category that another name stands for."""

    def categories(self, host: Host, path: str = "") -> tuple[Match, ...]:
        """Why a host, or a URL, is in categories."""

    def has_urls_on(self, host: Host) -> bool:
        """Whether a path on this host can change anything, expressions aside."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """
    ``below`` without the list called ``name``, and ``above`` over it.

    Either may be missing: then there is nothing below, or the list is empty.
    """

    below: CategoryIndex | None
    above: CategoryIndex | None
    name: str

    @property
    def _layers(self) -> tuple[CategoryIndex, ...]:
        return tuple(one for one in (self.below, self.above) if one is not None)

    @property
    def url_count(self) -> int:
        """How many entries are beginnings of URLs, those of the replaced list too."""
        return sum(one.url_count for one in self._layers)

    @property
    def reads_paths(self) -> bool:
        """Whether the path of a request can matter on every host."""
        return any(one.reads_paths for one in self._layers)

    @property
    def known_categories(self) -> frozenset[str]:
        """Every category that there is, those of the replaced list too."""
        return frozenset().union(*(one.known_categories for one in self._layers))

    @property
    def versions(self) -> dict[str, str]:
        """The version of each list."""
        return dict(pair for one in self._layers for pair in one.versions.items())

    @property
    def aliases(self) -> dict[str, str]:
        """The category that another name stands for."""
        return dict(pair for one in self._layers for pair in one.aliases.items())

    def categories(self, host: Host, path: str = "") -> tuple[Match, ...]:
        """Why a host, or a URL, is in categories."""
        return tuple(sorted(self._matches(host, path), key=lambda one: (one.category, one.list)))

    def _matches(self, host: Host, path: str) -> Iterator[Match]:
        if self.below is not None:
            yield from (one for one in self.below.categories(host, path) if one.list != self.name)
        if self.above is not None:
            yield from self.above.categories(host, path)

    def has_urls_on(self, host: Host) -> bool:
        """Whether a path on this host can change anything, expressions aside."""
        return any(one.has_urls_on(host) for one in self._layers)
