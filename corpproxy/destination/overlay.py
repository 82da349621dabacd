"""
Several indexes that answer as one, without building anything.

What an update does to people is tried on an index in which one list is replaced (`Overlay`); what the lists
of another day said is asked of the index of each list, as it was then (`Joined`).
"""

from __future__ import annotations

from collections.abc import Iterable
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

    def categories_of_queries(self, host: Host, path: str) -> frozenset[str]:
        """The categories that a query behind a path without one may add."""


class Joined:
    """``layers`` together."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self._layers = tuple(layers)

    @property
    def url_count(self) -> int:
        """How many entries are beginnings of URLs."""
        return sum(one.url_count for one in self._layers)

    @property
    def reads_paths(self) -> bool:
        """Whether the path of a request can matter on every host."""
        return any(one.reads_paths for one in self._layers)

    @property
    def known_categories(self) -> frozenset[str]:
        """Every category that there is, those of a replaced list too."""
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
        found = (match for one in self._layers for match in one.categories(host, path))
        return tuple(sorted(found, key=lambda one: (one.category, one.list)))

    def has_urls_on(self, host: Host) -> bool:
        """Whether a path on this host can change anything, expressions aside."""
        return any(one.has_urls_on(host) for one in self._layers)

    def categories_of_queries(self, host: Host, path: str) -> frozenset[str]:
        """The categories that a query behind a path without one may add."""
        return frozenset().union(*(one.categories_of_queries(host, path) for one in self._layers))


class Overlay(Joined):
    """
    ``below`` without the list called ``name``, and ``above`` over it.

    Either may be missing: then there is nothing below, or the list is empty.
    """

    def __init__(self, below: CategoryIndex | None, above: CategoryIndex | None, name: str) -> None:
        layers: list[Layer] = [Without(below, name)] if below is not None else []
        super().__init__([*layers, above] if above is not None else layers)


class Without(Joined):
    """An index without the entries of one list."""

    def __init__(self, index: CategoryIndex, name: str) -> None:
        super().__init__([index])
        self._name = name

    def categories(self, host: Host, path: str = "") -> tuple[Match, ...]:
        """Why a host, or a URL, is in categories."""
        return tuple(one for one in super().categories(host, path) if one.list != self._name)


class Relabelled(Joined):
    """The index of one list, all of whose entries are in ``category``."""

    def __init__(self, index: CategoryIndex, category: str) -> None:
        super().__init__([index])
        self._category = category

    @property
    def known_categories(self) -> frozenset[str]:
        """The one category."""
        return frozenset({self._category})

    @property
    def aliases(self) -> dict[str, str]:
        """None: what the list calls its categories does not count."""
        return {}

    def categories(self, host: Host, path: str = "") -> tuple[Match, ...]:
        """Why a host, or a URL, is in the category: the closest entry that says so."""
        found = super().categories(host, path)
        if not found:
            return ()
        closest = max(found, key=lambda one: len(one.entry))
        return (Match(self._category, closest.list, closest.entry),)

    def categories_of_queries(self, host: Host, path: str) -> frozenset[str]:
        """The category, where a query may bring it."""
        return frozenset({self._category}) if super().categories_of_queries(host, path) else frozenset()
