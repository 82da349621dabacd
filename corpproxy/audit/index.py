"""
The index of one segment: which blocks of it may have records about a person, a host, a reference or a minute.

A segment is seen as blocks of whole lines.  For each thing that is asked for often the index has a key and
the numbers of the blocks in which it stands; whoever looks for several things reads only the blocks that have
them all, and looks at the records there.  So an index need not be exact, only never miss a block.

Keys are hashes under a key of the site: an index names nobody, and nobody without that key can try names on
it.  An index says nothing that its segment does not say, and can be made anew at any time.

The file, all numbers little-endian, each part filled up to a multiple of eight octets::

    MAGIC  lengths of the parts  header (JSON)  blocks  minutes  hashes  ends  postings

*blocks* are the octets at which blocks begin, and the end of the last; *minutes* and *hashes* are sorted;
*ends* say for each of them, one behind the other, where its block numbers end among the *postings*.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import chain
from struct import Struct
from typing import Any

import msgspec

from corpproxy.audit.query import RecordQuery
from corpproxy.audit.record import FORMAT

MAGIC = b"cpindex1"

# Small blocks are read fast, large ones need few numbers: with a hundred records or so in each, an index is a
# fiftieth of its segment, and what stands in every block costs no more than reading it all.
BLOCK_OCTETS = 64 * 1024

# The first characters of a reference, which tell its half-minute.
_REFERENCE_START = 5
_LENGTHS = Struct("<6Q")


class IndexHeader(msgspec.Struct, frozen=True):
    """
    What an index is about.

    ``octets`` are those of the segment, not compressed, and ``key`` tells the key of the hashes: an index of
    another length or key is of no use any more.
    """

    segment: str
    octets: int
    records: int
    key: str


class BadIndex(Exception):
    """A file is no index, or was cut."""


class _Line(msgspec.Struct, gc=False, tag_field="v", tag=FORMAT):
    id: str
    kind: str
    at: str
    result: str
    user: str = ""
    client: str = ""
    host: str = ""
    whom: str = ""
    within: str = ""
    deed: str = ""
    grant: str = ""
    rule: str = ""
    ended_rule: str = ""
    would_block: str = ""
    exception: str = ""
    groups: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


_DECODE = msgspec.json.Decoder(_Line).decode
# The fields of which a record has one, by the letter that their keys begin with.
_SINGLE = {"user": "u", "client": "c", "whom": "w", "grant": "g", "exception": "e", "would_block": "s"}
_EVERYDAY = frozenset({"exchange", "opening", "progress", "closing"})


def key_name(key: bytes) -> str:
    """A name for a key of the site, which tells nothing of it."""
    return blake2b(b"index", key=key[:64], digest_size=8).hexdigest()


class IndexMaker:
    """Makes the index of a segment from its lines, in their order."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._starts = array("Q", [0])
        self._octets = 0
        self._records = 0
        self._minutes: dict[str, list[int]] = {}
        self._keys: dict[str, list[int]] = {}
        # For each host the lists of it and of all domains above it.
        self._hosts: dict[str, list[list[int]]] = {}
        self._texts: set[str] = set()
        self._at: set[str] = set()
        self._begun = 0

    def take(self, line: bytes) -> None:
        """Take the next line with its end; one that is no record is in no search."""
        self._octets += len(line)
        self._records += 1
        try:
            self._note(_DECODE(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        if self._octets - self._begun >= BLOCK_OCTETS:
            self._end_block()

    def _note(self, record: _Line) -> None:
        add = self._texts.add
        self._at.add(record.at[:16])
        add("i" + record.id[:_REFERENCE_START])
        add("u" + record.user)
        add("c" + record.client)
        add("h" + record.host)
        add("r" + record.rule)
        add("o" + record.result)
        for group in record.groups:
            add("m" + group)
        for category in record.categories:
            add("k" + category)
        if record.deed or record.kind not in _EVERYDAY:
            add("d")
        for letter, text in (
            ("w", record.whom),
            ("p", record.within),
            ("g", record.grant),
            ("r", record.ended_rule),
            ("s", record.would_block),
            ("e", record.exception),
        ):
            if text:
                add(letter + text)

    def _end_block(self) -> None:
        number = len(self._starts) - 1
        keys, hosts = self._keys, self._hosts
        for text in self._texts:
            if text[0] == "h":
                several = hosts.get(text)
                if several is None:
                    above = ("h" + domain for domain in _domains(text[1:]))
                    several = hosts[text] = [keys.setdefault(one, []) for one in above]
                for numbers in several:
                    if not numbers or numbers[-1] != number:
                        numbers.append(number)
            else:
                found = keys.get(text)
                if found is None:
                    keys[text] = [number]
                else:
                    found.append(number)
        for minute in self._at:
            self._minutes.setdefault(minute, []).append(number)
        self._texts.clear()
        self._at.clear()
        self._begun = self._octets
        self._starts.append(self._octets)

    def finish(self, segment: str) -> bytes:
        """Give the index as it stands in its file."""
        if self._octets > self._begun:
            self._end_block()
        header = IndexHeader(segment, self._octets, self._records, key_name(self._key))
        hashed = sorted((hashed_key(self._key, text), numbers) for text, numbers in self._keys.items())
        minutes = sorted((minute_number(text), numbers) for text, numbers in self._minutes.items())
        ends, postings = array("Q"), array("I")
        for _, numbers in chain(minutes, hashed):
            postings.extend(numbers)
            ends.append(len(postings))
        parts = (
            msgspec.json.encode(header),
            self._starts.tobytes(),
            array("Q", (minute for minute, _ in minutes)).tobytes(),
            array("Q", (key for key, _ in hashed)).tobytes(),
            ends.tobytes(),
            postings.tobytes(),
        )
        return b"".join((MAGIC, _LENGTHS.pack(*map(len, parts)), *map(_filled, parts)))


class Index:
    """An index as it is read, of a file that is mapped into memory or of octets."""

    def __init__(self, octets: Any) -> None:
        """:raises BadIndex: when it is none."""
        view = memoryview(octets)
        begins = len(MAGIC) + _LENGTHS.size
        if bytes(view[: len(MAGIC)]) != MAGIC or len(view) < begins:
            raise BadIndex("it is no index")
        parts = []
        for length in _LENGTHS.unpack(view[len(MAGIC) : begins]):
            parts.append(view[begins : begins + length])
            begins += -(-length // 8) * 8
        if begins != len(view):
            raise BadIndex("it was cut")
        try:
            self.header = msgspec.json.decode(bytes(parts[0]), type=IndexHeader)
        except msgspec.DecodeError as error:
            raise BadIndex(str(error)) from error
        self._starts, self._minutes, self._hashes, self._ends = (part.cast("Q") for part in parts[1:5])
        self._postings = parts[5].cast("I")

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return len(self._starts) - 1

    def span(self, first: int, behind: int) -> tuple[int, int]:
        """Where blocks begin, from ``first`` to the one before ``behind``, and where they end."""
        return self._starts[first], self._starts[behind]

    def wanted(self, query: RecordQuery, key: bytes) -> list[int] | range:
        """The numbers of the blocks that may have what is asked for, in their order."""
        found: set[int] | None = None
        for several in _keys_asked(query):
            some: set[int] = set()
            for text in several:
                some.update(self._blocks_of(hashed_key(key, text)))
            found = some if found is None else found & some
            if not found:
                return []
        if query.since or query.until:
            some = set(self._blocks_between(query.since, query.until))
            found = some if found is None else found & some
        return range(self.blocks) if found is None else sorted(found)

    def _blocks_of(self, hashed: int) -> Iterable[int]:
        at = bisect_left(self._hashes, hashed)
        if at == len(self._hashes) or self._hashes[at] != hashed:
            return ()
        return self._numbers(len(self._minutes) + at)

    def _blocks_between(self, since: str, until: str) -> Iterator[int]:
        first = bisect_left(self._minutes, minute_number(since[:16])) if since else 0
        for at in range(first, len(self._minutes)):
            if until and self._minutes[at] > minute_number(until[:16]):
                return
            yield from self._numbers(at)

    def _numbers(self, at: int) -> Iterable[int]:
        numbers: Iterable[int] = self._postings[self._ends[at - 1] if at else 0 : self._ends[at]]
        return numbers


def hashed_key(key: bytes, text: str) -> int:
    """What stands in an index for a text."""
    octets = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(octets, key=key[:64], digest_size=8).digest(), "little")


def minute_number(text: str) -> int:
    """A number that grows with the minutes: the digits of ``2026-11-23T10:00``; 0 for what is none."""
    digits = text[0:4] + text[5:7] + text[8:10] + text[11:13] + text[14:16]
    return int(digits.ljust(12, "0")) if digits.isascii() and digits.isdigit() else 0


def _keys_asked(query: RecordQuery) -> Iterator[tuple[str, ...]]:
    """The keys of which a block must have one, for each thing that is asked for."""
    if query.reference:
        yield "i" + query.reference[:_REFERENCE_START], "p" + query.reference
    for name, letter in _SINGLE.items():
        if text := getattr(query, name):
            yield (letter + text,)
    if query.host and _is_indexed(query.host):
        yield ("h" + query.host,)
    if query.rule:
        yield ("r" + query.rule,)
    if query.result:
        yield ("o" + query.result,)
    if query.group:
        yield ("m" + query.group,)
    if query.category:
        yield ("k" + query.category,)
    if query.deeds or query.deed:
        yield ("d",)


def _domains(host: str) -> Iterator[str]:
    """A host and the domains above it, but for the last label, which says too little."""
    yield host
    while (dot := host.find(".")) >= 0:
        host = host[dot + 1 :]
        if "." in host:
            yield host


def _is_indexed(host: str) -> bool:
    """Whether a host that is asked for has a key: of what is below a last label there is none."""
    return "." in host or ":" in host


def _filled(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 8)
