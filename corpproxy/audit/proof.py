"""
The proof of a record: how its line commits to what it says, and to the record before it.

A line that is written for good ends with three members more: its number in the chain, a seed, and the hash
of the record before it:

    {PUBLIC,"result":"forwarded" WHO WHERE URL ,"n":17,"seed":"...","chain":"..."}

What tells something about a person stands in three groups, each a run of members.  The hash of a record does
not cover their octets but a commitment to each group, which is salted; the salts come from the seed.  So a
group can be erased together with its salt: the commitment is then stored in its place, the hash stays what it
was, and nobody can guess what stood there.  ``docs/reference/record-format.rst`` specifies it for others.

Nothing here is searched for inside of a text: between quotes JSON has no quote that is not escaped, so that
``,"n":`` can only be the beginning of a member.
"""

from __future__ import annotations

import re
from binascii import hexlify as _hex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256, sha512

import msgspec

from corpproxy import twins

SEED_OCTETS = 16
SALT_OCTETS = 16
NOTHING = bytes(32)

# The personal members, group by group, in the order in which a record has them.
GROUPS = {
    "who": ("client", "user", "agent", "whom"),
    "where": ("host", "hosts", "resolved", "upstream", "server_name", "entry", "reason", "ended_reason"),
    "url": ("path",),
}

_RESULT = b',"result":"'
_RESULT_OCTETS = len(_RESULT)
_NUMBER = b',"n":'
_STARTS = tuple(tuple(f',"{name}":'.encode() for name in names) for names in GROUPS.values())
_WHO, _WHERE, _URL = _STARTS
_PATH = _URL[0]

_PROOF = re.compile(
    rb',"n":([1-9][0-9]*),'
    rb'(?:"seed":"([0-9a-f]{32})"|"salts":\{([^{}]*)\},"erased":\{([^{}]*)\})'
    rb',"chain":"([0-9a-f]{64})"\}'
)
_MEMBER = re.compile(rb'"(who|where|url)":"([0-9a-f]+)"')


class Unproven(Exception):
    """A line has no proof, or none that can be read."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: how many records it has, and the hash of the last one."""

    count: int
    digest: bytes


class End(msgspec.Struct, frozen=True, gc=False):
    """
    How far the chain of a worker is.

    ``records`` of this segment are on the disk, the last with the hash ``head``, in hex.
    """

    worker: int
    segment: str
    records: int
    head: str


class Dropped(msgspec.Struct, frozen=True, gc=False):
    """A segment that retention deleted; the one that follows it begins with the hash ``follows``, in hex."""

    segment: str
    follows: str


def beginning(segment: str) -> Head:
    """Give the head of a chain without records, which begins in the segment of this name."""
    return Head(0, sha256(b"record chain " + segment.encode()).digest())


def link(lines: bytes | Iterable[bytes], head: Head, seeds: bytes) -> tuple[bytes, Head]:
    """
    Chain lines to a head: octets as :func:`corpproxy.audit.record.encode` writes them, or lines without ends.

    ``seeds`` are random octets, ``SEED_OCTETS`` for each line.  Gives the chained lines and the head behind
    them.  Where the compiled twin runs, the thread of the caller keeps no other one waiting meanwhile.
    """
    if twins.chain is not None:
        lines = lines if isinstance(lines, bytes) else list(lines)
        linked = twins.chain.link(lines, head.count, head.digest, seeds, _RESULT, _WHERE, _PATH)
        if linked is not None:
            made, count, digest = linked
            return made, Head(count, digest)
    if isinstance(lines, bytes):
        lines = lines.split(b"\n")[:-1]
    return link_in_python(lines, head, seeds)


def count_lines(lines: bytes) -> int:
    """Give how many lines there are in octets; `bytes.count` takes as long as it takes to write a record."""
    return int(twins.chain.count(lines)) if twins.chain is not None else lines.count(b"\n")


def link_in_python(lines: Iterable[bytes], head: Head, seeds: bytes) -> tuple[bytes, Head]:
    """Do what :func:`link` does; ``native/chain.c`` is made after it."""
    count, digest = head.count, head.digest
    made: list[bytes] = []
    at = 0
    for line in lines:
        count += 1
        seed = seeds[at : at + SEED_OCTETS]
        at += SEED_OCTETS
        # This is done for every record: it is spelt out, as calls would cost more than what they do.
        cut = line.index(b'"', line.index(_RESULT) + _RESULT_OCTETS) + 1
        where, url = _cuts(line, cut)
        salts = sha512(seed).digest()
        made.append(b'%b,"n":%d,"seed":"%b","chain":"%b"}\n' % (line[:-1], count, _hex(seed), _hex(digest)))
        digest = sha256(
            b"%b%b%b%b%b%b"
            % (
                digest,
                count.to_bytes(8, "big"),
                sha256(salts[:16] + line[cut:where]).digest() if cut < where else NOTHING,
                sha256(salts[16:32] + line[where:url]).digest() if where < url else NOTHING,
                sha256(salts[32:48] + line[url:-1]).digest() if url < len(line) - 1 else NOTHING,
                line[:cut],
            )
        ).digest()
    return b"".join(made), Head(count, digest)


def _cuts(line: bytes, begins: int) -> tuple[int, int]:
    """Where the second and the third group begin; the first begins behind the public members."""
    url = line.find(_PATH, begins)
    if url < 0:
        url = len(line) - 1
    for start in _WHERE:
        where = line.find(start, begins, url)
        if where >= 0:
            return where, url
    return url, url


@dataclass(frozen=True, slots=True)
class Proven:
    """
    A line taken apart.

    ``public`` are the octets that are hashed as they are, ``groups`` those of each group that is there,
    ``salts`` and ``erased`` the salts of groups and the commitments to those that are gone.  ``before`` is
    the hash of the record before.
    """

    public: bytes
    groups: dict[str, bytes]
    number: int
    salts: dict[str, bytes]
    erased: dict[str, bytes]
    before: bytes

    @property
    def digest(self) -> bytes:
        """The hash of this record."""
        commitments = b"".join(self._commitment(name) for name in GROUPS)
        return sha256(self.before + self.number.to_bytes(8, "big") + commitments + self.public).digest()

    def _commitment(self, name: str) -> bytes:
        if name in self.erased:
            return self.erased[name]
        group = self.groups.get(name)
        return sha256(self.salts[name] + group).digest() if group else NOTHING

    def without(self, names: Iterable[str]) -> Proven:
        """Give the line with groups erased; its hash stays the same, the other groups keep their salts."""
        gone = {name for name in names if name in self.groups}
        return Proven(
            self.public,
            {name: octets for name, octets in self.groups.items() if name not in gone},
            self.number,
            {name: salt for name, salt in self.salts.items() if name not in gone and name in self.groups},
            self.erased | {name: self._commitment(name) for name in gone},
            self.before,
        )

    def line(self) -> bytes:
        """Write it, with its line end; of one whose groups are all there the seed is gone all the same."""
        parts = [self.public, *(self.groups[name] for name in GROUPS if name in self.groups)]
        parts.append(
            b',"n":%d,"salts":{%b},"erased":{%b}' % (self.number, _spelt(self.salts), _spelt(self.erased))
        )
        parts.append(b',"chain":"%b"}\n' % self.before.hex().encode())
        return b"".join(parts)


def _spelt(values: dict[str, bytes]) -> bytes:
    return b",".join(
        b'"%b":"%b"' % (name.encode(), values[name].hex().encode()) for name in GROUPS if name in values
    )


def read(line: bytes) -> Proven:
    """
    Take a line apart, with or without its line end.

    :raises Unproven: when it has no proof, or one that this format does not have.
    """
    line = line.rstrip(b"\n")
    at = line.rfind(_NUMBER)
    proof = _PROOF.fullmatch(line, at) if at >= 0 else None
    begins = line.find(_RESULT, 0, at)
    if proof is None or begins < 0:
        raise Unproven("it has no proof")
    cut = line.index(b'"', begins + _RESULT_OCTETS) + 1
    groups = dict(_groups(line[:at] + b"}", cut))
    number, seed, salts, erased, before = proof.groups()
    if seed is not None:
        derived = sha512(bytes.fromhex(seed.decode())).digest()
        kept = {name: derived[n * 16 : n * 16 + 16] for n, name in enumerate(GROUPS)}
        gone: dict[str, bytes] = {}
    else:
        kept, gone = _members(salts, SALT_OCTETS), _members(erased, len(NOTHING))
    if not groups.keys() <= kept.keys() or groups.keys() & gone.keys():
        raise Unproven("its salts do not belong to what it says")
    return Proven(line[:cut], groups, int(number), kept, gone, bytes.fromhex(before.decode()))


def _groups(line: bytes, begins: int) -> Iterator[tuple[str, bytes]]:
    where, url = _cuts(line, begins)
    for name, octets in zip(GROUPS, (line[begins:where], line[where:url], line[url:-1]), strict=True):
        if octets:
            yield name, octets


def _members(written: bytes, octets: int) -> dict[str, bytes]:
    members = {one[1].decode(): one[2] for one in _MEMBER.finditer(written)}
    spelt = b",".join(b'"%b":"%b"' % (name.encode(), members[name]) for name in GROUPS if name in members)
    if spelt != written or any(len(value) != 2 * octets for value in members.values()):
        raise Unproven("its salts cannot be read")
    return {name: bytes.fromhex(value.decode()) for name, value in members.items()}
