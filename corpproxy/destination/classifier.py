"""
The classifier: categories of a destination from the lists, the policy's exceptions and its own categories.

The lists' categories come first, the exceptions take some of them away, and the policy's own are added last:
what the site says of a name itself always holds.  What a host is, is remembered; a path is looked at
only where a list, or the policy, has URLs on that host, or expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from corpproxy.destination.entries import Entry, OddLine, own_entry
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.index_build import small_index
from corpproxy.destination.index_meta import MISSING
from corpproxy.destination.model import Host, Match
from corpproxy.destination.overlay import Layer
from corpproxy.destination.sources import BLOCK, ListSource

# The policy's own entries stand under this name where a list's name would stand.
OWN = "own"

# Hosts remembered: a school visits a few ten thousand a day; one costs about 0.4 KiB.
MAX_REMEMBERED = 32_768

# URLs remembered, on hosts where the path matters, and the longest of them.
MAX_URLS_REMEMBERED = 8_192
MAX_URL_REMEMBERED = 512

Answer = tuple[tuple[str, ...], tuple[Match, ...]]
_NOTHING: Answer = ((), ())


def missing_categories(sources: Iterable[ListSource], index: CategoryIndex | None) -> frozenset[str]:
    """
    Give the categories that cannot be known now, because their list is missing and the policy says ``block``.

    A list is missing when the index has no entries of it, neither new nor kept.  `EVERY_CATEGORY` is
    among them when a list is missing whose categories only its content tells.
    """
    missing: set[str] = set()
    for source in unread(sources, index):
        if source.when_missing == BLOCK:
            missing |= source.categories
    return frozenset(missing)


def unread(sources: Iterable[ListSource], index: CategoryIndex | None) -> Iterator[ListSource]:
    """Give the lists of which the index has no entries, neither new nor kept."""
    for source in sources:
        report = index.report(source.name) if index is not None else None
        if report is None or report.state == MISSING:
            yield source


class Classifier:
    """
    Classifies destinations by an index (None when there is none yet) and the policy's own entries.

    ``own`` and ``exceptions`` give, by category, names, addresses, networks or beginnings of URLs, as
    written in the policy; one that cannot be read raises ValueError (see `own_entry`).  ``missing`` are the
    categories that cannot be known now (see `missing_categories`).
    """

    def __init__(
        self,
        index: Layer | None,
        own: Mapping[str, Sequence[str]] | None = None,
        exceptions: Mapping[str, Sequence[str]] | None = None,
        missing: frozenset[str] = frozenset(),
    ) -> None:
        self.index = index
        self.missing = missing
        self._own = indexed(own or {})
        self._exceptions = indexed(exceptions or {})
        self._own_categories = frozenset(own or ())
        self._same = _same_category(index.aliases) if index is not None else {}
        layers: list[Layer] = [one for one in (index, self._exceptions, self._own) if one is not None]
        self._with_urls = [one for one in layers if one.url_count]
        self._reads_paths = any(one.reads_paths for one in layers)
        self._hosts: dict[str, Answer] = {}
        # Hosts among them on which there are URLs, so that the path matters.
        self._with_paths: set[str] = set()
        self._urls: dict[tuple[str, str], Answer] = {}

    @property
    def known_categories(self) -> frozenset[str]:
        """Every category that there is: of the lists, their aliases, the policy's own."""
        return self._own_categories | (self.index.known_categories if self.index is not None else frozenset())

    @property
    def versions(self) -> dict[str, str]:
        """The version of each list in force, by its name."""
        return self.index.versions if self.index is not None else {}

    def same_categories(self, category: str) -> frozenset[str]:
        """All names of a category: itself, and its aliases in the lists."""
        return self._same.get(category, frozenset({category}))

    def classify(self, host: Host, scheme: str, port: int, path: str) -> Answer:
        """
        Give the sorted categories of a destination and the matches behind them.

        ``path`` is path and query as they were sent, empty for a tunnel.  No list knows of schemes and ports.
        """
        name = host.name
        answer = self._hosts.get(name)
        if answer is None:
            answer = self._learned(host)
        if not path or not (self._reads_paths or name in self._with_paths):
            return answer
        return self._urls.get((name, path)) or self._with_path(host, path)

    def looks_at_paths(self, host: Host) -> bool:
        """Whether the path says anything about categories on this host, which was classified just now."""
        return self._reads_paths or host.name in self._with_paths

    def _learned(self, host: Host) -> Answer:
        if len(self._hosts) >= MAX_REMEMBERED:
            self._hosts.clear()
            self._with_paths.clear()
        if self._with_urls and any(layer.has_urls_on(host) for layer in self._with_urls):
            self._with_paths.add(host.name)
        answer = self._hosts[host.name] = self._answer(host, "")
        return answer

    def _with_path(self, host: Host, path: str) -> Answer:
        answer = self._answer(host, path)
        if len(path) > MAX_URL_REMEMBERED:
            return answer
        if len(self._urls) >= MAX_URLS_REMEMBERED:
            self._urls.clear()
        self._urls[host.name, path] = answer
        return answer

    def _answer(self, host: Host, path: str) -> Answer:
        """Ask lists, exceptions and own, in this order."""
        matches = self.index.categories(host, path) if self.index is not None else ()
        if self._exceptions is not None and matches:
            matches = self._without(matches, self._exceptions.categories(host, path))
        if self._own is not None:
            own = self._own.categories(host, path)
            if own:
                matches = tuple(sorted((*matches, *own), key=_order))
        if not matches:
            return _NOTHING
        if len(matches) == 1:
            return (matches[0].category,), matches
        return tuple(dict.fromkeys([match.category for match in matches])), matches

    def _without(self, matches: tuple[Match, ...], excepted: tuple[Match, ...]) -> tuple[Match, ...]:
        if not excepted:
            return matches
        names: set[str] = set()
        for one in excepted:
            names |= self._same.get(one.category, {one.category})
        return tuple(match for match in matches if match.category not in names)


def _order(match: Match) -> tuple[str, str]:
    return match.category, match.list


def indexed(entries: Mapping[str, Sequence[str]]) -> CategoryIndex | None:
    """Index entries as a policy writes them, by category; None when there are none."""
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
