"""What an index of category lists says of itself: its lists, their categories, their odd lines."""

from __future__ import annotations

import msgspec

from corpproxy.destination.sources import OddLineSeen

# How a list stands in the index.
READ = "read"
KEPT = "kept"
MISSING = "missing"


class Membership(msgspec.Struct, frozen=True, array_like=True):
    """A category in a list; sets of these are what the index knows of an entry."""

    list: str
    category: str


class ListReport(msgspec.Struct, frozen=True):
    """
    One list as it stands in the index.

    ``state`` is ``read``, ``kept`` (the entries of an earlier reading are in force, because ``problem``)
    or ``missing`` (there are none, because ``problem``).  ``version`` is the beginning of the SHA-256 of what
    was read, ``modified`` the POSIX seconds at which the newest of its files was written.
    ``signature`` tells whether the source looks as it did, ``entries`` counts by category, ``aliases``
    give the category that another name stands for, ``usage`` the words in which the list describes each.
    """

    name: str
    format: str
    state: str
    version: str = ""
    modified: float = 0.0
    octets: int = 0
    signature: str = ""
    entries: dict[str, int] = {}
    aliases: dict[str, str] = {}
    usage: dict[str, list[str]] = {}
    odd_count: int = 0
    odd_lines: list[OddLineSeen] = []
    problem: str = ""

    @property
    def categories(self) -> frozenset[str]:
        """Every category it gives, aliases too."""
        return frozenset(self.entries) | frozenset(self.aliases)

    @property
    def total(self) -> int:
        """How many entries it has."""
        return sum(self.entries.values())


class IndexMeta(msgspec.Struct, frozen=True):
    """
    All that the index holds beside keys and sets.

    ``built`` is POSIX seconds.  ``sets`` are sets of memberships, as numbers into ``memberships``; the set of
    a key is found by its id.  ``expressions`` are pairs of a membership and an expression.  ``urls`` is
    the number of URL entries.
    """

    built: float
    memberships: list[Membership]
    sets: list[list[int]]
    expressions: list[tuple[int, str]]
    urls: int
    lists: list[ListReport]
