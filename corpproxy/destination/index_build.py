"""
Building an index from entries: every key once, with the number of the set of (list, category) that it is in.

Five million names pass through here in a process of their own.  Keys wait as text in large pieces, not
as five million strings, and the trie itself is the dictionary in which the sets are joined.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import marisa_trie
import msgspec

from corpproxy.destination.entries import Entry, Kind
from corpproxy.destination.index import CategoryIndex
from corpproxy.destination.index_file import encode_index
from corpproxy.destination.index_meta import IndexMeta, ListReport, Membership
from corpproxy.destination.keys import entry_key, is_url_key

# Keys are joined into one text when so many wait.
_JOINED = 65_536

# So many sets can be told apart by two octets a key; with more sets it takes four.
SHORT_NUMBERS = 65_536

Members = tuple[int, ...]


class IndexBuilder:
    """
    Takes entries with the categories they are in, and gives the octets of an index.

    Entries of one list and category come after one another or mixed with others, and more than once.
    """

    def __init__(self) -> None:
        self._numbers: dict[Membership, int] = {}
        self._waiting: dict[Members, list[str]] = {}
        self._joined: dict[Members, list[str]] = {}
        self._expressions: dict[tuple[int, str], None] = {}
        self._urls = 0

    def members(self, *memberships: Membership) -> Members:
        """Give the memberships in the form in which `add` takes them."""
        return tuple(sorted(self._numbers.setdefault(one, len(self._numbers)) for one in memberships))

    def add(self, members: Members, entry: Entry) -> None:
        """Take an entry into the categories of ``members``."""
        if entry.kind is Kind.EXPRESSION:
            self._expressions.update(dict.fromkeys((number, entry.text) for number in members))
            return
        self.add_key(members, entry_key(entry))

    def add_key(self, members: Members, key: str) -> None:
        """Take an entry by its key."""
        self._urls += is_url_key(key)
        waiting = self._waiting.get(members)
        if waiting is None:
            waiting = self._waiting[members] = []
        waiting.append(key)
        if len(waiting) >= _JOINED:
            self._joined.setdefault(members, []).append("\n".join(waiting))
            waiting.clear()

    def forget(self, name: str) -> None:
        """Drop what was added to one list: reading it failed halfway."""
        gone = {number for one, number in self._numbers.items() if one.list == name}
        for groups in (self._waiting, self._joined):
            for members in [one for one in groups if gone.intersection(one)]:
                del groups[members]
        self._expressions = {one: None for one in self._expressions if one[0] not in gone}

    def finish(self, lists: list[ListReport], built: float) -> tuple[list[bytes], list[ListReport]]:
        """
        Give the octets of the index in pieces, and the reports in it; what was added is used up.

        ``lists`` are the reports without their counts of entries, ``built`` is POSIX seconds.
        """
        trie = marisa_trie.Trie(key for members in self._groups() for key in self._keys(members))
        numbers, sets, counts = self._sets(trie)
        memberships = list(self._numbers)
        for number, _ in self._expressions:
            counts[number] += 1
        counted = [self._counted(report, counts) for report in lists]
        meta = IndexMeta(
            built, memberships, [list(one) for one in sets], list(self._expressions), self._urls, counted
        )
        return list(encode_index(trie, numbers, meta)), counted

    def _counted(self, report: ListReport, counts: list[int]) -> ListReport:
        entries = {
            one.category: counts[number]
            for one, number in self._numbers.items()
            if one.list == report.name and one.category not in report.aliases
        }
        return msgspec.structs.replace(report, entries=entries)

    def _groups(self) -> list[Members]:
        return list(dict.fromkeys([*self._joined, *self._waiting]))

    def _keys(self, members: Members) -> Iterator[str]:
        for joined in self._joined.get(members, ()):
            yield from joined.split("\n")
        yield from self._waiting.get(members, ())

    def _sets(self, trie: marisa_trie.Trie) -> tuple[array[int], list[Members], list[int]]:
        """Give the number of a set for each id of a key, the sets, and how many keys a membership has."""
        sets: dict[Members, int] = {}
        known: list[Members] = [()]
        numbers = array("I", bytes(4 * len(trie)))
        counts = [0] * len(self._numbers)
        for members in self._groups():
            # What becomes of each set that a key may already have.
            joined: dict[int, int] = {}
            for key in self._keys(members):
                place = trie.get(key)
                before = numbers[place]
                after = joined.get(before)
                if after is None:
                    both = tuple(sorted({*known[before], *members}))
                    after = joined[before] = sets.setdefault(both, len(known))
                    if after == len(known):
                        known.append(both)
                if after != before:
                    numbers[place] = after
                    for number in set(members).difference(known[before]):
                        counts[number] += 1
        if len(known) <= SHORT_NUMBERS:
            numbers = array("H", numbers)
        return numbers, known, counts


def small_index(entries: dict[str, list[Entry]], list_name: str) -> CategoryIndex:
    """Build an index in memory, of the entries that a policy itself has by category."""
    builder = IndexBuilder()
    for category, listed in entries.items():
        members = builder.members(Membership(list_name, category))
        for entry in listed:
            builder.add(members, entry)
    report = ListReport(list_name, "own", "read")
    pieces, _ = builder.finish([report], 0.0)
    return CategoryIndex(memoryview(b"".join(pieces)))
