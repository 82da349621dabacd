"""
The index of category lists: what the lists say of a host, with the list and the entry that say so.

The octets are handed in, mapped by who opens the file.  One walk down a trie of backwards names finds
all entries that cover a host, whatever list they are from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import re2

from corpproxy.destination.entries import expression_options
from corpproxy.destination.index_file import BadIndex, decode_index
from corpproxy.destination.index_meta import MISSING, IndexMeta, ListReport, Membership
from corpproxy.destination.keys import host_key, key_text, url_keys
from corpproxy.destination.model import Host, Match
from corpproxy.destination.paths import covers, listed_path

Found = dict[Membership, str]


class CategoryIndex:
    """
    An index over the octets of one (see `corpproxy.destination.index_file`); raises BadIndex.

    ``meta`` says what it was built from.
    """

    def __init__(self, octets: memoryview) -> None:
        parts = decode_index(octets)
        self.meta: IndexMeta = parts.meta
        self._octets = octets
        self._trie = parts.trie
        self._sets = parts.sets
        memberships = parts.meta.memberships
        self._members = [
            sorted((memberships[number] for number in members), key=_order) for members in parts.meta.sets
        ]
        self._expressions = parts.meta.expressions
        self._expression_set = _compiled([text for _, text in self._expressions])

    @property
    def url_count(self) -> int:
        """How many entries are beginnings of URLs."""
        return self.meta.urls

    @property
    def reads_paths(self) -> bool:
        """Whether the path of a request can matter on every host: there are expressions."""
        return self._expression_set is not None

    @property
    def known_categories(self) -> frozenset[str]:
        """Every category that a list in the index gives, aliases too."""
        return frozenset().union(*(report.categories for report in self.meta.lists))

    @property
    def versions(self) -> dict[str, str]:
        """The version of each list that has entries in the index, by its name."""
        return {report.name: report.version for report in self.meta.lists if report.state != MISSING}

    @property
    def aliases(self) -> dict[str, str]:
        """The category that another name stands for."""
        return {alias: meant for report in self.meta.lists for alias, meant in report.aliases.items()}

    def report(self, name: str) -> ListReport | None:
        """What the index says of a list."""
        return next((report for report in self.meta.lists if report.name == name), None)

    def categories(self, host: Host, path: str = "") -> tuple[Match, ...]:
        """
        Give why a host, or a URL when there is a ``path``, is in categories, in the order of these.

        There is one match for each list and category, with the closest entry.
        """
        path = listed_path(path) if path else ""
        hits = list(self._trie.iter_prefixes_with_ids(host_key(host)))
        if path and self.meta.urls:
            hits += self._url_hits(host, path)
        spoken = (
            self._expression_set.Match(host.uri_host + path) if self._expression_set is not None else None
        )
        if spoken:
            return self._with_expressions(hits, spoken)
        if len(hits) > 1:
            return _as_matches(self._joined(hits))
        return self._of_one(*hits[0]) if hits else ()

    def has_urls_on(self, host: Host) -> bool:
        """Whether a path on this host can change anything, expressions aside."""
        return self.meta.urls > 0 and any(map(self._is_above_urls, url_keys(host)))

    def categories_of_queries(self, host: Host, path: str) -> frozenset[str]:
        """The categories that a query behind a path without one may add."""
        beginning = listed_path(path) + "?"
        below = (found for key in url_keys(host) for found in self.keys_below(key + beginning))
        found = {category for _, categories in below for category in categories}
        return frozenset(
            found.union(self.meta.memberships[number].category for number, _ in self._expressions)
        )

    def _is_above_urls(self, key: str) -> bool:
        return bool(self._trie.has_keys_with_prefix(key + "/"))

    def _url_hits(self, host: Host, path: str) -> Iterator[tuple[str, int]]:
        """Yield the URLs on a host and those above it that a path, in the form of lists, begins with."""
        for above in filter(self._is_above_urls, url_keys(host)):
            for key, number in self._trie.iter_prefixes_with_ids(above + path):
                if len(key) > len(above) and covers(key[len(above) :], path):
                    yield key, number

    def _of_one(self, key: str, number: int) -> tuple[Match, ...]:
        """The common case, without the detour: one entry covers the host."""
        text = key_text(key)
        return tuple([Match(one.category, one.list, text) for one in self._members[self._sets[number]]])

    def _joined(self, hits: Iterable[tuple[str, int]]) -> Found:
        """Give the closest entry of each membership: hits come from the far ones to the close ones."""
        found: Found = {}
        for key, number in hits:
            text = key_text(key)
            for membership in self._members[self._sets[number]]:
                found[membership] = text
        return found

    def _with_expressions(self, hits: Iterable[tuple[str, int]], spoken: Iterable[int]) -> tuple[Match, ...]:
        found = self._joined(hits)
        for place in spoken:
            number, text = self._expressions[place]
            found.setdefault(self.meta.memberships[number], text)
        return _as_matches(found)

    def keys_below(self, key: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the keys that begin with one, each with its categories, whatever list they are from."""
        for found, number in self._trie.iteritems(key):
            yield found, self._categories_of(number)

    def categories_of_key(self, key: str) -> tuple[str, ...]:
        """The categories of the very entry with this key, none when there is no such entry."""
        number = self._trie.get(key)
        return self._categories_of(number) if number is not None else ()

    def _categories_of(self, number: int) -> tuple[str, ...]:
        return tuple(one.category for one in self._members[self._sets[number]])

    def entries_of(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield the category and the key of every entry of one list, expressions left out."""
        wanted = [[one.category for one in members if one.list == name] for members in self._members]
        for key, number in self._trie.iteritems():
            for category in wanted[self._sets[number]]:
                yield category, key

    def expressions_of(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield the category and the text of every expression of one list."""
        for number, text in self._expressions:
            membership = self.meta.memberships[number]
            if membership.list == name:
                yield membership.category, text


def _as_matches(found: Found) -> tuple[Match, ...]:
    """Give what was found as matches, in the order of their categories."""
    return tuple(Match(one.category, one.list, text) for one, text in sorted(found.items(), key=_by_category))


def _by_category(item: tuple[Membership, str]) -> tuple[str, str]:
    return _order(item[0])


def _order(membership: Membership) -> tuple[str, str]:
    return membership.category, membership.list


def _compiled(expressions: list[str]) -> re2.Set | None:
    if not expressions:
        return None
    together = re2.Set.SearchSet(expression_options())
    try:
        for expression in expressions:
            together.Add(expression)
        together.Compile()
    except re2.error as error:
        raise BadIndex("its expressions are too many for RE2 together") from error
    return together
