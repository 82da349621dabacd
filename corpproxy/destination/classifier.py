"""
The classifier: categories of a destination from the lists, the policy's exceptions and its own categories.

The lists' categories come first, the exceptions take some of them away, and the policy's own are added last:
what the site says of a name itself always holds.  What a host is, is remembered; a path is looked at
only where a list, or the policy, has URLs on that host, or expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from corpproxy.destination.entries import Entry, OddLine, own_entry
from corpproxy.destination.index import CategoryIndex, Found, as_matches
from corpproxy.destination.index_build import small_index
from corpproxy.destination.index_meta import MISSING
from corpproxy.destination.model import Host, Match
from corpproxy.destination.paths import listed_path
from corpproxy.destination.sources import BLOCK, ListSource

# The policy's own entries stand under this name where a list's name would stand.
OWN = "own"

# Hosts remembered: a school visits a few ten thousand a day; one costs about 0.4 KiB.
MAX_REMEMBERED = 32_768

# URLs remembered, on hosts where the path matters, and the longest of them.
MAX_URLS_REMEMBERED = 8_192
MAX_URL_REMEMBERED = 512

Answer = tuple[tuple[str, ...], tuple[Match, ...]]


def missing_categories(sources: Iterable[ListSource], index: CategoryIndex | None) -> frozenset[str]:
    """
    Give the categories that cannot be known now, because their list is missing and the policy says ``block``.

    A list is missing when the index has no entries of it, neither new nor kept.  `EVERY_CATEGORY` is
    among them when a list is missing whose categories only its content tells.
    """
    missing: set[str] = set()
    for source in sources:
        report = index.report(source.name) if index is not None else None
        if source.when_missing == BLOCK and (report is None or report.state == MISSING):
            missing |= source.categories
    return frozenset(missing)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is remembered of a host: the answer without a path, and what a path can change."""

    answer: Answer
    reads_path: bool
    keys: tuple[tuple[str, ...], ...]


class Classifier:
    """
    Classifies destinations by an index (None when there is none yet) and the policy's own entries.

    ``own`` and ``exceptions`` give, by category, names, addresses, networks or beginnings of URLs, as
    written in the policy; one that cannot be read raises ValueError (see `own_entry`).  ``missing`` are the
    categories that cannot be known now (see `missing_categories`).
    """

    def __init__(
        self,
        index: CategoryIndex | None,
        own: Mapping[str, Sequence[str]] | None = None,
        exceptions: Mapping[str, Sequence[str]] | None = None,
        missing: frozenset[str] = frozenset(),
    ) -> None:
        self.index = index
        self.missing = missing
        self._own = _indexed(own or {})
        self._exceptions = _indexed(exceptions or {})
        self._own_categories = frozenset(own or ())
        self._layers = tuple(one for one in (index, self._exceptions, self._own) if one is not None)
        self._same = _same_category(index.aliases) if index is not None else {}
        self._reads_paths = index is not None and index.reads_paths
        self._hosts: dict[str, _Known] = {}
        self._urls: dict[tuple[str, str], Answer] = {}

    @property
    def known_categories(self) -> frozenset[str]:
        """Every category that there is: of the lists, their aliases, the policy's own."""
        return self._own_categories | (self.index.known_categories if self.index is not None else frozenset())

    @property
    def versions(self) -> dict[str, str]:
        """The version of each list in force, by its name."""
        return self.index.versions if self.index is not None else {}

    def classify(self, host: Host, scheme: str, port: int, path: str) -> Answer:
        """
        Give the sorted categories of a destination and the matches behind them.

        ``path`` is path and query as they were sent, empty for a tunnel.  No list knows of schemes and ports.
        """
        known = self._hosts.get(host.name)
        if known is None:
            known = self._learned(host)
        if not path or not known.reads_path:
            return known.answer
        answer = self._urls.get((host.name, path))
        return self._with_path(host, path, known) if answer is None else answer

    def _learned(self, host: Host) -> _Known:
        keys = tuple(layer.url_keys(host) for layer in self._layers)
        reads_path = self._reads_paths or any(keys)
        known = _Known(self._answer(host, "", keys), reads_path, keys)
        if len(self._hosts) >= MAX_REMEMBERED:
            self._hosts.clear()
        self._hosts[host.name] = known
        return known

    def _with_path(self, host: Host, path: str, known: _Known) -> Answer:
        answer = self._answer(host, listed_path(path), known.keys)
        if len(path) > MAX_URL_REMEMBERED:
            return answer
        if len(self._urls) >= MAX_URLS_REMEMBERED:
            self._urls.clear()
        self._urls[host.name, path] = answer
        return answer

    def _answer(self, host: Host, path: str, keys: tuple[tuple[str, ...], ...]) -> Answer:
        """Ask the layers in their order: lists, exceptions, own."""
        found: Found = {}
        for layer, under in zip(self._layers, keys, strict=True):
            said = layer.of_host(host)
            if path and under:
                layer.add_urls(said, under, path)
            layer.add_expressions(said, host, path)
            if layer is self._exceptions:
                found = self._without(found, said)
            else:
                found.update(said)
        matches = as_matches(found)
        return tuple(dict.fromkeys(match.category for match in matches)), matches

    def _without(self, found: Found, excepted: Found) -> Found:
        if not excepted:
            return found
        names = {
            one
            for membership in excepted
            for one in self._same.get(membership.category, (membership.category,))
        }
        return {membership: text for membership, text in found.items() if membership.category not in names}


def _indexed(entries: Mapping[str, Sequence[str]]) -> CategoryIndex | None:
    """Index entries of the policy; None when there are none."""
    if not any(entries.values()):
        return None
    return small_index({category: _read(category, written) for category, written in entries.items()}, OWN)


def _read(category: str, written: Sequence[str]) -> list[Entry]:
    entries = []
    for one in written:
        try:
            entries.append(own_entry(one))
        except OddLine as error:
            raise ValueError(f"'{one}' in category '{category}': {error}") from error
    return entries


def _same_category(aliases: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Give for each category that has aliases all its names."""
    names: dict[str, set[str]] = {}
    for alias, meant in aliases.items():
        names.setdefault(meant, {meant}).add(alias)
    return {name: frozenset(group) for group in names.values() for name in group}
